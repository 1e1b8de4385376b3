"""Generators learn from one part of a frozen split and draw labelled samples.

A generator plug-in (`curate/generators/<name>.py`, `PLUGIN = TheClass`) keeps the `Generator` contract; what it leaves behind
is a model folder, which `load_model` opens as a `Model`:

    model.safetensors        the weights (or `adapter_model.safetensors`, where only an adapter was trained)
    config.json              under "curate": plug-in name, settings, labels, what a draw needs; beside it what other libraries
    read training.json            the FitReport, and the digest of the examples
    README.md                the model card
    tokenizer.json …         text models only
    checkpoint.safetensors   only while training is not finished

The laws. `fit` in a folder that holds an unfinished training goes on with it, and on a CPU ends in the same weights, bit for
bit, as an undisturbed run; in a finished folder it returns the report and does nothing. `draw` gives each request its own
random stream, seeded by the request alone: the bytes of a draw depend on the model, the label, the seed and the draw settings,
not on what else is drawn or in which order. `config.json` is written last: a folder that has one is a finished model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from curate.errors import InputError, SettingError
from curate.generators.training.processes import launched, leads, meet, share_of_threads
from curate.generators.training.settings import Preset, TrainSettings, configure
from curate.plugins import load
from curate.records import SILENT, Progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "CurveRow",
    "DrawRequest",
    "Drawn",
    "Estimate",
    "Examples",
    "FitOptions",
    "FitReport",
    "Generator",
    "Model",
    "Preset",
    "TrainSettings",
    "configure",
    "launched",
    "leads",
    "load_model",
    "meet",
    "share_of_threads",
    "weights_file",
]


@dataclass(frozen=True)
class Examples:
    """Labelled samples of one part: texts, decoded images, or a way to the encoded ones.

    Attributes:
        labels: a label per row; None where the sample has none.
        texts: the texts, or None where these are images.
        pixels: (n, H, W, C) uint8 with C 1 or 3, or None.
        media: gives the encoded image of a row; called once a row, in order.
        ids: the samples' ids, for messages; empty means row numbers.

    Raises:
        SettingError: not exactly one of texts, pixels and media was given, or lengths differ.
    """

    labels: Sequence[str | None]
    texts: Sequence[str] | None = None
    pixels: NDArray[np.uint8] | None = None
    media: Callable[[int], bytes] | None = None
    ids: Sequence[int] = ()

    def __post_init__(self) -> None:
        given = [x for x in (self.texts, self.pixels, self.media) if x is not None]
        if len(given) != 1:
            raise SettingError(f"Examples take exactly one of texts, pixels and media, got {len(given)}")
        for name, part in (("texts", self.texts), ("pixels", self.pixels), ("ids", self.ids or None)):
            if part is not None and len(part) != len(self.labels):
                raise SettingError(f"Examples got {len(part)} {name} for {len(self.labels)} labels")

    def __len__(self) -> int:
        return len(self.labels)

    def name(self, row: int) -> str:
        """Say which sample a row is, for a message."""
        return f"sample {self.ids[row]}" if self.ids else f"row {row}"

    def take(self, rows: Sequence[int]) -> Examples:
        """Some of the rows, in this order."""
        media = self.media
        return Examples(
            labels=[self.labels[row] for row in rows],
            texts=None if self.texts is None else [self.texts[row] for row in rows],
            pixels=None if self.pixels is None else self.pixels[list(rows)],
            media=None if media is None else lambda row: media(rows[row]),
            ids=[self.ids[row] for row in rows] if self.ids else (),
        )

    def spread(self, limit: int) -> Examples:
        """At most `limit` rows, evenly spaced; all of them where it is 0."""
        if not limit or limit >= len(self):
            return self
        return self.take([i * len(self) // limit for i in range(limit)])

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The distinct labels, sorted; None is not among them."""
        return tuple(sorted({label for label in self.labels if label is not None}))


