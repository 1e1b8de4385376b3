"""`restore-backup`: makes a workspace from a backup, every byte verified."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from curate.records import SILENT, Progress
from curate.reports import Report
from curate.safekeeping.restoring import bring_back
from curate.workspace import open_workspace


@dataclass(frozen=True, slots=True, repr=False)
class RestoreBackupReport(Report):
    """What was brought back: the new workspace, its files and bytes, and how many real and synthetic samples it has."""

    workspace: str
    files: int
    bytes: int
    real: int
    synthetic: int
    seconds: float


def restore_backup(source: Path | str, workspace: Path | str, *, progress: Progress = SILENT) -> RestoreBackupReport:
    """Bring a backup back as a new workspace.

    Args:
        source: the folder of the backup.
        workspace: the folder to make; it may exist and be empty.

    Raises:
        InputError: the source is no backup, or the folder is not empty.
        WorkError: a file of the backup is missing or damaged; nothing is left behind.
    """
    started = time.monotonic()
    out = Path(workspace).absolute()
    entries = bring_back(Path(source), out, progress)
    with open_workspace(out, progress=progress) as opened:
        counts = [int(opened.catalog.scalar(f"SELECT count(*) FROM {origin}_samples")) for origin in ("real", "synthetic")]
    return RestoreBackupReport(
        workspace=str(out),
        files=len(entries),
        bytes=sum(entry.size_bytes for entry in entries),
        real=counts[0],
        synthetic=counts[1],
        seconds=round(time.monotonic() - started, 3),
    )
