"""Finds a model by path or hub name, and refuses what could run code or is not safetensors."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from curate.embedders.transformer.text import files_fingerprint
from curate.errors import InputError, SettingError

WANTED = ("*.json", "*.txt", "*.model", "*.safetensors")
"""What is fetched from a hub, and what a fingerprint covers: weights, tokenizers, configurations; never code or pickles."""
IGNORED = frozenset({"data_config.json", "README.txt", "trainer_state.json"})
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")


def find_model(model: str | None, *, plugin: str, example: str) -> tuple[Path, str]:
    """The folder of a model, and a short name for it.

    Args:
        model: a path, or a hub name such as `org/name`, which is fetched once to the hub's cache.
        plugin, example: for the messages.

    Raises:
        SettingError: no model was named.
        InputError: there is no such folder or hub model, or its weights are not safetensors.
    """
    if not model:
        raise SettingError(f"{plugin} needs a model: a path or a hub name", hint=f"{plugin}:{example}")
    folder = Path(model).expanduser()
    if not folder.is_dir():
        if model.startswith((".", "/", "~")) or not HUB_NAME.fullmatch(model):
            raise InputError(f"there is no model folder {model}", hint=f"{plugin}:{example}")
        folder = _fetch(model, plugin, example)
    _refuse_pickles(folder)
    return folder, Path(model).name


def _fetch(name: str, plugin: str, example: str) -> Path:
    """The local copy of a hub model, fetched if need be."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=list(WANTED)))
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"model {name!r} is no folder here and cannot be had from the hub: {reason}",
            hint=f"name a folder that holds the model, such as {plugin}:./{example.rsplit('/', 1)[-1]}",
        ) from error


def _refuse_pickles(folder: Path) -> None:
    """Raise InputError where a pickle would be the only weights to load, or none are there at all."""
    holders = {path.parent for path in folder.rglob("*.safetensors")}
    for path in folder.rglob("*"):
        if path.suffix in PICKLES and path.parent not in holders:
            raise InputError(
                f"{path} is a pickle, which can run code; only safetensors are read",
                hint="save the model again with save_pretrained, which writes safetensors",
            )
    if not holders:
        raise InputError(f"{folder} holds no safetensors weights", hint="save the model there with save_pretrained")


def model_fingerprint(folder: Path, recipe: str) -> str:
    """Hash everything in a model's folder that can move a vector."""
    return files_fingerprint(folder, _wanted(folder), recipe)


def _wanted(folder: Path) -> Iterable[Path]:
    for pattern in WANTED:
        yield from (path for path in folder.rglob(pattern) if path.is_file() and path.name not in IGNORED)


def model_slug(prefix: str, name: str, fingerprint: str) -> str:
    """A table name that two different models never share: prefix, the model's name, the start of its fingerprint."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:32].strip("_")
    return "_".join(part for part in (prefix, plain, fingerprint[:8]) if part)
