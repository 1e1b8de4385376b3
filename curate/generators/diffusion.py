"""Draws images pixel by pixel from noise, conditioned on the label: flow matching, DDPM noise prediction or v-prediction."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from curate.errors import InputError, SettingError
from curate.generators import Drawn, DrawRequest, Estimate, Examples, FitOptions, FitReport, read_config
from curate.generators.images.networks import fresh, make_network, side_multiple
from curate.generators.images.pixels import Frame, choose_frame, encode_png, pad_to_multiple, stack
from curate.generators.images.probability_paths import SAMPLERS, make_path
from curate.generators.training.artifacts import read_tensors
from curate.generators.training.loop import Batch, estimate
from curate.generators.training.loop import train as run_training
from curate.generators.training.model_folder import already_done, write_model
from curate.generators.training.order import Order, label_numbers
from curate.generators.training.repeatable import (
    NETWORK,
    NOISE,
    VALIDATION,
    check_draw_settings,
    draw_threads,
    environment,
    pick_device,
    pinned,
    sample_stream,
    stream_seed,
)
from curate.generators.training.settings import Preset, TrainSettings, require
from curate.records import SILENT, Progress


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiffusionSettings(TrainSettings):
    """Settings of a training, and what draws use unless told otherwise.

    Attributes:
        objective: "flow" (flow matching), "noise" (DDPM's mean squared error on the noise) or "velocity" (v-prediction).
        noise_schedule: "linear" or "cosine", for the last two.
        label_dropout: share of training rows that lose their label, which is what guidance needs.
        network: "unet", or "mlp" for images of up to about 16×16.
        widths: channels of the UNet's levels; one number for the MLP.
        layers: residual blocks a level; all blocks of the MLP.
        attention: in the UNet's lowest level and middle.
        unshuffle: r, to run the UNet on r×r pixels as r² channels.
        dropout: inside the network.
        max_side: larger images are made smaller, see `_pixels`.
        sampler, sample_steps, guidance: of draws. Guidance above 1 lowers recall: for show, not for training data.
        draw_batch: images a network call; part of what makes a draw repeatable.
    """

    objective: Literal["flow", "noise", "velocity"] = "flow"
    noise_schedule: Literal["linear", "cosine"] = "cosine"
    label_dropout: float = 0.1
    network: Literal["unet", "mlp"] = "unet"
    widths: tuple[int, ...] = (64, 128)
    layers: int = 1
    attention: bool = True
    unshuffle: int = 1
    dropout: float = 0.0
    max_side: int = 32
    sampler: Literal["euler", "ddim", "midpoint", "heun"] = "heun"
    sample_steps: int = 20
    guidance: float = 1.0
    draw_batch: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "label_dropout", 0 <= self.label_dropout < 1, "in [0, 1)")
        require(self, "dropout", 0 <= self.dropout < 1, "in [0, 1)")
        require(self, "widths", bool(self.widths) and min(self.widths) >= 4, "a list of numbers from 4")
        require(self, "widths", self.network == "unet" or len(self.widths) == 1, "one number for the MLP")
        for name in ("layers", "unshuffle", "max_side", "sample_steps"):
            require(self, name, getattr(self, name) >= 1, "at least 1")
        require(self, "draw_batch", self.draw_batch >= 1 and not self.draw_batch & (self.draw_batch - 1), "a power of two")
        guided = self.guidance in (0.0, 1.0) or self.label_dropout > 0
        require(self, "guidance", self.guidance >= 0 and guided, "at least 0, and 1 where label_dropout is 0")


TINY = DiffusionSettings(
    network="mlp",
    widths=(384,),
    layers=4,
    max_side=16,
    steps=800,
    batch_size=256,
    learning_rate=2e-3,
    schedule="one-cycle",
    warmup=0.3,
    ema_decay=0.995,
    validate_every=200,
)
SMALL = DiffusionSettings(
    widths=(32, 64),
    unshuffle=2,
    steps=5000,
    batch_size=64,
    learning_rate=1e-3,
    schedule="one-cycle",
    warmup=0.1,
    ema_decay=0.999,
    validate_every=500,
    validation_limit=512,
)
BASE = DiffusionSettings(
    widths=(128, 256, 256, 512),
    layers=2,
    max_side=64,
    steps=100_000,
    batch_size=128,
    learning_rate=2e-4,
    warmup=0.01,
    dropout=0.1,
    ema_decay=0.9999,
    validate_every=2000,
    draw_batch=64,
)


class Diffusion:
    """Keeps the `Generator` contract for images."""

    modality: ClassVar[Literal["image"]] = "image"
    presets: ClassVar[Mapping[str, Preset]] = {
        "tiny": Preset(
            TINY,
            "scikit-learn's digits, 1,437 to train and 180 to test, which only the leak gate had seen: TSTR 0.978 beside TRTR "
            "0.993 (support vector classifier on pixels), coverage 0.989 beside 0.986, 19 of 1,100 draws refused; "
            "83 s on two idle AVX2 cores, 134 to 191 s on busy ones",
        ),
        "small": Preset(
            SMALL,
            "Fashion-MNIST, 55,950 to train and 6,994 to test: TSTR 0.802 beside TRTR 0.810 (small convolutional network), "
            "0.838 beside 0.852 (support vector classifier on pixels), each on 3,186 rows; coverage of pixels 0.943 beside "
            "0.970; 3,186 of 4,000 draws accepted; 49 minutes on one core of a busy AVX2 machine",
        ),
        "base": Preset(BASE, "not measured: meant for a GPU, and for images of 64×64 and more"),
    }

    def __init__(self, settings: DiffusionSettings) -> None:
        if not isinstance(settings, DiffusionSettings):
            raise SettingError(f"diffusion takes DiffusionSettings, got {type(settings).__name__}")
        self.settings = settings

    def estimate(self, train: Examples, *, options: FitOptions = FitOptions()) -> Estimate:
        """Time a few steps on at most 1,024 of these examples."""
        few = train.spread(1024)
        return estimate(lambda: _ImageTask(self.settings, few, few.spread(1)), self.settings, options)

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
        if len(train) == 0:
            raise SettingError("the training part is empty")
        task = _ImageTask(self.settings, train, validation)
        fingerprint = task.fingerprint()
        if (done := already_done(folder, fingerprint)) is not None:
            return done
        report = run_training(task, self.settings, folder, fingerprint, options=options, progress=progress)
        report = dataclasses.replace(report, notes=(*task.notes, *report.notes))
        config = {"labels": list(task.labels), "frame": dataclasses.asdict(task.frame)}
        write_model(
            folder,
            plugin="diffusion",
            settings=self.settings,
            config=config,
            tensors=task.network.state_dict(),
            report=report,
            fingerprint=fingerprint,
            examples=len(train),
        )
        return report

    @classmethod
    def load(cls, folder: Path, *, device: str = "auto") -> DiffusionModel:
        """Open a finished model folder."""
        return DiffusionModel(folder, device=device)


class DiffusionModel:
    """A trained image generator; keeps the `Model` contract."""

    modality: ClassVar[Literal["image"]] = "image"

    def __init__(self, folder: Path, *, device: str = "auto") -> None:
        config = read_config(folder)
        self.settings = DiffusionSettings(**config["settings"])
        self.labels: tuple[str, ...] = tuple(config["labels"])
        self.frame = Frame(**config["frame"])
        self.device = pick_device(device)
        multiple = side_multiple(self.settings)
        self.side = (self.frame.height + -self.frame.height % multiple, self.frame.width + -self.frame.width % multiple)
        make = partial(make_network, self.settings, side=self.side, channels=self.frame.channels, classes=len(self.labels))
        self.network = fresh(0, make)
        tensors, _ = read_tensors(folder / "model.safetensors", sha256=config["tensors_sha256"])
        try:
            self.network.load_state_dict(tensors)
        except RuntimeError as error:
            raise InputError(f"{folder} holds weights that do not suit its configuration: {error}") from None
        self.network.to(self.device).eval()
        self.path = make_path(self.settings.objective, self.settings.noise_schedule)

    def draw_settings(self, **overrides: Any) -> dict[str, Any]:
        """sampler, steps, guidance, batch, threads, environment."""
        settings = {
            "sampler": self.settings.sampler,
            "steps": self.settings.sample_steps,
            "guidance": float(self.settings.guidance),
            "batch": self.settings.draw_batch,
            "threads": draw_threads(self.network),
            "environment": environment(self.device),
        }
        full = settings | overrides
        self._check(full, settings)
        return full

    def draw(self, requests: Sequence[DrawRequest], settings: Mapping[str, Any]) -> Iterator[Drawn]:
        """Draw PNG images in the order of the requests."""
        full = dict(settings)
        self._check(full, dict.fromkeys(("sampler", "steps", "guidance", "batch", "threads", "environment")))
        for start in range(0, len(requests), full["batch"]):
            chosen = list(requests[start : start + full["batch"]])
            # A short batch is filled up by repeating its first row, because another batch size would round otherwise.
            images = self._images(chosen + chosen[:1] * (full["batch"] - len(chosen)), full)
            for offset, request in enumerate(chosen):
                yield Drawn(start + offset, request, media=encode_png(images[offset]))

    def score(self, examples: Examples) -> NDArray[np.float64]:
        """(n,) the training loss at 16 fixed times with fixed noise; lower is likelier."""
        task = _ImageTask(self.settings, examples, examples, frame=self.frame, labels=self.labels, network=self.network)
        return task.scores(self.network, self.device, repeats=16)

    def _check(self, settings: dict[str, Any], known: dict[str, Any]) -> None:
        check_draw_settings(settings, known)
        if settings["sampler"] not in SAMPLERS:
            raise SettingError(f"sampler must be one of {', '.join(SAMPLERS)}, got {settings['sampler']!r}")
        if not isinstance(settings["steps"], int) or settings["steps"] < 1:
            raise SettingError(f"steps must be a whole number from 1, got {settings['steps']!r}")
        guidance = settings["guidance"]
        if not isinstance(guidance, int | float) or not 0 <= guidance < 100:
            raise SettingError(f"guidance must be in [0, 100), got {guidance!r}")
        if guidance not in (0, 1) and not self.settings.label_dropout:
            raise SettingError(f"guidance {guidance} needs a model trained with label_dropout", hint="guidance=1")

    def _images(self, requests: list[DrawRequest], settings: dict[str, Any]) -> NDArray[np.uint8]:
        """(B, H, W, C) for one full batch."""
        shape = (self.frame.channels, *self.side)
        noise = np.stack([sample_stream(request.seed).standard_normal(shape, dtype=np.float32) for request in requests])
        numbers = label_numbers([request.label for request in requests], self.labels, strict=True)
        with pinned(settings["threads"]):
            labels = torch.from_numpy(numbers).to(self.device)
            y = self.path.start(torch.from_numpy(noise).to(self.device))
            slope = partial(self.path.slope, partial(self._predict, labels, float(settings["guidance"])))
            y = SAMPLERS[settings["sampler"]](slope, y, self.path.grid(settings["steps"]))
            pixels = ((y.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).cpu()  # (B, C, H, W)
        return pixels.permute(0, 2, 3, 1).numpy()[:, : self.frame.height, : self.frame.width]

    def _predict(self, labels: Tensor, guidance: float, noisy: Tensor, time: float) -> Tensor:
        """The network's answer, guided (Ho & Salimans 2022, arXiv:2207.12598, eq. 6, with w = guidance − 1)."""
        times = torch.full((len(noisy),), time, device=noisy.device)
        nobody = torch.full_like(labels, len(self.labels))
        if guidance == 0:
            return self.network(noisy, times, nobody)
        answer = self.network(noisy, times, labels)
        if guidance == 1:
            return answer
        blind = self.network(noisy, times, nobody)
        return blind + guidance * (answer - blind)


class _ImageTask:
    """What the loop trains: batches of images with their noise, and the mean squared error."""

    unit = "images"

    def __init__(
        self,
        settings: DiffusionSettings,
        train: Examples,
        validation: Examples,
        *,
        frame: Frame | None = None,
        labels: tuple[str, ...] | None = None,
        network: nn.Module | None = None,
    ) -> None:
        if train.texts is not None:
            raise SettingError("diffusion learns images, and the part holds texts", hint="causal-lm learns texts")
        self.settings, self.path = settings, make_path(settings.objective, settings.noise_schedule)
        self.frame = frame or choose_frame(train, max_side=settings.max_side)
        self.labels = train.classes if labels is None else labels
        self.notes: list[str] = []
        self.pixels, self.numbers = self._part(train, "training")
        self.held_pixels, self.held_numbers = self._part(validation, "validation")
        self.order = Order(len(train), settings.batch_size, settings.seed)
        side = (self.pixels.shape[2], self.pixels.shape[3])
        make = partial(make_network, settings, side=side, channels=self.frame.channels, classes=len(self.labels))
        self.network = network or fresh(stream_seed(settings.seed, NETWORK), make)

    def fingerprint(self) -> str:
        """Identifies this training: settings, and every pixel and label of both parts."""
        digest = hashlib.sha256(repr((dataclasses.asdict(self.settings), self.labels, self.frame)).encode())
        for tensor in (self.pixels, self.numbers, self.held_pixels, self.held_numbers):
            digest.update(repr(tuple(tensor.shape)).encode())
            digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()

    def batch(self, step: int, device: torch.device) -> Batch:
        """Images, labels (some dropped), times and noise of a step."""
        rows = torch.from_numpy(self.order.rows(step))
        random = torch.Generator(device).manual_seed(stream_seed(self.settings.seed, NOISE, step))
        data = _to_unit(self.pixels[rows].to(device))
        uniform = torch.rand((2, len(rows)), generator=random, device=device)
        labels = self.numbers[rows].to(device)
        labels = torch.where(uniform[0] < self.settings.label_dropout, len(self.labels), labels)
        noise = torch.randn(data.shape, generator=random, device=device)
        return {"data": data, "labels": labels, "times": self.path.times(uniform[1]), "noise": noise}

    def count(self, batch: Batch) -> int:
        """Images in a batch."""
        return len(batch["data"])

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Mean squared error between the network's answer and the path's target."""
        return self._errors(network, batch).mean()

    def validation_loss(self, network: nn.Module, device: torch.device) -> float | None:
        """The mean loss over validation images, each at one fixed time, the times spread evenly."""
        return float(self.scores(network, device, repeats=1).mean()) if len(self.held_pixels) else None

    def scores(self, network: nn.Module, device: torch.device, *, repeats: int) -> NDArray[np.float64]:
        """(n,) the loss of each validation image, a mean over `repeats` evenly spread times."""
        n = len(self.held_pixels)
        random = torch.Generator().manual_seed(stream_seed(self.settings.seed, VALIDATION))
        order = torch.randperm(n, generator=random)
        total = torch.zeros(n, dtype=torch.float64)
        with torch.no_grad():
            for repeat in range(repeats):
                uniform = ((order + 0.5) / n + repeat / repeats) % 1.0
                for rows in torch.arange(n).split(self.settings.batch_size):
                    noise = torch.randn((len(rows), *self.held_pixels.shape[1:]), generator=random)
                    batch = {
                        "data": _to_unit(self.held_pixels[rows].to(device)),
                        "labels": self.held_numbers[rows].to(device),
                        "times": self.path.times(uniform[rows].to(device)),
                        "noise": noise.to(device),
                    }
                    total[rows] += self._errors(network, batch).double().cpu()
        return (total / repeats).numpy()

    def _errors(self, network: nn.Module, batch: Batch) -> Tensor:
        data, noise, times = batch["data"], batch["noise"], batch["times"]
        answer = network(self.path.mix(data, noise, times), self.path.clock(times), batch["labels"])
        return (answer.float() - self.path.target(data, noise, times)).square().flatten(1).mean(1)  # (B,)

    def _part(self, examples: Examples, what: str) -> tuple[Tensor, Tensor]:
        """(n, C, H, W) uint8 padded for the network, and (n,) label numbers."""
        limit = self.settings.validation_limit if what == "validation" else 0
        if limit and len(examples) > limit:
            examples = examples.spread(limit)
            self.notes.append(f"validation used {limit} images, evenly spaced")
        pixels, scaled = stack(examples, self.frame)
        if scaled:
            self.notes.append(f"{scaled} {what} images of another size were scaled to {self.frame.height}×{self.frame.width}")
        numbers = label_numbers(examples.labels, self.labels, strict=False)
        unknown = sum(label is not None and label not in self.labels for label in examples.labels)
        if unknown:
            self.notes.append(f"{unknown} {what} images have a label that training has not, and count as unlabelled")
        padded = pad_to_multiple(pixels, side_multiple(self.settings))
        return torch.from_numpy(np.ascontiguousarray(padded.transpose(0, 3, 1, 2))), torch.from_numpy(numbers)


def _to_unit(pixels: Tensor) -> Tensor:
    """uint8 to float32 in [−1, 1]."""
    return pixels.float() / 127.5 - 1


PLUGIN = Diffusion
