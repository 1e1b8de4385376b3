"""What can be mended without losing anything: leftovers of killed commands go, and caches go, which are built again."""

from __future__ import annotations

import shutil
from pathlib import Path

from curate.checking.look import Look

_TEMPORARY = ".tmp"
_IN_USE = "spill"
"""The catalog's own temporary files, of living processes too."""


def remove_caches(look: Look) -> None:
    """Remove every cache in `indexes/`; the next command that wants one builds it again from the catalog."""
    folder = look.workspace.root / "indexes"
    caches = [path for path in sorted(folder.iterdir()) if path.name != _IN_USE] if folder.is_dir() else []
    for path in caches:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    if caches:
        look.notes.append(f"repaired: the caches {', '.join(path.name for path in caches)} were removed, and are built again")


def remove_leftovers(look: Look) -> None:
    """Remove what killed writes left under temporary names beside the settings and in the models' folders."""
    root = look.workspace.root
    found = [*_temporary(root, deep=False), *_temporary(root / "models", deep=True)]
    for path in found:
        path.unlink(missing_ok=True)
    look.removed += len(found)
    if found:
        look.notes.append(f"repaired: {len(found):,} leftovers of killed writes were removed")


def _temporary(folder: Path, *, deep: bool) -> list[Path]:
    paths = folder.rglob(f"*{_TEMPORARY}") if deep else folder.glob(f".*{_TEMPORARY}")
    return [path for path in paths if path.is_file()]
