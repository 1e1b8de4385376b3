"""From noise to data: what the network is asked to predict, and the ordinary differential equation that a draw follows.

Every path mixes x_t = a(t)·x + s(t)·e of data x and noise e, asks the network for one target, and offers the slope dy/du of an
equation that carries noise to data in coordinates (y, u) of its own, so that every sampler works with every objective.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from curate.errors import SettingError

SCHEDULES = ("linear", "cosine")
TIMES = 1000
"""Discrete times of DDPM; the networks read times on this scale under every objective."""
LARGEST_RATIO = 80.0
"""Where draws begin: the noise is so many times the data (Karras et al. 2022, arXiv:2206.00364, table 1)."""

Predict = Callable[[Tensor, float], Tensor]
"""The network: (B, C, H, W) and a time on the scale of `TIMES` to (B, C, H, W)."""


class Objective(Protocol):
    """One objective."""

    def times(self, uniform: Tensor) -> Tensor:
        """Training times (B,) from uniform numbers in [0, 1)."""
        ...

    def clock(self, times: Tensor) -> Tensor:
        """Times on the scale that the network reads, 0 to `TIMES`."""
        ...

    def mix(self, data: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """The noisy input x_t (B, C, H, W) at times (B,)."""
        ...

    def target(self, data: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """What the network should answer, (B, C, H, W)."""
        ...

    def grid(self, steps: int) -> list[float]:
        """The steps + 1 values of u that a draw passes."""
        ...

    def start(self, noise: Tensor) -> Tensor:
        """y at the grid's first value, from standard normal noise."""
        ...

    def slope(self, predict: Predict, y: Tensor, u: float) -> Tensor:
        """dy/du."""
        ...


