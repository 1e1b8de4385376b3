"""The draws of one command, window by window: drawn, judged, stored."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from curate.catalog import sources, synthetic, vectors
from curate.catalog.models import ModelRow
from curate.errors import BadRecord
from curate.generators import Drawn, DrawRequest, Model
from curate.modalities import Facts, Limits, Modality, load_modality
from curate.synthesis.gates import Gates, Verdict
from curate.workspace import BlobStore, Run, Workspace

WINDOW = 128  # draws a transaction


@dataclass(frozen=True, slots=True)
class Draw:
    """One draw of a command: the nth of its label."""

    label: str | None
    index: int
    seed: int


class DrawSession:
    """The draws of one command, window by window."""

    def __init__(
        self,
        workspace: Workspace,
        run: Run,
        row: ModelRow,
        trained: Model,
        gates: Gates,
        drawing: dict[str, Any],
        seed: int,
        known: dict[int, str],
    ) -> None:
        self._workspace = workspace
        self._run = run
        self._row = row
        self._trained = trained
        self._gates = gates
        self._drawing = drawing
        self._stored = json.dumps({**drawing, "base_seed": seed}, sort_keys=True)
        moving = json.dumps({k: v for k, v in drawing.items() if k != "environment"}, sort_keys=True)
        self._seed_stem = f"{seed}|{moving}"
        self._known = known
        self.tally: Counter[str] = Counter()
        self.accepted: Counter[str | None] = Counter()
        self.already = 0

    def draw_all(self, targets: Mapping[str | None, int], *, rounds: int) -> dict[str | None, int]:
        """Draw every target; with more than one round, replace what was refused.

        The rounds replay from the first draw on, taking stored outcomes for draws that were made before, so that an
        interrupted command ends where an undisturbed one does.

        Returns:
            How many accepted samples each label lacks in the end.
        """
        next_index = dict.fromkeys(targets, 0)
        progress = self._workspace.progress
        for _ in range(rounds):
            wanted = [
                self._draw(label, next_index[label] + n)
                for label, target in targets.items()
                for n in range(target - self.accepted[label])
            ]
            if not wanted:
                break
            for draw in wanted:
                next_index[draw.label] = draw.index + 1
            missing = [draw for draw in wanted if draw.seed not in self._known]
            self.already += len(wanted) - len(missing)
            progress.start("drawing", total=len(missing))
            for window in _windows(missing):
                self._draw_window(window)
                progress.advance(len(window))
            progress.finish()
            for draw in wanted:
                self.accepted[draw.label] += self._known[draw.seed] == "accepted"
        return {label: target - self.accepted[label] for label, target in targets.items()}

    def _draw(self, label: str | None, index: int) -> Draw:
        digest = hashlib.sha256(f"{self._seed_stem}|{label}|{index}".encode()).digest()
        return Draw(label, index, int.from_bytes(digest[:8], "big") >> 1)

    def _draw_window(self, window: Sequence[Draw]) -> None:
        drawn: list[Drawn | None] = [None] * len(window)
        for item in self._trained.draw([DrawRequest.of_label(d.label, d.seed) for d in window], self._drawing):
            drawn[item.index] = item
        results = [item for item in drawn if item is not None]
        assert len(results) == len(window), "the generator skipped a request"
        contents = [item.content for item in results]
        verdicts = self._gates.judge(contents, [item.request.conditions for item in results])
        hashes = [hashlib.sha256(c.encode() if isinstance(c, str) else c).hexdigest() for c in contents]
        kind = load_modality(self._trained.modality)
        facts = [_facts(kind, item) for item in results]
        names = [
            BlobStore.name(digest, fact.suffix) if item.media is not None else None
            for digest, item, fact in zip(hashes, results, facts, strict=True)
        ]
        self._workspace.synthetic.write(
            (name, item.media) for name, item in zip(names, results, strict=True) if name is not None and item.media is not None
        )
        catalog = self._workspace.catalog
        with catalog.transaction():
            ids = list(sources.reserve_ids(catalog, "sample_ids", len(window)))
            synthetic.add(catalog, self._table(ids, window, results, facts, verdicts, hashes, names))
            kept = [n for n, verdict in enumerate(verdicts) if verdict.refusal is None]
            if kept:
                matrix = np.stack([v.vector for n in kept if (v := verdicts[n]).vector is not None])
                vectors.add(catalog, self._gates.slug, np.array([ids[n] for n in kept], np.int64), matrix)
            for draw, verdict in zip(window, verdicts, strict=True):
                self._known[draw.seed] = "refused" if verdict.refusal else "accepted"
                self.tally[verdict.refusal or "accepted"] += 1
            self._run.commit_counts({"drawn": sum(self.tally.values()), **self.tally})

    def _table(
        self,
        ids: list[int],
        window: Sequence[Draw],
        results: Sequence[Drawn],
        facts: Sequence[Facts],
        verdicts: Sequence[Verdict],
        hashes: Sequence[str],
        names: Sequence[str | None],
    ) -> pa.Table:
        n = len(window)
        return pa.table(
            {
                "sample_id": pa.array(ids, pa.int64()),
                "dataset_id": pa.array([self._row.dataset_id] * n, pa.int32()),
                "model_id": pa.array([self._row.model_id] * n, pa.int32()),
                "run_id": pa.array([self._run.run_id] * n, pa.int32()),
                "seed": pa.array([d.seed for d in window], pa.int64()),
                "draw_index": pa.array([d.index for d in window], pa.int64()),
                "requested_label": pa.array([d.label for d in window], pa.string()),
                "settings": pa.array([self._stored] * n, pa.string()),
                "depth": pa.array([self._row.depth + 1] * n, pa.int32()),
                "parents": pa.array(["[]"] * n, pa.string()),
                "modality": pa.array([self._trained.modality] * n, pa.string()),
                "content_hash": pa.array(hashes, pa.string()),
                "label": pa.array([d.label for d in window], pa.string()),
                "text": pa.array([item.text for item in results], pa.large_string()),
                "blob": pa.array(names, pa.string()),
                "size_bytes": pa.array(
                    [len(i.media) if i.media is not None else len((i.text or "").encode()) for i in results], pa.int64()
                ),
                "width": pa.array([fact.width for fact in facts], pa.int32()),
                "height": pa.array([fact.height for fact in facts], pa.int32()),
                "facts": pa.array([json.dumps(dict(fact.others)) if fact.others else None for fact in facts], pa.string()),
                "metadata": pa.array([json.dumps(dict(item.extra)) if item.extra else None for item in results], pa.string()),
                "status": pa.array(["refused" if v.refusal else "accepted" for v in verdicts], pa.string()),
                "refusal": pa.array([v.refusal for v in verdicts], pa.string()),
                "nearest_id": pa.array([v.nearest_id for v in verdicts], pa.int64()),
                "nearest_real": pa.array([v.nearest_real for v in verdicts], pa.float64()),
            }
        )


def _windows(draws: Sequence[Draw]) -> Iterator[Sequence[Draw]]:
    for start in range(0, len(draws), WINDOW):
        yield draws[start : start + WINDOW]


def _facts(kind: Modality, item: Drawn) -> Facts:
    """What a draw is; nothing of one that is a text, or that the gates refuse because it cannot be read."""
    if item.media is not None:
        with suppress(BadRecord):
            return kind.inspect(item.media, Limits())
    return Facts()
