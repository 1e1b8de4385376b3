"""Splits: frozen assignments of samples to parts, and the one grammar by which commands name them.

    support              every curated sample of the dataset, no parts
    support/             the newest version of the newest split, all parts
    support/train        one part of it
    support@name         the newest version of the split `name`, all parts (`support@name/train`: one part)
    support@name:2       its version 2 (`support@name:2/train`: one part)

A dataset's name holds neither '@', ':' nor '/', so nothing needs quoting.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from curate.catalog import datasets
from curate.catalog._connection import Catalog
from curate.catalog.datasets import Dataset
from curate.errors import InputError, SettingError

if TYPE_CHECKING:
    import pyarrow as pa

PARTS = ("train", "validation", "test")
"""Every part a split can have, the least held-out first."""

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_SPEC = re.compile(rf"(?P<dataset>{_NAME})(?:@(?P<split>{_NAME})(?::(?P<version>[0-9]{{1,9}}))?)?(?P<rest>/(?P<part>[a-z]*))?")


class Split(NamedTuple):
    """One frozen version of a split."""

    split_id: int
    dataset_id: int
    dataset: str
    name: str
    version: int
    recipe: dict[str, Any]
    seed: int
    members_hash: str
    members: int
    run_id: int

    @property
    def reference(self) -> str:
        """What to type to name exactly this version: "support@default:1"."""
        return f"{self.dataset}@{self.name}:{self.version}"


class Resolved(NamedTuple):
    """What a spec names; `split` is None for a whole dataset, `part` is None for all parts."""

    dataset: Dataset
    split: Split | None
    part: str | None


def check_name(name: str) -> str:
    """Return a split's name if it is allowed.

    Raises:
        SettingError: it has other characters than letters, digits, dot, hyphen and underscore.
    """
    if not re.fullmatch(_NAME, name):
        raise SettingError(
            f"a split's name has letters, digits, '.', '-' and '_' and starts with a letter or digit, got {name!r}",
            hint="--name default",
        )
    return name


def resolve(catalog: Catalog, spec: str) -> Resolved:
    """Find what a spec names; the module's docstring states the grammar.

    Raises:
        SettingError: it is no spec, or names a part that no split has.
        InputError: the dataset, the split, its version or the part is not there.
    """
    found = _SPEC.fullmatch(spec)
    if not found or (found["part"] and found["part"] not in PARTS):
        raise SettingError(
            f"not a dataset, split or part: {spec!r}", hint="DATASET, DATASET/train, DATASET@SPLIT or DATASET@SPLIT:2/test"
        )
    dataset = datasets.find(catalog, found["dataset"])
    if found["split"] is None and found["rest"] is None:
        return Resolved(dataset, None, None)
    version = int(found["version"]) if found["version"] else None
    split = newest(catalog, dataset, name=found["split"], version=version)
    if split is None:
        raise _no_split(catalog, dataset, found["split"], version)
    part = found["part"] or None
    if part and not catalog.scalar(
        "SELECT 1 FROM split_members WHERE split_id = ? AND part = ? LIMIT 1", [split.split_id, part]
    ):
        raise InputError(f"{split.reference} has no sample in {part!r}", hint="one of: " + ", ".join(counts(catalog, split)))
    return Resolved(dataset, split, part)


def newest(catalog: Catalog, dataset: Dataset, *, name: str | None = None, version: int | None = None) -> Split | None:
    """The newest split of a dataset, of those with this name and version where they are given; None where there is none."""
    rows = catalog.rows(
        f"""{_SELECT} WHERE dataset_id = ? AND (? IS NULL OR p.name = ?) AND (? IS NULL OR version = ?)
            ORDER BY split_id DESC LIMIT 1""",
        [dataset.dataset_id, name, name, version, version],
    )
    return _split(rows[0]) if rows else None


def every(catalog: Catalog) -> list[Split]:
    """Every version of every split, oldest first."""
    return [_split(row) for row in catalog.rows(f"{_SELECT} ORDER BY split_id")]


def counts(catalog: Catalog, split: Split) -> dict[str, int]:
    """How many samples each part has, in the order of `PARTS`; parts without any are left out."""
    found = dict(catalog.rows("SELECT part, count(*) FROM split_members WHERE split_id = ? GROUP BY part", [split.split_id]))
    return {part: found[part] for part in PARTS if part in found}


def population(
    catalog: Catalog, dataset: Dataset, *, stratify: str | None = None, group: str | None = None, parts: str | None = None
) -> pa.Table:
    """Every real sample of a dataset, dropped ones too.

    Args:
        stratify, group, parts: "label", "external_id" or a metadata field (dots reach into nested ones); parts may be "source",
            which gives the file's path from the folder that was read on, a line break, and the place in it.

    Returns:
        sample_id, content_hash, is_curated, stratum, group_value, given_part; the last three NULL where not asked for or
        without value.
    """
    given = _value(parts) if parts != "source" else _SOURCE_PATH
    return catalog.table(
        f"""SELECT s.sample_id, s.content_hash, v.action IS DISTINCT FROM 'drop' AS is_curated,
                   {_value(stratify)} AS stratum, {_value(group)} AS group_value, {given} AS given_part
            FROM real_samples s JOIN sources u USING (source_id) LEFT JOIN current_verdicts v USING (sample_id)
            WHERE s.dataset_id = ?""",
        [*_paths(stratify), *_paths(group), *_paths(None if parts == "source" else parts), dataset.dataset_id],
    )


def metadata_keys(catalog: Catalog, dataset: Dataset) -> list[str]:
    """The top-level metadata fields of a dataset, sorted."""
    return [
        row[0]
        for row in catalog.rows(
            "SELECT DISTINCT unnest(json_keys(metadata)) AS key FROM real_samples WHERE dataset_id = ? ORDER BY key",
            [dataset.dataset_id],
        )
    ]


def evidence(catalog: Catalog, *, up_to_run: int | None = None) -> pa.Table:
    """Every pair that was ever found to be duplicates, whatever became of it: sample_id, keeper_id.

    Args:
        up_to_run: only what was known when this run began.
    """
    return catalog.table(
        "SELECT sample_id, keeper_id FROM duplicates WHERE ? IS NULL OR run_id <= ?",
        [up_to_run, up_to_run],
    )


def add_evidence(catalog: Catalog, run_id: int, pairs: pa.Table) -> None:
    """Keep pairs of near-duplicates that a split found among its members; call it inside a transaction.

    Args:
        pairs: sample_id, keeper_id, method, similarity, threshold, settings.
    """
    with catalog.given(staged_pairs=pairs):
        catalog.execute(
            """INSERT INTO duplicates (run_id, sample_id, keeper_id, method, similarity, threshold, settings)
               SELECT ?, sample_id, keeper_id, method, similarity, threshold, settings FROM staged_pairs
               ORDER BY sample_id, keeper_id""",
            [run_id],
        )


def content_hashes(catalog: Catalog, sample_ids: pa.Table) -> pa.Table:
    """The content hashes of real samples by id: sample_id, content_hash; ids that are not there are left out."""
    with catalog.given(chosen_ids=sample_ids):
        return catalog.table("SELECT sample_id, content_hash FROM real_samples JOIN chosen_ids USING (sample_id)")


def former_parts(catalog: Catalog, dataset: Dataset, name: str) -> pa.Table:
    """Where each sample stood in the newest version of a split that held it: sample_id, part."""
    return catalog.table(
        """SELECT m.sample_id, arg_max(m.part, p.version) AS part
           FROM split_members m JOIN splits p USING (split_id) WHERE p.dataset_id = ? AND p.name = ? GROUP BY m.sample_id""",
        [dataset.dataset_id, name],
    )


def newest_ingest(catalog: Catalog, dataset: Dataset) -> int:
    """The newest run that added a sample to a dataset; 0 where it has none."""
    return int(catalog.scalar("SELECT coalesce(max(run_id), 0) FROM real_samples WHERE dataset_id = ?", [dataset.dataset_id]))


def members(catalog: Catalog, split: Split) -> pa.Table:
    """The frozen members: sample_id, part, group_key."""
    return catalog.table("SELECT sample_id, part, group_key FROM split_members WHERE split_id = ?", [split.split_id])


def holds(catalog: Catalog, what: Resolved, sample_id: int) -> bool:
    """Whether a set has a real sample, or one of equal content; a frozen part its members, a dataset what it keeps."""
    content = "SELECT content_hash FROM real_samples WHERE sample_id = ?"
    if what.split is None:
        found = catalog.scalar(
            f"""SELECT count(*) FROM real_samples s LEFT JOIN current_verdicts v USING (sample_id)
                WHERE s.dataset_id = ? AND s.content_hash = ({content}) AND v.action IS DISTINCT FROM 'drop'""",
            [what.dataset.dataset_id, sample_id],
        )
    else:
        found = catalog.scalar(
            f"""SELECT count(*) FROM split_members m JOIN real_samples s USING (sample_id)
                WHERE m.split_id = ? AND (? IS NULL OR m.part = ?) AND s.content_hash = ({content})""",
            [what.split.split_id, what.part, what.part, sample_id],
        )
    return bool(found)


def dropped_since(catalog: Catalog, split: Split) -> int:
    """How many members were dropped after the split was frozen; they stay members."""
    return int(
        catalog.scalar(
            """SELECT count(*) FROM split_members m JOIN current_verdicts v USING (sample_id)
               WHERE m.split_id = ? AND v.action = 'drop'""",
            [split.split_id],
        )
    )


def add(
    catalog: Catalog, dataset: Dataset, *, name: str, recipe: Mapping[str, Any], seed: int, run_id: int, members: pa.Table
) -> Split:
    """Freeze a new version; call it inside a transaction.

    Args:
        members: sample_id, part, group_key, content_hash.
    """
    pairs = zip(members["content_hash"].to_pylist(), members["part"].to_pylist(), strict=True)
    digest = members_hash(f"{content_hash} {part}" for content_hash, part in pairs)
    split_id = catalog.scalar(
        """INSERT INTO splits (dataset_id, name, version, recipe, seed, members_hash, members, run_id)
           SELECT $dataset_id, $name, coalesce(max(version), 0) + 1, $recipe, $seed, $hash, $members, $run_id
           FROM splits WHERE dataset_id = $dataset_id AND name = $name RETURNING split_id""",
        {
            "dataset_id": dataset.dataset_id,
            "name": name,
            "recipe": json.dumps(dict(recipe), sort_keys=True),
            "seed": seed,
            "hash": digest,
            "members": members.num_rows,
            "run_id": run_id,
        },
    )
    with catalog.given(staged_members=members):
        catalog.execute(
            f"""INSERT INTO split_members (split_id, sample_id, part, group_key)
                SELECT {int(split_id)}, sample_id, part, group_key FROM staged_members ORDER BY sample_id"""
        )
    return _split(catalog.rows(f"{_SELECT} WHERE split_id = ?", [split_id])[0])


def members_hash(lines: Iterable[str]) -> str:
    """Hash a split's members: SHA-256 over the lines "CONTENT_HASH PART", sorted, each ended by a line feed."""
    digest = hashlib.sha256()
    for line in sorted(lines):
        digest.update(line.encode())
        digest.update(b"\n")
    return digest.hexdigest()


