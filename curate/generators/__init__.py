"""Generators learn from one part of a frozen split and draw samples.

A generator plug-in (`curate/generators/<name>.py`, `PLUGIN = TheClass`) keeps the `Generator` contract; what it leaves behind
is a model folder, which `load_model` opens as a `Model`:

    model.safetensors        the weights (or `adapter_model.safetensors`, where only an adapter was trained)
    config.json              under "curate": plug-in name, settings, labels, what a draw needs; beside it what others read
    training.json            the FitReport, and the digest of the examples
    README.md                the model card
    checkpoint.safetensors   only while training is not finished

An image family is a subclass of `images.family.ImageFamily`: its network, its loss and its sampler. A text family is one of
`language.family.TextFamily`. The rest (fitting, checkpoints, loading, batches of draws, the card) is theirs.

The laws, which `curate.testing.check_generator` tries on every family. `fit` in a folder that holds an unfinished training
goes on with it, and on a CPU ends in the same weights, bit for bit, as an undisturbed run; in a finished folder it returns
the report and does nothing. `draw` gives each request its own random stream, seeded by the request alone: the bytes of a draw
depend on the model, the conditions, the seed and the draw settings, not on what else is drawn or in which order.
`config.json` is written last: a folder that has one is a finished model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from curate.generators.contract.draws import Drawn, DrawRequest, Scores
from curate.generators.contract.examples import Examples, Lazy
from curate.generators.contract.folder import load_model, read_config, read_report, weights_file
from curate.generators.contract.reports import CurveRow, Estimate, FitOptions, FitReport
from curate.generators.training.processes import barrier, is_main_process, launched, share_of_threads
from curate.records import SILENT, Progress

if TYPE_CHECKING:
    from curate.generators.training.settings import Preset, TinyTraining, TrainSettings

__all__ = [
    "CurveRow",
    "DrawRequest",
    "Drawn",
    "Estimate",
    "Examples",
    "FitOptions",
    "FitReport",
    "Generator",
    "Lazy",
    "Model",
    "Scores",
    "barrier",
    "is_main_process",
    "launched",
    "load_model",
    "read_config",
    "read_report",
    "share_of_threads",
    "weights_file",
]


class Model(Protocol):
    """A trained generator, read from its folder."""

    modality: ClassVar[str]
    """What it draws: "image" or "text"."""
    labels: tuple[str, ...]
    """What it can be asked for as the condition "label", sorted; empty where it learned no labels."""
    conditions: ClassVar[tuple[str, ...]]
    """The names of the conditions that a draw may carry: ("label",)."""
    can_score: ClassVar[bool]
    """Whether `score` answers; where not, it raises SettingError."""
    has_likelihood: ClassVar[bool]
    """Whether scores hold nats."""

    def draw_settings(self, overrides: Mapping[str, Any] = {}, *, most_threads: int = 0) -> dict[str, Any]:
        """Every setting that moves a draw, complete and JSON-like: to be stored with the sample and given to `draw` again.

        The key "environment" records versions, processor and device; it moves nothing, but another one may round otherwise.

        Args:
            most_threads: CPU threads that a draw may take where the overrides do not say; 0 for any number.

        Raises:
            SettingError: a name is not known or a value is outside its range.
        """
        ...

    def draw(self, requests: Sequence[DrawRequest], settings: Mapping[str, Any]) -> Iterator[Drawn]:
        """Draw every request once, in any order; `Drawn.index` says which request it answers.

        Raises:
            SettingError: a condition or label that the model does not know, or incomplete settings.
        """
        ...

    def score(self, examples: Examples) -> Scores:
        """How likely each example is to the model."""
        ...


class Generator(Protocol):
    """A trainable family."""

    name: ClassVar[str]
    """The name it is registered under; model folders carry it."""
    modality: ClassVar[str]
    roles: ClassVar[tuple[str, ...]]
    """The roles that it learns from, beside the label."""
    presets: ClassVar[Mapping[str, Preset]]
    """Settings by name, the smallest first; each says what was measured with it, and on what."""
    settings: TrainSettings

    def __init__(self, settings: Any) -> None:
        """Take settings of the presets' class; SettingError where they are of another."""
        ...

    @property
    def objective(self) -> str:
        """What its loss asks for, in the field's word: "flow_matching", "next_token", …"""
        ...

    @classmethod
    def example(cls) -> TinyTraining:
        """Settings and examples that train in a second or two on a CPU, for those who test the family."""
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

        Under `accelerate launch` every process calls this with the same arguments, and the main process writes.

        Args:
            validation: watched, not learned from; it may be empty.

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
