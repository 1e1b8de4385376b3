"""Drops samples that are too short or too long: characters, words or bytes of a text, pixels of an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from curate.errors import SettingError

if TYPE_CHECKING:
    import pyarrow as pa

_UNITS = {"characters": "text", "words": "text", "bytes": None, "pixels": "image", "width": "image", "height": "image"}
"""What is measured → the modality that has it, or None for all."""
_NAMES = tuple(f"{end}_{unit}" for unit in _UNITS for end in ("min", "max"))


class LengthFilter:
    """Keeps what lies within the limits that are given; every limit is inclusive.

    Args:
        settings: min_characters, max_characters (Unicode code points), min_words, max_words (by white space), of texts;
            min_pixels, max_pixels (width times height), min_width, max_width, min_height, max_height, of images; and
            min_bytes, max_bytes of either.

    Raises:
        SettingError: no limit, one that is not known or no whole number of 0 or more, or a least above the most.
    """

    modalities: ClassVar[frozenset[str]] = frozenset({"text", "image"})

    def __init__(self, **settings: Any) -> None:
        for name, value in settings.items():
            if name not in _NAMES:
                raise SettingError(f"length has no setting {name!r}", hint="one of: " + ", ".join(_NAMES))
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise SettingError(f"{name} must be a whole number of 0 or more, got {value!r}", hint=f"{name}=5")
        if not settings:
            raise SettingError("length needs a limit", hint="--setting min_words=3, or " + ", ".join(_NAMES[:4]))
        for unit in _UNITS:
            least, most = settings.get(f"min_{unit}", 0), settings.get(f"max_{unit}")
            if most is not None and least > most:
                raise SettingError(f"min_{unit} {least:,} is above max_{unit} {most:,}", hint="nothing would be kept")
        self.settings: dict[str, Any] = dict(settings)

    @classmethod
    def example(cls) -> dict[str, Any]:
        """Limits of each kind."""
        return {"min_words": 2, "max_characters": 40, "min_pixels": 100}

    def judge(self, batch: pa.Table) -> Sequence[str | None]:
        """Name the first limit that each sample breaks; see `Filter`."""
        reasons: list[str | None] = [None] * batch.num_rows
        for unit in _UNITS:
            least, most = self.settings.get(f"min_{unit}"), self.settings.get(f"max_{unit}")
            if least is None and most is None:
                continue
            for row, size in enumerate(_sizes(batch, unit)):
                if size is None or reasons[row] is not None:
                    continue
                if least is not None and size < least:
                    reasons[row] = f"fewer than {least:,} {_noun(unit)}"
                elif most is not None and size > most:
                    reasons[row] = f"more than {most:,} {_noun(unit)}"
        return reasons


def _sizes(batch: pa.Table, unit: str) -> list[int | None]:
    """How large each sample is; None where it has nothing of the kind."""
    if unit == "bytes":
        lengths: list[int | None] = batch["size_bytes"].to_pylist()
        return lengths
    if unit in ("width", "height"):
        found: list[int | None] = batch[unit].to_pylist()
        return found
    if unit == "pixels":
        sides = zip(batch["width"].to_pylist(), batch["height"].to_pylist(), strict=True)
        return [None if width is None or height is None else width * height for width, height in sides]
    texts = batch["text"].to_pylist()
    return [None if text is None else len(text.split()) if unit == "words" else len(text) for text in texts]


def _noun(unit: str) -> str:
    return f"pixels of {unit}" if unit in ("width", "height") else unit


PLUGIN = LengthFilter
