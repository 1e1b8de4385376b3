"""Run by test_processes.py under `torch.distributed.run`, which `accelerate launch` starts: a short training on a CPU."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from curate.generators import Examples, FitOptions
from curate.generators.diffusion import Diffusion
from curate.generators.images.diffusion_settings import DiffusionSettings

SETTINGS = DiffusionSettings(network="mlp", widths=(16,), layers=1, steps=6, batch_size=8, ema_decay=0.9, validate_every=3)


def main(folder: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), dtype=np.uint8)
    examples = Examples(media=pixels, label=["a", "b"] * 20)
    options = FitOptions(device="cpu", threads=1, checkpoint_steps=2)
    Diffusion(SETTINGS).fit(examples, examples.take(range(8)), folder, options=options)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
