"""The laws of `curate.indexes.Index`, held by every index that is registered."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate import plugins
from curate.errors import SettingError
from curate.indexes.snapshots.choose import FLAT_UP_TO, choose

EVERY = plugins.names("indexes")
EXACT = [name for name in EVERY if plugins.load("indexes", name).exact]


def unit(rng, rows, width=16):
    vectors = rng.normal(size=(rows, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def with_twins(rng, rows, width=16):
    """Unit vectors of which some are bit-identical, and distinct ids in no order."""
    vectors = unit(rng, rows, width)[rng.integers(0, max(1, rows * 2 // 3), rows)] if rows else unit(rng, 0, width)
    return vectors, rng.permutation(3 * rows + 1)[:rows].astype(np.int64)


def slow_search(vectors, ids, queries, k, allowed):
    """Sort every allowed row by cosine, then id, one query at a time."""
    hits, cosines = np.full((len(queries), k), -1, np.int64), np.zeros((len(queries), k), np.float32)
    for at, query in enumerate(queries):
        scored = [
            (-np.float32(np.dot(vector.astype(np.float64), query.astype(np.float64))), int(number))
            for vector, number in zip(vectors, ids, strict=True)
            if allowed is None or number in allowed
        ]
        for place, (score, number) in enumerate(sorted(scored)[:k]):
            hits[at, place], cosines[at, place] = number, -score
    return hits, cosines


@pytest.mark.parametrize("name", EXACT)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), rows=st.integers(0, 60), k=st.integers(1, 70), share=st.none() | st.floats(0, 1))
def test_an_exact_index_answers_as_a_full_sort_does_ties_by_the_lower_id(name, seed, rows, k, share):
    rng = np.random.default_rng(seed)
    vectors, ids = with_twins(rng, rows)
    queries = np.concatenate([unit(rng, 3), vectors[:2]])
    allowed = None if share is None else np.append(ids[rng.random(rows) < share], 10**9)
    expected_ids, expected = slow_search(vectors, ids, queries, k, allowed)
    hits, cosines = plugins.load("indexes", name).build(vectors, ids, threads=1).search(queries, k, allowed=allowed)
    np.testing.assert_allclose(cosines, expected, atol=1e-6)
    # Sums in another order may round two almost equal cosines the other way: ids are compared where cosines differ clearly.
    clear = np.abs(np.diff(expected, axis=1, prepend=2, append=-2)).round(6) != 0
    same = clear[:, :-1] & clear[:, 1:]
    assert (hits == expected_ids)[same].all()
    for row in range(len(queries)):
        assert sorted(hits[row][hits[row] >= 0]) == sorted(set(hits[row]) - {-1})


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), rows=st.integers(0, 120), k=st.integers(1, 140), share=st.none() | st.floats(0, 1))
def test_hits_are_allowed_distinct_sorted_true_and_as_many_as_there_are(name, seed, rows, k, share):
    rng = np.random.default_rng(seed)
    vectors, ids = with_twins(rng, rows)
    queries = unit(rng, 4)
    allowed = None if share is None else ids[rng.random(rows) < share]
    hits, cosines = plugins.load("indexes", name).build(vectors, ids).search(queries, k, allowed=allowed)
    row_of = {int(number): row for row, number in enumerate(ids)}
    for query, found, scores in zip(queries, hits, cosines, strict=True):
        real = found[found >= 0].tolist()
        assert len(real) == min(k, rows if allowed is None else len(allowed)) and (found[len(real) :] == -1).all()
        assert len(set(real)) == len(real) and (allowed is None or set(real) <= set(allowed.tolist()))
        np.testing.assert_allclose(scores[: len(real)], [vectors[row_of[number]] @ query for number in real], atol=1e-5)
        pairs = [(-score, number) for score, number in zip(scores[: len(real)].tolist(), real, strict=True)]
        assert pairs == sorted(pairs)


@pytest.mark.parametrize("name", EVERY)
def test_a_thousand_equal_vectors_fall_to_the_lowest_ids(name):
    rng = np.random.default_rng(5)
    ids = rng.permutation(1000).astype(np.int64)
    index = plugins.load("indexes", name).build(np.repeat(unit(rng, 1), 1000, axis=0), ids)
    hits, cosines = index.search(unit(rng, 1), 4)
    assert np.ptp(cosines) == 0
    if index.exact:
        assert hits.tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize("name", EVERY)
def test_what_was_saved_answers_the_same(name, tmp_path):
    rng = np.random.default_rng(1)
    vectors, ids = with_twins(rng, 400)
    made = plugins.load("indexes", name)
    index = made.build(vectors, ids)
    index.save(tmp_path / "index")
    loaded = made.load(tmp_path / "index")
    queries = unit(rng, 40)
    for left, right in zip(index.search(queries, 7), loaded.search(queries, 7), strict=True):
        np.testing.assert_array_equal(left, right)
    assert loaded.description == index.description


@pytest.mark.parametrize("name", EVERY)
def test_a_memory_map_is_indexed_as_it_lies(name, tmp_path):
    rng = np.random.default_rng(2)
    vectors = unit(rng, 300)
    vectors.tofile(tmp_path / "v")
    mapped = np.memmap(tmp_path / "v", np.float32, "r", shape=vectors.shape)
    made = plugins.load("indexes", name)
    queries = unit(rng, 5)
    left, right = made.build(mapped, np.arange(300)), made.build(vectors, np.arange(300))
    np.testing.assert_array_equal(left.search(queries, 9)[0], right.search(queries, 9)[0])


@pytest.mark.parametrize("name", EVERY)
def test_wrong_shapes_are_refused(name):
    made = plugins.load("indexes", name)
    vectors = unit(np.random.default_rng(0), 5)
    with pytest.raises(SettingError, match="distinct id"):
        made.build(vectors, np.zeros(5, np.int64))
    with pytest.raises(SettingError, match="float32"):
        made.build(vectors.astype(np.float64), np.arange(5))
    index = made.build(vectors, np.arange(5))
    with pytest.raises(SettingError, match=r"\(q, 16\)"):
        index.search(vectors[:, :8], 3)
    with pytest.raises(SettingError, match="k must"):
        index.search(vectors, 0)


@pytest.mark.parametrize("name", sorted(set(EVERY) - set(EXACT)))
def test_an_approximate_index_finds_nearly_all_of_the_ten_nearest(name):
    rng = np.random.default_rng(11)
    centres = unit(rng, 60, 32)
    vectors = centres[rng.integers(0, 60, 6000)] + 0.6 * unit(rng, 6000, 32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    queries = vectors[:200] + 0.1 * unit(rng, 200, 32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    index = plugins.load("indexes", name).build(vectors, np.arange(6000))
    truth = np.argsort(-(queries @ vectors.T), axis=1)[:, :10]
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(truth, index.search(queries, 10)[0], strict=True)]) >= 0.95


def test_a_larger_set_gets_an_approximate_index():
    assert choose(0) == choose(FLAT_UP_TO) == "flat" and choose(FLAT_UP_TO + 1) == "ivf"
    assert {choose(0), choose(10**9)} <= set(EVERY)
