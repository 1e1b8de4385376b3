"""Speed of our training loop beside a bare PyTorch loop of the same network, in one process.

    python tests/benchmarks/train/bench_loop.py [--steps 20] [--rounds 3] [--threads 1]

The two take turns, so that other load on the machine falls on both; the best round of each counts. The bare loop makes the same
batches with the same noise and steps the same fused AdamW; it has no average of the weights, no clipping, no look at the
losses, no schedule and no accelerate. Prints one JSON object a case.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from curate.generators import Examples, FitOptions
from curate.generators.causal_lm import CausalLanguage
from curate.generators.diffusion import Diffusion
from curate.generators.images.diffusion_settings import SMALL, TINY
from curate.generators.language.causal_settings import SHAKESPEARE_CHAR
from curate.generators.training.loop import train
from curate.records import SILENT


def images(side: int) -> Examples:
    pixels = np.random.default_rng(0).integers(0, 256, (512, side, side, 1), dtype=np.uint8)
    return Examples(media=pixels, label=[str(i % 10) for i in range(512)])


def letters() -> Examples:
    return Examples(text=["".join(np.random.default_rng(0).choice(list("abcdefgh ,.\n"), 200_000))])


def cases() -> dict[str, tuple[Any, Any]]:
    """A task maker and settings by name."""
    tiny, small, text = images(8), images(28), letters()
    return {
        "diffusion tiny, 8×8": (lambda s: Diffusion(s).task(tiny, tiny.take([])), TINY),
        "diffusion small, 28×28": (lambda s: Diffusion(s).task(small, small.take([])), SMALL),
        "causal-lm shakespeare-char": (lambda s: CausalLanguage(s).task(text, text.take([])), SHAKESPEARE_CHAR),
    }


def bare(task: Any, settings: Any, steps: int) -> float:
    """Units a second of the bare loop."""
    device = torch.device("cpu")
    network = task.network.train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=0.0, fused=True)
    units, clock = 0, 0.0
    for step in range(steps + 1):
        if step == 1:  # the first one allocates
            units, clock = 0, time.perf_counter()
        batch = task.batch(step, device)
        units += task.count(batch)
        loss = task.loss(network, batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return units / (time.perf_counter() - clock)


def ours(task: Any, settings: Any, steps: int, threads: int) -> float:
    """Units a second of our loop, by its own report, after one step that allocates."""
    options = FitOptions(device="cpu", threads=threads, checkpoint_seconds=0)
    network = task.network
    with torch.no_grad():
        task.loss(network, task.batch(0, torch.device("cpu")))
    with tempfile.TemporaryDirectory() as folder:
        chosen = settings.changed({"steps": steps, "validate_every": 0})
        return train(task, chosen, Path(folder), "bench", options=options, progress=SILENT).units_per_second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    for name, (make, settings) in cases().items():
        found: dict[str, list[float]] = {"bare": [], "ours": []}
        for _ in range(given.rounds):
            found["bare"].append(bare(make(settings), settings, given.steps))
            found["ours"].append(ours(make(settings), settings, given.steps, given.threads))
        best = {key: max(values) for key, values in found.items()}
        unit = make(settings).unit
        row = {"case": name, "unit": f"{unit}/s", **{key: round(value) for key, value in best.items()}}
        print(json.dumps({**row, "ratio": round(best["ours"] / best["bare"], 3), "threads": given.threads}, ensure_ascii=False))


if __name__ == "__main__":
    main()
