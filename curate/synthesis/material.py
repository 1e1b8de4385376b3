"""What a training learns from: curated real samples of a train part, and drawn ones within their share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from curate.catalog import models, splits
from curate.catalog.splits import Split
from curate.errors import InputError, SettingError
from curate.generators import Examples, Lazy
from curate.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Material:
    """What a training learns from and is watched on.

    Attributes:
        contents: content hash and label of every example, which tell this material from any other.
        synthetic: how many of the training examples are drawn.
        depth: the greatest generation depth among them; 0 where all are real.
    """

    train: Examples
    validation: Examples
    contents: list[list[str | None]]
    synthetic: int
    depth: int
    notes: tuple[str, ...]


def gather(
    workspace: Workspace, split: Split, modality: str, roles: Sequence[str], *, max_share: float | None, max_depth: int
) -> Material:
    """Collect the train and validation parts of a split for a generator.

    Args:
        roles: what the generator learns from.
        max_share: share of each label that may be synthetic; None for real samples only.
        max_depth: greatest generation depth of a synthetic sample that takes part.

    Raises:
        InputError: the train part has no sample of this modality.
        SettingError: `max_share` is outside [0, 1), or the catalog has no such role.
    """
    if max_share is not None and not 0 <= max_share < 1:
        raise SettingError(f"max_share must be at least 0 and under 1, got {max_share}", hint="--max-share 0.5")
    catalog = workspace.catalog
    learned = _of_modality(models.members(catalog, split, "train"), modality)
    watched = _of_modality(models.members(catalog, split, "validation"), modality)
    if not learned.num_rows:
        raise InputError(f"{split.reference}/train has no {modality} sample", hint="choose a generator of the other modality")
    notes = []
    frozen = splits.counts(catalog, split).get("train", 0)
    if frozen > learned.num_rows:
        notes.append(
            f"{frozen - learned.num_rows:,} of the part's {frozen:,} samples were left out: dropped since, or not {modality}"
        )
    drawn = None
    if max_share is not None:
        candidates = _of_modality(models.accepted_of_split(catalog, split, max_depth), modality)
        drawn = within_share(candidates, learned, max_share)
        taken = f"{drawn.num_rows:,} of {candidates.num_rows:,} accepted synthetic samples"
        notes.append(f"{taken} take part (at most {max_share:g} of a label)")
    return Material(
        train=_examples(workspace, roles, learned, drawn),
        validation=_examples(workspace, roles, watched, None),
        contents=[t["content_hash"].to_pylist() + t["label"].to_pylist() for t in (learned, watched, drawn) if t is not None],
        synthetic=drawn.num_rows if drawn is not None else 0,
        depth=int(max(drawn["depth"].to_pylist())) if drawn is not None and drawn.num_rows else 0,
        notes=tuple(notes),
    )


def within_share(drawn: pa.Table, real: pa.Table, max_share: float) -> pa.Table:
    """The first synthetic samples of each label, so many that they are at most `max_share` of the label's samples."""
    room = {label: int(count * max_share / (1 - max_share)) for label, count in Counter(real["label"].to_pylist()).items()}
    rows = []
    for row, label in enumerate(drawn["label"].to_pylist()):
        if room.get(label, 0) > 0:
            room[label] -= 1
            rows.append(row)
    return drawn.take(pa.array(rows, pa.int64()))


def _examples(workspace: Workspace, roles: Sequence[str], real: pa.Table, drawn: pa.Table | None) -> Examples:
    tables = [real] if drawn is None else [real, drawn.select(real.column_names)]
    table = pa.concat_tables(tables)
    blobs = table["blob"].to_pylist()

    def media(row: int) -> bytes:
        store = workspace.real if row < real.num_rows else workspace.synthetic
        return store.read(blobs[row])

    found = {"text": table["text"].to_pylist(), "media": Lazy(len(blobs), media)}
    missing = [role for role in roles if role not in found]
    if missing:
        raise SettingError(
            f"the catalog has no role {missing[0]!r} of a sample, from which this generator learns", hint="text or media"
        )
    given = {role: found[role] for role in roles}
    return Examples(**given, label=table["label"].to_pylist(), ids=table["sample_id"].to_pylist())


def _of_modality(table: pa.Table, modality: str) -> pa.Table:
    return table.filter(pc.equal(table["modality"], modality))
