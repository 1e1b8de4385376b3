"""What kinds of drops a dedupe made: copies, edits, paraphrases, look-alikes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.catalog import Catalog, samples
from curate.dedupers.guards.choice import GUARDS, SAYS, choose_guards
from curate.dedupers.guards.kernels import EDITED
from curate.dedupers.guards.statements import Statements
from curate.dedupers.guards.words import read_statement
from curate.deduplication.methods import Method

if TYPE_CHECKING:
    from curate.deduplication.rounds import Judgement

PAIRS = 4_096
KINDS = ("copies", "edits", "paraphrases", "look-alikes")


def count_kinds(catalog: Catalog, judged: Mapping[str, Judgement], plan: Mapping[str, Sequence[Method]]) -> dict[str, int]:
    """How many of the drops repeat a kept sample byte for byte, in edited words, in other words, or as a picture.

    Drops by shared shingles are edits. Drops by vectors are told apart by the words of both texts, unless the method dropped
    nothing but edits.
    """
    found = Counter[str]()
    for modality, judgement in judged.items():
        by_name = {m.name: m for m in plan[modality]}
        for name in pc.unique(judgement.drops["reason"]).to_pylist():
            rows = judgement.drops.filter(pc.equal(judgement.drops["reason"], name))
            method = by_name.get(name)
            if method is None or method.deduper.consumes == "hash":
                found["copies"] += rows.num_rows
            elif modality != "text":
                found["look-alikes"] += rows.num_rows
            elif method.deduper.consumes == "text" or "wording" in choose_guards(method.recorded.get("guards", "none")):
                found["edits"] += rows.num_rows
            else:
                edits = sum(_edits(catalog, rows.slice(at, PAIRS)) for at in range(0, rows.num_rows, PAIRS))
                found.update(edits=edits, paraphrases=rows.num_rows - edits)
    return {kind: found[kind] for kind in KINDS if found[kind]}


def _edits(catalog: Catalog, drops: pa.Table) -> int:
    """How many of some drops have the words of their keeper, up to slips."""
    ids = [drops[column].to_pylist() for column in ("sample_id", "keeper_id")]
    known = samples.by_ids(catalog, pa.table({"sample_id": pa.array([*ids[0], *ids[1]], pa.int64())}))
    statements = Statements()
    statements.add([read_statement(known[n].text or "", foreign=False) for side in ids for n in side])
    left, right = np.arange(len(ids[0])), np.arange(len(ids[0]), 2 * len(ids[0]))
    return int(((statements.judge(left, right) == EDITED) | statements.misspelt(left, right)).sum())


def count_parted(judged: Mapping[str, Judgement]) -> dict[str, int]:
    """How many kept contents resemble a kept one and stay because of a guard, by guard."""
    codes = np.concatenate([j.parted for j in judged.values()] or [np.zeros(0, np.uint8)])
    counts = np.bincount(codes, minlength=len(GUARDS) + 1)[1:]
    return {name: int(count) for name, count in zip(GUARDS, counts, strict=True) if count}


def say_parted(parted: Mapping[str, int]) -> str | None:
    """A sentence on what guards kept, for the report; None where they kept nothing."""
    if not parted:
        return None
    told = "; ".join(f"{name} {count:,} ({SAYS[name]})" for name, count in parted.items())
    return f"{sum(parted.values()):,} kept texts are as similar to a kept one, but differ in what counts: {told}"
