"""Filters look at one sample at a time and say whether it is worth keeping.

A filter plug-in (`curate/filters/<name>.py`, `PLUGIN = TheClass`) keeps the `Filter` contract: it is made with its settings,
and its one method, `judge`, gets a batch of samples as an Arrow table and answers for each one None (keep) or a reason to drop.

    class Shouting:
        modalities = frozenset({"text"})

        def __init__(self, *, share: float = 0.5) -> None:
            if not 0 < share <= 1:
                raise SettingError(f"share must be in (0, 1], got {share}")
            self.settings = {"share": share}

        def judge(self, batch):
            texts = batch["text"].to_pylist()
            return ["mostly capitals" if sum(map(str.isupper, t)) > self.settings["share"] * len(t) else None for t in texts]

The law of `judge`: what it says of a sample depends on that sample and the settings alone, not on the batch. A reason is one
short phrase without the sample's own words or figures, so that equal reasons can be counted. `curate filter` gives it
the samples of the modalities that it names, whatever other rules decided about them, and records its drops under the owner
`filter:<name>`, which no other rule takes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("sample_id", "modality", "label", "text", "blob", "width", "height", "size_bytes", "external_id", "metadata")
"""What a batch holds; metadata is JSON, blob the path of the media below the workspace's blobs, text is null for an image."""


class Filter(Protocol):
    """One idea of what is not worth keeping."""

    modalities: ClassVar[frozenset[str]]
    """Names of modalities, such as "text", or "any"; samples of others are not asked about."""
    settings: dict[str, Any]
    """Every setting that moves a decision, JSON-like; the run records it."""

    def __init__(self, **settings: Any) -> None:
        """Check the settings.

        Raises:
            SettingError: a value is outside its range, or a setting is not known.
        """
        ...

    def judge(self, batch: pa.Table) -> Sequence[str | None]:
        """Say of each sample why it is dropped, or None where it stays.

        Args:
            batch: n samples of the filter's modalities, with the columns `COLUMNS`.

        Returns:
            n answers, in the order of the batch.
        """
        ...

    @classmethod
    def example(cls) -> dict[str, Any]:
        """Settings with which `curate.testing.check_filter` tries it; nothing else needs them."""
        ...
