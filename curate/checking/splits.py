"""The members of a split are those that were frozen, and no group of duplicates crosses its parts."""

from __future__ import annotations

import hashlib

import numpy as np

from curate.catalog import checks, datasets, splits
from curate.catalog.splits import Split
from curate.checking.look import Look


def splits_hash_as_they_say(look: Look) -> int:
    """Hash the members of every version again, and count them."""
    everyone = splits.every(look.catalog)
    for split in everyone:
        digest, members, unknown = hashlib.sha256(), 0, 0
        for batch in checks.member_lines(look.catalog, split):
            lines = batch["line"].to_pylist()
            members += len(lines)
            unknown += lines.count(None)
            digest.update("".join(f"{line}\n" for line in lines if line is not None).encode())
        # members that are not real samples break another invariant, and then nobody can know the hash
        if not unknown and (members, digest.hexdigest()) != (split.members, split.members_hash):
            look.broken(
                f"the members of {split.reference} are not those that were frozen (id of `splits`)",
                ids=[split.split_id],
                hint=f"curate split {split.dataset} --name other",
            )
    return len(everyone)


def no_group_crosses_the_newest_splits(look: Look) -> int:
    """Find the groups anew, by all that is known today, for the newest version of each split."""
    newest: dict[tuple[int, str], Split] = {(s.dataset_id, s.name): s for s in splits.every(look.catalog)}
    return sum(_check_groups(look, split) for split in newest.values())


def _check_groups(look: Look, split: Split) -> int:
    import pyarrow.compute as pc

    from curate.splitting.groups import group_samples

    home = datasets.find(look.catalog, split.dataset)
    population = splits.population(look.catalog, home, group=split.recipe.get("group"))
    members = splits.members(look.catalog, split)
    found = group_samples(look.catalog, population)
    rows = pc.index_in(members["sample_id"], population["sample_id"].combine_chunks())
    known = np.asarray(rows.is_valid())
    group = found.group[rows.drop_null().to_numpy()]
    part = members["part"].combine_chunks().dictionary_encode().indices.to_numpy()[known]
    ids = members["sample_id"].to_numpy()[known]
    first = np.full(len(found.keys), -1, np.int64)
    first[group[::-1]] = part[::-1]
    crossing = np.unique(group[first[group] != part])
    if len(crossing):
        look.broken(
            f"{len(crossing):,} groups of duplicates stand in more than one part of {split.reference}, as is known today",
            ids=ids[np.isin(group, crossing)].tolist(),
            count=len(crossing),
            hint=f"curate split {split.dataset} --name {split.name} with its settings, which freezes a version without them",
        )
    return len(found.keys)
