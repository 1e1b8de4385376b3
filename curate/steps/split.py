"""`split`: freezes which samples are learned from, which are tuned on, and which are tested on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from curate.catalog import datasets, splits
from curate.catalog.splits import Split
from curate.deduplication.across_parts import as_evidence, comparison_of, pairs_across_parts
from curate.deduplication.upholding import uphold
from curate.errors import SettingError
from curate.splitting.facts import SplitReport, move_notes, part_facts
from curate.splitting.plan import Plan, Situation, check_filled, read_situation
from curate.splitting.ratios import checked_ratios
from curate.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

DEFAULT_RATIOS = {"train": 0.8, "validation": 0.1, "test": 0.1}


def split(
    workspace: Workspace,
    dataset: str,
    *,
    name: str = "default",
    ratios: Mapping[str, float] = DEFAULT_RATIOS,
    stratify: str | None = None,
    group: str | None = None,
    parts: str | None = None,
    seed: int = 0,
    near: bool = True,
    allow_empty: bool = False,
) -> SplitReport:
    """Freeze a split of the curated samples.

    Samples that are equal, that any dedupe ever found to be duplicates (also over samples that were dropped), or that share the
    user's group stay in one part. So do members that are near-duplicates by the dataset's own methods: they are looked for
    across the parts, put together, and looked for again until none is left. The result depends on content and seed, not on
    ids or on the order of ingest. The same command on unchanged data changes nothing; after data or verdicts changed, it
    makes a new version in which every member of an earlier one keeps its part, and new groups fill what is lacking. Where
    groups of different parts have since grown together, all of them go to the most held-out of those parts, and who moved is
    reported.

    Args:
        ratios: part → share, of train, validation and test; together 1. A part may have 0 or be left out.
        stratify: "label", "external_id" or a metadata field whose values are spread evenly over the parts.
        group: the same kinds of field; samples with the same value stay together.
        parts: the same kinds of field, or "source": what comes as test or validation there (the file's name says it, or the
            field's value) stays so. What comes as train also fills the parts that the ratios ask for and the corpus lacks;
            samples that name no part are dealt by the ratios. A group that comes in several parts goes to the most held-out.
        near: look for near-duplicates across the parts; without, only what a dedupe found stays together.
        allow_empty: freeze the split although a part that has a share gets no sample.

    Raises:
        SettingError: a setting is out of range, a field has no value anywhere, or the name is taken by another recipe.
        InputError: the dataset is not there, has no curated sample, or too few groups to fill every part.
    """
    started = time.monotonic()
    shares = checked_ratios(ratios)
    if isinstance(seed, bool) or not 0 <= seed < 2**63:
        raise SettingError(f"seed must be a whole number from 0 to 2^63 - 1, got {seed}")
    splits.check_name(name)
    catalog = workspace.catalog
    found = datasets.find(catalog, dataset)
    recipe = {"ratios": shares, "stratify": stratify, "group": group, "seed": seed, **({"parts": parts} if parts else {})}
    recipe |= {} if near else {"near": False}
    before = splits.newest(catalog, found, name=name)
    if before is not None and before.recipe != recipe:
        raise _frozen(before, recipe)
    upheld = uphold(workspace, found)
    situation = read_situation(catalog, found, name, recipe)
    plan, pairs, looked = _apart(workspace, situation, near)
    if not allow_empty and not parts:
        check_filled(plan, shares, found.name)
    settings = {"name": name, **recipe, "compared": looked[0]}
    old = splits.members(catalog, before) if before else None
    with workspace.run("split", dataset=found.name, settings=settings) as run, catalog.transaction():
        changed = old is None or _as_pairs(old) != _as_pairs(plan.members)
        notes = (*upheld, *plan.notes, *looked[1], *move_notes(plan.moved if changed else ()))
        frozen = before
        if changed or frozen is None:
            if pairs is not None:
                splits.add_evidence(catalog, run.run_id, as_evidence(pairs))
            frozen = splits.add(catalog, found, name=name, recipe=recipe, seed=seed, run_id=run.run_id, members=plan.members)
        run.commit_counts({"members": frozen.members, "changed": changed, "moved": len(plan.moved), "notes": notes})
    former, now = ({*table["sample_id"].to_pylist()} if table is not None else set() for table in (old, plan.members))
    return SplitReport(
        run_id=run.run_id,
        dataset=found.name,
        name=name,
        version=frozen.version,
        reference=frozen.reference,
        changed=changed,
        members=frozen.members,
        members_hash=frozen.members_hash,
        parts=part_facts(plan.members, {} if parts else shares),
        groups=len(plan.sizes),
        largest_group=max(plan.sizes.values()),
        added=len(now - former),
        left=len(former - now),
        moved=plan.moved if changed else (),
        compared=looked[0],
        near_pairs=pairs.num_rows if pairs is not None else 0,
        recipe=recipe,
        seconds=round(time.monotonic() - started, 3),
        notes=notes,
    )


def _apart(workspace: Workspace, situation: Situation, near: bool) -> tuple[Plan, pa.Table | None, tuple[str, tuple[str, ...]]]:
    """A plan in which no near-duplicates stand in different parts, the pairs that it took, and what was looked at."""
    import pyarrow as pa

    if not near:
        return situation.plan(), None, ("", ("near-duplicates that no dedupe found may stand in different parts (--no-near)",))
    comparison = comparison_of(workspace, situation.dataset)
    found: list[pa.Table] = []
    while True:
        plan = situation.plan(pa.concat_tables(found) if found else None)
        pairs, notes = pairs_across_parts(workspace, situation.dataset, plan.members, comparison)
        if pairs is None:
            break
        found.append(pairs)
    together = pa.concat_tables(found) if found else None
    return plan, together, (comparison.described, (*comparison.notes, *notes))


def _frozen(before: Split, recipe: Mapping[str, Any]) -> SettingError:
    differing = [
        f"{key} {before.recipe.get(key)!r}, not {recipe.get(key)!r}"
        for key in sorted(before.recipe.keys() | recipe.keys())
        if before.recipe.get(key) != recipe.get(key)
    ]
    return SettingError(
        f"the split {before.dataset}@{before.name} is frozen: it was made with {'; '.join(differing)}",
        hint=f"--name other, or the settings of {before.reference}",
    )


def _as_pairs(members: pa.Table) -> set[tuple[int, str]]:
    return set(zip(members["sample_id"].to_pylist(), members["part"].to_pylist(), strict=True))
