"""The evidence behind verdicts: which sample stands for which, by what method, and how similar they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from curate.catalog._connection import Catalog

if TYPE_CHECKING:
    import pyarrow as pa


class Evidence(NamedTuple):
    """Why a sample is dropped, if it is.

    Attributes:
        owner: who decided; None where nobody ever did.
        dropped_by: every owner that drops it, joined by commas, also where a user pinned it.
    """

    sample_id: int
    action: str | None
    owner: str | None
    dropped_by: str | None
    reason: str | None
    keeper_id: int | None
    method: str | None
    similarity: float | None
    threshold: float | None
    settings: str | None


def standing(catalog: Catalog, dataset_id: int, modality: str) -> pa.Table:
    """What dedupe drops in a dataset and nobody else does, and by which evidence: sample_id, keeper_id, method, similarity."""
    return catalog.table(
        """SELECT v.sample_id, e.keeper_id, e.method, e.similarity
           FROM current_verdicts v JOIN duplicates e USING (duplicate_id) JOIN real_samples s ON s.sample_id = v.sample_id
           WHERE v.action = 'drop' AND v.owner = 'dedupe' AND s.dataset_id = ? AND s.modality = ? ORDER BY v.sample_id""",
        [dataset_id, modality],
    )


def count_relabelled(catalog: Catalog, drops: pa.Table) -> int:
    """Of drops, count those whose label is another than that of the real sample that stands for them."""
    with catalog.given(drops=drops):
        return int(
            catalog.scalar(
                """SELECT count(*) FROM drops d JOIN real_samples s ON s.sample_id = d.sample_id
                   JOIN real_samples k ON k.sample_id = d.keeper_id WHERE s.label IS DISTINCT FROM k.label"""
            )
        )


def evidence(catalog: Catalog, sample_id: int) -> Evidence | None:
    """The current verdict about a real sample and what it rests on; None where there is no such sample."""
    row = catalog.row(
        """SELECT s.sample_id, v.action, v.owner, v.dropped_by, v.reason, e.keeper_id, e.method, e.similarity, e.threshold,
                  e.settings::VARCHAR
           FROM real_samples s LEFT JOIN current_verdicts v USING (sample_id)
           LEFT JOIN duplicates e ON e.duplicate_id = v.duplicate_id WHERE s.sample_id = ?""",
        [sample_id],
    )
    return Evidence(*row) if row else None


def groups(catalog: Catalog, dataset_id: int, *, method: str | None, limit: int) -> pa.Table:
    """The largest groups of a dataset: each kept sample with those that it stands for.

    Returns:
        keeper_id, dropped (size without the keeper), sample_id, method, similarity; groups by size, members by similarity.
    """
    return catalog.table(
        """WITH ties AS (
               SELECT e.keeper_id, v.sample_id, e.method, e.similarity FROM current_verdicts v
               JOIN duplicates e ON e.duplicate_id = v.duplicate_id JOIN real_samples s ON s.sample_id = v.sample_id
               WHERE v.action = 'drop' AND s.dataset_id = ? AND (? IS NULL OR e.method = ?)),
           sizes AS (SELECT keeper_id, count(*) AS dropped FROM ties GROUP BY keeper_id ORDER BY 2 DESC, 1 LIMIT ?)
           SELECT t.keeper_id, z.dropped, t.sample_id, t.method, t.similarity FROM ties t JOIN sizes z USING (keeper_id)
           ORDER BY z.dropped DESC, t.keeper_id, t.similarity DESC, t.sample_id""",
        [dataset_id, method, method, limit],
    )


def count_groups(catalog: Catalog, dataset_id: int) -> int:
    """How many kept samples stand for others in a dataset."""
    return int(
        catalog.scalar(
            """SELECT count(DISTINCT e.keeper_id) FROM current_verdicts v JOIN duplicates e ON e.duplicate_id = v.duplicate_id
               JOIN real_samples s ON s.sample_id = v.sample_id WHERE v.action = 'drop' AND s.dataset_id = ?""",
            [dataset_id],
        )
    )
