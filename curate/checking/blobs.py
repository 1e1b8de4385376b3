"""Every blob that a sample names lies there with its size and its hash."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from curate.catalog import checks
from curate.checking.look import Look, Some
from curate.workspace import BlobStore, file_hash

_LEFTOVER = ".tmp"


def blobs_are_what_they_say(look: Look) -> int:
    """Every blob that a sample names lies there with its size and its hash; files that none names are noted."""
    workspace = look.workspace
    pairs = (("real_samples", workspace.real), ("synthetic_samples", workspace.synthetic))
    return sum(_check_store(look, table, store) for table, store in pairs)


def _check_store(look: Look, table: str, store: BlobStore) -> int:
    seen, orphans, leftovers, bad = 0, 0, 0, Some()
    on_disk = iter(store.names())
    name = next(on_disk, None)
    with ThreadPoolExecutor(look.workspace.threads) as pool:
        for batch in checks.blobs(look.catalog, table):
            rows = batch.to_pylist()
            sound = pool.map(lambda row: _is_sound(store, row, fast=look.fast), rows)
            bad.extend(row["sample_id"] for row, is_sound in zip(rows, sound, strict=True) if not is_sound)
            seen += len(rows)
            for row in rows:  # both sides rise, so one walk finds the files that no sample names
                while name is not None and name < row["blob"]:
                    orphans, leftovers = _count_stray(look, store, name, orphans, leftovers)
                    name = next(on_disk, None)
                if name == row["blob"]:
                    name = next(on_disk, None)
    while name is not None:
        orphans, leftovers = _count_stray(look, store, name, orphans, leftovers)
        name = next(on_disk, None)
    where = f"blobs/{store.root.name}"
    if bad.count:
        hint = "ingest the files they came from again, or restore the blobs from a backup"
        look.broken(f"{bad.count:,} blobs below {where} are missing or damaged", ids=bad.ids, count=bad.count, hint=hint)
    if orphans:
        look.notes.append(
            f"{orphans:,} files below {where} belong to no sample (an interrupted run wrote them; ingest takes them up)"
        )
    if leftovers:
        look.notes.append(
            f"{leftovers:,} leftovers of killed writes below {where}"
            + (" were removed" if look.clean else "; --clean removes them")
        )
    return seen


def _is_sound(store: BlobStore, row: dict[str, Any], *, fast: bool) -> bool:
    path = store.path(row["blob"])
    try:
        if row["is_torn"] or row["blob"] != store.name(row["content_hash"], Path(row["blob"]).suffix):
            return False
        if path.stat().st_size != row["size_bytes"]:
            return False
        return fast or file_hash(path) == row["content_hash"]
    except OSError:
        return False


def _count_stray(look: Look, store: BlobStore, name: str, orphans: int, leftovers: int) -> tuple[int, int]:
    if not name.endswith(_LEFTOVER):
        return orphans + 1, leftovers
    if look.clean:
        store.path(name).unlink(missing_ok=True)
        look.removed += 1
    return orphans, leftovers + 1
