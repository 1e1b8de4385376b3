"""A folder that appears whole or not at all, and never takes the place of files that are not ours."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from curate.catalog import faults
from curate.errors import InputError, WorkError

MANIFEST = "manifest.json"
MADE_BY = "curate"


class Folder:
    """A folder that is being filled.

    Attributes:
        path: where to write.
        strangers_at: after the end, where the files went that were in its place and that no export had written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.strangers_at: Path | None = None


def check_target(out: Path, *, overwrite: bool) -> int:
    """Refuse a folder that holds files which no export wrote, unless they may be moved aside.

    Returns:
        How many such files there are.

    Raises:
        InputError: `out` is a file; or it holds such files and `overwrite` is off.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file, not a folder", hint="-o NEW_FOLDER")
    strangers = _strangers(out) if out.exists() else []
    if strangers and not overwrite:
        raise InputError(
            f"{out} holds {len(strangers):,} files that no export wrote, such as {strangers[0]}",
            hint="-o NEW_FOLDER, or --overwrite, which moves them to a folder beside it",
        )
    return len(strangers)


@contextmanager
def whole_folder(out: Path) -> Iterator[Folder]:
    """Give an empty folder beside `out`, which takes its place when the block ends well and is removed when it does not.

    What a killed process left behind is removed first; a folder that a living process still fills is locked, and left alone.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(out)
    temporary = out.with_name(f".{out.name}.export-{secrets.token_hex(4)}.tmp")
    temporary.mkdir()
    folder = Folder(temporary)
    lock = os.open(temporary, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
        os.sync()
        faults.passing("folder")
        folder.strangers_at = _take_place(temporary, out)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    finally:
        os.close(lock)


def _take_place(temporary: Path, out: Path) -> Path | None:
    """Put the new folder where the old one is; returns where the old one's foreign files went, if it held any."""
    aside = _move_strangers(out)
    old = None
    if out.exists() and any(out.iterdir()):
        old = out.with_name(f".{out.name}.replaced-{secrets.token_hex(4)}.tmp")
        out.rename(old)
    try:
        temporary.rename(out)
    except OSError as error:
        if old is not None:
            old.rename(out)
        raise WorkError(f"cannot put the export in the place of {out}: {error.strerror}") from error
    _sync_folder(out.parent)
    if old is not None:
        shutil.rmtree(old)
    return aside


def _move_strangers(out: Path) -> Path | None:
    """Move the files that no export wrote into a folder beside `out`, in the places they had."""
    strangers = _strangers(out) if out.exists() else []
    if not strangers:
        return None
    number = 1
    while (aside := out.with_name(f"{out.name}.before-{number}")).exists():
        number += 1
    for name in strangers:
        (aside / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).rename(aside / name)
    return aside


def _strangers(out: Path) -> list[str]:
    """Files in a folder that no manifest of ours lists; all of them where there is none."""
    manifest: Any = None
    with suppress(OSError, ValueError):
        manifest = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
    ours: set[str] = set()
    if isinstance(manifest, dict) and manifest.get("made_by") == MADE_BY:
        ours = {MANIFEST} | {file["path"] for file in manifest.get("files", [])}
    return sorted(
        str(path.relative_to(out))
        for path in out.rglob("*")
        if not path.is_dir() and path.relative_to(out).as_posix() not in ours
    )


def _remove_leftovers(out: Path) -> None:
    for kind in ("export", "replaced"):
        for folder in out.parent.glob(f".{_literal(out.name)}.{kind}-{'[0-9a-f]' * 8}.tmp"):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            else:
                shutil.rmtree(folder)
            finally:
                os.close(lock)


def _literal(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
