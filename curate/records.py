"""The values that cross borders between the layers: what readers yield, and how progress is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol


class Record(NamedTuple):
    """One record as it stood in a source, before `--text`, `--label` and `--id` pick its fields.

    Exactly one of `fields`, `text` and `media` carries the content: a row of named fields,
    the text of a document, or the bytes of an image file.
    """

    locator: str
    """Where it stands inside its source: "" (the whole file), "line 17", "row 3", "a/b.png", "a.jsonl line 4"."""
    fields: Mapping[str, Any] | None = None
    """A row of named values, JSON-like (str, int, float, bool, None, list, dict, bytes for media)."""
    text: str | None = None
    media: bytes | None = None
    """A media file as it lies, still encoded; nobody has decoded it yet."""
    path: str = ""
    """The file's own path inside its source (an archive member), or "" where the source is the file."""
    modality: str = ""
    """What `text` or `media` is, where the reader knows; "" for plain text, and for media to be told by their first bytes."""


class Reject(NamedTuple):
    """A record that could not be taken, counted and kept with its reason."""

    locator: str
    reason: str
    """A word or two from a closed vocabulary, joined by hyphens: `invalid-json`, `truncated-image`."""
    excerpt: str = ""
    """The start of what stood there, or the parser's own words; at most 200 characters."""


class Skip(NamedTuple):
    """A file that no reader takes (a README beside images); counted by suffix, not a record."""

    path: str
    reason: str


ANY = frozenset({"any"})
"""What a plug-in says in its `modalities` that takes samples of whatever modality."""


def takes(modalities: frozenset[str], name: str) -> bool:
    """Whether a plug-in of these `modalities` takes samples of the modality of a name."""
    return name in modalities or not ANY.isdisjoint(modalities)


class MediaColumn(NamedTuple):
    """How the media of one modality stand in what writers make.

    Attributes:
        name: of the column: "image".
        folder: of the files, where they lie beside a table: "images".
        about: one sentence for the card.
        feature: the class that Hugging Face's `datasets` decodes them by: "Image"; None where it has none.
        schema_type: schema.org's type, for Croissant: "sc:ImageObject".
    """

    name: str
    folder: str
    about: str
    feature: str | None = None
    schema_type: str = "sc:MediaObject"


class Progress(Protocol):
    """Where a step tells how far it is; the terminal's bar and the log's sparse lines stand behind it."""

    def start(self, what: str, *, total: int | None = None, unit: str = "samples") -> None:
        """Begin a phase; `total` is None where nobody can know it yet."""

    def advance(self, count: int) -> None:
        """Say that `count` more units of the phase are done."""

    def note(self, message: str) -> None:
        """Say one line that the user should see now, such as a fallback."""

    def finish(self) -> None:
        """End the phase."""


class Silent:
    """A `Progress` that says nothing: what the library uses unless told otherwise."""

    def start(self, what: str, *, total: int | None = None, unit: str = "samples") -> None:
        """Say nothing."""

    def advance(self, count: int) -> None:
        """Say nothing."""

    def note(self, message: str) -> None:
        """Say nothing."""

    def finish(self) -> None:
        """Say nothing."""


SILENT = Silent()
