"""Parquet files that pandas, DuckDB and Hugging Face's `datasets` read alike, streamed, the same bytes every time.

Media is a struct {bytes, path}, and the schema carries the feature types under the key `huggingface`, which is what
`datasets` itself writes: it then decodes images and names classes without being told.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curate.writers import ExportInfo, ExportRow
from curate.writers.layout.columns import Column, Layout
from curate.writers.layout.files import Outbox, class_index, sample_name

SHARD_BYTES = 500_000_000
"""Content bytes after which a part's file is closed and the next begun; Hugging Face's own default."""

_GROUP_ROWS = 10_000
_GROUP_BYTES = 16_000_000

_ARROW = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "class": pa.int64(),
    "media": pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
}


def write_parts(
    rows: Iterator[ExportRow], folder: Path, info: ExportInfo, *, whole: str, classes: bool, shard_bytes: int
) -> tuple[Outbox, dict[str, list[Path]]]:
    """Write each part into one file or more, all under temporary names of the form PART.NUMBER.tmp.

    Args:
        whole: what rows without a part are called.
        classes: the label becomes its index, and the schema names the classes.

    Returns:
        the outbox with its counts, and each part's files in order; a part without rows has one empty file.
    """
    layout, outbox = Layout(info), Outbox(info)
    schema, index = _schema(layout, info.labels if classes else None), class_index(info.labels)
    parts = {name: _Part(folder, outbox.parts[name] if name is not None else whole, schema, shard_bytes) for name in info.parts}
    with ExitStack() as stack:
        for part in parts.values():
            stack.callback(part.abandon)
        for row, _, media, suffix in outbox.take(rows):
            file = None if media is None else {"bytes": media, "path": sample_name(row.sample_id, suffix)}
            values = layout.values(row, file)
            if classes and row.label is not None:
                values[layout.names.index("label")] = index[row.label]
            parts[row.part].add(values, size=len(media or b"") + len(row.text or ""))
        return outbox, {part.name: part.close() for part in parts.values()}


class _Part:
    """One part's files, of which the last is open; buffers a row group."""

    def __init__(self, folder: Path, name: str, schema: pa.Schema, shard_bytes: int) -> None:
        self.name = name
        self._folder, self._schema, self._shard_bytes = folder, schema, shard_bytes
        self._files: list[Path] = []
        self._buffer: list[list[Any]] = []
        self._buffered = self._in_file = 0
        self._open()

    def add(self, values: list[Any], *, size: int) -> None:
        if self._in_file and self._in_file + size > self._shard_bytes:
            self._flush()
            self._writer.close()
            self._open()
        self._buffer.append(values)
        self._buffered += size
        self._in_file += size
        if len(self._buffer) >= _GROUP_ROWS or self._buffered >= _GROUP_BYTES:
            self._flush()

    def close(self) -> list[Path]:
        self._flush()
        self._writer.close()
        return self._files

    def abandon(self) -> None:
        """Let go of the open file; after `close` there is none."""
        self._writer.close()

    def _open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._files.append(self._folder / f"{self.name}.{len(self._files)}.tmp")
        # Media is compressed already, and min/max statistics of bytes would repeat whole files in the footer.
        names = [name for name in self._schema.names if self._schema.field(name).type != _ARROW["media"]]
        media = [name for name in self._schema.names if name not in names]
        leaves = dict.fromkeys(names, "zstd")
        for name in media:
            leaves |= {f"{name}.bytes": "none", f"{name}.path": "zstd"}
        self._writer = pq.ParquetWriter(
            self._files[-1],
            self._schema,
            compression=leaves,
            use_dictionary=[n for n in names if n not in ("id", "text", "content_hash", "locator", "external_id")],
            write_statistics=[n for n in names if n not in ("text", "metadata")],
        )
        self._in_file = 0

    def _flush(self) -> None:
        if self._buffer:
            columns = zip(*self._buffer, strict=True)
            arrays = [pa.array(column, field.type) for column, field in zip(columns, self._schema, strict=True)]
            self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema), row_group_size=len(self._buffer))
        self._buffer, self._buffered = [], 0


def _schema(layout: Layout, labels: tuple[str, ...] | None) -> pa.Schema:
    columns = [column._replace(type="class") if labels and column.name == "label" else column for column in layout.columns]
    features = json.dumps({"info": {"features": {c.name: _feature(c, layout, labels) for c in columns}}})
    return pa.schema([(c.name, _ARROW[c.type]) for c in columns], metadata={"huggingface": features})


def _feature(column: Column, layout: Layout, labels: tuple[str, ...] | None) -> dict[str, Any]:
    if column.type == "media":
        if layout.media and layout.media.feature:
            return {"_type": layout.media.feature}
        return {name: {"dtype": kind, "_type": "Value"} for name, kind in (("bytes", "binary"), ("path", "string"))}
    if column.type == "class":
        return {"names": list(labels or ()), "_type": "ClassLabel"}
    return {"dtype": column.type, "_type": "Value"}
