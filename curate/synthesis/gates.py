"""Asks every gate about draws, in the order of their ranks, and gives back what was borrowed for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from curate import plugins
from curate.catalog import vectors
from curate.catalog.models import ModelRow
from curate.catalog.splits import Split
from curate.embedding.missing import embed_dataset
from curate.embedding.specs import default_spec, loaded
from curate.gates import Draws, Gate
from curate.modalities import load_modality
from curate.synthesis.reference import RealSamples
from curate.workspace import Workspace

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What the gates say of one draw.

    Attributes:
        refusal: why it is refused, or None where it is accepted.
        nearest_id, nearest_real: the nearest real sample and the cosine to it; None where nothing was embedded.
        vector: (d,) of the draw, likewise.
    """

    refusal: str | None
    nearest_id: int | None = None
    nearest_real: float | None = None
    vector: NDArray[np.float32] | None = None


class Gates:
    """The gates of one model; a context, which gives the embedder back when it ends.

    Args:
        split: the frozen split whose train part the model learned from.
        accepted: ids of its accepted draws so far, whose vectors are stored.
        skip: names of gates that are not asked.

    Attributes:
        descriptions: a sentence a gate, for the report.
    """

    def __init__(
        self,
        workspace: Workspace,
        model: ModelRow,
        split: Split,
        modality: str,
        accepted: Sequence[int],
        *,
        skip: Collection[str] = (),
    ) -> None:
        spec = default_spec(workspace, modality)
        embed_dataset(workspace, model.dataset, embedder=spec)
        catalog = workspace.catalog
        self.slug = next(row.slug for row in vectors.embedders(catalog) if row.spec == spec)
        self._kind = load_modality(modality)
        with ExitStack() as borrowed:
            self._embedder = borrowed.enter_context(loaded(workspace, spec))
            self._real = RealSamples(catalog, split, modality, self.slug, threads=workspace.threads)
            before = vectors.load(catalog, self.slug, sample_ids=np.array(accepted, np.int64), origin="synthetic")[1]
            kinds = sorted(plugins.usable("gates"), key=lambda item: (item[1].rank, item[0]))
            reference = self._real.reference(spec, before)
            gates: list[tuple[str, Gate]] = [(name, kind(reference)) for name, kind in kinds if name not in skip]
            self.descriptions = (
                *(f"{name}: {gate.description}" for name, gate in gates),
                *(f"{name}: off" for name in sorted(skip)),
            )
            self._content = [gate for _, gate in gates if gate.reads == "content"]
            self._vectors = [gate for _, gate in gates if gate.reads == "vectors"]
            self._borrowed = borrowed.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._borrowed.close()

    def judge(self, contents: Sequence[str | bytes], conditions: Sequence[Mapping[str, Any]]) -> list[Verdict]:
        """Judge draws in order; a later one is a duplicate of an earlier one that was accepted, never the other way round.

        Args:
            contents: n texts or encoded media.
            conditions: what each was asked to be.
        """
        draws = Draws(contents, conditions, [self._kind.is_blank(content) for content in contents])
        refusals = _ask(self._content, draws)
        sound = [row for row, refusal in enumerate(refusals) if refusal is None]
        verdicts = [Verdict(refusal) for refusal in refusals]
        if not sound:
            return verdicts
        rest = draws.take(sound)
        embedded = self._kind.embed(self._embedder, rest.contents)
        near = self._real.nearest(embedded)
        rest = replace(rest, vectors=embedded, nearest_train=near.train, nearest_held=near.held)
        nearest = np.maximum(near.train, near.held)
        for place, (row, refusal) in enumerate(zip(sound, _ask(self._vectors, rest), strict=True)):
            verdicts[row] = Verdict(refusal, int(near.ids[place]), float(nearest[place]), embedded[place])
        return verdicts


def _ask(gates: Sequence[Gate], draws: Draws) -> list[str | None]:
    """Ask each gate about those draws that the gates before it let pass."""
    refusals: list[str | None] = [None] * len(draws)
    for gate in gates:
        open_rows = [row for row, refusal in enumerate(refusals) if refusal is None]
        for row, refusal in zip(open_rows, gate.judge(draws.take(open_rows)), strict=True):
            refusals[row] = refusal
    return refusals
