"""What is stored of a draw: everything that it takes to draw it again, and what the gates said."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from curate.catalog.models import ModelRow
from curate.errors import BadRecord
from curate.generators import Drawn
from curate.modalities import Facts, Limits, load_modality
from curate.synthesis.gates import Verdict
from curate.workspace import BlobStore


@dataclass(frozen=True, slots=True)
class Draw:
    """One draw of a command: the nth of its label."""

    label: str | None
    index: int
    seed: int


@dataclass(frozen=True)
class Outcome:
    """What came of a draw.

    Attributes:
        modality: of the model.
    """

    draw: Draw
    drawn: Drawn
    verdict: Verdict
    modality: str

    @cached_property
    def data(self) -> bytes:
        """The content as bytes."""
        content = self.drawn.content
        return content.encode() if isinstance(content, str) else content

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of it."""
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def facts(self) -> Facts:
        """What a draw is; nothing of one that is a text, or that the gates refuse because it cannot be read."""
        if self.drawn.media is not None:
            with suppress(BadRecord):
                return load_modality(self.modality).inspect(self.drawn.media, Limits())
        return Facts()

    @cached_property
    def blob(self) -> str | None:
        """Its path below blobs/synthetic, or None where it is a text."""
        return BlobStore.name(self.content_hash, self.facts.suffix) if self.drawn.media is not None else None


def synthetic_rows(outcomes: Sequence[Outcome], ids: Sequence[int], *, model: ModelRow, run_id: int, settings: str) -> pa.Table:
    """Rows of `synthetic_samples`.

    Args:
        ids: one an outcome.
        settings: of the draws, as JSON.
    """
    n = len(outcomes)
    draws, verdicts, facts = [o.draw for o in outcomes], [o.verdict for o in outcomes], [o.facts for o in outcomes]
    return pa.table(
        {
            "sample_id": pa.array(ids, pa.int64()),
            "dataset_id": pa.array([model.dataset_id] * n, pa.int32()),
            "model_id": pa.array([model.model_id] * n, pa.int32()),
            "run_id": pa.array([run_id] * n, pa.int32()),
            "seed": pa.array([d.seed for d in draws], pa.int64()),
            "draw_index": pa.array([d.index for d in draws], pa.int64()),
            "requested_label": pa.array([d.label for d in draws], pa.string()),
            "settings": pa.array([settings] * n, pa.string()),
            "depth": pa.array([model.depth + 1] * n, pa.int32()),
            "parents": pa.array(["[]"] * n, pa.string()),
            "modality": pa.array([o.modality for o in outcomes], pa.string()),
            "content_hash": pa.array([o.content_hash for o in outcomes], pa.string()),
            "label": pa.array([d.label for d in draws], pa.string()),
            "text": pa.array([o.drawn.text for o in outcomes], pa.large_string()),
            "blob": pa.array([o.blob for o in outcomes], pa.string()),
            "size_bytes": pa.array([len(o.data) for o in outcomes], pa.int64()),
            "width": pa.array([fact.width for fact in facts], pa.int32()),
            "height": pa.array([fact.height for fact in facts], pa.int32()),
            "facts": pa.array([json.dumps(dict(fact.others)) if fact.others else None for fact in facts], pa.string()),
            "metadata": pa.array([json.dumps(dict(e)) if (e := o.drawn.extra) else None for o in outcomes], pa.string()),
            "status": pa.array(["refused" if v.refusal else "accepted" for v in verdicts], pa.string()),
            "refusal": pa.array([v.refusal for v in verdicts], pa.string()),
            "nearest_id": pa.array([v.nearest_id for v in verdicts], pa.int64()),
            "nearest_real": pa.array([v.nearest_real for v in verdicts], pa.float64()),
        }
    )
