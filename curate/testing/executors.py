"""The laws of `curate.executors.Executor`."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator

from curate.executors import Executor
from curate.testing.laws import hold, require


def check_executor(executor: type[Executor]) -> None:
    """Hold an executor, with one worker and with two, to the laws of its family.

    Raises:
        AssertionError: a law is broken.
    """
    hold(LAWS, executor, executor.__name__)


def _results_come_in_the_order_of_the_windows_and_none_is_lost(executor: type[Executor]) -> None:
    for workers in (1, 2):
        with executor(workers) as pool:
            expected = [math.factorial(number) for number in range(40)]
            require(list(pool.map(math.factorial, range(40))) == expected, f"{workers} workers lose or reorder results")
            require(list(pool.map(math.factorial, [])) == [], "no windows give results")


def _windows_are_drawn_by_the_caller_a_bounded_number_ahead(executor: type[Executor]) -> None:
    caller = threading.current_thread()
    drawn: list[int] = []

    def windows() -> Iterator[int]:
        for number in range(100):
            require(threading.current_thread() is caller, "windows are drawn by another thread than the caller's")
            drawn.append(number)
            yield number

    with executor(2) as pool:
        for done, _ in enumerate(pool.map(math.sqrt, windows()), 1):
            require(len(drawn) <= done + 3, f"{len(drawn)} windows are drawn when {done} results came")
            if done == 10:
                break
    require(len(drawn) <= 13, f"{len(drawn)} windows are drawn for 10 results")


def _an_error_is_raised_where_its_result_would_have_come(executor: type[Executor]) -> None:
    for workers in (1, 2):
        came: list[float] = []
        try:
            with executor(workers) as pool:
                came.extend(pool.map(math.sqrt, [1.0, 4.0, -1.0, 9.0]))
        except ValueError:
            require(came == [1.0, 2.0], f"before an error at the third window came the results {came}")
        else:
            raise AssertionError("what a function raises is not raised")


LAWS = (
    _results_come_in_the_order_of_the_windows_and_none_is_lost,
    _windows_are_drawn_by_the_caller_a_bounded_number_ahead,
    _an_error_is_raised_where_its_result_would_have_come,
)
