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
from curate.deduplication.ties import Ties
from curate.workspace import write_atomically

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from curate.deduplication.contents import Contents

MOST_FILES = 16
"""Judgements under so many different methods, settings and datasets stay; those made longest ago go."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What is known of the first `contents` contents, which were judged before.

    Attributes:
        first: their ties after the first round.
        final: their ties in the end, if nothing is new.
        nothing_new: whether they are all contents there are.
        notes: what the methods said.
        parted: (contents,) uint8, which guard alone keeps a content after the first round; see `curate.dedupers.Marks`.
    """

    contents: int
    first: Ties
    final: Ties
    nothing_new: bool
    notes: tuple[str, ...]
    parted: NDArray[np.uint8]


class JudgementCache:
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
            digest, _, whole = self._file.read_bytes().partition(b"\n")
            if digest.decode() != hashlib.sha256(whole).hexdigest():
                return None
            head, data = whole.split(b"\n", 1)
            told = json.loads(head)
            rows, known, cut = int(told["rows"]), int(told["contents"]), int(told["first_bytes"])
            end = len(data) - known
            both = memoryview(data)
            first, final = Ties.from_bytes(both[:cut], known), Ties.from_bytes(both[cut:end], known)
            parted = np.frombuffer(both[end:], np.uint8)
            notes, rows_digest = tuple(map(str, told["notes"])), str(told["rows_digest"])
        except (OSError, ValueError, KeyError, TypeError):
            return None  # a cache: whatever is wrong with it, all is judged anew
        if rows > len(contents.content) or rows_digest != _digest(contents, rows):
            return "the order of priority, a user's verdict or a dataset compared with changed since"
        if (contents.foreign | contents.user_kept | contents.user_dropped)[rows:].any():
            return "a user decided about new samples, or they are of a dataset compared with"
        return Judged(known, first, final, known == len(contents.first_row), notes, parted)

    def keep(self, contents: Contents, first: Ties, final: Ties, notes: Sequence[str], parted: NDArray[np.uint8]) -> None:
        """Keep a judgement for the next run, if this process may."""
        if not self._writable:
            return
        head = first.to_bytes()
        data = head + final.to_bytes() + parted.tobytes()
        rows = len(contents.content)
        told = {
            "rows": rows,
            "rows_digest": _digest(contents, rows),
            "contents": len(contents.first_row),
            "first_bytes": len(head),
            "notes": list(notes),
        }
        folder = self._file.parent
        folder.mkdir(parents=True, exist_ok=True)
        whole = json.dumps(told).encode() + b"\n" + data
        write_atomically(self._file, hashlib.sha256(whole).hexdigest().encode() + b"\n" + whole)
        others = sorted(folder.glob("*.ties"), key=lambda file: -file.stat().st_mtime)
        for old in others[MOST_FILES:]:
            old.unlink(missing_ok=True)


def _digest(contents: Contents, rows: int) -> str:
    """Of the first rows: which samples, of which contents, in which order of priority, and what a user said of them."""
    digest = hashlib.sha256()
    for column in (
        contents.sample_id,
        contents.content,
        contents.rank,
        contents.foreign,
        contents.user_kept,
        contents.user_dropped,
    ):
        digest.update(np.ascontiguousarray(column[:rows]).data)
    digest.update(contents.keys[: int(contents.content[:rows].max(initial=-1)) + 1].data)
    return digest.hexdigest()
