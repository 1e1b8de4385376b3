"""Settings of the causal language models, and the presets with what was measured of them."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from curate.generators.language.family import TextSettings
from curate.generators.training.settings import Preset


class LanguageSettings(TextSettings):
    """Settings of a training, and what draws use unless told otherwise.

    Attributes:
        base: a pretrained model's folder or hub name; None trains from scratch, and then the size below is read.
        lora: train a LoRA adapter on the base, of rank `lora_rank` and scale `lora_alpha`, and leave the base alone.
        template: the prompt on a base; its first line, with {label}, is left out where there is no label.
        width, inner_width, layers, heads: the decoder's size; inner_width 0 takes 8/3 of the width.
        dropout: on attention from scratch, on the adapter with LoRA.
    """

    base: str | None = None
    lora: bool = False
    lora_rank: int = Field(default=8, ge=1)
    lora_alpha: int = Field(default=16, ge=1)
    template: str = "Label: {label}\nText:"
    width: int = Field(default=192, ge=2)
    inner_width: int = Field(default=0, ge=0)
    layers: int = Field(default=4, ge=1)
    heads: int = Field(default=4, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)

    def model_post_init(self, context: Any) -> None:
        """Check what depends on two settings."""
        self.require("lora", not self.lora or self.base is not None, "false without a base model")
        self.require("template", "{label}" in self.template, "a text with {label}")
        self.require("width", self.width % (2 * self.heads) == 0, "a multiple of 2 · heads")


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
PRESETS = {
    "tiny": Preset(
        TINY,
        "banking77, 8,474 questions of 77 intents to train and 1,059 to test: 0.901 bits a byte on the validation part; "
        "2,524 of 4,620 draws accepted; TSTR 0.849 beside TRTR 0.883 (logistic regression on MiniLM vectors, by which the "
        "gates filter), 0.726 beside 0.777 (on TF-IDF); 23 minutes on one core of a busy AVX2 machine",
    ),
    "shakespeare-char": Preset(
        SHAKESPEARE_CHAR,
        "tinyshakespeare, last tenth held out: 1.676 nats a character, 2.418 bits a byte (nanoGPT of this size and "
        "these steps: 1.88); 5 minutes on one core of a busy AVX2 machine",
    ),
    "small": Preset(SMALL, "not measured: meant for a GPU"),
    "tune": Preset(TUNE, "not measured: for a base model, with lora=true or whole"),
}
