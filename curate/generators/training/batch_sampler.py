"""The order in which a training sees its rows: a function of the seed and the step, so that nothing has to be remembered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from curate.errors import SettingError
from curate.generators.training.repeatable import ORDER


class BatchSampler:
    """Shuffled epochs, one after the other, cut into batches.

    Args:
        rows: how many rows there are.
        batch: rows a step; more than there are is allowed.
        seed: of the shuffles.
        lengths: (rows,) cost of each row; given, rows of like cost share a batch: each stretch of 16 batches is sorted by
            cost, and its batches are shuffled again.
    """

    def __init__(self, rows: int, batch: int, seed: int, *, lengths: NDArray[np.int64] | None = None) -> None:
        self.count, self.batch, self.seed, self.lengths = rows, batch, seed, lengths
        self._epoch, self._rows = -1, np.empty(0, dtype=np.int64)

    def rows(self, step: int) -> NDArray[np.int64]:
        """(batch,) the rows of a step, from 0; an epoch may end inside a batch."""
        start = step * self.batch
        parts, need = [], self.batch
        while need:
            epoch, offset = divmod(start, self.count)
            part = self._shuffled(epoch)[offset : offset + need]
            parts.append(part)
            start, need = start + len(part), need - len(part)
        return np.concatenate(parts)

    def _shuffled(self, epoch: int) -> NDArray[np.int64]:
        if epoch != self._epoch:
            random = np.random.Generator(np.random.PCG64([self.seed, ORDER, epoch]))
            rows = random.permutation(self.count)
            if self.lengths is not None:
                rows = self._by_length(rows, random)
            self._epoch, self._rows = epoch, rows
        return self._rows

    def _by_length(self, rows: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
        assert self.lengths is not None
        out = []
        for start in range(0, len(rows), 16 * self.batch):
            stretch = rows[start : start + 16 * self.batch]
            stretch = stretch[np.argsort(self.lengths[stretch], kind="stable")]
            cuts = [stretch[i : i + self.batch] for i in range(0, len(stretch), self.batch)]
            out += [cuts[i] for i in random.permutation(len(cuts))]
        return np.concatenate(out)


def label_numbers(labels: Sequence[str | None], known: Sequence[str], *, strict: bool) -> NDArray[np.int64]:
    """(n,) the place of each label among the known ones; the null label is the number after the last.

    Args:
        strict: raise at a label that is not known; otherwise it counts as none.

    Raises:
        SettingError: a label is not known.
    """
    places = {label: place for place, label in enumerate(known)}
    if strict:
        for label in labels:
            if label is not None and label not in places:
                raise SettingError(f"the model knows no label {label!r}", hint="one of: " + ", ".join(known[:20]))
    return np.array([places.get(label, len(known)) if label is not None else len(known) for label in labels], dtype=np.int64)