class FlowMatching(Objective):
    """Rectified flow, or conditional flow matching with straight lines: x_t = (1−t)·e + t·x, target x − e.

    Source: Lipman et al. 2023 (arXiv:2210.02747, eq. 23); Liu et al. 2023 (arXiv:2209.03003, eq. 1). Training times are
    logit-normal (Esser et al. 2024, arXiv:2403.03206, eq. 19). A draw follows dx/dt = v from t = 0 to 1.
    """

    def times(self, uniform: Tensor) -> Tensor:
        return torch.sigmoid(torch.special.ndtri(uniform.clamp(1e-6, 1 - 1e-6)))

    def clock(self, times: Tensor) -> Tensor:
        return times * TIMES

    def mix(self, data: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        return torch.lerp(noise, data, _wide(times))

    def target(self, data: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        return data - noise

    def grid(self, steps: int) -> list[float]:
        return [step / steps for step in range(steps + 1)]

    def start(self, noise: Tensor) -> Tensor:
        return noise

    def slope(self, predict: Predict, y: Tensor, u: float) -> Tensor:
        return predict(y, u * TIMES)


class GaussianDiffusion(Objective):
    """DDPM's variance-preserving path: x_t = √ā·x + √(1−ā)·e, with the noise e (epsilon) or v as target.

    Source: Ho et al. 2020 (arXiv:2006.11239, eq. 4 and 14; linear schedule: section 4); cosine schedule: Nichol & Dhariwal 2021
    (arXiv:2102.09672, eq. 17); v = √ā·e − √(1−ā)·x: Salimans & Ho 2022 (arXiv:2202.00512, appendix D).
    A draw follows dy/du = (y − D(y; u)) / u with y = x_t / √ā and u = √((1−ā)/ā), from large u to 0 (Karras et al. 2022, eq. 3
    and 5), where D, the clean image that the network believes in, is held in [−1, 1] as DDPM's own sampler does.
    """

    def __init__(self, *, v_prediction: bool, schedule: str) -> None:
        self.v_prediction = v_prediction
        self.kept = torch.from_numpy(_kept_signal(schedule))  # (TIMES,) float64, ā
        self.log_ratio = (0.5 * ((1 - self.kept).log() - self.kept.log())).numpy()  # (TIMES,) ln u, rising

    def times(self, uniform: Tensor) -> Tensor:
        return (uniform * TIMES).floor().clamp(max=TIMES - 1)

    def clock(self, times: Tensor) -> Tensor:
        return times

    def mix(self, data: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        signal, rest = self._shares(times)
        return signal * data + rest * noise

    def target(self, data: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        if not self.v_prediction:
            return noise
        signal, rest = self._shares(times)
        return signal * noise - rest * data

    def grid(self, steps: int) -> list[float]:
        """Karras et al. 2022, eq. 5, with ρ = 7, and a last step to 0."""
        high = min(LARGEST_RATIO, math.exp(self.log_ratio[-1]))
        low = math.exp(self.log_ratio[0])
        share = np.linspace(0, 1, steps) if steps > 1 else np.zeros(1)
        return [*((high ** (1 / 7) + share * (low ** (1 / 7) - high ** (1 / 7))) ** 7).tolist(), 0.0]

    def start(self, noise: Tensor) -> Tensor:
        return noise * self.grid(1)[0]

    def slope(self, predict: Predict, y: Tensor, u: float) -> Tensor:
        signal = 1 / math.sqrt(1 + u * u)
        answer = predict(y * signal, float(np.interp(math.log(u), self.log_ratio, np.arange(TIMES))))
        clean = signal * signal * y - signal * u * answer if self.v_prediction else y - u * answer
        return (y - clean.clamp(-1, 1)) / u

    def _shares(self, times: Tensor) -> tuple[Tensor, Tensor]:
        kept = self.kept.to(times.device)[times.long()]
        return _wide(kept.sqrt().float()), _wide((1 - kept).sqrt().float())


def make_objective(name: str, schedule: str) -> Objective:
    """The objective of a name: "flow_matching", "epsilon" or "v_prediction"; the last two read the noise schedule."""
    return (
        FlowMatching() if name == "flow_matching" else GaussianDiffusion(v_prediction=name == "v_prediction", schedule=schedule)
    )


Slope = Callable[[Tensor, float], Tensor]


def euler(slope: Slope, y: Tensor, grid: list[float]) -> Tensor:
    """Euler's rule; on a DDPM path this is DDIM with η = 0 (Song et al. 2021, arXiv:2010.02502, eq. 13)."""
    for here, there in pairwise(grid):
        y = y + (there - here) * slope(y, here)
    return y


def midpoint(slope: Slope, y: Tensor, grid: list[float]) -> Tensor:
    """The explicit midpoint rule: second order, two evaluations a step."""
    for here, there in pairwise(grid):
        half = (there - here) / 2
        y = y + 2 * half * slope(y + half * slope(y, here), here + half)
    return y


def heun(slope: Slope, y: Tensor, grid: list[float]) -> Tensor:
    """Heun's rule: second order, two evaluations a step; a step to u = 0 is Euler's (Karras et al. 2022, algorithm 1)."""
    for here, there in pairwise(grid):
        first = slope(y, here)
        ahead = y + (there - here) * first
        y = ahead if there == 0 else y + (there - here) / 2 * (first + slope(ahead, there))
    return y


SAMPLERS: dict[str, Callable[[Slope, Tensor, list[float]], Tensor]] = {
    "euler": euler,
    "ddim": euler,
    "midpoint": midpoint,
    "heun": heun,
}


def _kept_signal(schedule: str) -> np.ndarray:
    """ā for each of the TIMES times, float64."""
    if schedule == "linear":
        return np.cumprod(1 - np.linspace(1e-4, 0.02, TIMES))
    if schedule != "cosine":
        raise SettingError(f"schedule must be one of {', '.join(SCHEDULES)}, got {schedule!r}")
    share = np.arange(TIMES + 1) / TIMES
    curve = np.cos((share + 0.008) / 1.008 * math.pi / 2) ** 2
    return np.cumprod(1 - np.minimum(1 - curve[1:] / curve[:-1], 0.999))


def _wide(values: Tensor) -> Tensor:
    return values[:, None, None, None]
