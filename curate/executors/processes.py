"""Processes of this machine: for work in plain Python, which threads would do one after the other."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from typing import ClassVar

from curate.executors.ahead import OverPool


class Processes(OverPool):
    """As many fresh interpreters as workers: a fork would take the catalog's locks and threads with it."""

    ships: ClassVar[bool] = True

    def __init__(self, workers: int) -> None:
        """Start processes as windows come; each imports what its functions need."""
        super().__init__(ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")), workers)


PLUGIN = Processes
