"""Sources and rejects: the files that were read, and what in them could not be taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from curate.catalog._connection import Catalog

if TYPE_CHECKING:
    import pyarrow as pa


class Source(NamedTuple):
    """A file that was read before, as it was then."""

    source_id: int
    uri: str
    size_bytes: int
    modified_ns: int
    settings_hash: str
    complete: bool
    read: int
    rejected: int
    skipped: int


def known(catalog: Catalog, dataset_id: int) -> dict[str, Source]:
    """Every source of a dataset, by path."""
    rows = catalog.rows(
        """SELECT source_id, uri, size_bytes, modified_ns, settings_hash, complete, read, rejected, skipped
           FROM sources WHERE dataset_id = ?""",
        [dataset_id],
    )
    return {row[1]: Source(*row) for row in rows}


def reserve_ids(catalog: Catalog, sequence: str, count: int) -> range | list[int]:
    """Take `count` fresh ids from a sequence, rising."""
    return sorted(row[0] for row in catalog.rows(f"SELECT nextval('{sequence}') FROM range({int(count)})"))


def put(catalog: Catalog, sources: pa.Table) -> None:
    """Insert or update sources, by id; a source that starts to be read anew (`fresh`) loses its old rejects.

    Args:
        sources: the columns of the table, and `fresh` (bool).
    """
    with catalog.given(staged_sources=sources):
        anew = "source_id IN (SELECT source_id FROM staged_sources WHERE fresh)"
        catalog.execute(f"DELETE FROM rejects WHERE {anew}", within=anew)
        catalog.execute(
            """UPDATE sources SET size_bytes = n.size_bytes, modified_ns = n.modified_ns, settings_hash = n.settings_hash,
                      complete = n.complete, read = n.read, rejected = n.rejected, skipped = n.skipped, run_id = n.run_id
               FROM staged_sources n WHERE sources.source_id = n.source_id""",
            within="source_id IN (SELECT source_id FROM staged_sources)",
        )
        catalog.execute(
            """INSERT INTO sources SELECT source_id, dataset_id, uri, root, size_bytes, modified_ns, settings_hash, complete,
                      read, rejected, skipped, run_id
               FROM staged_sources n WHERE NOT EXISTS (SELECT 1 FROM sources o WHERE o.source_id = n.source_id)"""
        )


def add_rejects(catalog: Catalog, rejects: pa.Table) -> None:
    """Record what could not be taken: run_id, source_id, locator, reason, excerpt."""
    with catalog.given(staged_rejects=rejects):
        catalog.execute(
            """INSERT INTO rejects (run_id, source_id, locator, reason, excerpt)
               SELECT run_id, source_id, locator, reason, excerpt FROM staged_rejects"""
        )


def reject_reasons(catalog: Catalog, source_ids: pa.Table) -> dict[str, int]:
    """Count the standing rejects of some sources by reason."""
    with catalog.given(chosen=source_ids):
        return dict(
            catalog.rows(
                """SELECT reason, count(*) FROM rejects WHERE source_id IN (SELECT source_id FROM chosen)
                   GROUP BY reason ORDER BY 2 DESC, 1"""
            )
        )
