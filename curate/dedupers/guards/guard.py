"""Says of pairs of rows whether a guard parts them, reading the texts when it is first asked about them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from curate.dedupers.guards.choice import GUARDS
from curate.dedupers.guards.kernels import EDITED, REORDERED
from curate.dedupers.guards.statements import Statements
from curate.dedupers.guards.words import FACTS, read_statement

if TYPE_CHECKING:
    import pyarrow as pa

MOSTLY_UNKNOWN = 0.1
"""From this share of unknown tokens on a model has not read a text."""

_READ_ROWS = 4_096
_SPELT = [FACTS.index(kind) + 1 for kind in ("negation", "opposites")]
_CODE = {name: number + 1 for number, name in enumerate(GUARDS)}


class ReadTexts(Protocol):
    """Texts by row number, with what a model made of them."""

    def take(self, rows: NDArray[np.int64]) -> pa.LargeStringArray:
        """The texts of these rows, in this order; rows may repeat."""
        ...

    def readings(self, rows: NDArray[np.int64]) -> NDArray[np.int32]:
        """(r, 3) tokens that the model saw, those of them that it does not know, and those that it did not see."""
        ...

    def labels(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """(r,) a number for each label; -1 where there is none."""
        ...


class Guard:
    """The chosen guards over n rows.

    Attributes:
        classes: (n,) uint64, a digest of the facts of each row that was looked at, 0 for the others. Two rows of different
            classes and different `letters` are parted, so compiled code need not ask about them.
        letters: (n,) uint64, a digest of the letters of each such row.
    """

    def __init__(self, rows: int, texts: ReadTexts, guards: frozenset[str], *, foreign: bool) -> None:
        self.classes = np.zeros(rows, np.uint64)
        self.letters = np.zeros(rows, np.uint64)
        self._place = np.full(rows, -1, np.int32)
        self._statements = Statements()
        self._readings = np.empty((0, 3), np.int32)
        self._labels = np.empty(0, np.int64)
        self._texts = texts
        self._guards = guards
        self._foreign = foreign
        self._kinds = np.array([kind for kind, name in enumerate(FACTS) if name in guards], np.int64)
        self._lock = threading.Lock()

    def refusals(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.uint8]:
        """(p,) for each pair of rows 1 + the place in `GUARDS` of the guard that parts them, or 0."""
        if not len(left):
            return np.zeros(0, np.uint8)
        with self._lock:
            self._look_at(np.concatenate([left, right]))
            a, b = self._place[left].astype(np.int64), self._place[right].astype(np.int64)
            return self._judge(a, b)

    def _judge(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The same of pairs of places."""
        facts = self._statements
        out = np.zeros(len(a), np.uint8)
        if "labels" in self._guards:
            mine, yours = self._labels[a], self._labels[b]
            out[(mine >= 0) & (yours >= 0) & (mine != yours)] = _CODE["labels"]
        alike = np.flatnonzero((out == 0) & (facts.letters[a] == facts.letters[b]))
        misspelt = np.zeros(len(a), np.bool_)
        misspelt[alike] = facts.misspelt(a[alike], b[alike])
        self._part(out, facts.bags, a, b)
        out[misspelt & np.isin(out, _SPELT)] = 0  # the words that they make are no facts
        asked = np.flatnonzero(out == 0)
        a, b = a[asked], b[asked]
        form = np.where(misspelt[asked], EDITED, facts.judge(a, b))
        found = np.zeros(len(asked), np.uint8)
        other = form != EDITED
        if "order" in self._guards:
            found[form == REORDERED] = _CODE["order"]
        if "characters" in self._guards:
            unknown = (self._readings[a, 1] > 0) | (self._readings[b, 1] > 0)
            found[unknown & (facts.odd[a] != facts.odd[b]) & (found == 0)] = _CODE["characters"]
        if "wording" in self._guards:
            found[other & (found == 0)] = _CODE["wording"]
        if "unread" in self._guards:
            found[other & (found == 0) & (self._unread(a) | self._unread(b))] = _CODE["unread"]
        reworded = np.flatnonzero(other & (found == 0))
        late = found[reworded]
        self._part(late, facts.sequences, a[reworded], b[reworded])
        found[reworded] = late
        out[asked] = found
        return out

    def _part(self, out: NDArray[np.uint8], digests: NDArray[np.uint64], a: NDArray[np.int64], b: NDArray[np.int64]) -> None:
        """Name the first kind of fact in which pairs differ, where none is named yet."""
        for kind in self._kinds:
            out[(digests[a, kind] != digests[b, kind]) & (out == 0)] = kind + 1

    def _unread(self, places: NDArray[np.int64]) -> NDArray[np.bool_]:
        tokens, unknown, cut = self._readings[places].T
        found: NDArray[np.bool_] = (cut > 0) | (unknown >= MOSTLY_UNKNOWN * np.maximum(tokens, 1))
        return found

    def _look_at(self, rows: NDArray[np.int64]) -> None:
        """Read the texts of those rows that were not looked at yet."""
        fresh = np.unique(rows[self._place[rows] < 0])
        for start in range(0, len(fresh), _READ_ROWS):
            part = fresh[start : start + _READ_ROWS]
            texts = self._texts.take(part).to_pylist()
            known = len(self._statements)
            self._statements.add([read_statement(text or "", foreign=self._foreign) for text in texts])
            self._readings = np.concatenate([self._readings, self._texts.readings(part)])
            if "labels" in self._guards:
                self._labels = np.concatenate([self._labels, self._texts.labels(part)])
            self._place[part] = np.arange(known, known + len(part))
            self.letters[part] = self._statements.letters[known:]
            self.classes[part] = self._class(self._statements.bags[known:])

    def _class(self, bags: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """(r, kinds) → (r,) one digest, never 0, of the facts that are guarded."""
        mixed = np.full(len(bags), 1, np.uint64)
        for kind in self._kinds:
            mixed = (mixed ^ bags[:, kind]) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(29)
        return mixed | np.uint64(1)
