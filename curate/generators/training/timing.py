"""How long a training will take, measured by a few of its steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch

from curate.generators.contract.reports import Estimate, FitOptions
from curate.generators.training.accelerated import accelerated
from curate.generators.training.checkpoint import Position
from curate.generators.training.loop import Run, Task
from curate.generators.training.repeatable import threads
from curate.generators.training.settings import TrainSettings


def estimate(make: Callable[[], Task], settings: TrainSettings, options: FitOptions) -> Estimate:
    """Time a few steps of a task that is thrown away, after one that warms up, for about five seconds.

    Where no number of threads is asked for, one thread is tried beside all of them, because threads that wait for each other
    on a busy machine are many times slower than one. Under `accelerate launch` every process times the same few steps.
    """
    everyone = options.threads or torch.get_num_threads()
    cuda = list(range(torch.cuda.device_count())) if options.device != "cpu" else []
    timed: dict[int, list[float]] = {}
    with threads(everyone), torch.random.fork_rng(devices=cuda), accelerated(settings, options) as accelerator:
        run = Run(make(), settings, Position("", everyone), accelerator)
        device = accelerator.device.type
        candidates = {everyone, 1} if device == "cpu" and not options.threads and run.world == 1 else {everyone}
        for count in sorted(candidates, reverse=True):
            with threads(count):
                timed[count] = _time_steps(run, seconds=5 / len(candidates))
    chosen = min(timed, key=lambda count: median(timed[count]))
    step = min(timed[chosen])  # a busy machine stretches single steps tenfold, and the whole training much less
    tried = f" (of {' and '.join(map(str, sorted(timed)))} tried)" if len(timed) > 1 else ""
    how = f"{step:.3g} s a step, the fastest of {len(timed[chosen])} timed on {device}"
    return Estimate(step * settings.steps, f"{how}, {chosen} thread{'s' * (chosen > 1)}{tried}, without validation", chosen)


def _time_steps(run: Run, *, seconds: float) -> list[float]:
    """How long single steps take, after one that is not counted; at most seven, and three where processes keep pace."""
    run.step()
    run.look()
    times: list[float] = []
    while len(times) < (7 if run.world == 1 else 3) and (run.world > 1 or sum(times) < seconds):
        clock = time.monotonic()
        run.step()
        run.look()
        times.append(time.monotonic() - clock)
    return times
