"""The folder of a backup: files stored by the SHA-256 of their bytes, and a manifest that says which file has which.

DEST/backup.json         the manifest of the newest backup; replaced last, so that a kill leaves the one before it
DEST/objects/ab/<hash>   the bytes
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from curate.errors import InputError, WorkError
from curate.workspace import file_hash, write_atomically

MANIFEST = "backup.json"
_OBJECTS = "objects"
_FORMAT = 1
_PIECE = 2**20


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the workspace as it was backed up; `path` is below the workspace, parts joined by '/'."""

    path: str
    size_bytes: int
    sha256: str


class ObjectFolder:
    """A backup's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sha256: str) -> Path:
        """Where the bytes of that hash lie."""
        return self.folder / _OBJECTS / sha256[:2] / sha256

    def read_manifest(self) -> tuple[Entry, ...] | None:
        """The files of the newest backup; None where there is none.

        Raises:
            InputError: the manifest is damaged, or was written by something else.
        """
        path = self.folder / MANIFEST
        try:
            digest, _, text = path.read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        if digest.decode("ascii", "replace") != hashlib.sha256(text).hexdigest():
            raise InputError(f"{path} is damaged, or no manifest of curate", hint="back up into a new folder")
        told = json.loads(text)
        if told["format"] != _FORMAT:
            raise InputError(f"{path} was written by a newer curate", hint="pip install -U curate")
        return tuple(Entry(**entry) for entry in told["files"])

    def write_manifest(self, entries: list[Entry], made_by: str) -> None:
        """Declare the backup complete."""
        told = {"format": _FORMAT, "made_by": made_by, "files": [asdict(entry) for entry in entries]}
        text = json.dumps(told, indent=1, ensure_ascii=False).encode()
        write_atomically(self.folder / MANIFEST, hashlib.sha256(text).hexdigest().encode() + b"\n" + text)

    def holds(self, entry: Entry, *, fast: bool) -> bool:
        """Whether the bytes are there: by size and hash, or by size alone."""
        path = self.path(entry.sha256)
        try:
            return path.stat().st_size == entry.size_bytes and (fast or file_hash(path) == entry.sha256)
        except FileNotFoundError:
            return False

    def take(self, source: Path) -> tuple[str, int]:
        """Copy a file in, durably; returns its hash and size, as they were read, after the copy was read back."""
        (self.folder / _OBJECTS).mkdir(parents=True, exist_ok=True)
        temporary = self.folder / _OBJECTS / f"{secrets.token_hex(8)}.tmp"
        try:
            sha256, size = copy_hashed(source, temporary)
            target = self.path(sha256)
            target.parent.mkdir(exist_ok=True)
            if file_hash(temporary) != sha256:
                raise WorkError(f"{target} was not stored as it was written", hint="look at the disk of the backup")
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        return sha256, size

    def forget_others(self, entries: list[Entry]) -> int:
        """Remove the bytes that no entry names; returns how many files went."""
        wanted = {entry.sha256 for entry in entries}
        gone = 0
        for path in (self.folder / _OBJECTS).rglob("*"):
            if path.is_file() and path.name not in wanted:
                path.unlink()
                gone += 1
        return gone

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second backup out of the folder, which is made.

        Raises:
            InputError: it holds other files than a backup's.
            WorkError: another process backs up into it.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError(f"{self.folder} is a file, not a folder", hint="name a new folder")
        self.folder.mkdir(parents=True, exist_ok=True)
        if strangers := [p.name for p in self.folder.iterdir() if p.name not in (MANIFEST, _OBJECTS) and p.suffix != ".tmp"]:
            raise InputError(
                f"{self.folder} holds files that no backup wrote, such as {strangers[0]}", hint="name a new folder"
            )
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            flock(handle, LOCK_EX | LOCK_NB)
            yield
        except BlockingIOError as error:
            raise WorkError(f"another process backs up into {self.folder}", hint="wait for it") from error
        finally:
            os.close(handle)


def copy_hashed(source: Path, target: Path) -> tuple[str, int]:
    """Copy a file, synced; returns the SHA-256 and the size of what was read."""
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as reading, target.open("xb") as writing:
        while piece := reading.read(_PIECE):
            digest.update(piece)
            size += len(piece)
            writing.write(piece)
        writing.flush()
        os.fsync(writing.fileno())
    return digest.hexdigest(), size
