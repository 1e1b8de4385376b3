"""The distinct contents of a dataset: samples that are byte for byte equal are one content, judged once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.catalog import verdicts
from curate.columns import as_array
from curate.dedupers.rows.runs import first_of_equal
from curate.errors import SettingError

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEEPS = ("first", "longest", "largest")
KEY_BYTES = 16
READ_ROWS = 32_768


@dataclass(frozen=True, slots=True)
class Contents:
    """n rows (samples) over u contents; contents are numbered in the order of their first sample's id.

    Attributes:
        sample_id: (n,) rising.
        content: (n,) the content of each row.
        first_row: (u,) the row whose text or vector stands for the content.
        keys: (u, 16) uint8, half of the content's hash.
        rank: (n,) place in the order of priority: the row of lower rank is kept before the other.
        foreign: (n,) the row is another dataset's, which is looked at but not judged.
        user_kept: (n,) a user pinned it: it stays, whatever it resembles.
        user_dropped: (n,) a user dropped it: it stays dropped, and so does what resembles it.
    """

    sample_id: NDArray[np.int64]
    content: NDArray[np.int64]
    first_row: NDArray[np.int64]
    keys: NDArray[np.uint8]
    rank: NDArray[np.int64]
    foreign: NDArray[np.bool_]
    user_kept: NDArray[np.bool_]
    user_dropped: NDArray[np.bool_]

    @property
    def representative_ids(self) -> NDArray[np.int64]:
        """(u,) the sample whose text or vector stands for each content, rising."""
        return self.sample_id[self.first_row]

    def keepers(self) -> NDArray[np.int64]:
        """(u,) the row of each content that is kept if it is: foreign rows come first, then those that a user decided about."""
        rows = np.arange(len(self.content))
        if (self.rank == rows).all() and not (self.foreign | self.user_dropped | self.user_kept).any():
            return self.first_row
        at = np.empty_like(rows)  # the row of each rank
        at[self.rank] = rows
        special = np.where(self.foreign, 0, np.where(self.user_dropped, 1, np.where(self.user_kept, 2, 3)))
        best = np.full(len(self.first_row), 4 * len(rows))
        np.minimum.at(best, self.content, special * len(rows) + self.rank)
        found: NDArray[np.int64] = at[best % max(len(rows), 1)]
        return found

    def without(self, rows: NDArray[np.bool_]) -> Contents:
        """What is left when some rows (n,) take no part; contents are numbered anew."""
        if not rows.any():
            return self
        stays = ~rows
        numbers, first, content = np.unique(self.content[stays], return_index=True, return_inverse=True)
        order = np.argsort(first)  # contents in the order of their first row
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        return Contents(
            sample_id=self.sample_id[stays],
            content=place[content],
            first_row=first[order],
            keys=self.keys[numbers[order]],
            rank=np.argsort(np.argsort(self.rank[stays])),
            foreign=self.foreign[stays],
            user_kept=self.user_kept[stays],
            user_dropped=self.user_dropped[stays],
        )

    def settled(self) -> NDArray[np.bool_]:
        """(u,) whether the content is kept, or stands for what resembles it, whatever it resembles itself."""
        result = np.zeros(len(self.first_row), dtype=bool)
        result[self.content[self.foreign | self.user_kept | self.user_dropped]] = True
        return result


def distinct_contents(own: pa.Table, other: pa.Table | None, keep: str) -> Contents:
    """Group the rows of a dataset, and of another that it is compared with, by content.

    Args:
        own: as `verdicts.rows_to_judge` gives them; those that another owner than dedupe and the user drops are set aside:
            they are not judged, and stand for nothing.
        other: likewise; samples that are dropped take no part.
        keep: "first" (lowest id), "longest" or "largest" (most characters or pixels, then most bytes, then the smaller
            content hash).

    Raises:
        SettingError: `keep` is another word.
    """
    if keep not in KEEPS:
        raise SettingError(f"--keep is one of {', '.join(KEEPS)}, got {keep!r}")
    tables = [own.filter(pc.invert(is_set_aside(own)))]
    if other is not None:
        tables.append(other.filter(pc.fill_null(pc.not_equal(other["action"], "drop"), True)))
    columns = _Columns(tables)
    keys = columns.hashes(KEY_BYTES)
    content, first_row = number_keys(keys)
    foreign = columns.foreign
    dropped, by_user = columns.where("action", "drop"), columns.where("owner", "user")
    return Contents(
        sample_id=columns.numbers("sample_id"),
        content=content,
        first_row=first_row,
        keys=keys[first_row],
        rank=np.arange(len(content)) if keep == "first" else _ranks(columns),
        foreign=foreign,
        user_kept=by_user & ~dropped & ~foreign,
        user_dropped=by_user & dropped & ~foreign,
    )


def is_set_aside(rows: pa.Table) -> pa.ChunkedArray:
    """(n,) whether another owner than dedupe and the user drops the sample."""
    by_another = pc.invert(pc.is_in(rows["owner"], pa.array([verdicts.USER, verdicts.DEDUPE])))
    return pc.fill_null(pc.and_kleene(pc.equal(rows["action"], "drop"), by_another), False)


def undecided(rows: pa.Table) -> pa.Table:
    """The rows, as if nobody had decided about them."""
    for column in ("action", "owner"):
        place = rows.schema.get_field_index(column)
        rows = rows.set_column(place, column, pa.nulls(rows.num_rows, pa.string()))
    return rows


class _Columns:
    """The rows of one table, or of the dataset's own and another's, as arrays in the order of their ids.

    Arrow's own sorting and encoding would take 600 bytes a row here.
    """

    def __init__(self, tables: list[pa.Table]) -> None:
        self._tables = tables
        foreign = np.repeat(np.arange(len(tables)) > 0, [table.num_rows for table in tables])
        ids = np.concatenate([as_array(table["sample_id"]) for table in tables])
        self._order = np.argsort(ids, kind="stable") if len(tables) > 1 else np.arange(len(ids))
        self.foreign: NDArray[np.bool_] = foreign[self._order]

    def numbers(self, name: str) -> NDArray[np.int64]:
        """(n,) a column of whole numbers."""
        return np.concatenate([as_array(table[name]) for table in self._tables])[self._order]

    def where(self, name: str, value: str) -> NDArray[np.bool_]:
        """(n,) whether a column of words holds this one."""
        equal = [as_array(pc.fill_null(pc.equal(table[name], value), False)) for table in self._tables]
        return np.concatenate(equal)[self._order]

    def hashes(self, width: int) -> NDArray[np.uint8]:
        """(n, width) the last bytes of each SHA-256."""
        out = np.concatenate([hash_bytes(table["content_hash"], width) for table in self._tables])
        return out if len(self._tables) == 1 else out[self._order]


def hash_bytes(column: pa.ChunkedArray, width: int) -> NDArray[np.uint8]:
    """(n, width) the last bytes of each SHA-256 in a column, where it is written in 64 hexadecimal digits."""
    out = np.empty((len(column), width), np.uint8)
    done = 0
    for chunk in column.chunks:
        for start in range(0, len(chunk), READ_ROWS):
            piece = chunk.slice(start, READ_ROWS).cast(pa.large_string())
            at = np.frombuffer(piece.buffers()[1], np.int64)[piece.offset : piece.offset + len(piece) + 1]
            assert at[-1] - at[0] == 64 * len(piece)
            digits = np.frombuffer(piece.buffers()[2], np.uint8)[at[0] : at[-1]].reshape(-1, 64)[:, -2 * width :]
            values = digits - np.where(digits > ord("9"), np.uint8(ord("a") - 10), np.uint8(ord("0")))
            out[done : done + len(piece)] = values[:, ::2] * 16 + values[:, 1::2]
            done += len(piece)
    return out


def number_keys(keys: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number equal keys (n, 16) in the order in which they appear: (n,) the number of each, (u,) where each appears first."""
    halves = keys.view(np.uint64)
    first = first_of_equal(halves[:, 1].copy(), halves[:, 0].copy())
    is_first = first == np.arange(len(keys))
    return (np.cumsum(is_first) - 1)[first], np.flatnonzero(is_first)


def _ranks(columns: _Columns) -> NDArray[np.int64]:
    """The longest first, then the largest, then the one of the smaller hash, then the one that came first."""
    words = columns.hashes(32).view(">u8")  # (n, 4)
    by_hash = (columns.numbers("sample_id"), words[:, 3], words[:, 2], words[:, 1], words[:, 0])
    order = np.lexsort((*by_hash, -columns.numbers("size_bytes"), -columns.numbers("length")))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank
