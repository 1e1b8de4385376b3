"""How much is computed between two commits: by time, so that a kill loses seconds of work whatever a content costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import accumulate

COMMIT_EVERY_S = 10.0
FIRST = 64
"""Contents of the first window, of which the pace is not known yet."""
GROWTH = 4
"""A window costs at most so many times the one before it: the costs are estimates."""


class Pace:
    """Cuts windows that take about `every_s` seconds each, by the pace of the window before.

    Args:
        most: contents of one window.
        clock: seconds, rising.
    """

    def __init__(self, most: int, *, every_s: float = COMMIT_EVERY_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._every_s = every_s
        self._clock = clock
        self._budget: float | None = None
        self._cost = 0.0
        self._began = clock()

    @property
    def fetch(self) -> int:
        """How many contents to offer next."""
        return self._most if self._budget is not None else min(FIRST, self._most)

    def begin(self, costs: Sequence[float]) -> int:
        """Say how many of the contents that are offered make the next window, at least one; its time runs from now on.

        Args:
            costs: an estimate of each, in any unit.
        """
        sums = list(accumulate(costs))
        fitting = len(sums) if self._budget is None else sum(cost <= self._budget for cost in sums)
        fitting = max(1, min(fitting, self._most))
        self._cost, self._began = sums[fitting - 1], self._clock()
        return fitting

    def end(self) -> None:
        """Say that the window is computed and committed."""
        seconds = max(self._clock() - self._began, 1e-6)
        self._budget = min(self._cost * self._every_s / seconds, GROWTH * self._cost)
