"""Writers put samples into the files that trainers read.

A writer plug-in (`curate/writers/<name>.py`, `PLUGIN = TheClass`) keeps the `Writer` contract: rows come as a stream, and it
fills an empty folder that the caller has made under a temporary name and renames when all is written.

`curate.testing.check_writer` makes the rows itself, so a writer brings no example.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

from curate.records import MediaColumn


class ExportRow(NamedTuple):
    """One sample on its way out; synthetic ones say which model drew them."""

    sample_id: int
    origin: str
    """"real" or "synthetic"."""
    dataset: str
    part: str | None
    """"train", "validation" or "test"; None where a whole dataset is exported."""
    label: str | None
    text: str | None
    media: bytes | None
    """An encoded file of the row's modality."""
    suffix: str
    """Of the media: ".png", with the dot; "" for text."""
    content_hash: str
    locator: str
    """Source and place in it."""
    external_id: str | None
    metadata: dict[str, Any]
    model: str | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class ExportInfo:
    """What the rows are, for cards and file names.

    Attributes:
        name: of the dataset, or "dataset/part".
        modalities: of the rows, sorted; an empty export has one too.
        parts: the parts in the stream, in order; (None,) without a split.
        labels: every label in the stream, sorted; their position is the class index.
        columns: the metadata keys in the stream, sorted.
        types: of those keys, the ones whose every value is a scalar of one type: "string", "int64", "float64" or
            "bool" (`_columns.ColumnTypes` finds them in one pass). They become columns; the others share a JSON column.
        options: the writer's own settings, as the user gave them.
        texts: whether some rows have a text, which stands in the column `text`.
        media: how the rows' media stand in their column; None where none has any.
        noun: what the rows are called on the card: "texts".
    """

    name: str
    modalities: tuple[str, ...]
    parts: tuple[str | None, ...]
    labels: tuple[str, ...]
    columns: tuple[str, ...]
    types: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    texts: bool = True
    media: MediaColumn | None = None
    noun: str = "samples"


@dataclass(frozen=True, slots=True)
class Written:
    """What a writer did.

    Attributes:
        files: relative to the folder, with forward slashes, sorted.
        rows: how many went into each part; rows without a part count as "data".
        notes: what the user should know: cells that were changed, images that could not be marked.
        data_files: for each part, the pattern by which `datasets.load_dataset` finds its files; empty where it should
            not be told.
    """

    files: tuple[str, ...]
    rows: dict[str, int]
    notes: tuple[str, ...] = ()
    data_files: dict[str, str] = field(default_factory=dict)


class Writer(Protocol):
    """One export format."""

    modalities: ClassVar[frozenset[str]]
    """Names of the modalities that it can hold, or `ANY`."""
    options: ClassVar[dict[str, str]]
    """The settings it takes from `ExportInfo.options`, each with a sentence for the user."""

    def write(self, rows: Iterator[ExportRow], folder: Path, info: ExportInfo) -> Written:
        """Write every row, in order, in bounded memory.

        Args:
            folder: empty, on the file system of its final place.

        Raises:
            SettingError: the format cannot hold such rows, or an option is unknown or out of range; nothing was written.
            WorkError: a row contradicts `info`.
        """
        ...
