"""Runs: one row for each step that ran."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from curate import __version__
from curate.catalog._connection import Catalog


def begin(catalog: Catalog, step: str, *, dataset: str | None, command: str, settings: Mapping[str, Any]) -> int:
    """Record that a step starts; the record is durable before the work begins."""
    with catalog.transaction():
        run_id = int(
            catalog.scalar(
                """INSERT INTO runs (step, dataset, command, settings, code_version, process_id, status)
                   VALUES (?, ?, ?, ?, ?, ?, 'running') RETURNING run_id""",
                [step, dataset, command, json.dumps(settings, sort_keys=True, default=str), __version__, os.getpid()],
            )
        )
        catalog.sealed_for = run_id
        return run_id


def progress(catalog: Catalog, run_id: int, counts: Mapping[str, Any]) -> None:
    """Record how far a run is; called inside the transaction of the rows that it counts."""
    catalog.execute("UPDATE runs SET counts = ? WHERE run_id = ?", [json.dumps(counts), run_id], within=f"run_id = {run_id}")


def end(catalog: Catalog, run_id: int, status: str, counts: Mapping[str, Any] | None = None, error: str | None = None) -> None:
    """Record how a run ended: 'done', 'failed' or 'interrupted'."""
    catalog.execute(
        """UPDATE runs SET status = ?, ended_at = now() AT TIME ZONE 'UTC', counts = coalesce(?, counts), error = ?
           WHERE run_id = ?""",
        [status, json.dumps(counts, default=str) if counts is not None else None, error, run_id],
        within=f"run_id = {run_id}",
    )


def interrupt_own(catalog: Catalog) -> None:
    """Record that what this process was running was interrupted."""
    catalog.execute(
        """UPDATE runs SET status = 'interrupted', ended_at = now() AT TIME ZONE 'UTC'
           WHERE status = 'running' AND process_id = ?""",
        [os.getpid()],
        within=f"process_id = {os.getpid()}",
    )


def latest_done(catalog: Catalog, step: str, dataset: str) -> tuple[int, dict[str, Any]] | None:
    """The id and settings of the newest run of a step over a dataset that ended well."""
    row = catalog.row(
        "SELECT run_id, settings FROM runs WHERE step = ? AND dataset = ? AND status = 'done' ORDER BY run_id DESC LIMIT 1",
        [step, dataset],
    )
    return (int(row[0]), json.loads(row[1])) if row else None


def latest_settings(catalog: Catalog, step: str, dataset: str, key: str) -> list[dict[str, Any]]:
    """What the runs of a step over a dataset that ended well had as one of their settings, the newest first."""
    rows = catalog.rows(
        """SELECT settings -> ? FROM runs WHERE step = ? AND dataset = ? AND status = 'done'
           AND NOT coalesce((settings ->> 'dry_run')::BOOLEAN, false) ORDER BY run_id DESC""",
        [key, step, dataset],
    )
    return [found for (text,) in rows if text and isinstance(found := json.loads(text), dict)]


def counts_of(catalog: Catalog, run_id: int) -> dict[str, Any]:
    """What a run counted; empty where it counted nothing."""
    text = catalog.scalar("SELECT counts FROM runs WHERE run_id = ?", [run_id])
    return dict(json.loads(text)) if text else {}


def dataset_of(catalog: Catalog, run_id: int) -> tuple[str | None] | None:
    """The name of the dataset that a run was about, in a tuple; None where there is no such run."""
    row = catalog.row("SELECT dataset FROM runs WHERE run_id = ?", [run_id])
    return (row[0],) if row else None
