"""Text tables, one file a part, with media in files beside them: what JSONL and CSV share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from curate.writers import ExportInfo, ExportRow, Written
from curate.writers.layout.columns import Layout
from curate.writers.layout.files import WHOLE, Outbox, sample_name, write_new


def write_tables(
    rows: Iterator[ExportRow],
    folder: Path,
    info: ExportInfo,
    *,
    suffix: str,
    head: Callable[[tuple[str, ...]], str],
    line: Callable[[tuple[str, ...], list[Any]], str],
) -> Written:
    """Write each part to PART + `suffix`: `head` of the column names, then a `line` a row.

    Media lie in the folder of their column, which names a file by its path from the export's folder.
    """
    layout, outbox = Layout(info), Outbox(info)
    names = [outbox.parts[part] + suffix for part in info.parts]
    media_files, media_folder = [], info.media.folder if info.media else ""
    with ExitStack() as stack:
        tables = {
            part: stack.enter_context((folder / name).open("x", encoding="utf-8", newline=""))
            for part, name in zip(info.parts, names, strict=True)
        }
        for table in tables.values():
            table.write(head(layout.names))
        for row, _, media, kind in outbox.take(rows):
            path = None if media is None else f"{media_folder}/{sample_name(row.sample_id, kind)}"
            if media is not None and path is not None:
                write_new(folder / path, media)
                media_files.append(path)
            tables[row.part].write(line(layout.names, layout.values(row, path)))
    patterns = {(part if part is not None else WHOLE): name for part, name in zip(info.parts, names, strict=True)}
    return Written(tuple(sorted([*names, *media_files])), outbox.rows, tuple(outbox.notes()), patterns)
