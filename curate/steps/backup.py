"""`backup`: copies a workspace into a folder of files by content; what lies there already is verified and not copied again."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from curate.errors import SettingError
from curate.reports import Report
from curate.safekeeping.backup import back_up
from curate.workspace import Workspace


@dataclass(frozen=True, slots=True, repr=False)
class BackupReport(Report):
    """What was backed up.

    Attributes:
        files, bytes: all that the backup holds.
        copied, copied_bytes: what had to be copied; the rest lay there and was verified.
        forgotten: files of earlier backups that no file of the workspace has any more.
        damaged: blobs that are not what their name says, and so were not taken.
    """

    destination: str
    files: int
    bytes: int
    copied: int
    copied_bytes: int
    forgotten: int
    damaged: tuple[str, ...]
    fast: bool
    seconds: float


def backup(workspace: Workspace, destination: Path | str, *, fast: bool = False) -> BackupReport:
    """Back the workspace up, while others may read it.

    Args:
        destination: a folder of its own outside the workspace, new or of an earlier backup.
        fast: trust what lies there by its size, without reading it.

    Raises:
        SettingError: the folder lies in the workspace, or the workspace in it.
        InputError: it holds other files than a backup's.
        WorkError: another process backs up into it, or a copy cannot be read back.
    """
    started = time.monotonic()
    root, target = workspace.root.resolve(), Path(destination).resolve()
    if target.is_relative_to(root) or root.is_relative_to(target):
        raise SettingError(f"{destination} and the workspace lie in one another", hint="a folder outside, on another disk")
    done = back_up(root, target, workspace.progress, fast=fast)
    return BackupReport(
        destination=str(target),
        files=len(done.entries),
        bytes=sum(entry.size_bytes for entry in done.entries),
        copied=done.copied,
        copied_bytes=done.copied_bytes,
        forgotten=done.forgotten,
        damaged=done.damaged,
        fast=fast,
        seconds=round(time.monotonic() - started, 3),
    )
