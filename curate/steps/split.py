"""`split`: freezes which samples are learned from, which are tuned on, and which are tested on."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from curate.catalog import datasets, runs, splits
from curate.catalog.datasets import Dataset
from curate.catalog.splits import PARTS, Split
from curate.errors import InputError, SettingError
from curate.splitting.allocation import Group
from curate.splitting.given_parts import allocate_given, held_out, read_parts
from curate.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

DEFAULT_RATIOS = {"train": 0.8, "validation": 0.1, "test": 0.1}
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


@dataclass(frozen=True, slots=True)
class SplitReport:
    """A frozen split.

    Attributes:
        reference: what to type to name exactly this version: "support@default:1".
        changed: whether this run froze a new version; False where the newest one is what the command makes.
        parts: of the version, in the order train, validation, test.
        groups, largest_group: how many sets of samples stay together, and the size of the largest.
        added, left: members that the version before did not have, and members of it that are curated no more.
        moved: ids of members that stood in another part before, which only a group that grew together across parts causes.
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
    recipe: dict[str, Any]
    seconds: float
    notes: tuple[str, ...] = ()


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
) -> SplitReport:
    """Freeze a split of the curated samples.

    Samples that are equal, that any dedupe ever found to be duplicates (also over samples that were dropped), or that share the
    user's group stay in one part. The result depends on content and seed, not on ids or on the order of ingest. The same
    command on unchanged data changes nothing; after data or verdicts changed, it makes a new version in which every
    member of an earlier one keeps its part, and new groups fill what is lacking. Where groups of different parts have
    since grown together, all of them go to the most held-out of those parts, and who moved is reported.

    Args:
        ratios: part → share, of train, validation and test; together 1. A part may have 0 or be left out.
        stratify: "label", "external_id" or a metadata field whose values are spread evenly over the parts.
        group: the same kinds of field; samples with the same value stay together.
        parts: the same kinds of field, or "source": what comes as test or validation there (the file's name says it, or the
            field's value) stays so. What comes as train also fills the parts that the ratios ask for and the corpus lacks;
            samples that name no part are dealt by the ratios. A group that comes in several parts goes to the most held-out.

    Raises:
        SettingError: a setting is out of range, a field has no value anywhere, or the name is taken by another recipe.
        InputError: the dataset is not there, or has no curated sample.
    """
    started = time.monotonic()
    shares = _checked_ratios(ratios)
    if isinstance(seed, bool) or not 0 <= seed < 2**63:
        raise SettingError(f"seed must be a whole number from 0 to 2^63 - 1, got {seed}")
    splits.check_name(name)
    catalog = workspace.catalog
    home = datasets.find(catalog, dataset)
    recipe = {"ratios": shares, "stratify": stratify, "group": group, "seed": seed, **({"parts": parts} if parts else {})}
    before = splits.newest(catalog, home, name=name)
    if before is not None and before.recipe != recipe:
        raise _frozen(before, recipe)
    plan = _plan(workspace, home, name, recipe)
    with workspace.run("split", dataset=home.name, settings={"name": name, **recipe}) as run, catalog.transaction():
        changed = before is None or _as_pairs(splits.members(catalog, before)) != _as_pairs(plan.members)
        frozen = before
        if changed or frozen is None:
            frozen = splits.add(catalog, home, name=name, recipe=recipe, seed=seed, run_id=run.run_id, members=plan.members)
        run.commit_counts({"members": frozen.members, "changed": changed, "moved": len(plan.moved)})
    old = set(splits.members(catalog, before)["sample_id"].to_pylist()) if before and changed else None
    new = set(plan.members["sample_id"].to_pylist())
    return SplitReport(
        run_id=run.run_id,
        dataset=home.name,
        name=name,
        version=frozen.version,
        reference=frozen.reference,
        changed=changed,
        members=frozen.members,
        members_hash=frozen.members_hash,
        parts=_facts(plan.members, {} if parts else shares),
        groups=len(plan.sizes),
        largest_group=max(plan.sizes.values()),
        added=len(new - old) if old is not None else len(new) if changed else 0,
        left=len(old - new) if old is not None else 0,
        moved=plan.moved if changed else (),
        recipe=recipe,
        seconds=round(time.monotonic() - started, 3),
        notes=(*plan.notes, *_move_notes(plan.moved if changed else ())),
    )


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


class _Plan(NamedTuple):
    """What a version will hold: members has sample_id, part, group_key and content_hash."""

    members: pa.Table
    sizes: Counter[str]
    moved: tuple[int, ...]
    notes: tuple[str, ...]


