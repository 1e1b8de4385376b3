"""Rows on their way out, with labels and texts that file names, spreadsheets and CSV stumble over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from PIL import Image

from curate.modalities import load_modality
from curate.testing.contents import as_file
from curate.writers import ExportInfo, ExportRow
from curate.writers.layout.columns import ColumnTypes

NASTY_LABELS = [
    "a/b",
    "a_b",
    "..",
    ".",
    "CON",
    "con",
    "nul.txt",
    "",
    " ",
    "é",
    "e\u0301",
    "Cat",
    "cat",
    "_unlabelled",
    "x" * 300,
    "=1+1",
]
NASTY_TEXTS = ["", "=HYPERLINK(1)", "+1", "-1", "@x", "\tx", "a,b", 'say "hi"', "line\nbreak\r\n", "'", " x ", "\u2028", "😀"]


def picture(color: int, format_: str = "PNG", *, mode: str = "RGB", size: tuple[int, int] = (9, 7)) -> bytes:
    """An encoded image with a gradient, so that a changed pixel shows."""
    image = Image.new("L", size)
    image.putdata([(color * 31 + 7 * i) % 256 for i in range(size[0] * size[1])])
    return as_file(image.convert(mode), format_)


def export_row(
    sample_id: int,
    *,
    text: str | None = None,
    media: bytes | None = None,
    label: str | None = None,
    part: str | None = None,
    **more: Any,
) -> ExportRow:
    """A row with the rest filled in; `model` and `seed` make it synthetic."""
    return ExportRow(
        sample_id=sample_id,
        origin="synthetic" if "model" in more else "real",
        dataset="birds",
        part=part,
        label=label,
        text=text,
        media=media,
        suffix=more.pop("suffix", ".png" if media is not None else ""),
        content_hash=f"hash{sample_id}",
        locator=f"birds.jsonl line {sample_id}",
        external_id=more.pop("external_id", None),
        metadata=more.pop("metadata", {}),
        **more,
    )


def empty_info(modality: str, *, parts: tuple[str | None, ...] = (None,), **options: Any) -> ExportInfo:
    """What the export step says of no rows of a modality, or of texts and images ("mixed")."""
    kinds = {name: load_modality(name) for name in (("image", "text") if modality == "mixed" else (modality,))}
    return ExportInfo(
        "none", tuple(kinds), parts, (), (), options=options,
        texts=any(kind.stored == "text" for kind in kinds.values()),
        media=next((kind.column for kind in kinds.values() if kind.column), None),
        noun=" and ".join(kind.plural for kind in kinds.values()),
    )  # fmt: skip


def info_of(rows: Iterable[ExportRow], modality: str, **options: Any) -> ExportInfo:
    """What the export step says of the rows."""
    rows = list(rows)
    types = ColumnTypes()
    for row in rows:
        types.add(row.metadata)
    parts = tuple(dict.fromkeys(row.part for row in rows)) or (None,)
    labels = tuple(sorted({row.label for row in rows if row.label is not None}))
    told = empty_info(modality, parts=parts, **options)
    return replace(told, name="birds", labels=labels, columns=types.columns, types=types.types)
