"""A sample, or the difference of two, in a line for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from curate.catalog.samples import Sample


def sample_line(sample: Sample, width: int = 160) -> str:
    """The id and the text, or where an image came from with its label."""
    if sample.text is None:
        return f"{sample.sample_id}  {sample.locator or sample.source}" + (f"  [{sample.label}]" if sample.label else "")
    text = " ".join(sample.text.split())
    return f"{sample.sample_id}  {text[:width]}{'…' if len(text) > width else ''}"


def difference(kept: str | None, dropped: str | None) -> str:
    """The dropped text with [-what only the kept one has-] and {+what only it has+}."""
    from curate.differences import marked

    return marked(kept or "", dropped or "")
