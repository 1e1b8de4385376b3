"""The sets that a dataset is compared with: datasets that have a sample already, and eval sets that must not be trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from curate.catalog import Catalog, samples, splits, verdicts
from curate.catalog.datasets import Dataset
from curate.columns import as_array
from curate.errors import SettingError

if TYPE_CHECKING:
    from curate.deduplication.contents import Contents

Kind = Literal["against", "protect"]


@dataclass(frozen=True, slots=True)
class Reference:
    """One such set.

    Attributes:
        name: what to type to name exactly it: "evals", or "support@default:1/test".
        kind: by which option it was given.
        members: the ids of a split's part, rising; None for a whole dataset.
    """

    name: str
    kind: Kind
    dataset: Dataset
    members: NDArray[np.int64] | None


@dataclass(frozen=True, slots=True)
class Compared:
    """The rows of one modality, as `distinct_contents` takes them.

    Attributes:
        own: the dataset's; those of a part of it that is protected look as if a user had pinned them.
        other: the other datasets', or None.
        taking_part: the ids of each set that are compared, by its name.
        idle: how many samples of each whole dataset are dropped there, by its name: they take no part.
        sheltered: how many of the dataset's own are protected, and stay.
    """

    own: pa.Table
    other: pa.Table | None
    taking_part: dict[str, NDArray[np.int64]]
    idle: dict[str, int]
    sheltered: int

    def notes(self, user_kept: int) -> list[str]:
        """What the sets did not see, and were not seen by.

        Args:
            user_kept: how many of the dataset's own samples stay whatever they resemble, the sheltered ones included.
        """
        notes = [f"{count:,} samples of {name} are dropped there, and took no part" for name, count in self.idle.items()]
        if self.taking_part and user_kept > self.sheltered:
            by_user = user_kept - self.sheltered
            notes.append(f"{by_user:,} samples that a user restored stay, whatever they resemble in the sets compared with")
        return notes


def listed(sets: str | Sequence[str] | None) -> tuple[str, ...]:
    """One set or several, as callers give them."""
    return (sets,) if isinstance(sets, str) else tuple(sets or ())


def find_references(catalog: Catalog, home: Dataset, against: Sequence[str], protect: Sequence[str]) -> tuple[Reference, ...]:
    """Look the sets up; one that is given twice is one, protected if either says so.

    Args:
        against, protect: specs as `catalog.splits.resolve` takes them.

    Raises:
        SettingError: a set is the dataset itself, or a part of it that is not protected.
        InputError: a dataset, split or part is not there.
    """
    found = dict[str, Reference]()
    for kind, spec in _given(protect, against):
        what = splits.resolve(catalog, spec)
        name = what.dataset.name if what.split is None else what.split.reference + (f"/{what.part}" if what.part else "")
        if what.dataset.dataset_id == home.dataset_id and (what.split is None or kind == "against"):
            hint = "leave it out, or name a part: --protect " + f"{home.name}/test"
            raise SettingError(f"--{kind} names the dataset itself, {spec!r}", hint=hint)
        members = None
        if what.split is not None:
            table = splits.members(catalog, what.split)
            chosen = table.filter(pc.equal(table["part"], what.part)) if what.part else table
            members = np.sort(as_array(chosen["sample_id"]))
        found.setdefault(name, Reference(name, kind, what.dataset, members))
    return tuple(found.values())


def _given(protect: Sequence[str], against: Sequence[str]) -> Iterator[tuple[Kind, str]]:
    for spec in protect:
        yield "protect", spec
    for spec in against:
        yield "against", spec


def check_comparable(catalog: Catalog, home: Dataset, references: Sequence[Reference]) -> None:
    """Refuse a set that has nothing of the kind that the dataset holds.

    Raises:
        SettingError: that would compare nothing, in silence.
    """
    modalities = samples.modalities(catalog, home.dataset_id)
    for reference in references:
        if not any(_rows(catalog, reference, modality, lengths=False)[0].num_rows for modality in modalities):
            kinds = " or ".join(modalities)
            raise SettingError(
                f"{reference.name} has no kept {kinds} sample to compare with", hint=f"leave --{reference.kind} out"
            )


def gather(catalog: Catalog, home: Dataset, references: Sequence[Reference], modality: str, *, keep: str) -> Compared:
    """Read the rows of the dataset and of the sets that it is compared with.

    Of a whole dataset the samples that are dropped there take no part; of a split's part every frozen member does.

    Args:
        keep: as `distinct_contents` takes it.
    """
    lengths = keep != "first"
    own = verdicts.rows_to_judge(catalog, home.dataset_id, modality, lengths=lengths)
    others, taking_part, idle = dict[int, pa.Table](), dict[str, NDArray[np.int64]](), dict[str, int]()
    mine = np.empty(0, np.int64)
    for reference in references:
        rows, left_out = _rows(catalog, reference, modality, lengths=lengths)
        taking_part[reference.name] = as_array(rows["sample_id"])
        if left_out:
            idle[reference.name] = left_out
        if reference.dataset.dataset_id == home.dataset_id:
            mine = np.union1d(mine, taking_part[reference.name])
            continue
        known = others.get(reference.dataset.dataset_id)
        if known is not None:
            rows = pa.concat_tables([known, rows.filter(pc.invert(pc.is_in(rows["sample_id"], known["sample_id"])))])
        others[reference.dataset.dataset_id] = rows
    own, sheltered = _pinned(own, mine) if len(mine) else (own, 0)
    return Compared(own, pa.concat_tables(others.values()) if others else None, taking_part, idle, sheltered)


def count_matches(contents: Contents, drops: pa.Table, taking_part: dict[str, NDArray[np.int64]]) -> dict[str, int]:
    """How many dropped samples stand behind a sample of each set, or behind one that equals such a sample.

    A sample that resembles samples of several sets counts where the one is that it is tied to.
    """
    behind = contents.content[np.searchsorted(contents.sample_id, as_array(drops["keeper_id"]))]
    return {
        name: int(np.isin(behind, contents.content[np.searchsorted(contents.sample_id, ids)]).sum())
        for name, ids in taking_part.items()
    }


def protected_sets(catalog: Catalog, names: Sequence[str], sample_id: int) -> tuple[str, ...]:
    """Of sets by name, those that hold a sample or one that equals it."""
    return tuple(name for name in names if splits.holds(catalog, splits.resolve(catalog, name), sample_id))


def _rows(catalog: Catalog, reference: Reference, modality: str, *, lengths: bool) -> tuple[pa.Table, int]:
    """The rows that take part, and how many others there are."""
    rows = verdicts.rows_to_judge(catalog, reference.dataset.dataset_id, modality, lengths=lengths)
    if reference.members is None:
        stands = pc.fill_null(pc.not_equal(rows["action"], "drop"), True)
        return rows.filter(stands), rows.num_rows - int(pc.sum(stands).as_py() or 0)
    rows = rows.filter(pc.is_in(rows["sample_id"], pa.array(reference.members)))
    return _said(rows, pa.array(np.ones(rows.num_rows, bool)), None), 0


def _pinned(own: pa.Table, members: NDArray[np.int64]) -> tuple[pa.Table, int]:
    """The rows, with members that nobody but dedupe dropped as if a user had pinned them, and how many those are."""
    dropped = pc.and_kleene(pc.equal(own["action"], "drop"), pc.not_equal(own["owner"], "dedupe"))
    chosen = pc.and_(pc.is_in(own["sample_id"], pa.array(members)), pc.invert(pc.fill_null(dropped, False)))
    return _said(own, chosen, "user"), int(pc.sum(chosen).as_py() or 0)


def _said(rows: pa.Table, chosen: pa.Array, by: str | None) -> pa.Table:
    """The rows, the chosen ones with a restore by somebody as their verdict, or with none."""
    for column, value in (("action", "restore" if by else None), ("owner", by)):
        place = rows.schema.get_field_index(column)
        said = pc.if_else(chosen, pa.scalar(value, pa.string()), rows[column].cast(pa.string()))
        rows = rows.set_column(place, pa.field(column, pa.string()), said)
    return rows
