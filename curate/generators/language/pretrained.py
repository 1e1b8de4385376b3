"""Networks in the form of transformers: read from a base model, and kept so that transformers and peft read them again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from curate.errors import InputError
from curate.generators.language.family import Reader
from curate.generators.language.networks import (
    add_adapter,
    base_digest,
    from_config,
    load_adapter,
    quiet,
    read_base,
    save_adapter,
)
from curate.generators.language.tokens import BaseCodec, Codec, load_codec
from curate.generators.training.artifacts import read_tensors
from curate.generators.training.family import Saved
from curate.generators.training.processes import is_main_process
from curate.generators.training.repeatable import NETWORK, stream_seed

if TYPE_CHECKING:
    from curate.generators.language.causal_settings import LanguageSettings


def read(settings: LanguageSettings, labels: tuple[str, ...]) -> Reader:
    """A base model and its tokenizer, with a new adapter where the settings want one."""
    network, tokenizer = read_base(str(settings.base))
    longest, block, notes = getattr(network.config, "max_position_embeddings", None), settings.block, list[str]()
    if longest and longest < block:
        block = int(longest)
        notes.append(f"the base model reads at most {longest} tokens, so that is the block")
    if settings.lora:
        network = add_adapter(network, settings, seed=stream_seed(settings.seed, NETWORK))
    return Reader(network, BaseCodec(tokenizer, settings.template, labels), block, tuple(notes))


def save_adapted(settings: LanguageSettings, reader: Reader, folder: Path) -> Saved:
    """Write the adapter alone; the base model is remembered by the hashes of its files."""
    if is_main_process():
        save_adapter(reader.network, folder)
    return Saved({"block": reader.block, "base_sha256": base_digest(str(settings.base))}, None)


def save_whole(reader: Reader) -> Saved:
    """The network's tensors, each once, and its own configuration."""
    network: Any = reader.network
    outer = json.loads(network.config.to_json_string(use_diff=False))
    return Saved({"block": reader.block}, _own_tensors(network), outer)


def restore(settings: LanguageSettings, folder: Path, config: dict[str, Any]) -> Reader:
    """Open a model folder.

    Raises:
        InputError: the weights do not suit the configuration, or the base model is gone or has changed.
    """
    codec: Codec
    if settings.base is None:
        codec = load_codec(folder, config["labels"])
    else:
        with quiet():
            from transformers import AutoTokenizer

            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        codec = BaseCodec(tokenizer, settings.template, config["labels"])
    network = _adapted(folder, config) if settings.lora else _whole(folder, config["tensors_sha256"])
    return Reader(network, codec, int(config["block"]))


def _own_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Every tensor once: a tied output layer shares the embedding's, and safetensors takes no two names for one."""
    seen: set[int] = set()
    out = {}
    for name, tensor in network.state_dict().items():
        if tensor.data_ptr() not in seen:
            seen.add(tensor.data_ptr())
            out[name] = tensor
    return out


def _whole(folder: Path, digest: str) -> Any:
    network: Any = from_config(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    tensors, _ = read_tensors(folder / "model.safetensors", sha256=digest)
    wanted = {name for name, _ in network.named_parameters()}
    lost, odd = wanted - tensors.keys(), tensors.keys() - network.state_dict().keys()
    if lost or odd:
        raise InputError(f"{folder} holds weights that do not suit its configuration: {sorted(lost | odd)[0]}")
    network.load_state_dict(tensors, strict=False)
    network.tie_weights()
    return network


def _adapted(folder: Path, config: Mapping[str, Any]) -> Any:
    base = str(config["settings"]["base"])
    if config["base_sha256"] != base_digest(base):
        raise InputError(f"the base model {base!r} is gone or has changed since {folder.name} was trained on it")
    return load_adapter(read_base(base)[0], folder)
