"""What the first round of a judgement found, kept between runs: a cache in `indexes/judged`.

A deduper visits rows in the order of priority, and what it says of a row depends on the rows before it alone. So where new
contents come after all old ones, the first round says of the old ones what it said before, whatever is new; only the new ones
are compared. Later rounds judge the few whose keeper fell, against new and old alike, and are run again. What is kept here
serves only if the rows that were judged then are the first ones now, in the same order and with the same words of a user:
a digest over them says so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curate import __version__
from curate.workspace import write_atomically

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from curate.deduplication.contents import Contents

_TIE_BYTES = 25
MOST_FILES = 16
"""Judgements under so many different methods, settings and datasets stay; those made longest ago go."""


@dataclass(frozen=True, slots=True)
class Ties:
    """Contents that are dropped, by content number.

    Attributes:
        keeper: (u,) int64, the content that stands for it, or -1.
        similarity: (u,) float64 to it; 1 where there is none.
        method: (u,) int8, position among the near-duplicate methods.
    """

    keeper: NDArray[np.int64]
    similarity: NDArray[np.float64]
    method: NDArray[np.int8]

    @classmethod
    def none(cls, count: int) -> Ties:
        """Nothing is dropped."""
        return cls(np.full(count, -1, np.int64), np.ones(count), np.zeros(count, np.int8))

    def copy(self) -> Ties:
        """The same, in arrays of its own."""
        return Ties(self.keeper.copy(), self.similarity.copy(), self.method.copy())

    def extended(self, count: int) -> Ties:
        """The same for the first contents of `count`; the others are not dropped."""
        longer = Ties.none(count)
        for mine, theirs in zip(self._arrays(), longer._arrays(), strict=True):
            theirs[: len(mine)] = mine
        return longer

    def _arrays(self) -> tuple[NDArray[Any], ...]:
        return self.keeper, self.similarity, self.method

    def to_bytes(self) -> bytes:
        """Those that are dropped, all arrays one after the other: 25 bytes each."""
        tied = np.flatnonzero(self.keeper >= 0)
        return tied.tobytes() + b"".join(array[tied].tobytes() for array in self._arrays())

    @classmethod
    def from_bytes(cls, data: memoryview, count: int) -> Ties:
        """What `to_bytes` gave, for `count` contents.

        Raises:
            ValueError: it is of another length, or names others.
        """
        if len(data) % _TIE_BYTES:
            raise ValueError(f"{len(data)} bytes are no ties")
        size = len(data) // _TIE_BYTES
        tied, keeper = np.frombuffer(data, np.int64, size), np.frombuffer(data, np.int64, size, 8 * size)
        if size and not (min(tied.min(), keeper.min()) >= 0 and max(tied.max(), keeper.max()) < count):
            raise ValueError(f"they name others than {count} contents")
        ties = cls.none(count)
        ties.keeper[tied] = keeper
        ties.similarity[tied] = np.frombuffer(data, np.float64, size, 16 * size)
        ties.method[tied] = np.frombuffer(data, np.int8, size, 24 * size)
        return ties


@dataclass(frozen=True, slots=True)
class Judged:
    """What is known of the first `contents` contents, which were judged before.

    Attributes:
        first: their ties after the first round.
        final: their ties in the end, if nothing is new.
        nothing_new: whether they are all contents there are.
        notes: what the methods said.
    """

    contents: int
    first: Ties
    final: Ties
    nothing_new: bool
    notes: tuple[str, ...]


class Memory:
    """Where one command's judgements are kept.

    Args:
        folder: for all of them.
        about: all that a judgement depends on beside the rows: modality, methods with their settings, embedders' fingerprints.
        writable: whether this process is the only one that may write there.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any], *, writable: bool = True) -> None:
        self._writable = writable
        key = json.dumps({"about": about, "code": __version__}, sort_keys=True)
        self._file = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.ties"

    def recall(self, contents: Contents) -> Judged | str | None:
        """What was judged before and holds still; why it does not hold, for a person; or None where nothing is known."""
        try:
            head, data = self._file.read_bytes().split(b"\n", 1)
            told = json.loads(head)
            if told["sha256"] != hashlib.sha256(data).hexdigest():
                return None
            rows, known, cut = int(told["rows"]), int(told["contents"]), int(told["first_bytes"])
            both = memoryview(data)
            first, final = Ties.from_bytes(both[:cut], known), Ties.from_bytes(both[cut:], known)
            notes, rows_digest = tuple(map(str, told["notes"])), str(told["rows_digest"])
        except (OSError, ValueError, KeyError, TypeError):
            return None  # a cache: whatever is wrong with it, all is judged anew
        if rows > len(contents.content) or rows_digest != _digest(contents, rows):
            return "the order of priority, a user's verdict or a dataset compared with changed since"
        if (contents.foreign | contents.pinned | contents.banned)[rows:].any():
            return "a user decided about new samples, or they are of a dataset compared with"
        return Judged(known, first, final, known == len(contents.first_row), notes)

    def keep(self, contents: Contents, first: Ties, final: Ties, notes: Sequence[str]) -> None:
        """Keep a judgement for the next run, if this process may."""
        if not self._writable:
            return
        head = first.to_bytes()
        data = head + final.to_bytes()
        rows = len(contents.content)
        told = {
            "rows": rows,
            "rows_digest": _digest(contents, rows),
            "contents": len(contents.first_row),
            "first_bytes": len(head),
            "notes": list(notes),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        folder = self._file.parent
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self._file, json.dumps(told).encode() + b"\n" + data)
        others = sorted(folder.glob("*.ties"), key=lambda file: -file.stat().st_mtime)
        for old in others[MOST_FILES:]:
            old.unlink(missing_ok=True)


def _digest(contents: Contents, rows: int) -> str:
    """Of the first rows: which samples, of which contents, in which order of priority, and what a user said of them."""
    digest = hashlib.sha256()
    for column in (contents.sample_id, contents.content, contents.rank, contents.foreign, contents.pinned, contents.banned):
        digest.update(np.ascontiguousarray(column[:rows]).data)
    digest.update(contents.keys[: int(contents.content[:rows].max(initial=-1)) + 1].data)
    return digest.hexdigest()
