"""Draws images pixel by pixel from noise, conditioned on the label: flow matching, or DDPM with epsilon or v-prediction."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from curate.errors import SettingError
from curate.generators.images.diffusion_settings import PRESETS, DiffusionDraw, DiffusionSettings
from curate.generators.images.family import ImageBatch, ImageFamily
from curate.generators.images.networks import ResidualMLP, UNet
from curate.generators.images.objectives import SAMPLERS, make_objective
from curate.generators.images.pixels import ImageShape
from curate.generators.training.repeatable import Streams
from curate.generators.training.settings import TinyTraining


class Diffusion(ImageFamily[DiffusionSettings, DiffusionDraw]):
    """Diffusion and flow models of images."""

    name = "diffusion"
    presets = PRESETS
    Settings, Draw = DiffusionSettings, DiffusionDraw

    def __init__(self, settings: DiffusionSettings) -> None:
        super().__init__(settings)
        self.path = make_objective(settings.objective, settings.noise_schedule)

    @property
    def objective(self) -> str:
        """ "flow_matching", "epsilon" or "v_prediction"."""
        return self.settings.objective

    @property
    def side_multiple(self) -> int:
        """What the UNet's levels halve."""
        settings = self.settings
        return settings.unshuffle * 2 ** (len(settings.widths) - 1) if settings.network == "unet" else 1

    def network(self, shape: ImageShape, classes: int) -> nn.Module:
        """diffusers' UNet, or the residual MLP."""
        settings, side = self.settings, (shape.height, shape.width)
        common: dict[str, Any] = {"side": side, "channels": shape.channels, "dropout": settings.dropout, "classes": classes}
        if settings.network == "mlp":
            return ResidualMLP(width=settings.widths[0], blocks=settings.layers, **common)
        return UNet(
            widths=settings.widths, layers=settings.layers, attention=settings.attention, unshuffle=settings.unshuffle, **common
        )

    def loss(self, network: nn.Module, batch: ImageBatch) -> Tensor:
        """(B,) mean squared error between the network's answer and the objective's target."""
        data, noise, times = batch.data, batch.noise, self.path.times(batch.uniform)
        answer = network(self.path.mix(data, noise, times), self.path.clock(times), batch.labels)
        return (answer.float() - self.path.target(data, noise, times)).square().flatten(1).mean(1)

    def sample(self, network: nn.Module, streams: Streams, labels: Tensor, shape: ImageShape, draw: DiffusionDraw) -> Tensor:
        """(B, C, H, W) by a sampler of the differential equation that leads from noise to data."""
        start = self.path.start(streams.normal(self.noise_shape(shape)))
        predict = partial(_guided, network, labels, torch.full_like(labels, network.null_label), draw.guidance)
        return SAMPLERS[draw.sampler](partial(self.path.slope, predict), start, self.path.grid(draw.steps))

    def draw_defaults(self) -> dict[str, Any]:
        """sampler, steps, guidance."""
        settings = self.settings
        return {"sampler": settings.sampler, "steps": settings.sample_steps, "guidance": float(settings.guidance)}

    def check_draw(self, draw: DiffusionDraw) -> None:
        """Guidance compares answers with and without the label."""
        if draw.guidance not in (0, 1) and not self.settings.label_dropout:
            raise SettingError(f"guidance {draw.guidance} needs a model trained with label_dropout", hint="guidance=1")

    @classmethod
    def example(cls) -> TinyTraining:
        """A UNet with dropout, which is the most that a resumed training must repeat."""
        tiny = super().example()
        small = {"network": "unet", "widths": (8, 16), "dropout": 0.1, "layers": 1}
        return TinyTraining(tiny.settings.changed(small), tiny.train, tiny.validation, {"steps": 2})


def _guided(network: nn.Module, labels: Tensor, null_labels: Tensor, guidance: float, noisy: Tensor, time: float) -> Tensor:
    """The network's answer, guided (Ho & Salimans 2022, arXiv:2207.12598, eq. 6, with w = guidance − 1)."""
    times = torch.full((len(noisy),), time, device=noisy.device)
    if guidance == 0:
        return network(noisy, times, null_labels)
    answer = network(noisy, times, labels)
    if guidance == 1:
        return answer
    without = network(noisy, times, null_labels)
    return without + guidance * (answer - without)


PLUGIN = Diffusion
