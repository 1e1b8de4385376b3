"""What all families share: a training becomes a model folder, and a model folder becomes draws.

A family of images or texts is a subclass of `ImageFamily` or `TextFamily`, which fill in what stands here as abstract.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from torch import nn

from curate.errors import SettingError
from curate.generators.contract.draws import Drawn, DrawRequest, Scores
from curate.generators.contract.examples import Examples
from curate.generators.contract.folder import read_config
from curate.generators.contract.reports import Estimate, FitOptions, FitReport
from curate.generators.training.loop import Task, train
from curate.generators.training.model_folder import already_done, write_model
from curate.generators.training.repeatable import draw_threads, environment, pick_device
from curate.generators.training.settings import DrawSettings, Preset, TinyTraining, TrainSettings
from curate.generators.training.timing import estimate
from curate.records import SILENT, Progress

if TYPE_CHECKING:
    import torch

S = TypeVar("S", bound=TrainSettings)
D = TypeVar("D", bound=DrawSettings)
F = TypeVar("F", bound="Family[Any, Any]")


@dataclass(frozen=True, slots=True)
class Saved:
    """What a model folder holds beside settings and report.

    Attributes:
        config: what loading needs, JSON-like; "labels" among it.
        tensors: the weights; None where they are written already.
        outer: keys of config.json that other libraries read, beside "curate".
    """

    config: dict[str, Any]
    tensors: Mapping[str, torch.Tensor] | None
    outer: Mapping[str, Any] = field(default_factory=dict)


class FamilyTask(Task, Protocol):
    """A task that knows what it learns from, and how its network is kept."""

    labels: tuple[str, ...]
    notes: list[str]

    def fingerprint(self) -> str:
        """Identifies this training: settings, and every content and label of both parts."""
        ...

    def metrics(self) -> dict[str, float]:
        """Figures of the finished network, for the report."""
        ...

    def save(self, folder: Path) -> Saved:
        """Write, as the main process, what is no tensor; and say what else belongs into the folder."""
        ...


class Family(ABC, Generic[S, D]):
    """Keeps the `Generator` contract for a family that is trained by `training.loop`."""

    name: ClassVar[str]
    modality: ClassVar[str]
    roles: ClassVar[tuple[str, ...]]
    presets: ClassVar[Mapping[str, Preset]]
    Settings: ClassVar[type[Any]]
    """Of a training: the class `S`."""
    Draw: ClassVar[type[Any]] = DrawSettings
    """Of a draw: the class `D`, with a field for each name of `draw_defaults`."""
    estimate_rows: ClassVar[int] = 1024
    """Examples that an estimate looks at."""

    def __init__(self, settings: S) -> None:
        if type(settings) is not self.Settings:
            raise SettingError(f"{self.name} takes {self.Settings.__name__}, got {type(settings).__name__}")
        self.settings = settings

    @property
    @abstractmethod
    def objective(self) -> str:
        """What the loss asks for, in the field's word."""

    @classmethod
    @abstractmethod
    def example(cls) -> TinyTraining:
        """Settings and examples that train in a second or two."""

    @abstractmethod
    def task(self, train: Examples, validation: Examples) -> FamilyTask:
        """What the loop trains on these examples."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, *, device: str = "auto") -> FamilyModel[Any, Any]:
        """Open a finished model folder."""

    def draw_defaults(self) -> dict[str, Any]:
        """The family's own draw settings, beside batch, threads and environment."""
        return {}

    def check_draw(self, draw: D) -> None:
        """Raise SettingError where draw settings do not suit how the model was trained."""

    def estimate(self, train: Examples, *, options: FitOptions = FitOptions()) -> Estimate:
        """Time a few steps; see `Generator.estimate`."""
        few = train.spread(self.estimate_rows)
        return estimate(lambda: self.task(few, few.take([])), self.settings, options)

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
        for part in (train, validation):
            part.require(self.roles, by=self.name)
        if not len(train):
            raise SettingError("the training part is empty")
        return self._fit(self.task(train, validation), len(train), folder, options, progress)

    def _fit(self, task: FamilyTask, examples: int, folder: Path, options: FitOptions, progress: Progress) -> FitReport:
        fingerprint = task.fingerprint()
        if (done := already_done(folder, fingerprint)) is not None:
            return done
        report = train(task, self.settings, folder, fingerprint, options=options, progress=progress)
        report = replace(report, notes=(*task.notes, *report.notes), metrics=task.metrics())
        saved = task.save(folder)
        write_model(
            folder, plugin=self.name, settings=self.settings, config=saved.config, tensors=saved.tensors, outer=saved.outer,
            report=report, fingerprint=fingerprint, examples=examples,
        )  # fmt: skip
        return report


class FamilyModel(ABC, Generic[F, D]):
    """Keeps the `Model` contract for a folder that a `Family` wrote."""

    conditions: ClassVar[tuple[str, ...]] = ("label",)
    can_score: ClassVar[bool] = True
    has_likelihood: ClassVar[bool] = False
    network: nn.Module

    def __init__(self, kind: type[F], folder: Path, *, device: str) -> None:
        self.config = read_config(folder)
        self.family: F = kind(kind.Settings.from_stored(self.config["settings"]))
        self.labels: tuple[str, ...] = tuple(self.config["labels"])
        self.device = pick_device(device)

    def draw_settings(self, overrides: Mapping[str, Any] = {}, *, most_threads: int = 0) -> dict[str, Any]:
        """The family's own settings, batch, threads and environment; see `Model.draw_settings`."""
        own = draw_threads(self.network)
        settings = {
            **self.family.draw_defaults(),
            "batch": self.family.settings.draw_batch,
            "threads": min(own, 1 << (most_threads.bit_length() - 1)) if most_threads else own,
            "environment": environment(self.device),
            **overrides,
        }
        self._parsed(settings)
        return settings

    def draw(self, requests: Sequence[DrawRequest], settings: Mapping[str, Any]) -> Iterator[Drawn]:
        """Draw every request once; see `Model.draw`."""
        draw = self._parsed(settings)
        for request in requests:
            if odd := sorted(request.conditions.keys() - set(self.conditions)):
                raise SettingError(f"the model knows no condition {odd[0]!r}", hint="one of: " + ", ".join(self.conditions))
        yield from self._draw(requests, draw)

    @abstractmethod
    def score(self, examples: Examples) -> Scores:
        """How likely each example is; see `Model.score`."""

    @abstractmethod
    def _draw(self, requests: Sequence[DrawRequest], draw: D) -> Iterator[Drawn]: ...

    def _parsed(self, settings: Mapping[str, Any]) -> D:
        draw: D = self.family.Draw(**settings)
        self.family.check_draw(draw)
        return draw


def full_batches(rows: Sequence[Any], size: int) -> Iterator[tuple[Sequence[Any], int]]:
    """Cut rows into batches of one size, each with how many of its rows are wanted.

    A short batch is filled up by repeating its first row, because another batch size would round otherwise.
    """
    for start in range(0, len(rows), size):
        chosen = list(rows[start : start + size])
        yield chosen + chosen[:1] * (size - len(chosen)), len(chosen)
