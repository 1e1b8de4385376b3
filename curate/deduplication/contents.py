"""The distinct contents of a dataset: samples that are byte for byte equal are one content, judged once."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.catalog import samples
from curate.columns import as_array, as_column, as_words
from curate.dedupers.rows.runs import first_of_equal
from curate.errors import SettingError
from curate.spill import drop
from curate.workspace import Workspace

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEEPS = ("first", "longest", "largest")
KEY_BYTES = 16
READ_ROWS = 32_768
TAKEN_BEFORE_WHOLE = 8
"""Texts are read one by one until an eighth of them was asked for."""


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
        pinned: (n,) a user restored it: it stays, whatever it resembles.
        banned: (n,) a user dropped it: it stays dropped, and so does what resembles it.
    """

    sample_id: NDArray[np.int64]
    content: NDArray[np.int64]
    first_row: NDArray[np.int64]
    keys: NDArray[np.uint8]
    rank: NDArray[np.int64]
    foreign: NDArray[np.bool_]
    pinned: NDArray[np.bool_]
    banned: NDArray[np.bool_]

    @property
    def representative_ids(self) -> NDArray[np.int64]:
        """(u,) the sample whose text or vector stands for each content, rising."""
        return self.sample_id[self.first_row]

    def keepers(self) -> NDArray[np.int64]:
        """(u,) the row of each content that is kept if the content is: foreign, banned and pinned rows before all others."""
        rows = np.arange(len(self.content))
        if (self.rank == rows).all() and not (self.foreign | self.banned | self.pinned).any():
            return self.first_row
        at = np.empty_like(rows)  # the row of each rank
        at[self.rank] = rows
        special = np.where(self.foreign, 0, np.where(self.banned, 1, np.where(self.pinned, 2, 3)))
        best = np.full(len(self.first_row), 4 * len(rows))
        np.minimum.at(best, self.content, special * len(rows) + self.rank)
        return at[best % max(len(rows), 1)]

    def settled(self) -> NDArray[np.bool_]:
        """(u,) whether the content is kept, or stands for what resembles it, whatever it resembles itself."""
        result = np.zeros(len(self.first_row), dtype=bool)
        result[self.content[self.foreign | self.pinned | self.banned]] = True
        return result


def distinct_contents(own: pa.Table, other: pa.Table | None, keep: str) -> Contents:
    """Group the rows of a dataset, and of another that it is compared with, by content.

    Args:
        own, other: as `verdicts.rows_to_judge` gives them; samples of `other` that are dropped take no part.
        keep: "first" (lowest id), "longest" or "largest" (most characters or pixels, then most bytes, then the smaller
            content hash).

    Raises:
        SettingError: `keep` is another word.
    """
    if keep not in KEEPS:
        raise SettingError(f"--keep is one of {', '.join(KEEPS)}, got {keep!r}")
    tables = [own]
    if other is not None:
        tables.append(other.filter(pc.fill_null(pc.not_equal(other["action"], "drop"), True)))
    columns = _Columns(tables)
    keys = columns.hashes(KEY_BYTES)
    content, first_row = number_keys(keys)
    foreign = columns.foreign
    dropped, by_user = columns.where("action", "drop"), columns.where("reason", "user")
    return Contents(
        sample_id=columns.numbers("sample_id"),
        content=content,
        first_row=first_row,
        keys=keys[first_row],
        rank=np.arange(len(content)) if keep == "first" else _ranks(columns),
        foreign=foreign,
        pinned=by_user & ~dropped & ~foreign,
        banned=by_user & dropped & ~foreign,
    )


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


