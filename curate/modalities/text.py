"""Text: Unicode in the catalog's own column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from curate.errors import BadRecord
from curate.modalities import Content, Facts, Limits, Preview
from curate.records import MediaColumn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NO_FACTS = Facts()


class TextModality:
    """Any text that is not blank and holds no NUL, which DuckDB's own tools cut strings at."""

    stored: ClassVar[Literal["text", "blob"]] = "text"
    plural: ClassVar[str] = "texts"
    column: ClassVar[MediaColumn | None] = None
    embedder: ClassVar[str] = "minilm"
    dedupe_methods: ClassVar[tuple[str, ...]] = ("exact", "minhash", "semantic")
    tuned_method: ClassVar[str] = "semantic"
    window: ClassVar[int] = 2048
    pictured: ClassVar[bool] = False
    features: ClassVar[Literal["words", "pixels", "vectors"]] = "words"

    def recognises(self, data: bytes) -> bool:
        """Take no bytes for a text: a reader decodes them."""
        return False

    def inspect(self, content: Content, limits: Limits) -> Facts:
        """Refuse blank texts and NULs.

        Raises:
            BadRecord: `empty-text` or `nul-in-text`.
        """
        text = content if isinstance(content, str) else content.decode()
        if not text or text.isspace():
            raise BadRecord("empty-text")
        if "\0" in text:
            raise BadRecord("nul-in-text", f"at character {text.index(chr(0))}")
        return _NO_FACTS

    def embed(
        self, embedder: Any, contents: Sequence[Content], advance: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Embed texts; see `Modality.embed`."""
        made: NDArray[np.float32] = embedder.embed_texts(contents, advance)
        return made

    def is_blank(self, content: Content) -> bool:
        """White space alone, or a NUL in it."""
        return not isinstance(content, str) or not content.strip() or "\0" in content

    def preview(self, data: bytes, side: int) -> Preview | None:
        """Nothing: an excerpt says more."""
        return None

    def examples(self) -> Sequence[Content]:
        """Three short sentences."""
        return ("The harbour was quiet before dawn.", "Mix flour, water and salt.", "猫が窓辺で眠っている。")


PLUGIN = TextModality
