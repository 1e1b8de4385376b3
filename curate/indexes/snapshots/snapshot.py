"""Keeps an index on disk beside a manifest, and gives it back only if both are whole and say what is expected.

FAISS files have no checksum, and a damaged one often loads and answers wrongly; so the SHA-256 in the manifest is checked
before anything is deserialised. The index file is named by its hash and the manifest is replaced last: a crash leaves the old
snapshot or the new one.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from curate import plugins
from curate.errors import WorkError
from curate.indexes import Index

FORMAT = 1
MANIFEST = "manifest.json"


def save_snapshot(index: Index, plugin_name: str, folder: Path, manifest: dict[str, Any]) -> None:
    """Write an index and its manifest to `folder`, which is made; an older snapshot there is replaced.

    Args:
        plugin_name: the index plug-in that can load it.
        manifest: JSON-like; what must be equal for the snapshot to be used again, such as the embedder's fingerprint.

    Raises:
        WorkError: the files cannot be written.
    """
    temporary = folder / f"new-{os.getpid()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        index.save(temporary)
        digest = _synced_sha256(temporary)
        target = folder / f"{digest[:32]}.index"
        temporary.replace(target)
        about = {"format": FORMAT, "plugin": plugin_name, "sha256": digest, "file": target.name, "manifest": manifest}
        temporary.write_text(json.dumps(about, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        _synced_sha256(temporary)
        temporary.replace(folder / MANIFEST)
        _sync_folder(folder)
        for old in folder.glob("*.index"):
            if old != target:
                old.unlink(missing_ok=True)
    except OSError as error:
        raise WorkError(f"the index snapshot in {folder} cannot be written: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def load_snapshot(folder: Path, manifest: dict[str, Any]) -> Index | None:
    """Load the snapshot in `folder`, or None where it is missing, damaged, or was made for another `manifest`."""
    try:
        about = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        expected = json.loads(json.dumps(manifest))
        if about["format"] != FORMAT or about["manifest"] != expected or Path(about["file"]).name != about["file"]:
            return None
        path = folder / about["file"]
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != about["sha256"]:
                return None
        if about["plugin"] not in plugins.names("indexes"):
            return None
        loaded: Index = plugins.load("indexes", about["plugin"]).load(path)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError):
        return None  # a cache: whatever is wrong with it, it is built again
    return loaded


def _synced_sha256(path: Path) -> str:
    """Flush a file to disk and hash it."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
