"""Run by test_kill.py: trains in children that kill themselves, the hard way, while they train.

Both families are trained in one process because importing torch is what takes the time; the children are forked before torch
has computed anything.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np

from curate.generators import Examples, FitOptions
from curate.generators.causal_lm import CausalLanguage, LanguageSettings
from curate.generators.diffusion import Diffusion, DiffusionSettings
from curate.records import Silent

STEPS = 14
OPTIONS = FitOptions(device="cpu", threads=1, checkpoint_seconds=0, checkpoint_steps=3)


def jobs():
    """A generator and its examples by name; the same in every process."""
    random = np.random.default_rng(5)
    pixels = random.integers(0, 256, (40, 8, 8, 1), dtype=np.uint8)
    images = Examples(["a", "b", None, "c"] * 10, pixels=pixels)
    words = ["card", "payment", "was", "not", "lost", "my", "where"]
    texts = Examples(["x", "y"] * 20, texts=[" ".join(random.choice(words, 5)) for _ in range(40)])
    small = {"steps": STEPS, "batch_size": 8, "ema_decay": 0.9, "validate_every": 4, "keep": "best"}
    image_settings = DiffusionSettings(network="unet", widths=(8, 16), dropout=0.1, **small)
    text_settings = LanguageSettings(vocabulary=280, width=16, layers=1, heads=2, block=32, dropout=0.2, **small)
    return {
        "diffusion": (Diffusion(image_settings), images, images.take(range(8))),
        "causal-lm": (CausalLanguage(text_settings), texts, texts.take(range(8))),
    }


class Kill(Silent):
    """Ends the process at a step, with no chance to tidy up."""

    def __init__(self, at):
        self.at, self.done = at, 0

    def advance(self, count):
        self.done += count
        if self.done >= self.at:
            os.kill(os.getpid(), signal.SIGKILL)


def main(folder, steps):
    ends = {}
    for name in jobs():
        for at in steps:
            child = os.fork()
            if not child:
                generator, train, held = jobs()[name]
                generator.fit(train, held, folder / name, options=OPTIONS, progress=Kill(at))
                os._exit(0)
            ends[f"{name} {at}"] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(json.dumps(ends))


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(step) for step in sys.argv[2:]])
