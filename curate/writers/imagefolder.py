"""Image folders: `train/cat/00000017.png`, as torchvision's `ImageFolder` and Hugging Face's `imagefolder` read them.

Each part has `metadata.parquet` (or, with `metadata=jsonl`, `metadata.jsonl`), whose `file_name` is the path from there and
whose `label` is the label as it is, also where the folder's name had to differ. Parquet is the default because
`datasets` infers the types of JSON lines part by part, and refuses a set where `model` is empty in validation and not in train.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

from curate.errors import SettingError, WorkError
from curate.writers import ExportInfo, ExportRow, Written
from curate.writers.layout.columns import Layout
from curate.writers.layout.files import WHOLE, Outbox, check_request, sample_name, write_new
from curate.writers.layout.names import UNLABELLED, safe_names

_GROUP_ROWS = 10_000


class ImageFolderWriter:
    """A folder a part, in it a folder a label; unlabelled images under `_unlabelled`."""

    modalities: ClassVar[frozenset[str]] = frozenset({"image"})
    options: ClassVar[dict[str, str]] = {"metadata": "parquet (the default) or jsonl"}

    def write(self, rows: Iterator[ExportRow], folder: Path, info: ExportInfo) -> Written:
        """Write every row; see `Writer.write`."""
        check_request("imagefolder", info, self.modalities, self.options)
        form = info.options.get("metadata") or "parquet"
        if form not in ("parquet", "jsonl"):
            raise SettingError(f"metadata must be parquet or jsonl, got {form!r}")
        outbox, layout = Outbox(info), Layout(info, taken=("file_name",), shun="file_name")
        labels = safe_names(info.labels)
        files = []
        with ExitStack() as stack:
            tables = {}
            for part in info.parts:
                name = outbox.parts[part]
                (folder / name).mkdir()
                files.append(f"{name}/metadata.{form}")
                tables[part] = stack.enter_context(_Table(folder / files[-1], layout))
            for row, part_name, media, suffix in outbox.take(rows):
                label = UNLABELLED if row.label is None else labels[row.label]
                path = f"{label}/{sample_name(row.sample_id, suffix)}"
                values = layout.values(row, path)
                write_new(folder / part_name / path, _present(row, media))
                files.append(f"{part_name}/{path}")
                tables[row.part].add(values)
        notes = outbox.notes()
        renamed = sorted(label for label, name in labels.items() if label != name)
        if renamed:
            notes.append(
                f"{len(renamed)} labels are no safe folder names and got others, such as "
                f"{renamed[0]!r} in {labels[renamed[0]]}; the column label has them as they are"
            )
        patterns = {(part if part is not None else WHOLE): f"{outbox.parts[part]}/**" for part in info.parts}
        return Written(tuple(sorted(files)), outbox.rows, tuple(notes), patterns)


class _Table:
    """The metadata file of one part, written a group of rows at a time."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self._path = path
        # `datasets` looks for the column file_name and makes an image column of it.
        self._names = tuple("file_name" if column.type == "media" else column.name for column in layout.columns)
        self._types = tuple("string" if column.type == "media" else column.type for column in layout.columns)
        self._rows: list[list[Any]] = []

    def __enter__(self) -> _Table:
        if self._path.suffix == ".jsonl":
            self._lines = self._path.open("x", encoding="utf-8", newline="")
        else:
            import pyarrow as pa
            import pyarrow.parquet as pq

            arrow = {"string": pa.string(), "int64": pa.int64(), "float64": pa.float64(), "bool": pa.bool_()}
            self._schema = pa.schema([(n, arrow[t]) for n, t in zip(self._names, self._types, strict=True)])
            self._parquet = pq.ParquetWriter(self._path, self._schema, compression="zstd")
        return self

    def __exit__(self, *_: object) -> None:
        if self._path.suffix == ".jsonl":
            self._lines.close()
            return
        self._flush()
        self._parquet.close()

    def add(self, values: list[Any]) -> None:
        if self._path.suffix == ".jsonl":
            self._lines.write(
                json.dumps(dict(zip(self._names, values, strict=True)), ensure_ascii=False, allow_nan=False) + "\n"
            )
            return
        self._rows.append(values)
        if len(self._rows) >= _GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._rows:
            columns = zip(*self._rows, strict=True)
            arrays = [pa.array(column, field.type) for column, field in zip(columns, self._schema, strict=True)]
            self._parquet.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        self._rows = []


def _present(row: ExportRow, media: bytes | None) -> bytes:
    if media is None:
        raise WorkError(f"sample {row.sample_id} has no image, and the export announced images only")
    return media


PLUGIN = ImageFolderWriter
