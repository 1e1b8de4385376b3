"""The base of text families: a new one is its network, its loss and its sampler.

A subclass states `name`, `presets` and `objective`, and fills in `network`, `logits` and `sample`; one whose loss is not the
cross-entropy of the next token replaces `loss` and `token_losses` too. Tokens are trained on the part unless `build` does it
otherwise.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from curate.errors import InputError
from curate.generators.contract.examples import Examples
from curate.generators.language.corpus import IGNORED
from curate.generators.language.sampling import Limits
from curate.generators.language.tokens import Codec, load_codec, train_codec
from curate.generators.training.artifacts import read_tensors
from curate.generators.training.family import Family, Saved
from curate.generators.training.repeatable import NETWORK, Streams, seeded, stream_seed
from curate.generators.training.settings import DrawSettings, PowerOfTwo, TinyTraining, TrainSettings


class TextSettings(TrainSettings):
    """What every text family's training can be told, and what draws use unless told otherwise.

    Attributes:
        tokenizer: "bpe" (byte-level) or "characters".
        vocabulary: most tokens of "bpe".
        block: most tokens of a row, the prompt included.
        pack: read all texts as one stream in blocks that begin anywhere, for long texts; otherwise one text a row.
        temperature, top_p, max_tokens: of draws; max_tokens 0 goes up to the block.
        draw_prompt: text that a draw continues and does not repeat.
        draw_batch: texts a network call; part of what makes a draw repeatable.
    """

    tokenizer: Literal["bpe", "characters"] = "bpe"
    vocabulary: int = Field(default=2048, ge=0)
    block: int = Field(default=128, ge=8)
    pack: bool = False
    temperature: float = Field(default=1.0, ge=0, le=100)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_tokens: int = Field(default=0, ge=0)
    draw_prompt: str = ""
    draw_batch: PowerOfTwo = 32


class TextDraw(DrawSettings):
    """Settings of a draw.

    Attributes:
        temperature: divides the logits; 0 takes the likeliest token.
        top_p: keeps the likeliest tokens whose probabilities sum to at least this.
        max_tokens: at most so many after the prompt; 0 goes up to the block.
        prompt: text that a draw continues and does not repeat.
    """

    temperature: float = Field(ge=0, le=100)
    top_p: float = Field(gt=0, le=1)
    max_tokens: int = Field(ge=0)
    prompt: str


@dataclass(frozen=True)
class Reader:
    """A network and what it reads.

    Attributes:
        codec: texts and labels to tokens and back.
        block: most tokens that the network reads at once.
        notes: what must be said about them.
    """

    network: nn.Module
    codec: Codec
    block: int
    notes: tuple[str, ...] = ()


S = TypeVar("S", bound=TextSettings)


class TextFamily(Family[S, TextDraw], Generic[S]):
    """Keeps the `Generator` contract for texts."""

    modality = "text"
    roles = ("text",)
    estimate_rows = 4096
    Settings: ClassVar[type[Any]] = TextSettings
    Draw: ClassVar[type[Any]] = TextDraw

    @abstractmethod
    def network(self, codec: Codec) -> nn.Module:
        """A new network for the tokens of a codec; its weights come from torch's global random stream, which is seeded."""

    @abstractmethod
    def logits(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(B, T, V) what the network makes of token ids (B, T): of each place, the token that follows it."""

    @abstractmethod
    def sample(
        self, network: nn.Module, prompts: NDArray[np.int32], streams: Streams, limits: Limits, wanted: int
    ) -> list[list[int]]:
        """The new tokens of the first `wanted` rows of a batch; what is random comes from `streams`, one a row.

        Args:
            prompts: (B, P) token ids.
        """

    def loss(self, network: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss, a scalar.

        Args:
            inputs, targets: (B, T) token ids; a target of `IGNORED` is not learned.
        """
        logits = self.logits(network, inputs)
        return cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED)

    def token_losses(self, network: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """(B, T) nats of each target, 0 where it is `IGNORED`."""
        logits = self.logits(network, inputs)
        return cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), reduction="none").view_as(targets)

    def build(self, texts: Sequence[str], labels: tuple[str, ...]) -> Reader:
        """A new network, and a tokenizer trained on the texts."""
        settings = self.settings
        codec = train_codec(texts, labels, kind=settings.tokenizer, size=settings.vocabulary)
        network = seeded(stream_seed(settings.seed, NETWORK), lambda: self.network(codec))
        return Reader(network, codec, settings.block)

    def spare_ids(self, reader: Reader) -> Sequence[int]:
        """Token ids that the network can answer and the codec does not have; they are never drawn."""
        return ()

    def identity(self) -> list[Any]:
        """What the weights start from, beside the settings; part of a training's fingerprint."""
        return []

    def save(self, reader: Reader, folder: Path) -> Saved:
        """What belongs into the model folder beside the tokenizer's files, which lie there already."""
        return Saved({"block": reader.block}, reader.network.state_dict())

    def restore(self, folder: Path, config: dict[str, Any]) -> Reader:
        """What `save` kept."""
        codec = load_codec(folder, config["labels"])
        network = seeded(0, lambda: self.network(codec))
        tensors, _ = read_tensors(folder / "model.safetensors", sha256=config["tensors_sha256"])
        try:
            network.load_state_dict(tensors)
        except RuntimeError as error:
            raise InputError(f"{folder} holds weights that do not suit its configuration: {error}") from None
        return Reader(network, codec, int(config["block"]))

    def draw_defaults(self) -> dict[str, Any]:
        """temperature, top_p, max_tokens, prompt."""
        settings = self.settings
        return {
            "temperature": float(settings.temperature),
            "top_p": float(settings.top_p),
            "max_tokens": settings.max_tokens,
            "prompt": settings.draw_prompt,
        }

    @classmethod
    def example(cls) -> TinyTraining:
        """Texts of five words under two labels, and 14 steps of the smallest preset."""
        random, words = np.random.default_rng(5), ["card", "payment", "was", "not", "lost", "my", "where"]
        train = Examples(text=[" ".join(random.choice(words, 5)) for _ in range(40)], label=["x", "y"] * 20)
        small = {
            "steps": 14, "batch_size": 8, "ema_decay": 0.9, "validate_every": 4, "keep": "best", "vocabulary": 280,
            "block": 32, "draw_batch": 4,
        }  # fmt: skip
        settings = next(iter(cls.presets.values())).settings.changed(small)
        return TinyTraining(settings, train, train.take(range(8)), {"max_tokens": 6})

    def task(self, train: Examples, validation: Examples) -> Any:
        """What the loop trains on these texts."""
        from curate.generators.language.task import TextTask

        return TextTask(self, train, validation)

    @classmethod
    def load(cls, folder: Path, *, device: str = "auto") -> Any:
        """Open a finished model folder."""
        from curate.generators.language.model import TextModel

        return TextModel(cls, folder, device=device)
