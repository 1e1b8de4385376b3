"""Causal language models: a small Llama from scratch, or any pretrained one, whole or with a LoRA adapter.

Weights are read from safetensors only, no code from a hub is run, and no telemetry is sent.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from curate.errors import InputError
from curate.generators.training.artifacts import settle, sha256_file
from curate.generators.training.repeatable import seeded


def from_scratch(settings: Any, *, vocabulary: int, pad: int, end: int) -> nn.Module:
    """A Llama decoder (Touvron et al. 2023, arXiv:2302.13971) of the settings' size, with the embedding as its output layer."""
    with quiet():
        from transformers import LlamaConfig, LlamaForCausalLM

        config = LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=settings.width,
            intermediate_size=settings.inner_width or _inner(settings.width),
            num_hidden_layers=settings.layers,
            num_attention_heads=settings.heads,
            max_position_embeddings=settings.block,
            tie_word_embeddings=True,
            attention_dropout=settings.dropout,
            pad_token_id=pad,
            bos_token_id=None,
            eos_token_id=end,
        )
        return LlamaForCausalLM(config)


def read_base(base: str) -> tuple[nn.Module, Any]:
    """A pretrained model in 32 bits and its tokenizer, from a folder or by its hub name.

    Raises:
        InputError: it cannot be found or read, has no safetensors, or needs code from the hub.
    """
    with quiet():
        from transformers import AutoModelForCausalLM, AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(base, trust_remote_code=False)
            network = AutoModelForCausalLM.from_pretrained(base, trust_remote_code=False, use_safetensors=True, dtype="float32")
        except (OSError, ValueError, KeyError) as error:
            raise InputError(
                f"the base model {base!r} cannot be read: {str(error).splitlines()[0]}",
                hint="a folder with config.json, model.safetensors and tokenizer files, or a hub name that can be reached",
            ) from None
    return network, tokenizer


def add_adapter(network: nn.Module, settings: Any, *, seed: int) -> nn.Module:
    """Put LoRA (Hu et al. 2021, arXiv:2106.09685) on every linear layer; only it is trained."""
    with quiet():
        from peft import LoraConfig, get_peft_model

        config = LoraConfig(
            r=settings.lora_rank,
            lora_alpha=settings.lora_alpha,
            lora_dropout=settings.dropout,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        )
        return seeded(seed, lambda: get_peft_model(network, config))


def save_adapter(network: Any, folder: Path) -> None:
    """Write `adapter_model.safetensors` and `adapter_config.json`, which peft reads, whole or not at all."""
    scratch = folder / ".adapter"
    network.save_pretrained(scratch, safe_serialization=True)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        settle(scratch / name, folder / name)
    for left in scratch.iterdir():
        left.unlink()
    scratch.rmdir()


def load_adapter(network: nn.Module, folder: Path) -> nn.Module:
    """Put a saved adapter on its base and merge it into the weights."""
    with quiet():
        from peft import PeftModel

        adapted: Any = PeftModel.from_pretrained(network, str(folder), is_trainable=False)
        return adapted.merge_and_unload()


def from_config(config: Mapping[str, Any]) -> nn.Module:
    """An untrained network of a stored configuration."""
    with quiet():
        from transformers import AutoConfig, AutoModelForCausalLM

        rest = {key: value for key, value in config.items() if key not in ("model_type", "curate", "architectures")}
        made = AutoConfig.for_model(config["model_type"], **rest)
        return seeded(0, lambda: AutoModelForCausalLM.from_config(made, trust_remote_code=False))


def base_digest(base: str) -> dict[str, str]:
    """Hashes of a local base model's weight files by name; empty for a hub name, whose files lie in the hub's cache."""
    folder = Path(base)
    return {path.name: sha256_file(path) for path in sorted(folder.glob("*.safetensors"))} if folder.is_dir() else {}


@contextmanager
def quiet() -> Iterator[None]:
    """Silence transformers' bars and warnings and the hub's telemetry while a model is made or read."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import constants
    from transformers.utils import logging

    constants.HF_HUB_DISABLE_TELEMETRY = True
    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _inner(width: int) -> int:
    """8/3 of the width, which gives a gated MLP the size of GPT-2's, rounded up to a multiple of 8."""
    return -(-width * 8 // 3 // 8) * 8
