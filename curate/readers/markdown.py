"""Markdown and reStructuredText, as text with its marks left in."""

from __future__ import annotations

from typing import ClassVar

from curate.readers.text import TextReader


class MarkdownReader(TextReader):
    """Reads `.md` and its kin."""

    suffixes: ClassVar[tuple[str, ...]] = (".md", ".markdown", ".mdx", ".rst")

    @classmethod
    def example(cls) -> bytes:
        """A small valid file."""
        return "# Title\n\nSome *text*, käse.\n\n- list\n".encode()


PLUGIN = MarkdownReader
