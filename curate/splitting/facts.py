"""What is said of a split: its parts, its groups, who moved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curate.catalog.splits import PARTS
from curate.reports import Report

if TYPE_CHECKING:
    import pyarrow as pa


_NAMED_MOVES = 20


@dataclass(frozen=True, slots=True)
class PartFacts:
    """One part as it came out.

    Attributes:
        samples, groups: how many it holds.
        share: of the members, as achieved.
        asked: the share that the ratios asked for; None where the corpus came with its parts.
    """

    samples: int
    groups: int
    share: float
    asked: float | None


@dataclass(frozen=True, slots=True, repr=False)
class SplitReport(Report):
    """A frozen split.

    Attributes:
        reference: what to type to name exactly this version: "support@default:1".
        changed: whether this run froze a new version; False where the newest one is what the command makes.
        parts: of the version, in the order train, validation, test.
        groups, largest_group: how many sets of samples stay together, and the size of the largest.
        added, left: members that the version before did not have, and members of it that are curated no more.
        moved: ids of members that stood in another part before, which only a group that grew together across parts causes.
        compared: by which methods members of different parts were compared, with thresholds; "" where they were not.
        near_pairs: pairs that were found so, beyond those that a dedupe had found, and are together now.
    """

    run_id: int
    dataset: str
    name: str
    version: int
    reference: str
    changed: bool
    members: int
    members_hash: str
    parts: dict[str, PartFacts]
    groups: int
    largest_group: int
    added: int
    left: int
    moved: tuple[int, ...]
    compared: str
    near_pairs: int
    recipe: dict[str, Any]
    seconds: float
    notes: tuple[str, ...] = ()


def part_facts(members: pa.Table, shares: Mapping[str, float]) -> dict[str, PartFacts]:
    """Facts by part; no shares mean that nobody asked for any."""
    samples_in: Counter[str] = Counter(members["part"].to_pylist())
    groups_in: Counter[str] = Counter(
        part for part, _ in set(zip(members["part"].to_pylist(), members["group_key"].to_pylist(), strict=True))
    )
    total = members.num_rows
    return {
        part: PartFacts(samples_in[part], groups_in[part], samples_in[part] / total, shares.get(part, 0.0) if shares else None)
        for part in PARTS
        if shares.get(part, 0.0) > 0 or samples_in[part]
    }


def move_notes(moved: tuple[int, ...]) -> tuple[str, ...]:
    """Who stands in another part than before, and what that means."""
    if not moved:
        return ()
    named = ", ".join(map(str, moved[:_NAMED_MOVES])) + (", …" if len(moved) > _NAMED_MOVES else "")
    return (
        f"{len(moved):,} samples moved, because groups in different parts have grown together and went to the most held-out one"
        f" (models trained on an earlier version may have learned them): {named}",
    )
