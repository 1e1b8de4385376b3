"""Arrays that lie in files: they hold what was written, leave no file behind, and a touch of them maps little."""

from __future__ import annotations

import sys

import numpy as np
import psutil
import pytest

from curate.spill import TOUCH_BYTES, give_back, resident_bytes, roomy, rows_within, shared_map

MIB = 2**20


@pytest.mark.parametrize("memory_bytes", [0, 10**6])
def test_a_roomy_array_is_an_array_and_leaves_no_file(tmp_path, memory_bytes):
    array = roomy((4, 3), np.uint32, memory_bytes, tmp_path / "made")
    array[:] = np.arange(12).reshape(4, 3)
    give_back(array)
    assert (shared_map(array) is not None) == isinstance(array, np.memmap) == (memory_bytes == 0)
    assert array.tolist() == np.arange(12).reshape(4, 3).tolist()
    assert not (tmp_path / "made").exists() or not any((tmp_path / "made").iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="what a touch maps is the system's choice")
def test_a_touch_of_a_spilled_array_maps_no_more_than_is_counted_for_it(tmp_path):
    rows, row_bytes = 2**16, 1024
    array = roomy((rows, row_bytes), np.uint8, 0, tmp_path)
    for low in range(0, rows, 2**12):
        array[low : low + 2**12] = 7
    give_back(array)
    before = psutil.Process().memory_info().rss
    touched = np.arange(0, rows, rows // 64)  # each far from the others
    assert (array[touched] == 7).all()
    assert psutil.Process().memory_info().rss - before <= len(touched) * (TOUCH_BYTES + row_bytes) + MIB
    whole = array.sum(dtype=np.int64)
    assert resident_bytes() - before > 32 * MIB
    give_back(array)
    assert resident_bytes() - before < 4 * MIB
    assert whole == 7 * rows * row_bytes


def test_rows_within_a_limit_are_at_least_64_and_at_most_those_asked_for():
    assert rows_within(0, 1000) == 64
    assert rows_within(100 * TOUCH_BYTES, 1000) == 100
    assert rows_within(10**12, 1000) == 1000
    assert rows_within(0, 10) == 10
