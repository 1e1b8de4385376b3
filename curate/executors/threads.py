"""Threads of this process: for work that lets the interpreter go, as decoding, hashing and reading files do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

from curate.executors.ahead import OverPool


class Threads(OverPool):
    """As many threads as workers."""

    ships: ClassVar[bool] = False

    def __init__(self, workers: int) -> None:
        """Start threads as windows come."""
        super().__init__(ThreadPoolExecutor(workers, thread_name_prefix="curate"), workers)


PLUGIN = Threads
