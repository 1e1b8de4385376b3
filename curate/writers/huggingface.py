"""A Hugging Face dataset repository: `data/train-00000-of-00001.parquet`, ready for `datasets.load_dataset(folder)`.

The card (README.md) belongs to it, as to every export; the files load without it too. Labels are a `ClassLabel`,
images an `Image`. Rows without a part are in `train`, which is what `datasets` calls the only part of a set.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from curate.records import ANY
from curate.writers import ExportInfo, ExportRow, Written
from curate.writers.layout.files import check_request, size_option
from curate.writers.layout.parquet import SHARD_BYTES, write_parts


class HuggingFaceWriter:
    """Sharded Parquet under `data/`, with the features that `datasets` understands."""

    modalities: ClassVar[frozenset[str]] = ANY
    options: ClassVar[dict[str, str]] = {"shard_size": "content of a file at most, such as 500MB (the default)"}

    def write(self, rows: Iterator[ExportRow], folder: Path, info: ExportInfo) -> Written:
        """Write every row; see `Writer.write`."""
        check_request("huggingface", info, self.modalities, self.options)
        size = size_option(info, "shard_size", default=SHARD_BYTES)
        outbox, parts = write_parts(rows, folder / "data", info, whole="train", classes=True, shard_bytes=size)
        files, patterns = [], {}
        for part, paths in parts.items():
            for number, path in enumerate(paths):
                name = f"data/{part}-{number:05d}-of-{len(paths):05d}.parquet"
                path.rename(folder / name)
                files.append(name)
            patterns[part] = f"data/{part}-*"
        return Written(tuple(sorted(files)), outbox.rows, tuple(outbox.notes()), patterns)


PLUGIN = HuggingFaceWriter
