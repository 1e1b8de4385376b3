"""Verdicts and their evidence: which samples are dropped, why, and in favour of which."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from curate.catalog._connection import Catalog

if TYPE_CHECKING:
    import pyarrow as pa

USER = "user"


class Evidence(NamedTuple):
    """Why a sample is dropped, if it is."""

    sample_id: int
    action: str | None
    reason: str | None
    keeper_id: int | None
    method: str | None
    similarity: float | None
    threshold: float | None
    settings: str | None


def rows_to_judge(catalog: Catalog, dataset_id: int, modality: str, *, lengths: bool) -> pa.Table:
    """Every real sample of a modality in a dataset, in id order, with what decides who is kept.

    Args:
        lengths: tell them too, for which every text is read.

    Returns:
        sample_id, content_hash, size_bytes, length (characters, or pixels of an image; null unless asked for), action and
        reason of the current verdict.
    """
    length = "CASE WHEN s.modality = 'text' THEN length(s.text) ELSE s.width::BIGINT * s.height END" if lengths else "NULL"
    return catalog.table(
        f"""SELECT s.sample_id, s.content_hash, s.size_bytes, ({length})::BIGINT AS length, v.action, v.reason
           FROM real_samples s LEFT JOIN current_verdicts v USING (sample_id)
           WHERE s.dataset_id = ? AND s.modality = ? ORDER BY s.sample_id""",
        [dataset_id, modality],
    )


def by_user(catalog: Catalog, dataset_id: int, modality: str) -> list[tuple[int, bool]]:
    """The real samples of a dataset about which a user's word counts, and whether it was to drop them."""
    return [
        (int(sample_id), action == "drop")
        for sample_id, action in catalog.rows(
            """SELECT sample_id, action FROM current_verdicts JOIN real_samples USING (sample_id)
               WHERE dataset_id = ? AND modality = ? AND reason = 'user'
                 AND sample_id IN (SELECT sample_id FROM verdicts WHERE reason = 'user')""",
            [dataset_id, modality],
        )
    ]


def decide(catalog: Catalog, run_id: int, dataset_id: int, modality: str, drops: pa.Table) -> tuple[int, int, int]:
    """Make the dataset's dedupe verdicts be exactly `drops`, writing only what differs from the current ones.

    Samples that a user dropped or pinned keep that verdict. Called inside a transaction.

    Args:
        drops: sample_id, keeper_id, reason (the method that dropped it), and the evidence that ties it to the keeper:
            method, similarity, threshold, settings.

    Returns:
        How many are newly dropped, dropped as before, and restored.
    """
    with catalog.given(drops=drops):
        catalog.execute(
            """CREATE OR REPLACE TEMP TABLE changed AS
               SELECT d.*, nextval('duplicate_ids') AS duplicate_id FROM drops d
               LEFT JOIN current_verdicts v USING (sample_id)
               LEFT JOIN duplicates e ON e.duplicate_id = v.duplicate_id
               WHERE NOT coalesce(v.action = 'drop' AND e.keeper_id = d.keeper_id AND e.method = d.method
                         AND v.reason = d.reason AND abs(e.similarity - d.similarity) < 1e-6 AND e.threshold = d.threshold
                         AND e.settings = d.settings, false)"""
        )
        catalog.execute(
            """INSERT INTO duplicates (duplicate_id, run_id, sample_id, keeper_id, method, similarity, threshold, settings)
               SELECT duplicate_id, ?, sample_id, keeper_id, method, similarity, threshold, settings FROM changed
               ORDER BY duplicate_id""",
            [run_id],
        )
        new = int(
            catalog.scalar(
                """SELECT count(*) FROM changed c LEFT JOIN current_verdicts v USING (sample_id)
                   WHERE v.action IS DISTINCT FROM 'drop'"""
            )
        )
        catalog.execute(
            """INSERT INTO verdicts (sample_id, action, reason, duplicate_id, run_id)
               SELECT sample_id, 'drop', reason, duplicate_id, ? FROM changed ORDER BY duplicate_id""",
            [run_id],
        )
        restored = catalog.rows(
            """INSERT INTO verdicts (sample_id, action, reason, run_id)
               SELECT s.sample_id, 'restore', 'dedupe', ? FROM real_samples s JOIN current_verdicts v USING (sample_id)
               WHERE s.dataset_id = ? AND s.modality = ? AND v.action = 'drop' AND v.reason <> 'user'
                 AND s.sample_id NOT IN (SELECT sample_id FROM drops)
               ORDER BY s.sample_id RETURNING sample_id""",
            [run_id, dataset_id, modality],
        )
        catalog.execute("DROP TABLE changed")
    return new, drops.num_rows - new, len(restored)


