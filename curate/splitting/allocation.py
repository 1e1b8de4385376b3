"""Gives groups to the parts of a split, so that the parts get their shares although a group is never divided."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

CARRIED_GROUPS = 2
"""So many groups' worth of samples at most are owed from one stratum to the next."""


class Group(NamedTuple):
    """Samples that stay together; `part` is where they stood before, None for a new group."""

    key: str
    size: int
    stratum: str
    part: str | None


def allocate(groups: Iterable[Group], ratios: Mapping[str, float], *, seed: int) -> dict[str, str]:
    """Choose a part for each group; groups that have one keep it.

    Within a stratum, groups go by falling size, in classes of a factor of two, and within a class in the order of
    hash(seed, key); each goes to the part that lacks most of its share of what was dealt so far, its class included.
    Large groups are so spread like small ones, and the small ones even out what the large ones left. What one stratum
    leaves over or owes is carried to the next, up to twice the largest new group a part, so that many rare labels, or labels of
    one large group each, do not all round alike.

    Args:
        groups: with distinct keys.
        ratios: part → share, adding up to 1; parts with share 0 get no new group. Ties go to the part named first.

    Returns:
        key → part. It depends on the groups, ratios and seed alone, not on the order of `groups`. Where none had a part,
        each part is within twice the largest group of its share overall, and within four times in each stratum.
    """
    strata: dict[str, list[Group]] = defaultdict(list)
    for group in groups:
        strata[group.stratum].append(group)
    carry = dict.fromkeys(ratios, 0.0)
    limit = CARRIED_GROUPS * max((group.size for dealt in strata.values() for group in dealt if group.part is None), default=0)
    chosen: dict[str, str] = {}
    for stratum in sorted(strata):
        carry = {part: min(max(left, -limit), limit) for part, left in carry.items()}
        carry = _allocate_stratum(strata[stratum], ratios, carry, seed, chosen)
    return chosen


def _allocate_stratum(
    groups: list[Group], ratios: Mapping[str, float], lack: dict[str, float], seed: int, chosen: dict[str, str]
) -> dict[str, float]:
    """Deal one stratum into `chosen`; `lack` is what each part is owed before and, as returned, after."""
    old = [group for group in groups if group.part is not None]
    lack = _owe(lack, ratios, sum(group.size for group in old))
    for group in old:
        assert group.part is not None
        chosen[group.key] = group.part
        if group.part in lack:
            lack[group.part] -= group.size
    classes: dict[int, list[Group]] = defaultdict(list)
    for group in groups:
        if group.part is None:
            classes[group.size.bit_length()].append(group)
    open_parts = [part for part, share in ratios.items() if share > 0]
    for size_class in sorted(classes, reverse=True):
        dealt = classes[size_class]
        lack = _owe(lack, ratios, sum(group.size for group in dealt))
        for group in sorted(dealt, key=lambda g: _rank(seed, g.key)):
            part = max(open_parts, key=lack.__getitem__)
            chosen[group.key] = part
            lack[part] -= group.size
    return lack


def _owe(lack: dict[str, float], ratios: Mapping[str, float], samples: int) -> dict[str, float]:
    return {part: lack[part] + ratios[part] * samples for part in ratios}


def _rank(seed: int, key: str) -> bytes:
    return hashlib.sha256(f"{seed} {key}".encode()).digest()
