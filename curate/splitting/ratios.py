"""The shares of a split, as people type them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from curate.catalog.splits import PARTS
from curate.errors import SettingError

if TYPE_CHECKING:
    pass


def parse_ratios(text: str) -> dict[str, float]:
    """Read "train=0.8,validation=0.1,test=0.1".

    Raises:
        SettingError: it does not read like that, or names a part twice.
    """
    ratios: dict[str, float] = {}
    for item in text.split(","):
        part, _, share = item.partition("=")
        try:
            value = float(share)
        except ValueError:
            raise SettingError(f"not a part and its share: {item!r}", hint=_RATIOS_HINT) from None
        if part.strip() in ratios:
            raise SettingError(f"{part.strip()} is named twice in {text!r}", hint=_RATIOS_HINT)
        ratios[part.strip()] = value
    return ratios


def checked_ratios(ratios: Mapping[str, float]) -> dict[str, float]:
    """The shares above 0, in the order of the parts.

    Raises:
        SettingError: a part is unknown, a share is outside 0 to 1, or they do not add up to 1.
    """
    unknown = [part for part in ratios if part not in PARTS]
    if unknown:
        raise SettingError(f"a split has the parts {', '.join(PARTS)}, got {unknown[0]!r}", hint=_RATIOS_HINT)
    wrong = [f"{part}={share}" for part, share in ratios.items() if not 0 <= share <= 1]
    if wrong:
        raise SettingError(f"a share must be between 0 and 1, got {wrong[0]}", hint=_RATIOS_HINT)
    total = math.fsum(ratios.values())
    if abs(total - 1) > 1e-9:
        raise SettingError(f"the ratios must add up to 1, they add up to {total:.10g}", hint=_RATIOS_HINT)
    return {part: float(ratios[part]) for part in PARTS if ratios.get(part)}


_RATIOS_HINT = "--ratios train=0.8,validation=0.1,test=0.1"
