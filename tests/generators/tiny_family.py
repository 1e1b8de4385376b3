"""A whole image family: rectified flow with one linear layer. What a newcomer writes, and nothing else."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from curate.generators.images.family import ImageBatch, ImageFamily, ImageSettings
from curate.generators.images.pixels import ImageShape
from curate.generators.training.repeatable import Streams
from curate.generators.training.settings import DrawSettings, Preset


class Velocity(nn.Module):
    """Guesses data − noise from the noisy image, the time and the label."""

    def __init__(self, values: int, classes: int) -> None:
        super().__init__()
        self.label = nn.Embedding(classes + 1, 16)
        self.guess = nn.Linear(values + 17, values)

    def forward(self, noisy: Tensor, times: Tensor, labels: Tensor) -> Tensor:
        about = torch.cat((noisy.flatten(1), times[:, None], self.label(labels)), 1)
        return self.guess(about).view_as(noisy)


class TinyFlow(ImageFamily[ImageSettings, DrawSettings]):
    """Flow matching (Lipman et al. 2023, arXiv:2210.02747) on straight lines from noise to data."""

    name = "tiny-flow"
    objective = "flow_matching"
    presets = {"tiny": Preset(ImageSettings(steps=200, learning_rate=1e-2), "not measured: an example")}  # noqa: RUF012

    def network(self, shape: ImageShape, classes: int) -> nn.Module:
        return Velocity(shape.height * shape.width * shape.channels, classes)

    def loss(self, network: nn.Module, batch: ImageBatch) -> Tensor:
        share = batch.uniform[:, None, None, None]
        guess = network(torch.lerp(batch.noise, batch.data, share), batch.uniform, batch.labels)
        return (guess - (batch.data - batch.noise)).square().flatten(1).mean(1)

    def sample(self, network: nn.Module, streams: Streams, labels: Tensor, shape: ImageShape, draw: DrawSettings) -> Tensor:
        image = streams.normal(self.noise_shape(shape))
        for step in range(20):
            image = image + network(image, torch.full((len(image),), step / 20), labels) / 20
        return image


PLUGIN = TinyFlow
