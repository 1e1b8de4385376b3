"""Arrow columns to NumPy arrays and back, by their buffers.

PyArrow's own ways (`pa.array`, `pa.scalar`, `to_numpy`) import pandas where it is installed, which takes a quarter of a second:
what every short command does is done by these instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

_KINDS = {
    pa.from_numpy_dtype(kind): kind for kind in map(np.dtype, ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"))
}


def as_column(values: NDArray[Any]) -> pa.Array:
    """An Arrow array of (n,) whole or floating numbers, which shares their memory where they lie in a row."""
    flat = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(flat.dtype), len(flat), [None, pa.py_buffer(flat)])


def as_words(values: Sequence[str]) -> pa.LargeStringArray:
    """An Arrow array of (n,) strings."""
    encoded = [value.encode() for value in values]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    return pa.LargeStringArray.from_buffers(len(encoded), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)))


def as_truth(values: NDArray[np.bool_]) -> pa.BooleanArray:
    """An Arrow array of (n,) truth values."""
    packed = np.packbits(values, bitorder="little")
    return pa.BooleanArray.from_buffers(pa.bool_(), len(values), [None, pa.py_buffer(packed)])


def as_array(column: pa.Array | pa.ChunkedArray) -> NDArray[Any]:
    """(n,) the numbers or truth values of a column.

    Raises:
        ValueError: some are null.
    """
    if column.null_count:
        raise ValueError(f"{column.null_count} of {len(column)} values are null")
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    if pa.types.is_boolean(column.type):
        return _joined([_numbers(chunk.cast(pa.uint8())) for chunk in chunks], np.dtype(np.uint8)).astype(np.bool_)
    kind = _KINDS[column.type]
    return _joined([_numbers(chunk) for chunk in chunks], kind)


def _numbers(chunk: pa.Array) -> NDArray[Any]:
    kind = _KINDS[chunk.type]
    buffer = chunk.buffers()[1]
    if buffer is None or not len(chunk):
        return np.empty(0, kind)
    return np.frombuffer(buffer, kind)[chunk.offset : chunk.offset + len(chunk)]


def _joined(pieces: list[NDArray[Any]], kind: np.dtype[Any]) -> NDArray[Any]:
    if len(pieces) == 1:
        return pieces[0]
    return np.concatenate(pieces) if pieces else np.empty(0, kind)