def _plan(workspace: Workspace, home: Dataset, name: str, recipe: Mapping[str, Any]) -> _Plan:
    import pyarrow as pa

    from curate.splitting.groups import group_samples

    catalog = workspace.catalog
    field = recipe.get("parts")
    population = splits.population(catalog, home, stratify=recipe["stratify"], group=recipe["group"], parts=field)
    _check_field(workspace, home, population, "stratify", recipe["stratify"])
    _check_field(workspace, home, population, "group", recipe["group"], column="group_value")
    groups = group_samples(catalog, population)
    keys = [groups.keys[number] for number in groups.group]
    former_table = splits.former_parts(catalog, home, name)
    former = dict(zip(former_table["sample_id"].to_pylist(), former_table["part"].to_pylist(), strict=True))
    ids, strata = population["sample_id"].to_pylist(), population["stratum"].to_pylist()
    curated = population["is_curated"].to_pylist()
    if not any(curated):
        raise InputError(
            f"{home.name} has no curated sample to split", hint=f"curate status, or curate ingest PATH -d {home.name}"
        )
    given, notes = read_parts(population, field) if field else ({}, [])
    bound, train_ratios = held_out(given, recipe["ratios"])
    stood = _anchors(ids, keys, curated, bound | former)
    came = _anchors(ids, keys, curated, given)
    sizes = Counter(key for key, is_curated in zip(keys, curated, strict=True) if is_curated)
    main = _main_strata(keys, strata, curated) if recipe["stratify"] else dict.fromkeys(sizes, "")
    chosen = allocate_given(
        [Group(key, size, main[key], stood.get(key)) for key, size in sizes.items()],
        recipe["ratios"],
        {key for key, part in came.items() if part == "train"},
        train_ratios,
        seed=recipe["seed"],
    )
    parts = [chosen[key] if is_curated else None for key, is_curated in zip(keys, curated, strict=True)]
    table = pa.table(
        {
            "sample_id": population["sample_id"],
            "part": pa.array(parts, pa.string()),
            "group_key": pa.array(keys, pa.string()),
            "content_hash": population["content_hash"],
        }
    ).filter(population["is_curated"])
    moved = sorted(i for i, part in zip(ids, parts, strict=True) if part is not None and former.get(i, part) != part)
    away = sum(part is not None and bound.get(i, part) != part for i, part in zip(ids, parts, strict=True))
    if away:
        notes.append(f"{away:,} samples stand in a part other than the one they came in, with a duplicate or their group")
    return _Plan(table, sizes, tuple(moved), (*_notes(workspace, home, population, recipe, sizes), *notes))


def _anchors(ids: list[int], keys: list[str], curated: list[bool], former: Mapping[int, str]) -> dict[str, str]:
    """The part each group is bound to: that of its former members, or of the dropped ones where no other is left."""
    bound: tuple[dict[str, str], dict[str, str]] = ({}, {})
    for sample_id, key, is_curated in zip(ids, keys, curated, strict=True):
        part = former.get(sample_id)
        if part is not None:
            of = bound[0 if is_curated else 1]
            of[key] = max(part, of.get(key, part), key=PARTS.index)
    return bound[1] | bound[0]


def _main_strata(keys: list[str], strata: list[str | None], curated: list[bool]) -> dict[str, str]:
    """The most frequent stratum of each group's curated samples, the smallest of equals; none counts as ""."""
    counts = Counter((key, stratum or "") for key, stratum, is_curated in zip(keys, strata, curated, strict=True) if is_curated)
    best: dict[str, tuple[int, str]] = {}
    for (key, stratum), count in counts.items():
        best[key] = min(best.get(key, (0, "")), (-count, stratum))
    return {key: stratum for key, (_, stratum) in best.items()}


def _facts(members: pa.Table, shares: Mapping[str, float]) -> dict[str, PartFacts]:
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


def _checked_ratios(ratios: Mapping[str, float]) -> dict[str, float]:
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


def _check_field(
    workspace: Workspace, home: Dataset, population: pa.Table, option: str, field: str | None, *, column: str = "stratum"
) -> None:
    if field is not None and population.num_rows and population[column].null_count == population.num_rows:
        keys = splits.metadata_keys(workspace.catalog, home)
        raise SettingError(
            f"no sample of {home.name} has a value for --{option} {field}",
            hint="label, external_id" + ("" if not keys else ", or a metadata field: " + ", ".join(keys[:12])),
        )


def _notes(
    workspace: Workspace, home: Dataset, population: pa.Table, recipe: Mapping[str, Any], sizes: Counter[str]
) -> tuple[str, ...]:
    import pyarrow.compute as pc

    curated = population.filter(population["is_curated"])
    notes = []
    if not _was_deduped(workspace, home):
        notes.append(
            f"dedupe has not run on {home.name} as it is now: near-duplicates may stand in different parts"
            f" (exact copies are together); curate dedupe {home.name}"
        )
    wanted = len(recipe["ratios"])
    if recipe["stratify"]:
        found = curated["stratum"].value_counts()
        rare = sorted((v["counts"].as_py(), v["values"].as_py() or "(none)") for v in found if v["counts"].as_py() < wanted)
        if rare:
            named = ", ".join(f"{label} ({count})" for count, label in rare[:8]) + (", …" if len(rare) > 8 else "")
            notes.append(f"{len(rare):,} values of {recipe['stratify']} have fewer samples than there are parts: {named}")
    if recipe["group"]:
        without = pc.sum(pc.is_null(curated["group_value"])).as_py() or 0
        if without:
            notes.append(f"{without:,} samples have no {recipe['group']} and are grouped by content alone")
    largest = max(sizes.values())
    if largest > 1 and largest > min(recipe["ratios"].values()) * curated.num_rows:
        notes.append(
            f"the largest group has {largest:,} of {curated.num_rows:,} samples and is not divided, whatever the ratios"
        )
    return tuple(notes)


def _was_deduped(workspace: Workspace, home: Dataset) -> bool:
    latest = runs.latest_done(workspace.catalog, "dedupe", home.name)
    return latest is not None and not latest[1].get("dry_run") and latest[0] > splits.newest_ingest(workspace.catalog, home)


def _move_notes(moved: tuple[int, ...]) -> tuple[str, ...]:
    if not moved:
        return ()
    named = ", ".join(map(str, moved[:_NAMED_MOVES])) + (", …" if len(moved) > _NAMED_MOVES else "")
    return (
        f"{len(moved):,} samples moved, because groups in different parts have grown together and went to the most held-out one"
        f" (models trained on an earlier version may have learned them): {named}",
    )


def _as_pairs(members: pa.Table) -> set[tuple[int, str]]:
    return set(zip(members["sample_id"].to_pylist(), members["part"].to_pylist(), strict=True))


_RATIOS_HINT = "--ratios train=0.8,validation=0.1,test=0.1"
