"""Draws texts token by token, conditioned on the label: a small Llama from scratch, or a pretrained model tuned."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from curate.errors import InputError, SettingError
from curate.generators import Drawn, DrawRequest, Estimate, Examples, FitOptions, FitReport, read_config
from curate.generators._artifacts import read_tensors
from curate.generators._corpus import IGNORED, Stream, TextRows, bits_per_byte, nats, sequences
from curate.generators._language import (
    add_adapter,
    base_digest,
    from_config,
    from_scratch,
    load_adapter,
    quiet,
    read_base,
    save_adapter,
)
from curate.generators._loop import Batch, estimate
from curate.generators._loop import train as run_training
from curate.generators._processes import leads
from curate.generators._repeatable import (
    NETWORK,
    check_draw_settings,
    draw_threads,
    environment,
    pick_device,
    stream_seed,
)
from curate.generators._sampling import Limits, sample_batch
from curate.generators._settings import Preset, TrainSettings, require
from curate.generators._tokens import BaseCodec, Codec, load_codec, train_codec
from curate.generators._writing import already_done, write_model
from curate.records import SILENT, Progress


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


class CausalLanguage:
    """Keeps the `Generator` contract for text."""

    modality: ClassVar[Literal["text"]] = "text"
    presets: ClassVar[Mapping[str, Preset]] = {
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

    def __init__(self, settings: LanguageSettings) -> None:
        if not isinstance(settings, LanguageSettings):
            raise SettingError(f"causal-lm takes LanguageSettings, got {type(settings).__name__}")
        self.settings = settings

    def estimate(self, train: Examples, *, options: FitOptions = FitOptions()) -> Estimate:
        """Time a few steps on at most 4,096 of these texts."""
        few = train.spread(4096)
        return estimate(lambda: _TextTask(self.settings, few, few.take([])), self.settings, options)

    def fit(
        self,
        train: Examples,
        validation: Examples,
        folder: Path,
        *,
        options: FitOptions = FitOptions(),
        progress: Progress = SILENT,
    ) -> FitReport:
        """Learn, and leave a model folder; see `Generator.fit`."""
        task = _TextTask(self.settings, train, validation)
        fingerprint = task.fingerprint
        if (done := already_done(folder, fingerprint)) is not None:
            return done
        report = run_training(task, self.settings, folder, fingerprint, options=options, progress=progress)
        metrics = task.final_metrics()
        report = dataclasses.replace(report, notes=(*task.notes, *report.notes), metrics=metrics)
        config = {"labels": list(task.labels), "block": task.block}
        outer: dict[str, Any] = {}
        if leads():
            task.codec.save(folder)
        if self.settings.lora:
            config["base_sha256"] = base_digest(str(self.settings.base))
            if leads():
                save_adapter(task.network, folder)
        else:
            outer = json.loads(task.network.config.to_json_string(use_diff=False))
        write_model(
            folder,
            plugin="causal-lm",
            settings=self.settings,
            config=config,
            tensors=None if self.settings.lora else _own_tensors(task.network),
            outer=outer,
            report=report,
            fingerprint=fingerprint,
            examples=len(train),
        )
        return report

    @classmethod
    def load(cls, folder: Path, *, device: str = "auto") -> LanguageModel:
        """Open a finished model folder."""
        return LanguageModel(folder, device=device)


class LanguageModel:
    """A trained language model; keeps the `TextModel` contract."""

    modality: ClassVar[Literal["text"]] = "text"

    def __init__(self, folder: Path, *, device: str = "auto") -> None:
        config = read_config(folder)
        self.settings = LanguageSettings(**config["settings"])
        self.labels: tuple[str, ...] = tuple(config["labels"])
        self.block = int(config["block"])
        self.device = pick_device(device)
        self.codec: Codec
        if self.settings.base is None:
            self.codec = load_codec(folder, self.labels)
        else:
            with quiet():
                from transformers import AutoTokenizer

                tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
            self.codec = BaseCodec(tokenizer, self.settings.template, self.labels)
        network = _adapted(folder, config) if self.settings.lora else _whole(folder)
        self.network = network.to(self.device).eval()
        spare = range(self.codec.size, int(self.network.config.vocab_size))
        self.banned = (*self.codec.banned, *spare)

    def draw_settings(self, **overrides: Any) -> dict[str, Any]:
        """temperature, top_p, max_tokens, prompt, batch, threads, environment."""
        settings = {
            "temperature": float(self.settings.temperature),
            "top_p": float(self.settings.top_p),
            "max_tokens": self.settings.max_tokens,
            "prompt": self.settings.draw_prompt,
            "batch": self.settings.draw_batch,
            "threads": draw_threads(self.network),
            "environment": environment(self.device),
        }
        full = settings | overrides
        _check(full)
        return full

    def draw(self, requests: Sequence[DrawRequest], settings: Mapping[str, Any]) -> Iterator[Drawn]:
        """Draw texts; requests whose prompts have the same length share a batch, so the order is by that length."""
        full = dict(settings)
        _check(full)
        groups: dict[int, list[tuple[int, NDArray[np.int32]]]] = defaultdict(list)
        for index, request in enumerate(requests):
            prompt = self._prompt(request.label, full["prompt"])
            groups[len(prompt)].append((index, prompt))
        for length, group in sorted(groups.items()):
            limits = self._limits(length, full)
            for start in range(0, len(group), full["batch"]):
                chosen = group[start : start + full["batch"]]
                filled = chosen + chosen[:1] * (full["batch"] - len(chosen))
                prompts = np.stack([prompt for _, prompt in filled])
                seeds = [requests[index].seed for index, _ in filled]
                rows = sample_batch(self.network, prompts, seeds, limits, threads=full["threads"], filled=len(chosen))
                for (index, _), ids in zip(chosen, rows, strict=True):
                    yield self._drawn(index, requests[index], ids)

    def score(self, examples: Examples) -> NDArray[np.float64]:
        """(n,) nats a token of each text, its end included, given its label; lower is likelier."""
        if examples.texts is None:
            raise SettingError("causal-lm scores texts, and these are images")
        spent, counted = self._nats(examples.texts, examples.labels)
        return spent / counted

    def bits_per_byte(self, texts: Sequence[str], labels: Sequence[str | None] | None = None) -> float:
        """Bits a byte over all texts, their ends included."""
        spent, _ = self._nats(texts, [None] * len(texts) if labels is None else labels)
        return bits_per_byte(spent, texts)

    def _nats(self, texts: Sequence[str], labels: Sequence[str | None]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        rows, starts = sequences(self.codec, texts, labels)
        return nats(
            self.network,
            rows,
            starts,
            pad=self.codec.pad,
            block=self.block,
            batch=self.settings.batch_size,
            device=self.device,
        )

    def _prompt(self, label: str | None, text: str) -> NDArray[np.int32]:
        """The ids before a draw; a model of an unlabelled stream gets the text alone, as it hardly saw the control token."""
        parts = self.codec.encode([text]) if text else []
        if not (text and self.settings.pack and not self.labels and label is None):
            parts = [self.codec.prompt(label), *parts]
        return np.concatenate(parts)

    def _limits(self, prompt: int, settings: dict[str, Any]) -> Limits:
        room = self.block + 1 - prompt
        wanted = settings["max_tokens"] or room
        if not 1 <= wanted <= room:
            raise SettingError(
                f"a prompt of {prompt} tokens and {wanted} more do not fit the model's block of {self.block}",
                hint=f"max_tokens={room}" if room > 0 else "a shorter prompt",
            )
        return Limits(settings["temperature"], settings["top_p"], wanted, self.codec.end, self.banned)

    def _drawn(self, index: int, request: DrawRequest, ids: list[int]) -> Drawn:
        ended = ids[-1] == self.codec.end
        text = self.codec.decode(ids[:-1] if ended else ids)
        extra = {"tokens": len(ids), "stopped": "end" if ended else "max-tokens"}
        return Drawn(index, request, text=text, extra=extra)


class _TextTask:
    """What the loop trains: batches of token ids, and the cross-entropy of each next token."""

    unit = "tokens"

    def __init__(self, settings: LanguageSettings, train: Examples, validation: Examples) -> None:
        if train.texts is None or validation.texts is None:
            raise SettingError("causal-lm learns texts, and the part holds images", hint="diffusion learns images")
        if not len(train):
            raise SettingError("the training part is empty")
        self.settings, self.labels, self.notes = settings, train.classes, list[str]()
        seed = stream_seed(settings.seed, NETWORK)
        self.codec: Codec
        self.block = settings.block
        if settings.base is None:
            self.codec = train_codec(train.texts, self.labels, kind=settings.tokenizer, size=settings.vocabulary)
            self.network = from_scratch(settings, vocabulary=self.codec.size, pad=self.codec.pad, end=self.codec.end, seed=seed)
        else:
            self.network, tokenizer = read_base(settings.base)
            self.codec = BaseCodec(tokenizer, settings.template, self.labels)
            longest = getattr(self.network.config, "max_position_embeddings", None)
            if longest and longest < self.block:
                self.block = int(longest)
                self.notes.append(f"the base model reads at most {longest} tokens, so that is the block")
            if settings.lora:
                self.network = add_adapter(self.network, settings, seed=seed)
        self.held = validation
        self.fingerprint = self._fingerprint(train)
        self._prepare(train)

    def batch(self, step: int, device: torch.device) -> Batch:
        """Inputs and targets of a step."""
        inputs, targets = self.rows.batch(step)
        return {"inputs": inputs.to(device), "targets": targets.to(device)}

    def count(self, batch: Batch) -> int:
        """Tokens that are learned in a batch: prompts and padding are not."""
        if self.settings.pack:
            return batch["targets"].numel()
        return int((batch["targets"] != IGNORED).sum())

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Mean cross-entropy of the next token, in nats."""
        logits = network(input_ids=batch["inputs"], use_cache=False).logits  # (B, T, V)
        return nn.functional.cross_entropy(logits.flatten(0, 1).float(), batch["targets"].flatten(), ignore_index=IGNORED)

    def validation_loss(self, network: nn.Module, device: torch.device) -> float | None:
        """Nats a token over the validation texts, at most `validation_limit` rows of them."""
        if not self.held_rows:
            return None
        spent, counted = self._spent(network, self.held_rows, self.held_starts, device)
        return float(spent.sum() / counted.sum())

    def final_metrics(self) -> dict[str, float]:
        """Bits a byte over the whole validation part, with the weights that are kept."""
        assert self.held.texts is not None
        if not any(self.held.texts):
            return {}
        device = next(self.network.parameters()).device
        rows, starts = sequences(self.codec, self.held.texts, self._known(self.held.labels))
        spent, _ = self._spent(self.network, rows, starts, device)
        return {"validation_bits_per_byte": bits_per_byte(spent, self.held.texts)}

    def _prepare(self, train: Examples) -> None:
        settings = self.settings
        assert train.texts is not None and self.held.texts is not None
        rows, starts = sequences(self.codec, train.texts, train.labels)
        self.rows: Stream | TextRows
        if settings.pack:
            self.rows = Stream(rows, block=self.block, batch=settings.batch_size, seed=settings.seed)
        else:
            if max(starts) >= self.block:
                raise SettingError(f"a prompt of {max(starts)} tokens leaves no room in a block of {self.block}")
            self.rows = TextRows(
                rows, starts, block=self.block, batch=settings.batch_size, seed=settings.seed, pad=self.codec.pad
            )
        if self.rows.cut:
            self.notes.append(f"{self.rows.cut} of {len(train)} training texts were cut to {self.block} tokens")
        held = self.held if settings.pack else self.held.spread(settings.validation_limit)
        assert held.texts is not None
        self.held_rows, self.held_starts = sequences(self.codec, held.texts, self._known(held.labels))
        if settings.pack:
            self._cut_stream()
        if len(held) < len(self.held):
            self.notes.append(f"validation during training used {len(held)} of {len(self.held)} texts, evenly spaced")
        unknown = sum(label is not None and label not in self.labels for label in self.held.labels)
        if unknown:
            self.notes.append(f"{unknown} validation texts have a label that training has not, and count as unlabelled")

    def _cut_stream(self) -> None:
        """Turn the validation texts into blocks of one stream, and take an even selection of them."""
        if not self.held_rows:
            return
        whole = np.concatenate(self.held_rows)
        blocks = [whole[i : i + self.block + 1] for i in range(0, len(whole) - self.block, self.block)] or [whole]
        limit = self.settings.validation_limit
        if limit and len(blocks) > limit:
            self.notes.append(f"validation during training used {limit} of {len(blocks)} blocks, evenly spaced")
            blocks = [blocks[i * len(blocks) // limit] for i in range(limit)]
        self.held_rows, self.held_starts = blocks, [1] * len(blocks)

    def _known(self, labels: Sequence[str | None]) -> list[str | None]:
        return [label if label in self.labels else None for label in labels]

    def _spent(
        self, network: nn.Module, rows: list[NDArray[np.int32]], starts: list[int], device: torch.device
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        batch = max(self.settings.batch_size, 32)
        return nats(network, rows, starts, pad=self.codec.pad, block=self.block, batch=batch, device=device)

    def _fingerprint(self, train: Examples) -> str:
        """Identifies this training: settings, tokenizer, base model, and every text and label of both parts."""
        digest = hashlib.sha256(repr((dataclasses.asdict(self.settings), self.codec.size)).encode())
        if self.settings.base is not None:
            digest.update(repr(base_digest(self.settings.base)).encode())
        for part in (train, self.held):
            assert part.texts is not None
            for label, text in zip(part.labels, part.texts, strict=True):
                digest.update(repr((label, text)).encode())
            digest.update(b"|")
        for ids in self.codec.encode(list(train.texts or ())[:1000]):
            digest.update(ids.tobytes())
        return digest.hexdigest()


def _own_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Every tensor once: a tied output layer shares the embedding's, and safetensors takes no two names for one."""
    seen: set[int] = set()
    out = {}
    for name, tensor in network.state_dict().items():
        if tensor.data_ptr() not in seen:
            seen.add(tensor.data_ptr())
            out[name] = tensor
    return out


def _whole(folder: Path) -> Any:
    network: Any = from_config(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    digest = read_config(folder)["tensors_sha256"]
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


def _check(settings: dict[str, Any]) -> None:
    names = ("temperature", "top_p", "max_tokens", "prompt", "batch", "threads", "environment")
    check_draw_settings(settings, dict.fromkeys(names))
    bounds = {"temperature": (0, 100), "top_p": (1e-9, 1), "max_tokens": (0, 2**31)}
    for name, (low, high) in bounds.items():
        value = settings[name]
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise SettingError(f"{name} must be in [{low}, {high}], got {value!r}")
    if not isinstance(settings["max_tokens"], int) or not isinstance(settings["prompt"], str):
        raise SettingError("max_tokens must be a whole number and prompt a text")


PLUGIN = CausalLanguage
