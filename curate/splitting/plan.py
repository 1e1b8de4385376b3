"""What a version of a split will hold: each group of curated samples in one part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from curate.catalog import Catalog, splits
from curate.catalog.datasets import Dataset
from curate.catalog.splits import PARTS
from curate.errors import InputError, SettingError
from curate.splitting.allocation import Group
from curate.splitting.given_parts import allocate_given, held_out, read_parts
from curate.splitting.groups import group_samples

if TYPE_CHECKING:
    import pyarrow as pa


class Plan(NamedTuple):
    """What a version will hold.

    Attributes:
        members: sample_id, part, group_key and content_hash of every curated sample.
        sizes: group key → how many curated samples it has.
        moved: ids of members that stood in another part before, rising.
        notes: what the user should know, a sentence each.
    """

    members: pa.Table
    sizes: Counter[str]
    moved: tuple[int, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Situation:
    """What a split starts from: the dataset's samples, where they stood before, and what was asked for.

    Attributes:
        population: as `catalog.splits.population` gives it.
        former: sample id → part in the newest version that held it.
        given: sample id → the part that the corpus says it comes in; empty where nobody asked for it.
        notes: about values that name no part.
    """

    catalog: Catalog
    dataset: Dataset
    recipe: Mapping[str, Any]
    population: pa.Table
    former: Mapping[int, str]
    given: Mapping[int, str]
    notes: tuple[str, ...]

    def plan(self, found: pa.Table | None = None) -> Plan:
        """Deal the groups to the parts.

        Args:
            found: sample_id and keeper_id of pairs that must stay together beside those that the catalog knows.
        """
        groups = group_samples(self.catalog, self.population, found=found)
        keys = [groups.keys[number] for number in groups.group]
        curated = self.population["is_curated"].to_pylist()
        ids = self.population["sample_id"].to_pylist()
        bound, train_ratios = held_out(self.given, self.recipe["ratios"])
        stood = _anchors(ids, keys, curated, {**bound, **self.former})
        came = _anchors(ids, keys, curated, self.given)
        sizes = Counter(key for key, is_curated in zip(keys, curated, strict=True) if is_curated)
        strata = _main_strata(keys, self.population["stratum"].to_pylist(), curated) if self.recipe["stratify"] else {}
        chosen = allocate_given(
            [Group(key, size, strata.get(key, ""), stood.get(key)) for key, size in sizes.items()],
            self.recipe["ratios"],
            {key for key, part in came.items() if part == "train"},
            train_ratios,
            seed=self.recipe["seed"],
        )
        parts = [chosen[key] if is_curated else None for key, is_curated in zip(keys, curated, strict=True)]
        moved = sorted(i for i, part in zip(ids, parts, strict=True) if part is not None and self.former.get(i, part) != part)
        away = sum(part is not None and bound.get(i, part) != part for i, part in zip(ids, parts, strict=True))
        notes = [*_largest_note(sizes, self.recipe["ratios"]), *self.notes]
        if away:
            notes.append(f"{away:,} samples stand in a part other than the one they came in, with a duplicate or their group")
        return Plan(_members(self.population, parts, keys), sizes, tuple(moved), (*self._field_notes(), *notes))

    def _field_notes(self) -> list[str]:
        """What the fields that spread or bind samples leave out."""
        import pyarrow.compute as pc

        curated, notes = self.population.filter(self.population["is_curated"]), []
        stratify, group = self.recipe["stratify"], self.recipe["group"]
        if stratify:
            notes += _rare_note(curated["stratum"].value_counts().to_pylist(), stratify, len(self.recipe["ratios"]))
        if group:
            without = pc.sum(pc.is_null(curated["group_value"])).as_py() or 0
            if without:
                notes.append(f"{without:,} samples have no {group} and are grouped by content alone")
        return notes


def read_situation(catalog: Catalog, dataset: Dataset, name: str, recipe: Mapping[str, Any]) -> Situation:
    """Read what a split of this name and recipe starts from.

    Raises:
        SettingError: a field has no value anywhere.
        InputError: there is no curated sample.
    """
    field = recipe.get("parts")
    population = splits.population(catalog, dataset, stratify=recipe["stratify"], group=recipe["group"], parts=field)
    _check_field(catalog, dataset, population, "stratify", recipe["stratify"])
    _check_field(catalog, dataset, population, "group", recipe["group"], column="group_value")
    if not any(population["is_curated"].to_pylist()):
        raise InputError(
            f"{dataset.name} has no curated sample to split", hint=f"curate status, or curate ingest PATH -d {dataset.name}"
        )
    table = splits.former_parts(catalog, dataset, name)
    former = dict(zip(table["sample_id"].to_pylist(), table["part"].to_pylist(), strict=True))
    given, notes = read_parts(population, field) if field else ({}, [])
    return Situation(catalog, dataset, recipe, population, former, given, tuple(notes))


def check_filled(plan: Plan, shares: Mapping[str, float], dataset: str) -> None:
    """Refuse a part that has a share and would hold nothing.

    Raises:
        InputError: there is one.
    """
    there = set(plan.members["part"].to_pylist())
    empty = [part for part, share in shares.items() if share > 0 and part not in there]
    if not empty:
        return
    groups = len(plan.sizes)
    raise InputError(
        f"{' and '.join(empty)} would be empty: {dataset} has {plan.members.num_rows:,} samples in {groups:,}"
        f" group{'s' if groups != 1 else ''} that stay together",
        hint="other --ratios, another --group, or --allow-empty",
    )


def _members(population: pa.Table, parts: Sequence[str | None], keys: list[str]) -> pa.Table:
    import pyarrow as pa

    columns = {
        "sample_id": population["sample_id"],
        "part": pa.array(parts, pa.string()),
        "group_key": pa.array(keys, pa.string()),
        "content_hash": population["content_hash"],
    }
    return pa.table(columns).filter(pa.array(np.array([part is not None for part in parts], bool)))


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


def _check_field(
    catalog: Catalog, dataset: Dataset, population: pa.Table, option: str, field: str | None, *, column: str = "stratum"
) -> None:
    if field is not None and population.num_rows and population[column].null_count == population.num_rows:
        keys = splits.metadata_keys(catalog, dataset)
        raise SettingError(
            f"no sample of {dataset.name} has a value for --{option} {field}",
            hint="label, external_id" + ("" if not keys else ", or a metadata field: " + ", ".join(keys[:12])),
        )


def _rare_note(counted: Sequence[Mapping[str, Any]], field: str, parts: int) -> list[str]:
    rare = sorted((v["counts"], v["values"] or "(none)") for v in counted if v["counts"] < parts)
    if not rare:
        return []
    named = ", ".join(f"{label} ({count})" for count, label in rare[:8]) + (", …" if len(rare) > 8 else "")
    return [f"{len(rare):,} values of {field} have fewer samples than there are parts: {named}"]


def _largest_note(sizes: Counter[str], ratios: Mapping[str, float]) -> list[str]:
    largest, total = max(sizes.values()), sizes.total()
    if largest == 1 or largest <= min(ratios.values()) * total:
        return []
    return [f"the largest group has {largest:,} of {total:,} samples and is not divided, whatever the ratios"]
