"""Parquet: `train.parquet`, or `train-00000-of-00002.parquet` and on where a part is large."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from curate.records import ANY
from curate.writers import ExportInfo, ExportRow, Written
from curate.writers.layout.files import WHOLE, check_request, size_option
from curate.writers.layout.parquet import SHARD_BYTES, write_parts


class ParquetWriter:
    """One file a part, labels as words, images as {bytes, path}."""

    modalities: ClassVar[frozenset[str]] = ANY
    options: ClassVar[dict[str, str]] = {"shard_size": "content of a file at most, such as 500MB (the default)"}

    def write(self, rows: Iterator[ExportRow], folder: Path, info: ExportInfo) -> Written:
        """Write every row; see `Writer.write`."""
        check_request("parquet", info, self.modalities, self.options)
        size = size_option(info, "shard_size", default=SHARD_BYTES)
        outbox, parts = write_parts(rows, folder, info, whole=WHOLE, classes=False, shard_bytes=size)
        files, patterns = [], {}
        for part, paths in parts.items():
            single = len(paths) == 1
            for number, path in enumerate(paths):
                name = f"{part}.parquet" if single else f"{part}-{number:05d}-of-{len(paths):05d}.parquet"
                path.rename(folder / name)
                files.append(name)
            patterns[part] = f"{part}.parquet" if single else f"{part}-*-of-{len(paths):05d}.parquet"
        return Written(tuple(sorted(files)), outbox.rows, tuple(outbox.notes()), patterns)


PLUGIN = ParquetWriter
