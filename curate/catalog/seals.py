"""Seals: what every run wrote, and whether it is still that."""

from __future__ import annotations

from typing import NamedTuple

from curate.catalog._connection import Catalog
from curate.catalog._digests import Total, Totals, shapes
from curate.catalog._sealing import self_seal
from curate.errors import WorkspaceDamaged


class Broken(NamedTuple):
    """Rows of one run in one table that are not as they were sealed.

    Attributes:
        run_id: whose rows they are; 0 where rows of the table name no run.
        sealed: how many rows were sealed; None where nobody sealed any.
        found: how many there are.
        sealed_by: the run that sealed them last; None: none, or an upgrade.
        damage: why the table cannot be read at all, or None.
    """

    table: str
    run_id: int
    sealed: int | None
    found: int
    sealed_by: int | None
    damage: str | None = None


def broken(catalog: Catalog) -> list[Broken]:
    """Digest every table again and compare with the seals, by table and run."""
    known = shapes(catalog.connection)
    now: dict[str, Totals] = {}
    found: list[Broken] = []
    for table, shape in known.items():
        try:
            now[table] = catalog.totals(shape)
        except WorkspaceDamaged as error:
            found.append(Broken(table, 0, None, 0, None, str(error)))
    unread = known.keys() - now.keys()
    sealed: dict[tuple[str, int], tuple[Total, int | None]] = {}
    for table, run_id, rows, digest, sealed_by, sealed_at, seal in catalog.rows(_SEALS):
        there = now.get(table, {}).get(run_id, Total())
        if (table, run_id) in sealed or seal != self_seal(table, run_id, rows, digest, sealed_by, sealed_at):
            found.append(Broken("seals", run_id, None, 1, sealed_by))
        elif (rows, digest) != there and table not in unread:
            found.append(Broken(table, run_id, rows, there.rows, sealed_by))
        sealed[table, run_id] = Total(rows, digest), sealed_by
    for table, runs in now.items():
        found += [
            Broken(table, run_id, None, total.rows, None) for run_id, total in runs.items() if (table, run_id) not in sealed
        ]
    return found


def sealed_rows(catalog: Catalog) -> int:
    """How many rows are under a seal."""
    return int(catalog.scalar("SELECT coalesce(sum(row_count), 0) FROM seals"))


_SEALS = "SELECT table_name, run_id, row_count, digest, sealed_by, sealed_at, seal FROM seals ORDER BY ALL"
