"""The objectives and samplers against distributions whose paths are known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from curate.errors import SettingError
from curate.generators.images.objectives import (
    SAMPLERS,
    TIMES,
    FlowMatching,
    GaussianDiffusion,
    euler,
    heun,
    make_objective,
    midpoint,
)

PATHS = [
    ("flow_matching", "linear"),
    *((objective, s) for objective in ("epsilon", "v_prediction") for s in ("linear", "cosine")),
]


def knows_one_image(path, image):
    """The best possible network where the data are one image: it solves x_t = a·x + s·e for e, and answers the target."""

    def predict(noisy, time):
        times = torch.full((len(noisy),), time / TIMES if isinstance(path, FlowMatching) else time)
        if isinstance(path, FlowMatching):
            t = times[0]
            return (image - noisy) / (1 - t)  # x − e with e = (x_t − t·x) / (1 − t)
        # Between two of the discrete times the signal follows from the interpolated ratio, as in `slope`.
        ratio = math.exp(np.interp(time, np.arange(TIMES), path.log_ratio))
        signal, rest = 1 / math.sqrt(1 + ratio**2), ratio / math.sqrt(1 + ratio**2)
        noise = (noisy - signal * image) / rest
        return signal * noise - rest * image if path.v_prediction else noise

    return predict


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(("objective", "schedule"), PATHS)
def test_every_sampler_arrives_at_the_only_image_there_is(objective, schedule, sampler):
    random = torch.Generator().manual_seed(1)
    image = torch.rand((2, 1, 3, 3), generator=random) * 1.8 - 0.9
    noise = torch.randn(image.shape, generator=random)
    path = make_objective(objective, schedule)
    grid = path.grid(12)
    if objective == "flow_matching" and sampler == "heun":
        grid[-1] = 0.999  # the one-image velocity divides by 1 − t
    drawn = SAMPLERS[sampler](lambda y, u: path.slope(knows_one_image(path, image), y, u), path.start(noise), grid)
    assert torch.allclose(drawn, image, atol=0.02)


@pytest.mark.parametrize(("objective", "schedule"), PATHS)
def test_target_and_mixture_give_the_data_back(objective, schedule):
    random = torch.Generator().manual_seed(2)
    data, noise = torch.rand((64, 1, 2, 2), generator=random) * 2 - 1, torch.randn((64, 1, 2, 2), generator=random)
    path = make_objective(objective, schedule)
    times = path.times(torch.linspace(0.05, 0.9, 64))
    mixed, target = path.mix(data, noise, times), path.target(data, noise, times)
    if objective == "flow_matching":
        back = mixed + (1 - times[:, None, None, None]) * target
    else:
        kept = path.kept[times.long()].float()[:, None, None, None]
        if objective == "v_prediction":
            back = kept.sqrt() * mixed - (1 - kept).sqrt() * target
        else:
            back = (mixed - (1 - kept).sqrt() * target) / kept.sqrt()
    assert torch.allclose(back, data, atol=1e-3)
    assert ((path.clock(times) >= 0) & (path.clock(times) <= TIMES)).all()


@pytest.mark.parametrize(("rule", "order"), [(euler, 1), (midpoint, 2), (heun, 2)])
def test_the_error_falls_with_the_order_of_the_rule(rule, order):
    # dy/dt = y·cos t has the solution exp(sin t).
    start, exact = torch.tensor([1.0], dtype=torch.float64), math.exp(math.sin(1))
    errors = [abs(float(rule(lambda y, t: y * math.cos(t), start, FlowMatching().grid(n))) - exact) for n in (40, 80)]
    assert errors[0] / errors[1] == pytest.approx(2**order, rel=0.15)


def test_euler_on_a_noise_path_is_ddim():
    path = GaussianDiffusion(v_prediction=False, schedule="linear")
    image = torch.full((1, 1, 1, 1), 0.3)
    grid = path.grid(6)

    def predict(noisy, time):
        return 0.5 * noisy.tanh() + 0.1 * torch.sin(torch.tensor(time / 100))

    y = image * 0.2
    drawn = euler(lambda y, u: path.slope(predict, y, u), y, grid[-4:])
    # Song et al. 2021, eq. 12 with σ = 0, written with ā = 1 / (1 + u²).
    x = y / math.sqrt(1 + grid[-4] ** 2)
    for here, there in zip(grid[-4:], grid[-3:], strict=False):
        kept, kept_next = 1 / (1 + here**2), 1 / (1 + there**2)
        noise = predict(x, float(np.interp(math.log(here), path.log_ratio, np.arange(TIMES))))
        clean = (x - math.sqrt(1 - kept) * noise) / math.sqrt(kept)
        assert clean.abs() < 1
        x = math.sqrt(kept_next) * clean + math.sqrt(1 - kept_next) * noise
    assert torch.allclose(drawn, x, atol=1e-5)


def test_schedules_lose_the_signal_step_by_step():
    for schedule in ("linear", "cosine"):
        kept = GaussianDiffusion(v_prediction=False, schedule=schedule).kept.numpy()
        assert (np.diff(kept) < 0).all() and kept[0] > 0.99 and kept[-1] < 1e-3
    assert GaussianDiffusion(v_prediction=False, schedule="linear").kept[1] == pytest.approx(
        (1 - 1e-4) * (1 - 1e-4 - (0.02 - 1e-4) / 999)
    )
    with pytest.raises(SettingError, match="schedule"):
        GaussianDiffusion(v_prediction=True, schedule="quadratic")
