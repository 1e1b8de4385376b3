"""JSON Lines: `train.jsonl`, one object a row; images in files under `images/`, named by their path."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from curate.records import ANY
from curate.writers import ExportInfo, ExportRow, Written
from curate.writers.layout.files import check_request
from curate.writers.layout.tables import write_tables


class JsonlWriter:
    """One object a row, every column in every object, so that readers infer one schema."""

    modalities: ClassVar[frozenset[str]] = ANY
    options: ClassVar[dict[str, str]] = {}

    def write(self, rows: Iterator[ExportRow], folder: Path, info: ExportInfo) -> Written:
        """Write every row; see `Writer.write`."""
        check_request("jsonl", info, self.modalities, self.options)
        return write_tables(rows, folder, info, suffix=".jsonl", head=lambda names: "", line=_line)


def _line(names: tuple[str, ...], values: list[Any]) -> str:
    row = dict(zip(names, values, strict=True))
    return json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"


PLUGIN = JsonlWriter
