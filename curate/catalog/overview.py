"""Counts over the whole catalog, for a glance."""

from __future__ import annotations

from typing import Any

from curate.catalog._connection import Catalog
from curate.catalog.verdicts import CAUSE


def dataset_counts(catalog: Catalog) -> list[dict[str, Any]]:
    """Every dataset with its samples by modality and state, and what could not be read into it."""
    rows = catalog.rows(
        """WITH counted AS (
               SELECT s.dataset_id, count(*) AS samples, histogram(modality) AS modalities,
                      count(*) FILTER (WHERE v.action = 'drop') AS dropped,
                      count(DISTINCT label) AS labels, sum(size_bytes)::BIGINT AS bytes
               FROM real_samples s LEFT JOIN current_verdicts v USING (sample_id) GROUP BY ALL
           ), refused AS (
               SELECT dataset_id, count(*) AS rejects FROM rejects JOIN sources USING (source_id) GROUP BY ALL
           )
           SELECT d.name, d.licence, coalesce(samples, 0), coalesce(modalities, MAP {}), coalesce(labels, 0),
                  coalesce(bytes, 0), coalesce(samples - dropped, 0), coalesce(dropped, 0), coalesce(rejects, 0)
           FROM datasets d LEFT JOIN counted USING (dataset_id) LEFT JOIN refused USING (dataset_id) ORDER BY d.name"""
    )
    names = ("name", "licence", "samples", "modalities", "labels", "bytes", "kept", "dropped", "rejects")
    return [dict(zip(names, row, strict=True)) for row in rows]


def dropped_by_reason(catalog: Catalog) -> dict[str, dict[str, int]]:
    """dataset → dedupe method, or another owner of the verdict → how many samples are dropped for it."""
    return _nested(
        catalog.rows(
            f"""SELECT d.name, {CAUSE}, count(*) FROM current_verdicts v JOIN real_samples s USING (sample_id)
               JOIN datasets d USING (dataset_id) WHERE v.action = 'drop' GROUP BY ALL ORDER BY 1, 3 DESC, 2"""
        )
    )


def synthetic_counts(catalog: Catalog) -> dict[str, dict[str, int]]:
    """dataset → accepted or refused → how many synthetic samples."""
    return _nested(
        catalog.rows(
            """SELECT d.name, s.status, count(*) FROM synthetic_samples s JOIN datasets d USING (dataset_id)
               GROUP BY ALL ORDER BY ALL"""
        )
    )


def splits(catalog: Catalog) -> list[dict[str, Any]]:
    """Every split with the sizes of its parts."""
    rows = catalog.rows(
        """SELECT d.name, p.name, p.version, p.members_hash, p.seed, count(*) FILTER (WHERE m.part = 'train'),
                  count(*) FILTER (WHERE m.part = 'validation'), count(*) FILTER (WHERE m.part = 'test')
           FROM splits p JOIN datasets d USING (dataset_id) LEFT JOIN split_members m USING (split_id)
           GROUP BY ALL ORDER BY 1, 2, 3"""
    )
    names = ("dataset", "name", "version", "members_hash", "seed", "train", "validation", "test")
    return [dict(zip(names, row, strict=True)) for row in rows]


def models(catalog: Catalog) -> list[dict[str, Any]]:
    """Every model, with whether its training is done and how many samples it drew."""
    rows = catalog.rows(
        """SELECT m.name, m.family, d.name,
                  (SELECT string_agg(p.name, ' + ' ORDER BY p.split_id) FROM model_sources o JOIN splits p USING (split_id)
                   WHERE o.model_id = m.model_id),
                  m.checkpoint_hash IS NOT NULL, m.depth,
                  (SELECT count(*) FROM synthetic_samples s WHERE s.model_id = m.model_id)
           FROM models m JOIN datasets d USING (dataset_id) ORDER BY m.model_id"""
    )
    names = ("name", "family", "dataset", "split", "trained", "depth", "drawn")
    return [dict(zip(names, row, strict=True)) for row in rows]


def latest_runs(catalog: Catalog, limit: int) -> list[dict[str, Any]]:
    """The newest runs, newest first."""
    rows = catalog.rows(
        """SELECT run_id, step, dataset, status, started_at, epoch(ended_at - started_at), error, count(*) OVER ()
           FROM runs ORDER BY run_id DESC LIMIT ?""",
        [limit],
    )
    names = ("run_id", "step", "dataset", "status", "started_at", "seconds", "error", "runs_in_all")
    return [dict(zip(names, row, strict=True)) for row in rows]


def _nested(rows: list[tuple[Any, ...]]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for outer, inner, count in rows:
        found.setdefault(outer, {})[inner] = int(count)
    return found
