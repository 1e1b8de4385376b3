"""Draws texts token by token, conditioned on the label: a small Llama from scratch, or a pretrained model tuned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from curate.generators.language import pretrained
from curate.generators.language.causal_settings import PRESETS, LanguageSettings
from curate.generators.language.family import Reader, TextFamily
from curate.generators.language.networks import base_digest, from_scratch
from curate.generators.language.sampling import Limits, sample_batch
from curate.generators.language.tokens import Codec
from curate.generators.training.family import Saved
from curate.generators.training.repeatable import Streams
from curate.generators.training.settings import TinyTraining


class CausalLanguage(TextFamily[LanguageSettings]):
    """Causal language models."""

    name = "causal-lm"
    presets = PRESETS
    Settings = LanguageSettings

    @property
    def objective(self) -> str:
        """The next token, given those before it."""
        return "next_token"

    def network(self, codec: Codec) -> nn.Module:
        """A Llama decoder from scratch."""
        return from_scratch(self.settings, vocabulary=codec.size, pad=codec.pad, end=codec.end)

    def logits(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(B, T, V)"""
        return network(input_ids=inputs, use_cache=False).logits

    def sample(
        self, network: Any, prompts: NDArray[np.int32], streams: Streams, limits: Limits, wanted: int
    ) -> list[list[int]]:
        """One token after the other, until the end token or the limit."""
        return sample_batch(network, prompts, streams, limits, wanted=wanted)

    def build(self, texts: Sequence[str], labels: tuple[str, ...]) -> Reader:
        """From scratch, or from a base model."""
        if self.settings.base is None:
            return super().build(texts, labels)
        return pretrained.read(self.settings, labels)

    def spare_ids(self, reader: Reader) -> Sequence[int]:
        """A base model's embedding may have more rows than its tokenizer has tokens."""
        network: Any = reader.network
        return range(reader.codec.size, int(network.config.vocab_size))

    def identity(self) -> list[Any]:
        """The base model's weights."""
        return [] if self.settings.base is None else [base_digest(self.settings.base)]

    def save(self, reader: Reader, folder: Path) -> Saved:
        """An adapter, or the whole network with the configuration that transformers reads."""
        if self.settings.lora:
            return pretrained.save_adapted(self.settings, reader, folder)
        return pretrained.save_whole(reader)

    def restore(self, folder: Path, config: dict[str, Any]) -> Reader:
        """What `save` kept; an adapter is put on its base."""
        return pretrained.restore(self.settings, folder, config)

    @classmethod
    def example(cls) -> TinyTraining:
        """One layer with dropout, which is the most that a resumed training must repeat."""
        tiny = super().example()
        small = {"width": 16, "layers": 1, "heads": 2, "dropout": 0.2}
        return TinyTraining(tiny.settings.changed(small), tiny.train, tiny.validation, tiny.draw)


PLUGIN = CausalLanguage
