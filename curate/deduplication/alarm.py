"""Stops a dedupe that would drop nearly everything, or that found one group to hold a quarter of the samples."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.catalog import Catalog, samples
from curate.columns import as_array, as_truth
from curate.deduplication.rounds import Judgement
from curate.errors import NeedsConfirmation

ALARM_DROPPED = 0.9
"""Of the samples."""
ALARM_GROUP = 0.25
"""Of the samples, in one group of near-duplicates."""
ALARM_MIN_SAMPLES = 100


def stop_if_alarming(catalog: Catalog, judged: Iterable[Judgement]) -> None:
    """Refuse to go on where near-duplicates are that many; byte-identical copies raise no alarm.

    Raises:
        NeedsConfirmation: names the largest group with a few of its members.
    """
    judged = tuple(judged)
    total = sum(j.own for j in judged)
    drops = pa.concat_tables([j.drops for j in judged])
    near = drops.filter(as_truth(as_array(drops["similarity"]) < 1))
    if total < ALARM_MIN_SAMPLES or not near.num_rows:
        return
    keepers, sizes = np.unique(as_array(near["keeper_id"]), return_counts=True)
    if drops.num_rows > ALARM_DROPPED * total:
        what = f"{drops.num_rows:,} of {total:,} samples would be dropped"
    elif sizes.max() > ALARM_GROUP * total:
        what = f"one group of near-duplicates would hold {sizes.max() + 1:,} of {total:,} samples"
    else:
        return
    shown = _excerpts(catalog, near, int(keepers[sizes.argmax()]))
    raise NeedsConfirmation(
        f"{what}; nothing was changed. The largest group, its kept sample first:{shown}",
        hint="raise --threshold, look with --dry-run, or go on with --yes",
    )


def _excerpts(catalog: Catalog, near: pa.Table, keeper: int) -> str:
    """A line for the keeper of a group and for a few of its members."""
    members = near.filter(pc.equal(near["keeper_id"], keeper)).sort_by([("similarity", "descending")])
    shown = [keeper, *members["sample_id"].to_pylist()[:: max(1, members.num_rows // 4)][:4]]
    found = samples.by_ids(catalog, pa.table({"sample_id": pa.array(shown, pa.int64())}))
    return "".join(
        f"\n    {n}: {' '.join((found[n].text or found[n].locator or found[n].source).split())[:100]}" for n in shown
    )
