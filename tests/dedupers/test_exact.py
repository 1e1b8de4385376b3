"""Exact marks against a dictionary that remembers what it saw."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.dedupers import Marks
from curate.dedupers.exact import ExactDeduper
from curate.dedupers.rows.runs import first_of_equal
from curate.errors import SettingError
from curate.records import SILENT


def mark(hashes: np.ndarray, order: np.ndarray, settled: int = 0) -> Marks:
    return ExactDeduper().mark(hashes, order, settled=settled, progress=SILENT)


def remembered(hashes: np.ndarray, order: np.ndarray, settled: int) -> list[int]:
    first: dict[bytes, int] = {}
    stands_for = [-1] * len(hashes)
    for place, row in enumerate(order.tolist()):
        keeper = first.setdefault(hashes[row].tobytes(), row)
        if keeper != row and place >= settled:
            stands_for[row] = keeper
    return stands_for


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_the_earliest_of_equal_hashes_stands_for_the_others(data: st.DataObject) -> None:
    size = data.draw(st.integers(0, 40))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    hashes = np.zeros((size, 16), np.uint8)
    hashes[:, 0] = rng.integers(0, 4, size)  # the leading halves collide, so the trailing ones must decide
    hashes[:, 12] = rng.integers(0, 3, size)
    order = rng.permutation(size)[: data.draw(st.integers(0, size))]
    settled = data.draw(st.integers(0, len(order)))
    marks = mark(hashes, order, settled)
    assert marks.stands_for.tolist() == remembered(hashes, order, settled)
    assert (marks.similarity == 1).all()


def test_a_group_of_fifty_thousand_among_half_a_million_is_one_group() -> None:
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 256, (500_000, 16), np.uint8)
    group = rng.choice(500_000, 50_000, replace=False)
    hashes[group] = hashes[group[0]]
    marks = mark(hashes, np.arange(500_000))
    members = np.sort(group)
    assert (marks.stands_for[members[1:]] == members[0]).all()
    assert (marks.stands_for >= 0).sum() == 49_999


def test_first_of_equal_keys_needs_no_particular_sort() -> None:
    keys = np.array([7, 3, 7, 7, 3, 1], np.uint64)
    assert first_of_equal(keys).tolist() == [0, 1, 0, 0, 1, 5]
    assert first_of_equal(keys, np.array([0, 1, 1, 0, 1, 1], np.uint64)).tolist() == [0, 1, 2, 0, 1, 5]


def test_similarity_is_one_or_nothing() -> None:
    left = np.zeros((2, 16), np.uint8)
    right = left.copy()
    right[1, 15] = 1
    assert ExactDeduper().similarity(left, right).tolist() == [1.0, 0.0]


def test_there_is_no_threshold_but_one() -> None:
    assert ExactDeduper(threshold=1.0).settings == {"threshold": 1.0}
    with pytest.raises(SettingError, match=r"0\.9"):
        ExactDeduper(threshold=0.9)