class ContentTexts:
    """The texts of contents by number: read when they are asked for, or all of them at once.

    All of them lie in memory or, above a size, in a memory-mapped Arrow file. They are read at once where `whole` is asked for,
    or where so many were taken one by one that it costs less.

    Args:
        ids: (u,) rising sample ids, one a content.
        memory_bytes: texts of more bytes than this go to a file under the workspace, removed by `close`.
    """

    def __init__(self, workspace: Workspace, ids: NDArray[np.int64], memory_bytes: int) -> None:
        self._workspace = workspace
        self._ids = ids
        self._memory_bytes = memory_bytes
        self._file = workspace.folder("indexes", "spill") / f"texts-{os.getpid()}-{id(self):x}.arrow"
        self._starts = np.zeros(1, np.int64)
        self._chunks: list[pa.LargeStringArray] | None = None
        self._map: mmap.mmap | None = None
        self._touched_bytes = 0
        self._taken = 0

    def __len__(self) -> int:
        return len(self._ids)

    def whole(self) -> list[pa.LargeStringArray]:
        """All texts, in order, in pieces."""
        if self._chunks is None:
            self._chunks = self._read_all()
            self._starts = np.r_[0, np.cumsum([len(chunk) for chunk in self._chunks])].astype(np.int64)
        return self._chunks

    def pieces(self, rows: NDArray[np.int64]) -> Iterator[pa.LargeStringArray]:
        """The texts of these contents, which rise, in pieces."""
        if self._chunks is None and len(rows) < len(self._ids):
            yield from self._stream(rows)
            return
        chunks = self.whole()
        if len(rows) == len(self._ids):
            for chunk in chunks:
                yield chunk
                self._touched(chunk.nbytes)
            return
        for start in range(0, len(rows), READ_ROWS):
            yield self.take(rows[start : start + READ_ROWS])

    def take(self, rows: NDArray[np.int64]) -> pa.LargeStringArray:
        """The texts of these contents, in this order; rows may repeat."""
        if not len(rows):
            return as_words([])
        self._taken += len(rows)
        if self._chunks is None and self._taken * TAKEN_BEFORE_WHOLE <= len(self._ids):
            wanted, back = np.unique(rows, return_inverse=True)
            return pa.concat_arrays(list(self._stream(wanted))).take(as_column(back))
        chunks = self.whole()
        if len(chunks) == 1 and self._map is None:
            return chunks[0].take(as_column(rows))
        order = np.argsort(rows, kind="stable")
        chunk_of = np.searchsorted(self._starts, rows[order], side="right") - 1
        pieces = []
        for number in np.unique(chunk_of):
            inside = rows[order][chunk_of == number] - self._starts[number]
            pieces.append(chunks[number].take(as_column(inside)))
            self._touched(chunks[number].nbytes)
        back = np.empty(len(rows), dtype=np.int64)
        back[order] = np.arange(len(rows))
        return pa.concat_arrays(pieces).take(as_column(back))

    def close(self) -> None:
        """Remove the file, if there is one."""
        self._chunks = self._map = None
        self._file.unlink(missing_ok=True)

    def _touched(self, size: int) -> None:
        """Give the pages of the file back, if so many more bytes of it are too much."""
        self._touched_bytes += size
        if self._map is not None and self._touched_bytes > self._memory_bytes:
            drop(self._map)
            self._touched_bytes = 0

    def _stream(self, rows: NDArray[np.int64]) -> Iterator[pa.LargeStringArray]:
        """Read the texts of contents that rise; in slices of ids, because the catalog sorts what it is asked for."""
        for start in range(0, len(rows), READ_ROWS):
            ids = self._ids[rows[start : start + READ_ROWS]]
            for batch in samples.texts(self._workspace.catalog, pa.table({"sample_id": as_column(ids)})):
                yield batch["text"].cast(pa.large_string())

    def _read_all(self) -> list[pa.LargeStringArray]:
        held, chunks = 0, list[pa.LargeStringArray]()
        writer: pa.RecordBatchFileWriter | None = None
        schema = pa.schema([("text", pa.large_string())])
        try:
            for texts in self._stream(np.arange(len(self._ids))):
                held += texts.nbytes
                chunks.append(texts)
                if writer is None and held > self._memory_bytes:
                    writer = pa.ipc.new_file(str(self._file), schema)
                if writer is not None:
                    for chunk in chunks:
                        writer.write_batch(pa.record_batch([chunk], schema=schema))
                    chunks = []
        finally:
            if writer is not None:
                writer.close()
        if writer is None:
            return chunks
        self._workspace.catalog.shrink()
        with self._file.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        reader = pa.ipc.open_file(pa.py_buffer(self._map))
        return [reader.get_batch(n).column(0) for n in range(reader.num_record_batches)]
