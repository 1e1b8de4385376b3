"""Run by test_kill.py: trains in children that kill themselves, the hard way, while they train.

All families are trained in one process because importing torch is what takes the time; the children are forked before torch
has computed anything.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from curate.generators import FitOptions
from curate.plugins import load, names
from curate.records import Silent

OPTIONS = FitOptions(device="cpu", threads=1, checkpoint_seconds=0, checkpoint_steps=3)
FAMILIES = names("generators")


def job(name):
    """A generator and its examples; the same in every process."""
    plugin = load("generators", name)
    tiny = plugin.example()
    return plugin(tiny.settings), tiny.train, tiny.validation


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
    for name in FAMILIES:
        generator, train, held = job(name)  # imported before the forks
        for at in steps:
            child = os.fork()
            if not child:
                generator.fit(train, held, folder / name, options=OPTIONS, progress=Kill(at))
                os._exit(0)
            ends[f"{name} {at}"] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(json.dumps(ends))


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(step) for step in sys.argv[2:]])
