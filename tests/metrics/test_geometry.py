"""Measures of features, each against a slow and obvious oracle and its closed cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.metrics import Samples, Space, Trial
from curate.metrics.kernel_distance import KernelDistance, squared_discrepancy
from curate.metrics.nearest_real import NearestReal, nearer, ratios
from curate.metrics.neighborhoods import Neighborhoods, neighborhood
from curate.metrics.probes.distances import distances, nearest
from curate.metrics.vendi import vendi
from curate.testing.metrics import trial

seeds = st.integers(0, 2**32 - 1)


def rows(random: np.random.Generator, count: int, width: int = 3) -> np.ndarray:
    return random.normal(size=(count, width)).round(1)  # rounded: ties and copies do happen


@given(seeds, st.integers(4, 30), st.integers(4, 30))
@settings(deadline=None, max_examples=60)
def test_nearest_rows_are_those_of_a_full_sort(seed, n, m):
    random = np.random.default_rng(seed)
    left, right = rows(random, n), rows(random, m)
    full = np.array([[math.dist(a, b) for b in right] for a in left])
    assert distances(left, right) == pytest.approx(full, abs=1e-6)
    found, places = nearest(left, right, 3)
    assert found == pytest.approx(np.sort(full, axis=1)[:, :3], abs=1e-6)
    assert np.take_along_axis(full, places, axis=1) == pytest.approx(found, abs=1e-6)
    _, places = nearest(right, right, 2, same=True)
    assert (places != np.arange(m)[:, None]).all()


def test_neighbours_do_not_depend_on_blocks(monkeypatch):
    random = np.random.default_rng(0)
    left = random.normal(size=(50, 4))
    whole = nearest(left, left, 3, same=True)
    monkeypatch.setattr("curate.metrics.probes.distances._BLOCK", 7)
    pieces = nearest(left, left, 3, same=True)
    assert (whole[1] == pieces[1]).all() and whole[0] == pytest.approx(pieces[0])


@given(seeds, st.integers(2, 12), st.integers(2, 12))
@settings(deadline=None, max_examples=40)
def test_the_discrepancy_is_the_sum_over_pairs(seed, n, m):
    random = np.random.default_rng(seed)
    x, y = rows(random, n), rows(random, m)

    def k(a, b):
        return (float(a @ b) / 3 + 1) ** 3

    within_x = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_y = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    across = sum(k(a, b) for a in x for b in y) / (n * m)
    assert squared_discrepancy(x, y) == pytest.approx(within_x + within_y - 2 * across, rel=1e-9, abs=1e-9)


def test_kernel_distance_is_about_nothing_for_one_law_and_grows_with_a_shift():
    near, far, farther = (
        KernelDistance().measure(trial(np.random.default_rng(2), shift=shift)).measures[0] for shift in (0.0, 1.0, 2.0)
    )
    assert abs(near.value) < 3 * near.spread
    assert near.value < far.value < farther.value and far.value > abs(far.reference)


def test_kernel_distance_does_not_depend_on_the_unit_of_the_features():
    base = trial(np.random.default_rng(3), shift=0.5)
    sides = [Samples(s.labels, {"plain": s.features["plain"] * 1000}) for s in (base.train, base.test, base.synthetic)]
    one, other = (KernelDistance().measure(t).measures[0] for t in (base, Trial(*sides, (Space("plain", ""),))))
    assert other.value == pytest.approx(one.value, rel=1e-4) and other.reference == pytest.approx(one.reference, abs=1e-4)


@given(seeds, st.integers(3, 14), st.integers(3, 14), st.integers(1, 2))
@settings(deadline=None, max_examples=60)
def test_the_four_shares_are_counted_ball_by_ball(seed, n, m, k):
    random = np.random.default_rng(seed)
    real, other = random.normal(size=(n, 3)), random.normal(size=(m, 3))

    def radius(points, i):
        return sorted(math.dist(points[i], points[j]) for j in range(len(points)) if j != i)[k - 1]

    in_real = [[math.dist(real[i], other[j]) <= radius(real, i) for j in range(m)] for i in range(n)]
    in_other = [[math.dist(real[i], other[j]) <= radius(other, j) for j in range(m)] for i in range(n)]
    found = neighborhood(real, other, k)
    assert found.precision == pytest.approx(np.mean([any(in_real[i][j] for i in range(n)) for j in range(m)]))
    assert found.recall == pytest.approx(np.mean([any(line) for line in in_other]))
    assert found.density == pytest.approx(np.sum(in_real) / (k * m))
    assert found.coverage == pytest.approx(np.mean([any(line) for line in in_real]))


def test_a_set_covers_itself_and_nothing_that_lies_elsewhere():
    real = np.random.default_rng(0).normal(size=(40, 4))
    same, apart = neighborhood(real, real), neighborhood(real, real + 100)
    assert (same.precision, same.recall, same.coverage) == (1, 1, 1)
    assert tuple(apart) == (0, 0, 0, 0)


def test_samples_of_one_spot_are_precise_but_cover_little():
    base = trial(np.random.default_rng(0), test=60, synthetic=60)
    spot = np.repeat(base.test.features["plain"][:1], 60, axis=0) + np.random.default_rng(1).normal(0, 1e-3, (60, 6))
    mode = Samples(base.synthetic.labels, {"plain": spot.astype(np.float32)})
    found = Neighborhoods().measure(Trial(base.train, base.test, mode, (Space("plain", ""),))).measures
    figures = {m.name: m for m in found}
    assert figures["precision/plain"].value == 1
    assert figures["coverage/plain"].value < 0.5 * figures["coverage/plain"].reference
    assert figures["recall/plain"].value < 0.2 < figures["recall/plain"].reference


def test_copies_of_the_train_part_are_flagged_and_fresh_samples_are_not():
    random = np.random.default_rng(4)
    base = trial(random, train=200, test=100, synthetic=100)
    copied = Samples(base.train.labels[:100], {"plain": base.train.features["plain"][:100]})
    space = (Space("plain", ""),)
    flagged = {m.name: m for m in NearestReal().measure(Trial(base.train, base.test, copied, space)).measures}
    fresh = {m.name: m for m in NearestReal().measure(Trial(base.train, base.test, base.synthetic, space)).measures}
    assert flagged["nearest-in-train/plain"].value == 1 and flagged["nearest-in-train/plain"].reference == pytest.approx(2 / 3)
    assert flagged["authenticity/plain"].value == 0
    assert flagged["nearest-neighbor-distance-ratio/plain"].value < 1e-3
    assert flagged["distance-to-train/plain"].value < 1e-3
    share = fresh["nearest-in-train/plain"]
    assert abs(share.value - share.reference) < 4 * share.spread
    assert abs(fresh["authenticity/plain"].value - fresh["authenticity/plain"].reference) < 4 * share.spread


@given(seeds, st.integers(2, 15), st.integers(1, 15), st.integers(1, 15))
@settings(deadline=None, max_examples=40)
def test_nearness_is_what_a_loop_over_rows_finds(seed, n, h, s):
    random = np.random.default_rng(seed)
    train, test, drawn = (random.normal(size=(count, 3)).astype(np.float32) for count in (n, h, s))
    sides = [Samples([None] * len(part), {"plain": part}) for part in (train, test, drawn)]
    found = {m.name: m for m in NearestReal().measure(Trial(*sides, (Space("plain", ""),))).measures}

    def sorted_distances(row, points):
        return sorted((math.dist(row, p), i) for i, p in enumerate(points))

    def is_authentic(row):
        distance, i = sorted_distances(row, train)[0]
        return distance > min(math.dist(train[i], train[j]) for j in range(n) if j != i)

    to_train, to_test = ([sorted_distances(row, part) for row in drawn] for part in (train, test))
    in_train = [a[0][0] < b[0][0] for a, b in zip(to_train, to_test, strict=True)]
    assert found["nearest-in-train/plain"].value == pytest.approx(np.mean(in_train))
    assert found["authenticity/plain"].value == pytest.approx(np.mean([is_authentic(row) for row in drawn]))
    assert found["authenticity/plain"].reference == pytest.approx(np.mean([is_authentic(row) for row in test]))
    assert found["distance-to-train/plain"].value == pytest.approx(np.mean([d[0][0] for d in to_train]), rel=1e-4)
    assert found["nearest-neighbor-distance-ratio/plain"].value == pytest.approx(
        np.mean([d[0][0] / d[1][0] for d in to_train]), rel=1e-4
    )


def test_ties_count_half_and_a_pair_of_equal_neighbours_hugs_nobody():
    assert nearer(np.array([0.0, 1.0, 2.0]), np.array([0.0, 2.0, 1.0])).tolist() == [0.5, 1.0, 0.0]
    assert ratios(np.array([[0.0, 0.0], [0.0, 2.0], [1.0, 2.0]])).tolist() == [1.0, 0.0, 0.5]


@given(seeds, st.integers(1, 12), st.integers(1, 12))
@settings(deadline=None, max_examples=40)
def test_vendi_is_the_entropy_of_the_similarity_matrix_either_way_round(seed, n, d):
    x = np.random.default_rng(seed).normal(size=(n, d)) + 0.1
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    values = np.linalg.eigvalsh(unit @ unit.T / n).clip(1e-300)
    assert vendi(x) == pytest.approx(math.exp(-(values * np.log(values)).sum()), rel=1e-6)
    assert 1 - 1e-9 <= vendi(x) <= min(n, d) + 1e-6


def test_vendi_counts_the_different_rows():
    assert vendi(np.eye(7)) == pytest.approx(7)
    assert vendi(np.repeat(np.eye(3), 5, axis=0)) == pytest.approx(3)
    assert vendi(np.ones((9, 4))) == pytest.approx(1)
