"""Commands that keep a workspace safe: backup and restore-backup."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.formatting import lines, seconds, show
from curate.cli.options import READERS_WAIT_S, JsonOption, WaitOption, WorkspaceOption, opened

if TYPE_CHECKING:
    from curate.steps.backup import BackupReport
    from curate.steps.restore_backup import RestoreBackupReport


def register(app: typer.Typer) -> None:
    """Put the commands on the app."""
    app.command(epilog="Example: curate backup ../ws-backup")(backup)
    app.command("restore-backup", epilog="Example: curate restore-backup ../ws-backup ../ws-again")(restore_backup)


def backup(
    destination: Annotated[Path, typer.Argument(metavar="DEST", help="The folder of the backup: new, or of an earlier one.")],
    fast: Annotated[bool, typer.Option("--fast", help="Trust what lies there by its size, without reading it.")] = False,
    workspace: WorkspaceOption = None,
    wait: WaitOption = READERS_WAIT_S,
    as_json: JsonOption = False,
) -> None:
    """Copy the workspace to a folder; unchanged media are not copied again, and everything there is verified by its hash.

    The caches in indexes/ are left out: they are built again. Others may read meanwhile; a writer waits.
    """
    from curate.steps.backup import backup as step

    with opened(workspace, read_only=True, wait=wait) as ws:
        report = step(ws, destination, fast=fast)
    show(report, as_json, _describe_backup)
    if report.damaged:
        raise typer.Exit(1)


def _describe_backup(report: BackupReport) -> str:
    there = report.files - report.copied
    how = "by size" if report.fast else "by hash"
    return lines(
        f"{report.files:,} files, {report.bytes / 1e6:,.1f} MB in {report.destination}  ({seconds(report.seconds)})",
        f"  {report.copied:,} copied ({report.copied_bytes / 1e6:,.1f} MB), {there:,} were there, verified {how}",
        f"  {report.forgotten:,} files of earlier backups removed" if report.forgotten else None,
        f"  {len(report.damaged):,} blobs are damaged here and were not taken, such as {report.damaged[0]}: curate check"
        if report.damaged
        else None,
        f"  to bring it back: curate restore-backup {report.destination} NEW_FOLDER",
    )


def restore_backup(
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help="The folder of the backup.")],
    folder: Annotated[Path, typer.Argument(metavar="WORKSPACE", help="The workspace to make: a new or empty folder.")],
    as_json: JsonOption = False,
) -> None:
    """Make a workspace from a backup; every byte is verified, and it appears whole or not at all."""
    from curate.cli.progress import make_progress
    from curate.steps.restore_backup import restore_backup as step

    show(step(source, folder, progress=make_progress()), as_json, _describe_restored)


def _describe_restored(report: RestoreBackupReport) -> str:
    return lines(
        f"{report.workspace}: {report.files:,} files, {report.bytes / 1e6:,.1f} MB, {report.real:,} real and"
        f" {report.synthetic:,} synthetic samples  ({seconds(report.seconds)})",
        f"  next: curate check -w {report.workspace}",
    )
