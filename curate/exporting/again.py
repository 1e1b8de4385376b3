"""Whether a folder already holds what an export would write."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from curate import __version__
from curate.exporting.contents import Contents
from curate.exporting.folder import MADE_BY, MANIFEST
from curate.writers import ExportInfo, Written

READ_BYTES = 2**20


def fingerprint_of(contents: Contents, info: ExportInfo, format_: str, max_share: float | None) -> str:
    """SHA-256 over all that decides the files of an export but the day: rows, settings, the card, curate's version."""
    facts = contents.card(Written((), {}), info, format_, "")
    told = {
        field.name: getattr(facts, field.name) for field in dataclasses.fields(facts) if field.name not in ("written", "info")
    }
    made_of = {
        "rows": contents.digest(),
        "card": told,
        "info": [info.name, info.modalities, info.parts, info.labels, info.columns, info.types, info.options],
        "share": max_share,
        "version": __version__,
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True, default=repr).encode()).hexdigest()


def same_export(folder: Path, fingerprint: str) -> Mapping[str, Any] | None:
    """The manifest of an export that was made of the same, where every file of it still is what the manifest says.

    Returns:
        None where there is none, or where a file is gone or was altered.
    """
    with suppress(OSError, ValueError):
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if (
            isinstance(manifest, dict)
            and manifest.get("made_by") == MADE_BY
            and manifest.get("fingerprint") == fingerprint
            and all(_is_whole(folder / file["path"], file["size"], file["sha256"]) for file in manifest["files"])
        ):
            return manifest
    return None


def _is_whole(path: Path, size: int, sha256: str) -> bool:
    if path.is_symlink() or not path.is_file() or path.stat().st_size != size:
        return False
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            digest.update(block)
    return digest.hexdigest() == sha256
