"""Stops a dedupe that would drop nearly everything, or that found one group to hold a quarter of the samples."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.catalog import Catalog, samples
from curate.columns import as_array, as_truth
from curate.deduplication.rounds import Judgement
from curate.differences import excerpt, marked
from curate.errors import NeedsConfirmation

ALARM_DROPPED = 0.9
"""Of the samples."""
ALARM_GROUP = 0.25
"""Of the samples, in one group of near-duplicates."""
LEAST_GROUP = 25
"""A smaller group raises no alarm."""
LEAST_SAMPLES = 10
"""Fewer samples raise none: of five, four may well be copies."""


def stop_if_alarming(catalog: Catalog, judged: Iterable[Judgement]) -> None:
    """Refuse to go on where near-duplicates are that many; byte-identical copies raise no alarm.

    Raises:
        NeedsConfirmation: names the largest group with a few of its members.
    """
    judged = tuple(judged)
    total = sum(j.own for j in judged)
    drops = pa.concat_tables([j.drops for j in judged])
    near = drops.filter(as_truth(as_array(drops["similarity"]) < 1))
    if total < LEAST_SAMPLES or not near.num_rows:
        return
    keepers, sizes = np.unique(as_array(near["keeper_id"]), return_counts=True)
    largest = int(sizes.max()) + 1
    if drops.num_rows > ALARM_DROPPED * total:
        what = f"{drops.num_rows:,} of {total:,} samples would be dropped"
    elif largest > max(ALARM_GROUP * total, LEAST_GROUP):
        what = f"one group of near-duplicates would hold {largest:,} of {total:,} samples"
    else:
        return
    shown = _members(catalog, near, int(keepers[sizes.argmax()]))
    raise NeedsConfirmation(
        f"{what}; nothing was changed. The largest group, its kept sample first, the others by where they differ:{shown}",
        hint="raise --threshold, look with --dry-run, or go on with --yes",
    )


def copies_note(judged: Iterable[Judgement]) -> tuple[str, ...]:
    """A sentence where nearly all samples are dropped, for a report that raised no alarm: copies, or told to go on."""
    judged = tuple(judged)
    total, dropped = sum(j.own for j in judged), sum(j.drops.num_rows for j in judged)
    if total < LEAST_SAMPLES or dropped <= ALARM_DROPPED * total:
        return ()
    equal = sum(int((as_array(j.drops["similarity"]) >= 1).sum()) for j in judged)
    return (f"{dropped:,} of {total:,} samples repeat another, {equal:,} of them to the letter: look before you trust it",)


def _members(catalog: Catalog, near: pa.Table, keeper: int) -> str:
    """A line for the keeper of a group, and for a few of its members one that shows where they differ from it."""
    members = near.filter(pc.equal(near["keeper_id"], keeper)).sort_by([("similarity", "descending")])
    chosen = members["sample_id"].to_pylist()[:: max(1, members.num_rows // 4)][:4]
    found = samples.by_ids(catalog, pa.table({"sample_id": pa.array([keeper, *chosen], pa.int64())}))
    kept = found[keeper]
    lines = [f"{keeper}: {' '.join(excerpt(kept.text).split()) if kept.text is not None else kept.locator or kept.source}"]
    for number in chosen:
        sample = found[number]
        if sample.text is None or kept.text is None:
            lines.append(f"{number}: {sample.locator or sample.source}")
        else:
            lines.append(f"{number}: {marked(kept.text, sample.text)}")
    return "".join(f"\n    {line}" for line in lines)
