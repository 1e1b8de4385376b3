"""The parts that a corpus comes with: a field, or the names of its files, say which sample is held out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from curate.catalog.splits import PARTS
from curate.errors import SettingError
from curate.splitting.allocation import Group, allocate

if TYPE_CHECKING:
    import pyarrow as pa

SOURCE = "source"
_WORDS = {
    "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
_IN_PATH = re.compile(rf"(?<![a-z])({'|'.join(sorted(_WORDS, key=len, reverse=True))})(?![a-z])")


def read_parts(population: pa.Table, field: str) -> tuple[dict[int, str], list[str]]:
    """Read the part that each sample comes with.

    Args:
        population: sample_id and given_part, whose values are the field's, or for "source" the file's path from the folder
            that was read on and, after a line break, the place in it. Where several words in a path name parts, the most
            held-out one counts: "test/train/1.jpg" may be a test picture of a train. The folder's own name counts where it is
            such a word and nothing else.

    Returns:
        sample_id → part, without the samples that have none, and notes about values that name no part.

    Raises:
        SettingError: no value names a part.
    """
    parts: dict[int, str] = {}
    other: Counter[str] = Counter()
    unclear: Counter[str] = Counter()
    for sample_id, value in zip(population["sample_id"].to_pylist(), population["given_part"].to_pylist(), strict=True):
        if value is None:
            other["(none)"] += 1
        elif named := _in_path(value) if field == SOURCE else {_WORDS[w] for w in [value.strip().lower()] if w in _WORDS}:
            parts[sample_id] = max(named, key=PARTS.index)
            if len(named) > 1:
                unclear[value.replace("\n", " ")] += 1
        else:
            other[Path(value.partition("\n")[0]).name if field == SOURCE else value] += 1
    if not parts:
        seen = ", ".join(repr(value) for value, _ in other.most_common(3))
        raise SettingError(f"--parts {field}: no sample names train, validation or test there; it says {seen}")
    notes = []
    if other:
        seen = ", ".join(f"{value} ({count:,})" for value, count in other.most_common(4)) + (", …" if len(other) > 4 else "")
        notes.append(f"{other.total():,} samples name no part in {field} and are dealt by the ratios: {seen}")
    if unclear:
        first = next(iter(unclear))
        notes.append(f"{unclear.total():,} samples name several parts in their path and count as the most held-out: {first}")
    return parts, notes


def _in_path(value: str) -> set[str]:
    root, _, below = value.lower().partition("/")
    return {_WORDS[word] for word in [*_IN_PATH.findall(below), *([root] if root in _WORDS else [])]}


def held_out(parts: Mapping[int, str], ratios: Mapping[str, float]) -> tuple[dict[int, str], dict[str, float]]:
    """Which samples are bound to their part, and by which ratios those that come as train are dealt.

    Train gives the parts that the corpus lacks and the ratios ask for: a corpus with train and test gets its validation part
    out of train.
    """
    lacking = {part: share for part, share in ratios.items() if part != "train" and part not in parts.values()}
    if not lacking or not ratios.get("train"):
        return dict(parts), {"train": 1.0}
    shares = {"train": ratios["train"], **lacking}
    total = sum(shares.values())
    bound = {sample_id: part for sample_id, part in parts.items() if part != "train"}
    return bound, {part: shares[part] / total for part in PARTS if part in shares}


def allocate_given(
    groups: list[Group], ratios: Mapping[str, float], learned: set[str], train_ratios: Mapping[str, float], *, seed: int
) -> dict[str, str]:
    """Deal the groups that come as train (`learned`, by key) by ratios of their own, and the others as always."""
    ours = [group for group in groups if group.key in learned]
    others = [group for group in groups if group.key not in learned]
    return allocate(others, ratios, seed=seed) | allocate(ours, train_ratios, seed=seed)
