"""Files whose bytes no blob's name hashes: a trained model's, and `curate.toml`; a run that writes them seals them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from curate.catalog import Catalog, files
from curate.catalog.files import SealedFile
from curate.errors import WorkspaceDamaged
from curate.workspace._settings import FILE_NAME

_MODELS = "models"
_TEMPORARY = ".tmp"


class Altered(NamedTuple):
    """A file that is not as it was sealed: state is 'missing', 'altered' or 'unknown'."""

    path: str
    state: str


def file_hash(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal_model(root: Path, catalog: Catalog, model_id: int, folder: str, run_id: int) -> None:
    """Seal every file of a trained model; called in the transaction that declares it trained.

    Args:
        root: the workspace.
        folder: the model's, below `models/`.
    """
    found = [
        SealedFile(path.relative_to(root).as_posix(), model_id, path.stat().st_size, file_hash(path))
        for path in _files_of(root, folder)
    ]
    files.seal(catalog, found, run_id)


def seal_models_of_before(root: Path, catalog: Catalog) -> None:
    """Seal the models that were trained before there were seals, as they are found."""
    for model_id, _, folder in files.unsealed_models(catalog):
        seal_model(root, catalog, model_id, folder, 0)


def seal_settings(root: Path, catalog: Catalog, run_id: int) -> None:
    """Take `curate.toml` over as a person left it: it is the one file that is edited by hand."""
    found = settings_file(root)
    if found not in files.sealed(catalog):
        files.seal(catalog, [found], run_id)


def settings_file(root: Path) -> SealedFile:
    """`curate.toml` as it is."""
    path = root / FILE_NAME
    return SealedFile(FILE_NAME, None, path.stat().st_size, file_hash(path))


def altered_files(root: Path, catalog: Catalog, model_id: int, folder: str, *, fast: bool = False) -> list[Altered]:
    """Compare a model's files with their seals; nothing where none was sealed.

    Args:
        fast: compare sizes only.
    """
    wanted = {file.path: file for file in files.sealed(catalog, model_id)}
    if not wanted:
        return []
    there = {path.relative_to(root).as_posix() for path in _files_of(root, folder)}
    found = [Altered(path, "unknown") for path in sorted(there - wanted.keys())]
    for path, file in wanted.items():
        if path not in there:
            found.append(Altered(path, "missing"))
        elif (root / path).stat().st_size != file.size_bytes or (not fast and file_hash(root / path) != file.content_hash):
            found.append(Altered(path, "altered"))
    return found


def require_sealed(root: Path, catalog: Catalog, model_id: int, folder: str) -> Path:
    """Return a model's folder, so that it is loaded only as it was trained.

    Raises:
        WorkspaceDamaged: a file of it is missing, altered or unknown.
    """
    for path, state in altered_files(root, catalog, model_id, folder):
        what = "was not there when the model was trained" if state == "unknown" else f"is {state}"
        raise WorkspaceDamaged(
            f"the model in {_MODELS}/{folder} is not as it was trained: {path} {what}",
            hint=f"put {path} back from a backup, or train the model again under another name",
        )
    return root / _MODELS / folder


def _files_of(root: Path, folder: str) -> list[Path]:
    found = (root / _MODELS / folder).rglob("*")
    return sorted(path for path in found if path.is_file() and not path.name.endswith(_TEMPORARY))
