"""Settings of the language model, and the presets' values."""

from __future__ import annotations

import dataclasses
from typing import Literal

from curate.generators.training.settings import TrainSettings, require


@dataclasses.dataclass(frozen=True, kw_only=True)
class LanguageSettings(TrainSettings):
    """Settings of a training, and what draws use unless told otherwise.

    Attributes:
        base: a pretrained model's folder or hub name; None trains from scratch, and then the size below is read.
        lora: train a LoRA adapter on the base, of rank `lora_rank` and scale `lora_alpha`, and leave the base alone.
        template: the prompt on a base; its first line, with {label}, is left out where there is no label.
        tokenizer: from scratch: "bpe" (byte-level) or "characters".
        vocabulary: most tokens of "bpe".
        width, inner_width, layers, heads: the decoder's size; inner_width 0 takes 8/3 of the width.
        block: most tokens of a row, the prompt included.
        pack: read all texts as one stream in blocks that begin anywhere, for long texts; otherwise one text a row.
        dropout: on attention from scratch, on the adapter with LoRA.
        temperature, top_p, max_tokens: of draws; max_tokens 0 goes up to the block.
        draw_prompt: text that a draw continues and does not repeat.
        draw_batch: texts a network call; part of what makes a draw repeatable.
    """

    base: str | None = None
    lora: bool = False
    lora_rank: int = 8
    lora_alpha: int = 16
    template: str = "Label: {label}\nText:"
    tokenizer: Literal["bpe", "characters"] = "bpe"
    vocabulary: int = 2048
    width: int = 192
    inner_width: int = 0
    layers: int = 4
    heads: int = 4
    block: int = 128
    pack: bool = False
    dropout: float = 0.0
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 0
    draw_prompt: str = ""
    draw_batch: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "lora", not self.lora or self.base is not None, "false without a base model")
        require(self, "template", "{label}" in self.template, "a text with {label}")
        for name in ("lora_rank", "lora_alpha", "layers", "heads"):
            require(self, name, getattr(self, name) >= 1, "at least 1")
        require(self, "width", self.width >= 2 * self.heads and self.width % (2 * self.heads) == 0, "a multiple of 2 · heads")
        require(self, "block", self.block >= 8, "at least 8")
        require(self, "dropout", 0 <= self.dropout < 1, "in [0, 1)")
        require(self, "temperature", 0 <= self.temperature <= 100, "in [0, 100]")
        require(self, "top_p", 0 < self.top_p <= 1, "in (0, 1]")
        for name in ("inner_width", "max_tokens", "vocabulary"):
            require(self, name, getattr(self, name) >= 0, "at least 0")
        require(self, "draw_batch", self.draw_batch >= 1 and not self.draw_batch & (self.draw_batch - 1), "a power of two")


TINY = LanguageSettings(
    steps=1500,
    batch_size=64,
    learning_rate=2e-3,
    warmup=0.05,
    weight_decay=0.1,
    beta2=0.99,
    validate_every=150,
    patience=3,
    keep="best",
    dropout=0.1,
)
SHAKESPEARE_CHAR = LanguageSettings(
    tokenizer="characters",
    pack=True,
    width=128,
    block=64,
    steps=2000,
    batch_size=12,
    learning_rate=1e-3,
    warmup=0.05,
    final_rate=0.1,
    weight_decay=0.1,
    beta2=0.99,
    validate_every=250,
    validation_limit=240,
    draw_prompt="\n",
)
SMALL = LanguageSettings(
    vocabulary=8192,
    width=512,
    layers=8,
    heads=8,
    block=512,
    steps=20_000,
    batch_size=64,
    learning_rate=6e-4,
    warmup=0.02,
    final_rate=0.1,
    weight_decay=0.1,
    beta2=0.95,
    validate_every=500,
    patience=5,
    keep="best",
    dropout=0.1,
)
TUNE = LanguageSettings(
    steps=1000,
    batch_size=32,
    learning_rate=2e-4,
    warmup=0.05,
    validate_every=100,
    patience=3,
    keep="best",
    block=256,
)
