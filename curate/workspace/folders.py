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

from curate.errors import InputError, WorkError

MANIFEST = "manifest.json"
MADE_BY = "curate"


def check_target(out: Path, *, overwrite: bool) -> None:
    """Refuse a folder whose files would be lost.

    Raises:
        InputError: `out` is a file; or it is not empty and `overwrite` is off; or it holds files that no export of ours wrote.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file, not a folder", hint="-o NEW_FOLDER")
    if not out.exists() or not any(out.iterdir()):
        return
    if not overwrite:
        raise InputError(f"{out} is not empty", hint="-o NEW_FOLDER, or --overwrite if an earlier export is there")
    strangers = _strangers(out)
    if strangers is None:
        raise InputError(f"{out} holds no manifest.json that curate wrote, so it is left alone", hint="-o NEW_FOLDER")
    if strangers:
        raise InputError(
            f"{out} holds {len(strangers):,} files that the export in it did not write, such as {strangers[0]}",
            hint="move them away, or -o NEW_FOLDER",
        )


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Give an empty folder beside `out`, which takes its place when the block ends well and is removed when it does not.

    What a killed process left behind is removed first; a folder that a living process still fills is locked, and left alone.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(out)
    temporary = out.with_name(f".{out.name}.export-{secrets.token_hex(4)}.tmp")
    temporary.mkdir()
    lock = os.open(temporary, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield temporary
        os.sync()
        _take_place(temporary, out)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    finally:
        os.close(lock)


def _take_place(temporary: Path, out: Path) -> None:
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


def _strangers(out: Path) -> list[str] | None:
    """Files in an export that its manifest does not list; None where there is no manifest of ours."""
    manifest: Any = None
    with suppress(OSError, ValueError):
        manifest = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
    if not isinstance(manifest, dict) or manifest.get("made_by") != MADE_BY:
        return None
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
