"""The base of image families: a new one is its network, its loss and its sampler.

A subclass states `name`, `presets` and `objective`, and fills in `network`, `loss` and `sample`; further settings go into
subclasses of `ImageSettings` and `DrawSettings`. Images are (B, C, H, W) float32 in [−1, 1] everywhere here.
"""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np
from pydantic import Field
from torch import Tensor, nn

from curate.generators.contract.examples import Examples
from curate.generators.images.pixels import ImageShape
from curate.generators.training.family import Family
from curate.generators.training.repeatable import Streams
from curate.generators.training.settings import DrawSettings, PowerOfTwo, TinyTraining, TrainSettings


class ImageSettings(TrainSettings):
    """What every image family's training can be told.

    Attributes:
        label_dropout: share of training rows that lose their label, so that the model also draws without one.
        max_side: larger images are made smaller, see `pixels`.
        draw_batch: images a network call; part of what makes a draw repeatable.
    """

    label_dropout: float = Field(default=0.1, ge=0, lt=1)
    max_side: int = Field(default=32, ge=1)
    draw_batch: PowerOfTwo = 64


class ImageBatch(NamedTuple):
    """What a loss sees.

    Attributes:
        data: (B, C, H, W) images.
        labels: (B,) label numbers; `classes`, the number after the last, is the null label.
        uniform: (B,) random numbers in [0, 1), such as for the times of a diffusion.
        noise: (B, *noise_shape) standard normal.
    """

    data: Tensor
    labels: Tensor
    uniform: Tensor
    noise: Tensor


S = TypeVar("S", bound=ImageSettings)
D = TypeVar("D", bound=DrawSettings)


class ImageFamily(Family[S, D], Generic[S, D]):
    """Keeps the `Generator` contract for images."""

    modality = "image"
    roles = ("media",)
    Settings: ClassVar[type[Any]] = ImageSettings

    @abstractmethod
    def network(self, shape: ImageShape, classes: int) -> nn.Module:
        """A new network for images of a shape (whose sides divide by `side_multiple`) and so many labels and the null label.

        Its weights come from torch's global random stream, which the caller has seeded.
        """

    @abstractmethod
    def loss(self, network: nn.Module, batch: ImageBatch) -> Tensor:
        """(B,) the loss of each image; under several processes only `network(…)` itself may be called."""

    @abstractmethod
    def sample(self, network: nn.Module, streams: Streams, labels: Tensor, shape: ImageShape, draw: D) -> Tensor:
        """(B, C, H, W) an image a row; all that is random in it comes from `streams`.

        Args:
            labels: (B,) label numbers, the null label among them.
            shape: of the images, as the network was made for it.
        """

    @property
    def side_multiple(self) -> int:
        """What both sides of the network's images must divide by."""
        return 1

    def noise_shape(self, shape: ImageShape) -> tuple[int, ...]:
        """The shape of a row of `ImageBatch.noise`; the image's own unless a family wants another."""
        return shape.channels, shape.height, shape.width

    @classmethod
    def example(cls) -> TinyTraining:
        """Noise of 8×8 pixels under three labels, and 14 steps of the smallest preset."""
        pixels = np.random.default_rng(5).integers(0, 256, (40, 8, 8, 1), dtype=np.uint8)
        train = Examples(media=pixels, label=["a", "b", None, "c"] * 10)
        small = {"steps": 14, "batch_size": 8, "ema_decay": 0.9, "validate_every": 4, "keep": "best", "draw_batch": 8}
        settings = next(iter(cls.presets.values())).settings.changed(small)
        return TinyTraining(settings, train, train.take(range(8)), {})

    def task(self, train: Examples, validation: Examples) -> Any:
        """What the loop trains on these images."""
        from curate.generators.images.task import ImageTask

        return ImageTask(self, train, validation)

    @classmethod
    def load(cls, folder: Path, *, device: str = "auto") -> Any:
        """Open a finished model folder."""
        from curate.generators.images.model import ImageModel

        return ImageModel(cls, folder, device=device)