def would_decide(catalog: Catalog, dataset_id: int, modality: str, drops: pa.Table) -> tuple[int, int, int]:
    """What `decide` would write: newly dropped, dropped as before, restored."""
    with catalog.given(drops=drops):
        before, kept_down = catalog.rows(
            """SELECT count(*), count(*) FILTER (WHERE s.sample_id IN (SELECT sample_id FROM drops))
               FROM real_samples s JOIN current_verdicts v USING (sample_id)
               WHERE s.dataset_id = ? AND s.modality = ? AND v.action = 'drop' AND v.reason <> 'user'""",
            [dataset_id, modality],
        )[0]
    return drops.num_rows - kept_down, kept_down, before - kept_down


def standing(catalog: Catalog, dataset_id: int, modality: str) -> pa.Table:
    """What dedupe has dropped in a dataset, and by which evidence: sample_id, keeper_id, method, similarity; in id order."""
    return catalog.table(
        """SELECT v.sample_id, e.keeper_id, e.method, e.similarity
           FROM current_verdicts v JOIN duplicates e USING (duplicate_id) JOIN real_samples s ON s.sample_id = v.sample_id
           WHERE v.action = 'drop' AND v.reason <> 'user' AND s.dataset_id = ? AND s.modality = ? ORDER BY v.sample_id""",
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


def judge(catalog: Catalog, run_id: int, sample_ids: pa.Table, action: str) -> tuple[int, int]:
    """Drop or restore samples in the user's name; what is so already stays untouched.

    Args:
        sample_ids: one column, sample_id.

    Returns:
        How many were given the verdict, and how many ids are no real samples.
    """
    with catalog.given(chosen=sample_ids):
        unknown = int(catalog.scalar("SELECT count(*) FROM chosen WHERE sample_id NOT IN (SELECT sample_id FROM real_samples)"))
        judged = catalog.rows(
            """INSERT INTO verdicts (sample_id, action, reason, run_id)
               SELECT DISTINCT s.sample_id, ?, 'user', ? FROM real_samples s JOIN chosen USING (sample_id)
               LEFT JOIN current_verdicts v USING (sample_id)
               WHERE v.action IS DISTINCT FROM ? OR v.reason <> 'user' ORDER BY s.sample_id RETURNING sample_id""",
            [action, run_id, action],
        )
    return len(judged), unknown


def take_back(catalog: Catalog, run_id: int, dataset_id: int) -> int:
    """Restore everything that dedupe dropped in a dataset; a later dedupe decides anew.

    Returns:
        How many samples were restored.
    """
    return len(
        catalog.rows(
            """INSERT INTO verdicts (sample_id, action, reason, run_id)
               SELECT s.sample_id, 'restore', 'dedupe', ? FROM real_samples s JOIN current_verdicts v USING (sample_id)
               WHERE s.dataset_id = ? AND v.action = 'drop' AND v.reason <> 'user' ORDER BY s.sample_id RETURNING sample_id""",
            [run_id, dataset_id],
        )
    )


def evidence(catalog: Catalog, sample_id: int) -> Evidence | None:
    """The current verdict about a real sample and what it rests on; None where there is no such sample."""
    row = catalog.row(
        """SELECT s.sample_id, v.action, v.reason, e.keeper_id, e.method, e.similarity, e.threshold, e.settings::VARCHAR
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
