"""Protections: standing rules that no kept sample of a dataset may resemble another set."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from curate.catalog._connection import Catalog

if TYPE_CHECKING:
    import pyarrow as pa

Methods = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""modality → method → its settings, the threshold and the slug of the embedder included."""


class Protection(NamedTuple):
    """One rule; its id is 0 where it is not made yet.

    Attributes:
        typed, reference: the set as somebody typed it, and what it named then.
        split_id, part: None for all that is kept in the reference dataset; a part of a frozen split otherwise.
    """

    protection_id: int
    dataset_id: int
    dataset: str
    typed: str
    reference: str
    reference_id: int
    reference_dataset: str
    split_id: int | None
    part: str | None
    methods: Methods
    run_id: int

    @property
    def described(self) -> str:
        """The methods with their thresholds: "exact, minhash ≥ 0.8"."""
        found = {name: settings for chosen in self.methods.values() for name, settings in chosen.items()}
        return ", ".join(n if n == "exact" else f"{n} ≥ {float(s['threshold']):g}" for n, s in found.items())


def standing(catalog: Catalog, *, of: int | None = None, about: int | None = None) -> list[Protection]:
    """The rules that stand, oldest first.

    Args:
        of: only those of this dataset.
        about: only those of this dataset, or that protect from it.
    """
    rows = catalog.rows(
        """SELECT p.protection_id, p.dataset_id, d.name, p.typed, p.reference, p.reference_id, r.name, p.split_id, p.part,
                  p.methods::VARCHAR, p.run_id
           FROM protections p JOIN datasets d ON d.dataset_id = p.dataset_id JOIN datasets r ON r.dataset_id = p.reference_id
           WHERE p.protection_id NOT IN (SELECT protection_id FROM protection_ends)
             AND ($of IS NULL OR p.dataset_id = $of) AND ($about IS NULL OR $about IN (p.dataset_id, p.reference_id))
           ORDER BY p.protection_id""",
        {"of": of, "about": about},
    )
    return [Protection._make((*row[:9], json.loads(row[9]), row[10])) for row in rows]


def ever(catalog: Catalog, dataset_id: int) -> frozenset[str]:
    """The sets that a dataset was ever protected from by a rule, whether it stands still or not."""
    return frozenset(r[0] for r in catalog.rows("SELECT reference FROM protections WHERE dataset_id = ?", [dataset_id]))


def add(catalog: Catalog, run_id: int, rule: Protection) -> Protection:
    """Make a rule stand; call it inside a transaction."""
    number = catalog.scalar(
        """INSERT INTO protections (dataset_id, typed, reference, reference_id, split_id, part, methods, run_id)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING protection_id""",
        [
            rule.dataset_id, rule.typed, rule.reference, rule.reference_id, rule.split_id, rule.part,
            json.dumps(rule.methods, sort_keys=True), run_id,
        ],
    )  # fmt: skip
    return rule._replace(protection_id=int(number), run_id=run_id)


def end(catalog: Catalog, run_id: int, rule: Protection) -> None:
    """End a rule; call it inside a transaction."""
    catalog.execute(
        "INSERT INTO protection_ends (protection_id, dataset_id, run_id) VALUES (?, ?, ?)",
        [rule.protection_id, rule.dataset_id, run_id],
    )


def protected_rows(catalog: Catalog, rule: Protection) -> pa.Table:
    """The real samples that a rule protects from: what is kept of a dataset now, or the frozen members of a part.

    Returns:
        sample_id; in id order.
    """
    if rule.split_id is None:
        return catalog.table(
            """SELECT s.sample_id FROM real_samples s LEFT JOIN current_verdicts v USING (sample_id)
               WHERE s.dataset_id = ? AND v.action IS DISTINCT FROM 'drop' ORDER BY s.sample_id""",
            [rule.reference_id],
        )
    return catalog.table(
        "SELECT sample_id FROM split_members WHERE split_id = ? AND (? IS NULL OR part = ?) ORDER BY sample_id",
        [rule.split_id, rule.part, rule.part],
    )


def state(catalog: Catalog, rule: Protection) -> str:
    """A hash of all that a rule compares: the samples on both sides, and the embedders whose vectors it takes."""
    slugs = sorted({str(s["slug"]) for chosen in rule.methods.values() for s in chosen.values() if s.get("slug")})
    told = [catalog.rows("SELECT slug, fingerprint FROM embedders WHERE list_contains(?, slug) ORDER BY 1", [slugs])]
    with catalog.given(protected=protected_rows(catalog, rule)):
        told.append(
            catalog.rows(
                """SELECT held, count(*), bit_xor(hash(sample_id, content_hash)) FROM (
                       SELECT s.sample_id, s.content_hash, s.dataset_id, p.sample_id IS NOT NULL AS held
                       FROM real_samples s LEFT JOIN protected p USING (sample_id))
                   WHERE held OR dataset_id = ? GROUP BY held ORDER BY held""",
                [rule.dataset_id],
            )
        )
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def swept(catalog: Catalog, rule: Protection) -> tuple[str, int]:
    """The state when a rule was last held against the samples, and how many matched; an empty state where it never was."""
    row = catalog.row(
        "SELECT state, matched FROM protection_sweeps WHERE protection_id = ? ORDER BY run_id DESC LIMIT 1",
        [rule.protection_id],
    )
    return (str(row[0]), int(row[1])) if row else ("", 0)


def record_sweep(catalog: Catalog, run_id: int, rule: Protection, *, state: str, samples: int, matched: int) -> None:
    """Record that a rule was held against the samples; call it inside the transaction of the verdicts."""
    catalog.execute(
        "INSERT INTO protection_sweeps (protection_id, dataset_id, run_id, state, samples, matched) VALUES (?, ?, ?, ?, ?, ?)",
        [rule.protection_id, rule.dataset_id, run_id, state, samples, matched],
    )


def pinned_leaks(catalog: Catalog, sample_ids: pa.Table) -> list[tuple[int, int, str, str, float]]:
    """Of some samples (sample_id), those that a protection drops and a user pinned.

    Returns:
        (sample_id, protected sample, its dataset, method, similarity) of each, in id order.
    """
    with catalog.given(chosen=sample_ids):
        return catalog.rows(
            """SELECT v.sample_id, e.keeper_id, d.name, e.method, e.similarity
               FROM (SELECT * FROM standing_verdicts WHERE owner = 'protect' AND action = 'drop') v
               JOIN (SELECT * FROM standing_verdicts WHERE owner = 'user' AND action = 'restore') u USING (sample_id)
               SEMI JOIN chosen c ON c.sample_id = v.sample_id
               JOIN duplicates e ON e.duplicate_id = v.duplicate_id JOIN real_samples k ON k.sample_id = e.keeper_id
               JOIN datasets d USING (dataset_id) ORDER BY v.sample_id"""
        )
