"""Verdicts: which samples are dropped, by whose word.

Each verdict has an owner: `user`, `dedupe`, `protect`, `filter:<name>`. The newest one of each owner counts, and no owner
takes back what another one decided. A sample is dropped if any owner drops it, unless the user pinned it (a `restore` by
`user`); a `restore` by any other owner only says that this one drops it no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from curate.catalog._connection import Catalog

if TYPE_CHECKING:
    import pyarrow as pa

USER = "user"
DEDUPE = "dedupe"
PROTECT = "protect"

CAUSE = "CASE WHEN v.owner = 'dedupe' THEN v.reason ELSE v.owner END"
"""SQL over `current_verdicts v`: what a drop is counted under, the dedupe method or else the owner."""


class Change(NamedTuple):
    """How an owner's verdicts changed.

    Attributes:
        dropped: samples that it drops and did not before.
        as_before: samples that it goes on dropping.
        restored: samples that are kept now because it drops them no more; not those that another owner drops, nor those about
            which the user decided.
    """

    dropped: int
    as_before: int
    restored: int


def rows_to_judge(catalog: Catalog, dataset_id: int, modality: str, *, lengths: bool) -> pa.Table:
    """Every real sample of a modality in a dataset, in id order, with what decides who is kept.

    Args:
        lengths: tell them too, for which every text is read.

    Returns:
        sample_id, content_hash, size_bytes, length (characters, pixels, or bytes of a blob without pixels; null unless asked
        for), action and owner of the verdict that counts.
    """
    of_blob = "coalesce(s.width::BIGINT * s.height, s.size_bytes)"
    length = f"CASE WHEN s.blob IS NULL THEN length(s.text) ELSE {of_blob} END" if lengths else "NULL"
    return catalog.table(
        f"""SELECT s.sample_id, s.content_hash, s.size_bytes, ({length})::BIGINT AS length, v.action, v.owner
           FROM real_samples s LEFT JOIN current_verdicts v USING (sample_id)
           WHERE s.dataset_id = ? AND s.modality = ? ORDER BY s.sample_id""",
        [dataset_id, modality],
    )


def by_user(catalog: Catalog, dataset_id: int, modality: str) -> list[tuple[int, bool]]:
    """The real samples of a dataset about which the user decided, and whether it was to drop them."""
    return [
        (int(sample_id), action == "drop")
        for sample_id, action in catalog.rows(
            """SELECT sample_id, action FROM (SELECT * FROM verdicts WHERE owner = 'user') JOIN real_samples USING (sample_id)
               WHERE dataset_id = ? AND modality = ?
               QUALIFY row_number() OVER (PARTITION BY sample_id ORDER BY verdict_id DESC) = 1""",
            [dataset_id, modality],
        )
    ]


def set_aside(catalog: Catalog, dataset_id: int, modality: str) -> pa.Table:
    """The samples that neither dedupe nor the user decides about, because another owner drops them.

    Returns:
        sample_id, owner; in id order.
    """
    return catalog.table(
        """SELECT sample_id, owner FROM current_verdicts JOIN real_samples USING (sample_id)
           WHERE dataset_id = ? AND modality = ? AND action = 'drop' AND owner NOT IN ('user', 'dedupe') ORDER BY sample_id""",
        [dataset_id, modality],
    )


def decide(catalog: Catalog, run_id: int, dataset_id: int, modality: str, drops: pa.Table, *, owner: str = DEDUPE) -> Change:
    """Make an owner's verdicts about a modality of a dataset be exactly `drops`, writing only what differs.

    Called inside a transaction.

    Args:
        drops: sample_id, keeper_id, reason (the method that dropped it), and the evidence that ties it to the keeper:
            method, similarity, threshold, settings.
    """
    with catalog.given(drops=drops):
        catalog.execute(
            """CREATE OR REPLACE TEMP TABLE changed AS
               SELECT d.*, nextval('duplicate_ids') AS duplicate_id, coalesce(v.action = 'drop', false) AS was_dropped
               FROM drops d
               LEFT JOIN (SELECT * FROM standing_verdicts WHERE owner = ?) v USING (sample_id)
               LEFT JOIN duplicates e ON e.duplicate_id = v.duplicate_id
               WHERE NOT coalesce(v.action = 'drop' AND e.keeper_id = d.keeper_id AND e.method = d.method
                         AND v.reason = d.reason AND abs(e.similarity - d.similarity) < 1e-6 AND e.threshold = d.threshold
                         AND e.settings = d.settings, false)""",
            [owner],
        )
        catalog.execute(
            """INSERT INTO duplicates (duplicate_id, run_id, sample_id, keeper_id, method, similarity, threshold, settings)
               SELECT duplicate_id, ?, sample_id, keeper_id, method, similarity, threshold, settings FROM changed
               ORDER BY duplicate_id""",
            [run_id],
        )
        new = int(catalog.scalar("SELECT count(*) FROM changed WHERE NOT was_dropped"))
        restored = _restored(catalog, dataset_id, modality, owner)
        catalog.execute(
            """INSERT INTO verdicts (sample_id, owner, action, reason, duplicate_id, run_id)
               SELECT sample_id, ?, 'drop', reason, duplicate_id, ? FROM changed ORDER BY duplicate_id""",
            [owner, run_id],
        )
        _let_go(catalog, run_id, dataset_id, modality, owner)
        catalog.execute("DROP TABLE changed")
    return Change(new, drops.num_rows - new, restored)


def would_decide(catalog: Catalog, dataset_id: int, modality: str, drops: pa.Table, *, owner: str = DEDUPE) -> Change:
    """What `decide` would write."""
    with catalog.given(drops=drops):
        before, restored = _dropped_already(catalog, owner), _restored(catalog, dataset_id, modality, owner)
    return Change(drops.num_rows - before, before, restored)


def decide_by_rule(catalog: Catalog, run_id: int, dataset_id: int, drops: pa.Table, *, owner: str) -> Change:
    """Make the verdicts of an owner that needs no evidence be exactly `drops`; called inside a transaction.

    Args:
        drops: sample_id, reason.
    """
    with catalog.given(drops=drops):
        before = _dropped_already(catalog, owner)
        restored = _restored(catalog, dataset_id, None, owner)
        catalog.execute(
            """INSERT INTO verdicts (sample_id, owner, action, reason, run_id)
               SELECT d.sample_id, ?, 'drop', d.reason, ? FROM drops d
               LEFT JOIN (SELECT * FROM standing_verdicts WHERE owner = ?) v USING (sample_id)
               WHERE v.action IS DISTINCT FROM 'drop' OR v.reason <> d.reason ORDER BY d.sample_id""",
            [owner, run_id, owner],
        )
        _let_go(catalog, run_id, dataset_id, None, owner)
    return Change(drops.num_rows - before, before, restored)


def would_decide_by_rule(catalog: Catalog, dataset_id: int, drops: pa.Table, *, owner: str) -> Change:
    """What `decide_by_rule` would write."""
    with catalog.given(drops=drops):
        before, restored = _dropped_already(catalog, owner), _restored(catalog, dataset_id, None, owner)
    return Change(drops.num_rows - before, before, restored)


def judge(catalog: Catalog, run_id: int, sample_ids: pa.Table, action: str) -> tuple[int, int]:
    """Drop or pin samples in the user's name; what the user said before stays untouched where it is the same.

    Args:
        sample_ids: one column, sample_id.

    Returns:
        How many were given the verdict, and how many ids are no real samples.
    """
    with catalog.given(chosen=sample_ids):
        unknown = int(catalog.scalar("SELECT count(*) FROM chosen WHERE sample_id NOT IN (SELECT sample_id FROM real_samples)"))
        judged = catalog.rows(
            """INSERT INTO verdicts (sample_id, owner, action, reason, run_id)
               SELECT DISTINCT s.sample_id, 'user', ?, 'user', ? FROM real_samples s JOIN chosen USING (sample_id)
               LEFT JOIN (SELECT * FROM standing_verdicts WHERE owner = 'user') v USING (sample_id)
               WHERE v.action IS DISTINCT FROM ? ORDER BY s.sample_id RETURNING sample_id""",
            [action, run_id, action],
        )
    return len(judged), unknown


def count_user_kept(catalog: Catalog, sample_ids: pa.Table) -> int:
    """How many of some samples (sample_id) the user pinned."""
    with catalog.given(chosen=sample_ids):
        return int(
            catalog.scalar(
                """SELECT count(*) FROM standing_verdicts SEMI JOIN chosen USING (sample_id)
                   WHERE owner = 'user' AND action = 'restore'"""
            )
        )


def kept_among(catalog: Catalog, sample_ids: pa.Table) -> tuple[list[int], int]:
    """Of some real samples (sample_id), the ids of those that are kept and that no user pinned, and how many were pinned."""
    with catalog.given(chosen=sample_ids.select(["sample_id"])):
        rows = catalog.rows(
            """SELECT c.sample_id, coalesce(v.owner = 'user', false)
               FROM chosen c LEFT JOIN current_verdicts v USING (sample_id)
               WHERE v.action IS DISTINCT FROM 'drop' ORDER BY c.sample_id"""
        )
    return [sample_id for sample_id, by_user in rows if not by_user], sum(by_user for _, by_user in rows)


def owners(catalog: Catalog, dataset_id: int) -> dict[str, int]:
    """How many samples of a dataset each owner drops, whoever else does; in the order of their names."""
    return dict(
        catalog.rows(
            """SELECT owner, count(*) FROM standing_verdicts JOIN real_samples USING (sample_id)
               WHERE dataset_id = ? AND action = 'drop' GROUP BY owner ORDER BY owner""",
            [dataset_id],
        )
    )


def take_back(catalog: Catalog, run_id: int, dataset_id: int, owner: str) -> tuple[int, int]:
    """Take back everything that an owner dropped in a dataset.

    Returns:
        How many samples it drops no more, and how many of these are kept now.
    """
    with catalog.given(drops=_nobody()):
        restored = _restored(catalog, dataset_id, None, owner)
        return _let_go(catalog, run_id, dataset_id, None, owner), restored


def _dropped_already(catalog: Catalog, owner: str) -> int:
    """How many of `drops` this owner drops now."""
    return int(
        catalog.scalar(
            "SELECT count(*) FROM standing_verdicts SEMI JOIN drops USING (sample_id) WHERE owner = ? AND action = 'drop'",
            [owner],
        )
    )


def _restored(catalog: Catalog, dataset_id: int, modality: str | None, owner: str) -> int:
    """How many samples are dropped by this owner alone now, and are not among `drops`."""
    return int(
        catalog.scalar(
            """SELECT count(*) FROM current_verdicts v JOIN real_samples s USING (sample_id)
               WHERE s.dataset_id = ? AND (? IS NULL OR s.modality = ?) AND v.action = 'drop' AND v.dropped_by = ?
                 AND s.sample_id NOT IN (SELECT sample_id FROM drops)""",
            [dataset_id, modality, modality, owner],
        )
    )


def _let_go(catalog: Catalog, run_id: int, dataset_id: int, modality: str | None, owner: str) -> int:
    """Take back what this owner drops and is not among `drops`; returns how many verdicts were written."""
    return len(
        catalog.rows(
            """INSERT INTO verdicts (sample_id, owner, action, reason, run_id)
               SELECT s.sample_id, ?, 'restore', ?, ? FROM real_samples s
               JOIN (SELECT * FROM standing_verdicts WHERE owner = ?) v USING (sample_id)
               WHERE s.dataset_id = ? AND (? IS NULL OR s.modality = ?) AND v.action = 'drop'
                 AND s.sample_id NOT IN (SELECT sample_id FROM drops)
               ORDER BY s.sample_id RETURNING sample_id""",
            [owner, owner, run_id, owner, dataset_id, modality, modality],
        )
    )


def _nobody() -> pa.Table:
    import pyarrow as pa

    return pa.table({"sample_id": pa.array([], pa.int64())})
