"""Draws texts token by token, conditioned on the label: a small Llama from scratch, or a pretrained model tuned."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from curate.errors import InputError, SettingError
from curate.generators import Drawn, DrawRequest, Estimate, Examples, FitOptions, FitReport, read_config
from curate.generators.language.corpus import bits_per_byte, nats, sequences
from curate.generators.language.networks import (
    base_digest,
    from_config,
    load_adapter,
    quiet,
    read_base,
    save_adapter,
)
from curate.generators.language.sampling import Limits, sample_batch
from curate.generators.language.settings import SHAKESPEARE_CHAR, SMALL, TINY, TUNE, LanguageSettings
from curate.generators.language.task import TextTask
from curate.generators.language.tokens import BaseCodec, Codec, load_codec
from curate.generators.training.artifacts import read_tensors
from curate.generators.training.loop import estimate
from curate.generators.training.loop import train as run_training
from curate.generators.training.model_folder import already_done, write_model
from curate.generators.training.processes import leads
from curate.generators.training.repeatable import (
    check_draw_settings,
    draw_threads,
    environment,
    pick_device,
)
from curate.generators.training.settings import Preset
from curate.records import SILENT, Progress


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
        return estimate(lambda: TextTask(self.settings, few, few.take([])), self.settings, options)

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
        task = TextTask(self.settings, train, validation)
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
