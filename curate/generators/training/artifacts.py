"""Files of a model folder: written whole or not at all, and never unpickled."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import WorkError

if TYPE_CHECKING:
    import torch


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, sync it, rename it, and sync the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as out:
        out.write(content)
    settle(temporary, path)


def write_json(path: Path, value: Any) -> None:
    """Write JSON that people can read, by `write_bytes`; NaN is refused."""
    write_bytes(path, (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], *, note: str | None = None) -> str:
    """Write a safetensors file; equal tensors and notes give equal bytes.

    Args:
        note: kept in the header, together with the tensors' hash. Without one the header holds what transformers expects, and
            the caller keeps the hash. There is never more than one entry, because safetensors writes entries in random order.

    Returns:
        The SHA-256 of the tensors, for `read_tensors`: the format itself has no checksum.
    """
    from safetensors.torch import save_file

    ready = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    digest = _digest(ready)
    header = {"format": "pt"} if note is None else {"curate": json.dumps({"sha256": digest, "note": note})}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.touch()
    mode = temporary.stat().st_mode  # what the user's umask gives; safetensors would make the file private
    save_file(ready, temporary, metadata=header)
    temporary.chmod(mode)
    settle(temporary, path)
    return digest


def read_tensors(path: Path, *, sha256: str | None = None) -> tuple[dict[str, torch.Tensor], str]:
    """Read a file that `write_tensors` wrote.

    Args:
        sha256: of the tensors; None takes the hash that stands beside the note.

    Returns:
        The tensors on the CPU, and the note.

    Raises:
        WorkError: the file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("curate", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, ValueError) as error:
        raise WorkError(f"{path} is damaged ({error})", hint=f"delete {path.parent} and train again") from None
    if (sha256 or header.get("sha256")) != _digest(tensors):
        raise WorkError(f"{path} is damaged: its content has another hash", hint=f"delete {path.parent} and train again")
    return tensors, str(header.get("note", ""))


def settle(temporary: Path, path: Path) -> None:
    """Sync a written file, rename it to its name, and sync the folder that holds the name."""
    _sync(temporary)
    temporary.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_file(path: Path) -> str:
    """The hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(tensors: Mapping[str, torch.Tensor]) -> str:
    import torch

    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        digest.update(memoryview(tensor.reshape(-1).view(torch.uint8).numpy()))
    return digest.hexdigest()
