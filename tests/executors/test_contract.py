"""The contract of `curate/executors/`, over every registered one."""

from __future__ import annotations

import math
import threading

import pytest

from curate import plugins
from curate.errors import SettingError
from curate.executors import executor

NAMES = plugins.names("executors")


@pytest.mark.parametrize("name", NAMES)
def test_results_come_in_the_order_of_the_windows_and_none_is_lost(name):
    with executor(name, 2) as pool:
        assert list(pool.map(math.factorial, range(40))) == [math.factorial(n) for n in range(40)]
        assert list(pool.map(math.factorial, [])) == []


@pytest.mark.parametrize("name", NAMES)
def test_windows_are_drawn_a_bounded_number_ahead(name):
    drawn: list[int] = []

    def windows():
        for number in range(100):
            drawn.append(number)
            yield number

    with executor(name, 2) as pool:
        for done, _ in enumerate(pool.map(math.sqrt, windows()), 1):
            assert len(drawn) <= done + 2
            if done == 10:
                break
    assert len(drawn) <= 12


@pytest.mark.parametrize("name", NAMES)
def test_an_error_is_raised_where_its_result_would_have_come(name):
    came = []
    with executor(name, 2) as pool, pytest.raises(ValueError, match=r"domain|nonnegative"):
        came.extend(pool.map(math.sqrt, [1.0, 4.0, -1.0, 9.0]))
    with executor(name, 1) as pool:
        results = pool.map(math.sqrt, [1.0, 4.0, -1.0])
        assert (next(results), next(results)) == (1.0, 2.0)
        with pytest.raises(ValueError, match=r"domain|nonnegative"):
            next(results)


@pytest.mark.parametrize("name", NAMES)
def test_windows_are_drawn_by_the_callers_thread(name):
    def windows():
        for number in range(5):
            assert threading.current_thread() is caller
            yield number

    caller = threading.current_thread()
    with executor(name, 2) as pool:
        assert len(list(pool.map(math.sqrt, windows()))) == 5


def test_an_unknown_one_is_named():
    with pytest.raises(SettingError, match="carrier-pigeons"):
        executor("carrier-pigeons", 1)