_SELECT = """SELECT split_id, dataset_id, d.name, p.name, version, recipe, seed, members_hash, members, run_id
             FROM splits p JOIN datasets d USING (dataset_id)"""


def _split(row: tuple[Any, ...]) -> Split:
    split_id, dataset_id, dataset, name, version, recipe, seed, digest, members, run_id = row
    return Split(split_id, dataset_id, dataset, name, version, json.loads(recipe), seed, digest, members, run_id)


_SOURCE_PATH = "regexp_extract(u.root, '[^/\\\\]*$') || '/' || replace(u.uri, u.root, '') || chr(10) || s.locator"


def _value(field: str | None) -> str:
    if field is None:
        return "NULL::VARCHAR"
    if field in ("label", "external_id"):
        return f"s.{field}"
    # a field whose own name holds dots comes before the nested one that the dots would reach
    return "coalesce(json_extract_string(s.metadata, ?::VARCHAR), json_extract_string(s.metadata, ?::VARCHAR))"


def _paths(field: str | None) -> list[str]:
    if field is None or field in ("label", "external_id"):
        return []
    if '"' in field or not all(field.split(".")):
        raise SettingError(f"not a metadata field: {field!r}", hint="a name, or names joined by dots: author.name")
    return [f'$."{field}"', "$" + "".join(f'."{part}"' for part in field.split("."))]


def _no_split(catalog: Catalog, dataset: Dataset, name: str | None, version: int | None) -> InputError:
    known = [s.reference for s in every(catalog) if s.dataset_id == dataset.dataset_id]
    if not known:
        return InputError(f"{dataset.name} has no split", hint=f"curate split {dataset.name}")
    wanted = f"{dataset.name}@{name}" + (f":{version}" if version is not None else "")
    return InputError(f"there is no split {wanted}", hint="one of: " + ", ".join(known[-8:]))
