"""The texts of contents: read when they are asked for, or all of them at once, in memory or in a mapped file."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from curate.catalog import samples
from curate.columns import as_column, as_words
from curate.spill import drop
from curate.workspace import Workspace

if TYPE_CHECKING:
    from numpy.typing import NDArray


READ_ROWS = 32_768
TAKEN_BEFORE_WHOLE = 8
"""Texts are read one by one until an eighth of them was asked for."""


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