@dataclass(frozen=True, slots=True)
class FitOptions:
    """How the work is done; on a CPU nothing here but the number of threads moves a result.

    Attributes:
        device: "auto", "cpu" or "cuda"; "auto" takes what accelerate finds.
        threads: CPU threads; 0 for torch's own choice. A resumed run takes the number it began with.
        checkpoint_seconds: longest time between checkpoints; 0 for none by time.
        checkpoint_steps: steps between checkpoints; 0 for none by steps.
    """

    device: str = "auto"
    threads: int = 0
    checkpoint_seconds: float = 60.0
    checkpoint_steps: int = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a training will take, measured before it starts.

    Attributes:
        seconds: expected wall-clock time of the whole training.
        how: one sentence: how many steps were timed, on what.
        threads: the number of CPU threads that was fastest, of those that were tried; the one asked for, if one was.
    """

    seconds: float
    how: str
    threads: int = 0


@dataclass(frozen=True, slots=True)
class CurveRow:
    """One row of the loss curve.

    Attributes:
        step: steps done, from 1.
        seconds: wall-clock seconds of training until here, over all runs.
        loss: mean training loss since the last row.
        validation_loss: with the averaged weights where there are any; None where it was not measured.
        learning_rate: at this step.
    """

    step: int
    seconds: float
    loss: float
    validation_loss: float | None
    learning_rate: float


@dataclass(frozen=True, slots=True)
class FitReport:
    """What a training did.

    Attributes:
        steps: steps done.
        seconds: wall-clock time of training over all runs, without the time between them.
        units_per_second: images or tokens a second, while training steps ran.
        unit: "images" or "tokens".
        curve: the loss curve.
        best_validation_loss: and the step it was reached at; None without a validation part.
        stop_reason: "all steps done" or "validation loss stopped falling".
        resumed_at: the steps at which an interrupted run went on.
        parameters: how many numbers were trained.
        metrics: further figures by name, such as "validation_bits_per_byte".
        notes: caps, cuts and fallbacks, a sentence each.
    """

    steps: int
    seconds: float
    units_per_second: float
    unit: str
    curve: tuple[CurveRow, ...]
    best_validation_loss: float | None
    best_step: int | None
    stop_reason: str
    resumed_at: tuple[int, ...] = ()
    parameters: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DrawRequest:
    """One sample to draw.

    Attributes:
        label: one of the model's labels; None draws without a label.
        seed: the sample's own, from 0 to 2**63 - 1.
    """

    label: str | None
    seed: int


@dataclass(frozen=True, slots=True)
class Drawn:
    """One drawn sample: encoded image or text.

    Attributes:
        index: which request of the call it answers.
        request: that request.
        media: the PNG file's bytes, or None where it is a text.
        text: the text, or None where it is an image.
        extra: facts about the draw, JSON-like: {"tokens": 12, "stopped": "end"}.
    """

    index: int
    request: DrawRequest
    media: bytes | None = None
    text: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


class Model(Protocol):
    """A trained generator, read from its folder."""

    modality: ClassVar[Literal["image", "text"]]
    labels: tuple[str, ...]
    """What it can draw by name, sorted."""

    def draw_settings(self, **overrides: Any) -> dict[str, Any]:
        """Every setting that moves a draw, complete and JSON-like: to be stored with the sample and given to `draw` again.

        The key "environment" records versions, processor and device; it moves nothing, but another one may round otherwise.

        Raises:
            SettingError: a name is not known or a value is outside its range.
        """
        ...

    def draw(self, requests: Sequence[DrawRequest], settings: Mapping[str, Any]) -> Iterator[Drawn]:
        """Draw every request once, in any order; `Drawn.index` says which request it answers.

        The same model, label, seed and settings give the same bytes, whatever else is drawn beside them.

        Raises:
            SettingError: a label that the model does not know, or incomplete settings.
        """
        ...

    def score(self, examples: Examples) -> NDArray[np.float64]:
        """(n,) the model's loss on each example, with fixed noise where it needs any; lower is likelier."""
        ...


class TextModel(Model, Protocol):
    """A trained language model."""

    def bits_per_byte(self, texts: Sequence[str], labels: Sequence[str | None] | None = None) -> float:
        """Bits the model needs per UTF-8 byte of the texts, their ends included; comparable across tokenizers.

        Args:
            labels: the texts' labels; None reads them all as unlabelled.
        """
        ...


class Generator(Protocol):
    """A trainable family."""

    modality: ClassVar[Literal["image", "text"]]
    presets: ClassVar[Mapping[str, Preset]]
    """Settings by name, the smallest first; each says what was measured with it, and on what."""
    settings: TrainSettings

    def __init__(self, settings: Any) -> None:
        """Take settings of the presets' class, made by `configure`.

        Raises:
            SettingError: a value is outside its range.
        """
        ...

    def estimate(self, train: Examples, *, options: FitOptions = FitOptions()) -> Estimate:
        """Time a few steps on these examples and say how long all will take; leaves nothing behind."""
        ...

    def fit(
        self,
        train: Examples,
        validation: Examples,
        folder: Path,
        *,
        options: FitOptions = FitOptions(),
        progress: Progress = SILENT,
    ) -> FitReport:
        """Learn, and leave a model folder; go on with what an interrupted run left in `folder`.

        Under `accelerate launch` every process calls this with the same arguments, and the first one writes.

        Raises:
            SettingError: the examples do not fit the settings, or `folder` holds a training of something else.
            WorkError: the loss is no longer finite (the message names the step), or a checkpoint is damaged.
            BadRecord: an image cannot be decoded.
        """
        ...

    @classmethod
    def load(cls, folder: Path, *, device: str = "auto") -> Model:
        """Open a finished model folder.

        Raises:
            InputError: the folder is not a finished model, or its base model is missing or has changed.
        """
        ...


def read_config(folder: Path) -> dict[str, Any]:
    """Read the "curate" part of a model folder's configuration: plugin, settings, labels and what the plug-in adds.

    Raises:
        InputError: there is none, so the folder is not a finished model.
    """
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))["curate"]
    except FileNotFoundError:
        raise InputError(f"{folder} is not a finished model: it has no config.json", hint="run the training again") from None
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not the configuration of a curate model ({error})") from None
    return dict(config)


def load_model(folder: Path, *, device: str = "auto") -> Model:
    """Open a finished model folder with the plug-in that made it.

    Raises:
        InputError: the folder is not a finished model.
        SettingError: its plug-in is not installed, or the device is not there.
    """
    return load("generators", read_config(folder)["plugin"]).load(folder, device=device)


def weights_file(folder: Path) -> Path:
    """The file that holds what was trained; its hash identifies the model.

    Raises:
        InputError: there is none.
    """
    for name in ("model.safetensors", "adapter_model.safetensors"):
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"{folder} holds no weights", hint="run the training again")
