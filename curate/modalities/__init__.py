"""Modalities: what a sample can be, each declared once.

A modality plug-in (`curate/modalities/<name>.py`, `PLUGIN = TheClass`) keeps the `Modality` contract. The file's name is what
the column `modality` holds, and what readers, embedders, dedupers, writers and metrics name in their own `modalities`.
Adding one is one file and no migration: everything else in the house asks this family.

A sample's content stands in one of two places: `stored = "text"` is the column `text` of the catalog, `stored = "blob"` is a
file of the blob store. A text beside a blob is its caption.

The class is made without arguments and holds no state; its methods may be called from several threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol

from curate import plugins
from curate.records import MediaColumn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Content = str | bytes
"""A text, or an encoded file."""
FALLBACK = "image"
"""What bytes are taken for that no modality recognises, so that its validation says what is wrong with them."""


class Limits(NamedTuple):
    """How large a content may be.

    Attributes:
        max_pixels: of one image; more are refused before they are decoded.
    """

    max_pixels: int = 100_000_000


class Facts(NamedTuple):
    """What validation found out about one content.

    Attributes:
        suffix: of its blob, with the dot; "" for a text.
        width, height: in pixels; None where the modality has none.
        others: everything else that is worth a query, as JSON can hold it; the catalog's column `facts`.
    """

    suffix: str = ""
    width: int | None = None
    height: int | None = None
    others: Mapping[str, Any] | None = None


class Preview(NamedTuple):
    """A small picture that stands for a sample on a page.

    Attributes:
        data: encoded, without any metadata of the original.
        kind: its media type, "image/webp".
        width, height: of the original, in its own units.
        is_tiny: it is the original, and may be enlarged with square pixels.
    """

    data: bytes
    kind: str
    width: int
    height: int
    is_tiny: bool = False


class Modality(Protocol):
    """One kind of sample."""

    stored: ClassVar[Literal["text", "blob"]]
    plural: ClassVar[str]
    """What several are called in reports: "texts"."""
    column: ClassVar[MediaColumn | None]
    """How writers show the blob; None for texts, which stand in the column `text`."""
    embedder: ClassVar[str]
    """What embeds such samples where `curate.toml` names nothing under `[embedders]`."""
    dedupe_methods: ClassVar[tuple[str, ...]]
    """What `dedupe` uses unless told otherwise, cheapest first."""
    tuned_method: ClassVar[str]
    """The near-duplicate method whose threshold is meant where none is named."""
    window: ClassVar[int]
    """The most contents that are embedded between two commits."""
    pictured: ClassVar[bool]
    """Whether a blob is a picture that Pillow opens, which contact sheets are drawn of."""
    features: ClassVar[Literal["words", "pixels", "vectors"]]
    """What metrics compare: TF-IDF of words, pixels and a small network on them, or the vectors of `embedder`."""

    def recognises(self, data: bytes) -> bool:
        """Whether the first bytes of a file are those of this modality; always False where `stored` is "text"."""
        ...

    def inspect(self, content: Content, limits: Limits) -> Facts:
        """Validate a content, decoding all of it where it is encoded.

        Raises:
            BadRecord: it is no sound content of this modality.
        """
        ...

    def embed(
        self, embedder: Any, contents: Sequence[Content], advance: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Show valid contents to an embedder whose `modalities` name this one; (n, dimension) unit vectors, in their order."""
        ...

    def is_blank(self, content: Content) -> bool:
        """Whether a generated content says nothing at all, or cannot be read: white space, one colour."""
        ...

    def preview(self, data: bytes, side: int) -> Preview | None:
        """Make a picture of at most `side` × `side` pixels of a blob; None where the modality has none to show.

        Raises:
            ValueError, OSError: the blob cannot be decoded.
        """
        ...

    def examples(self) -> Sequence[Content]:
        """Give three small sound contents that differ, for the contract checks."""
        ...


def load_modality(name: str) -> Modality:
    """The modality of a name.

    Raises:
        SettingError: no plug-in is called so.
    """
    return _made(plugins.load("modalities", name))


def modality_of(data: bytes) -> str:
    """Name the modality of an encoded file by its first bytes; `FALLBACK` where none recognises it."""
    for name, kind in plugins.usable("modalities"):
        if kind.stored == "blob" and _made(kind).recognises(data):
            return name
    return FALLBACK


def is_known_media(data: bytes) -> bool:
    """Whether some modality recognises an encoded file."""
    return load_modality(modality_of(data)).recognises(data)


@cache
def _made(kind: type[Modality]) -> Modality:
    return kind()
