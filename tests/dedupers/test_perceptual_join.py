"""The Hamming self-join against all pairs compared one by one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curate.dedupers.thumbnail_join import pairs as join
from curate.errors import SettingError


def crowded_codes(seed: int, rows: int) -> np.ndarray:
    """Codes of which most are others with up to 20 bits turned, so that pairs lie on both sides of any distance."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 2**64, rows, np.uint64)
    for row in range(1, rows):
        if rng.random() < 0.7:
            codes[row] = codes[rng.integers(row)]
            for bit in rng.choice(64, rng.integers(0, 20), replace=False):
                codes[row] ^= np.uint64(1) << np.uint64(bit)
    return codes


def slow_pairs(codes: np.ndarray, distance: int) -> list[list[int]]:
    values = [int(code) for code in codes]
    return [[i, j] for i, j in itertools.combinations(range(len(values)), 2) if (values[i] ^ values[j]).bit_count() <= distance]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(0, 50), st.integers(0, 24), st.integers(1, 3))
@example(0, 70, 0, 1)
@example(1, 70, 24, 2)
def test_exactly_the_pairs_within_the_distance_are_found_once_and_in_order(seed, rows, distance, threads):
    codes = crowded_codes(seed, rows)
    assert join.pairs_within(codes, distance, threads=threads).tolist() == slow_pairs(codes, distance)


@pytest.mark.parametrize("agreeing", [1, 2, 3, 4])
@pytest.mark.parametrize("distance", [1, 3, 8, 11])
def test_how_many_blocks_are_sorted_by_changes_no_pair(monkeypatch, distance, agreeing):
    codes = crowded_codes(distance, 150)
    monkeypatch.setattr(join, "best_agreeing", lambda rows, distance: agreeing)
    assert join.pairs_within(codes, distance, threads=1).tolist() == slow_pairs(codes, distance)


@given(st.integers(0, 24), st.integers(1, 6))
def test_blocks_cover_every_bit_once(distance, agreeing):
    covered = [bit for low, width in join.blocks(distance, agreeing) for bit in range(low, low + width)]
    assert covered == list(range(64))


def test_equal_codes_are_all_paired_and_no_code_is_none():
    assert len(join.pairs_within(np.zeros(500, np.uint64), 3)) == 500 * 499 // 2
    for rows in (0, 1):
        assert join.pairs_within(np.zeros(rows, np.uint64), 8).shape == (0, 2)


@pytest.mark.parametrize("distance", [-1, 25])
def test_a_distance_out_of_range_is_refused(distance):
    with pytest.raises(SettingError, match=str(distance)):
        join.pairs_within(np.zeros(2, np.uint64), distance)


def test_what_is_no_vector_of_codes_is_refused():
    for wrong in (np.zeros((2, 2), np.uint64), np.zeros(2, np.int64)):
        with pytest.raises(SettingError, match="uint64"):
            join.pairs_within(wrong, 3)
