"""Working arrays: in memory while the budget lasts, in files beyond it, with the same content wherever they lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from curate.spill.residency import Residency
from curate.spill.scratch import Scratch


@pytest.mark.parametrize("memory_bytes", [10, 500, 10**6])
def test_arrays_keep_what_was_written_when_enlarged_and_when_pages_are_given_back(memory_bytes: int, tmp_path: Path) -> None:
    with Scratch(memory_bytes, tmp_path, Residency(0)) as scratch:
        kept, expected = scratch.array(50, np.uint64), np.arange(50, dtype=np.uint64)
        kept[:] = expected
        for size in (60, 5000, 40_000):
            kept = scratch.enlarge(kept, size)
            scratch.residency.ease()
            assert len(kept) == size
            assert (kept[: len(expected)] == expected).all()
            expected = np.arange(size, dtype=np.uint64)
            kept[:] = expected
        scratch.residency.ease()
        assert (kept == expected).all()
        assert bool(scratch.spilled_bytes) == bool(list(tmp_path.iterdir())) == (memory_bytes < 10**6)
        assert bool(scratch.note()) == scratch.residency.watched == (memory_bytes < 10**6)
    assert list(tmp_path.iterdir()) == []


def test_memory_that_is_released_is_given_out_again(tmp_path: Path) -> None:
    with Scratch(1000, tmp_path, Residency(0)) as scratch:
        first = scratch.array(1000, np.uint8, fill=7)
        assert (first == 7).all()
        scratch.release(first)
        assert (scratch.array((10, 100), np.uint8, fill=3) == 3).all()
        assert scratch.spilled_bytes == 0
        assert (scratch.array(1, np.uint8, fill=9) == 9).all()
        assert scratch.spilled_bytes == 1


def test_a_mapped_array_of_somebody_else_is_watched_and_keeps_its_content(tmp_path: Path) -> None:
    mapped = np.memmap(tmp_path / "theirs", np.uint8, "w+", shape=(10_000,))
    mapped[:] = 5
    residency = Residency(0, np.zeros(3))
    assert not residency.watched
    residency.watch(mapped[2:].view(np.ndarray))
    assert residency.watched
    residency.ease()
    assert (mapped == 5).all()
    residency.forget(mapped)
    assert not residency.watched
