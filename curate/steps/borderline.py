"""`borderline`: the pairs just above and just below a threshold, for a person to judge by."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from curate.catalog import datasets, samples, verdicts
from curate.catalog.samples import Sample
from curate.deduplication.contents import distinct_contents
from curate.deduplication.inputs import Materials, embed_missing_vectors
from curate.deduplication.methods import Method
from curate.deduplication.thresholds import at_threshold, one_method
from curate.errors import InputError, SettingError
from curate.reports import Report
from curate.workspace import Workspace

if TYPE_CHECKING:
    from numpy.typing import NDArray

BELOW = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
"""How far below the threshold pairs are looked for, as a share of it, one step after the other until there are enough."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two samples, the earlier one first, and how similar they are by the method's true measure."""

    left: Sample
    right: Sample
    similarity: float


@dataclass(frozen=True, slots=True, repr=False)
class BorderlineReport(Report):
    """The pairs on both sides of a threshold.

    Attributes:
        above: pairs that dedupe by this method alone takes for duplicates, the least similar first.
        below: pairs of samples that it keeps both, the most similar first.
        compared: pairs verified by the true measure.
    """

    dataset: str
    method: str
    measure: str
    threshold: float
    above: tuple[Pair, ...]
    below: tuple[Pair, ...]
    compared: int
    seconds: float
    notes: tuple[str, ...] = ()


def borderline(
    workspace: Workspace,
    dataset: str,
    count: int = 10,
    *,
    method: str | None = None,
    threshold: float | None = None,
    embedder: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> BorderlineReport:
    """Show the pairs nearest to a threshold; no verdict changes.

    All distinct contents of the dataset are looked at, whatever their verdicts. Each pair that is shown is the nearest one of
    one of its samples; the most similar pair below the threshold is always among them, up to the recall of the method.

    Args:
        count: how many pairs on either side, at most.
        method: a near-duplicate method; semantic for text and perceptual for images by default.
        threshold: the method's own by default.
        embedder, settings: as `dedupe` takes them. Missing vectors are made first.

    Raises:
        InputError: no such dataset, or it is empty.
        SettingError: the method has no threshold or does not fit, or a value is out of range.
    """
    started = time.monotonic()
    if count < 1:
        raise SettingError(f"how many pairs must be 1 or more, got {count}", hint="-n 10")
    home = datasets.find(workspace.catalog, dataset)
    modalities = samples.modalities(workspace.catalog, home.dataset_id)
    if not modalities:
        raise InputError(f"{dataset} has no samples", hint=f"curate ingest PATH --dataset {dataset}")
    asked: dict[str, Any] = {"settings": settings or {}, "embedder": embedder}
    chosen, modality = one_method(workspace, method, modalities, threshold=threshold, **asked)
    line = chosen.deduper.threshold
    lowest, _ = one_method(workspace, chosen.name, modalities, threshold=line * (1 - BELOW[-1]), **asked)
    notes = embed_missing_vectors(workspace, [dataset], {modality: [chosen]})
    rows = verdicts.rows_to_judge(workspace.catalog, home.dataset_id, modality, lengths=False)
    contents = distinct_contents(rows, None, "first")
    with Materials(workspace, contents, workspace.memory_bytes) as materials:
        search = _Search(materials, lowest)
        everyone = np.arange(len(contents.first_row))
        found, kept = search.mark(everyone, line, 0)
        above = sorted(found, key=lambda tie: tie[2])[:count]
        below: list[tuple[int, int, float]] = []
        for share in BELOW:
            below = search.nearest(kept, line * (1 - share))
            if len(below) >= count:
                break
    below = sorted(below, key=lambda tie: -tie[2])[:count]
    ids = contents.representative_ids
    named = samples.by_ids(workspace.catalog, pa.table({"sample_id": ids[[n for tie in (*above, *below) for n in tie[:2]]]}))

    def pairs(ties: list[tuple[int, int, float]]) -> tuple[Pair, ...]:
        return tuple(Pair(named[int(ids[min(a, b)])], named[int(ids[max(a, b)])], s) for a, b, s in ties)

    if len(below) < count:
        notes.append(f"pairs under {line * (1 - BELOW[-1]):g} were not looked for")
    return BorderlineReport(
        dataset=dataset,
        method=chosen.name,
        measure=chosen.deduper.measure,
        threshold=line,
        above=pairs(above),
        below=pairs(below),
        compared=search.compared,
        seconds=round(time.monotonic() - started, 3),
        notes=tuple(notes),
    )


class _Search:
    """Finds similar contents by number, over the sketches that are made for the lowest threshold."""

    def __init__(self, materials: Materials, lowest: Method) -> None:
        self._materials = materials
        self._method = lowest
        self.compared = 0
        materials.sketches(lowest)

    def mark(
        self, order: NDArray[np.int64], threshold: float, settled: int
    ) -> tuple[list[tuple[int, int, float]], NDArray[np.int64]]:
        """Each marked content with the one that stands for it and their similarity; and those that are not marked."""
        marks = self._materials.mark(at_threshold(self._method, threshold), order, settled)
        self.compared += marks.compared
        tied = order[marks.stands_for[order] >= 0]
        ties = [(int(row), int(marks.stands_for[row]), float(marks.similarity[row])) for row in tied]
        return ties, order[marks.stands_for[order] < 0]

    def nearest(self, order: NDArray[np.int64], threshold: float) -> list[tuple[int, int, float]]:
        """Pairs at or above the threshold, the most similar one always, and of each content one at most from its own side.

        A pass ties each marked content to a kept one before it. Kept ones after it are then compared with the marked, and
        the marked with each other in a pass of their own, until none is left.
        """
        found = dict[tuple[int, int], float]()
        while len(order) > 1:
            ties, kept = self.mark(order, threshold, 0)
            if not ties:
                break
            marked = np.array([row for row, _, _ in ties], np.int64)
            back, _ = self.mark(np.r_[marked, kept], threshold, len(marked))
            found.update({(min(a, b), max(a, b)): s for a, b, s in (*ties, *back)})
            order = marked
        return [(a, b, s) for (a, b), s in found.items()]
