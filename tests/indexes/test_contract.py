"""What `curate.indexes.Index` promises, kept by every index that is registered; each brings its own `example`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate import plugins
from curate.errors import SettingError
from curate.indexes import Entries, index_in_memory

OVER_VECTORS = [name for name in plugins.names("indexes") if not plugins.load("indexes", name).capabilities.text]
EXACT = [name for name in OVER_VECTORS if plugins.load("indexes", name).capabilities.exact]
FILTERS = [name for name in OVER_VECTORS if plugins.load("indexes", name).capabilities.filters]
WIDTH = 16


def unit(rng, rows, width=WIDTH):
    vectors = rng.normal(size=(rows, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def with_twins(rng, rows, width=WIDTH):
    """Unit vectors of which some are bit-identical, and distinct ids in no order."""
    vectors = unit(rng, rows, width)[rng.integers(0, max(1, rows * 2 // 3), rows)] if rows else unit(rng, 0, width)
    return vectors, rng.permutation(3 * rows + 1)[:rows].astype(np.int64)


def slow_search(held, queries, k, allowed=None):
    """Sort every allowed vector of a dict by cosine, then id, one query at a time."""
    hits, cosines = np.full((len(queries), k), -1, np.int64), np.zeros((len(queries), k), np.float32)
    for at, query in enumerate(queries):
        scored = [
            (-np.float32(np.dot(vector.astype(np.float64), query.astype(np.float64))), number)
            for number, vector in held.items()
            if allowed is None or number in allowed
        ]
        for place, (score, number) in enumerate(sorted(scored)[:k]):
            hits[at, place], cosines[at, place] = number, -score
    return hits, cosines


def agree(found, expected):
    """Sums in another order may round two almost equal cosines the other way: ids are compared where cosines differ clearly."""
    np.testing.assert_allclose(found[1], expected[1], atol=1e-6)
    clear = np.abs(np.diff(expected[1], axis=1, prepend=2, append=-2)).round(6) != 0
    same = clear[:, :-1] & clear[:, 1:]
    assert (found[0] == expected[0])[same].all()


def check_hits(found, held, queries, k, allowed=None):
    """Hits are allowed, distinct, sorted, true, and as many as there are."""
    may = set(held) if allowed is None else set(held) & set(allowed.tolist())
    for query, hits, scores in zip(queries, *found, strict=True):
        real = hits[hits >= 0].tolist()
        assert len(real) == min(k, len(may)) and (hits[len(real) :] == -1).all()
        assert len(set(real)) == len(real) and set(real) <= may
        np.testing.assert_allclose(scores[: len(real)], [held[number] @ query for number in real], atol=1e-5)
        pairs = [(-score, number) for score, number in zip(scores[: len(real)].tolist(), real, strict=True)]
        assert pairs == sorted(pairs)


@pytest.mark.parametrize("name", EXACT)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), rows=st.integers(0, 60), k=st.integers(1, 70), share=st.none() | st.floats(0, 1))
def test_an_exact_index_answers_as_a_full_sort_does_ties_by_the_lower_id(name, seed, rows, k, share):
    rng = np.random.default_rng(seed)
    vectors, ids = with_twins(rng, rows)
    held = dict(zip(ids.tolist(), vectors, strict=True))
    queries = np.concatenate([unit(rng, 3), vectors[:2]])
    allowed = None if share is None else np.append(ids[rng.random(rows) < share], 10**9)
    found = index_in_memory(name, ids, vectors).search(queries, k, filter=allowed)
    agree(found, slow_search(held, queries, k, None if allowed is None else set(allowed.tolist())))


@pytest.mark.parametrize("name", OVER_VECTORS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), rows=st.integers(0, 120), k=st.integers(1, 140), share=st.none() | st.floats(0, 1))
def test_hits_are_allowed_distinct_sorted_true_and_as_many_as_there_are(name, seed, rows, k, share):
    rng = np.random.default_rng(seed)
    vectors, ids = with_twins(rng, rows)
    queries = unit(rng, 4)
    allowed = ids[rng.random(rows) < share] if share is not None and name in FILTERS else None
    found = index_in_memory(name, ids, vectors).search(queries, k, filter=allowed)
    check_hits(found, dict(zip(ids.tolist(), vectors, strict=True)), queries, k, allowed)


changes = st.lists(
    st.tuples(st.sampled_from(["upsert", "remove", "reopen"]), st.integers(0, 10**6), st.integers(0, 40)), max_size=8
)


change = st.tuples(st.sampled_from(["upsert", "remove", "reopen"]), st.integers(0, 10**6), st.integers(0, 40))


@pytest.mark.parametrize("name", OVER_VECTORS)
@settings(max_examples=25, deadline=None)
@given(steps=st.lists(change, max_size=8))
def test_after_any_changes_it_holds_what_a_dict_would(name, steps, tmp_path_factory):
    plugin = plugins.load("indexes", name)
    location, opening = plugin.example(tmp_path_factory.mktemp("index"))
    index, held = plugin.open(location, opening), {}
    for number, (what, seed, rows) in enumerate(steps):
        rng = np.random.default_rng(seed)
        ids = rng.permutation(60)[:rows].astype(np.int64)
        if what == "upsert":
            vectors = unit(rng, rows)
            index.upsert(Entries(ids, vectors))
            held.update(zip(ids.tolist(), vectors, strict=True))
        elif what == "remove":
            index.remove(ids)
            held = {key: vector for key, vector in held.items() if key not in set(ids.tolist())}
        elif plugin.capabilities.persistent:
            index.commit(f"stamp {number}")
            index.close()
            index = plugin.open(location, opening)
            assert index.stamp == f"stamp {number}"
        assert index.count() == len(held) and sorted(index.ids().tolist()) == sorted(held)
    queries = unit(np.random.default_rng(3), 3)
    check_hits(index.search(queries, 9), held, queries, 9)
    if index.capabilities.exact:
        agree(index.search(queries, 9), slow_search(held, queries, 9))


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_of_any_size_yields_k_hits_where_k_are_allowed(name):
    rng = np.random.default_rng(4)
    vectors, ids = unit(rng, 5000), rng.permutation(9000)[:5000].astype(np.int64)
    held = dict(zip(ids.tolist(), vectors, strict=True))
    index = index_in_memory(name, ids, vectors)
    queries = unit(rng, 5)
    for share in (0, 0.0006, 0.004, 0.02, 0.1, 0.45, 0.8, 0.999):
        allowed = ids[rng.random(len(ids)) < share]
        found = index.search(queries, 20, filter=allowed)
        check_hits(found, held, queries, 20, allowed)
        truth = slow_search(held, queries, 20, set(allowed.tolist()))[0]
        assert np.mean([len(set(a) & set(b)) / len(set(b)) for a, b in zip(found[0], truth, strict=True)]) >= 0.9


@pytest.mark.parametrize("name", OVER_VECTORS)
def test_what_was_removed_or_replaced_is_no_hit_of_a_large_set_either(name):
    rng = np.random.default_rng(6)
    vectors, ids = unit(rng, 6000), np.arange(6000)
    held = dict(zip(ids.tolist(), vectors, strict=True))
    index = index_in_memory(name, ids, vectors)
    moved = unit(rng, 300)
    index.upsert(Entries(np.arange(5900, 6200), moved))
    held.update(zip(range(5900, 6200), moved, strict=True))
    for gone in (np.arange(0, 500), np.arange(400, 3000), np.arange(3000, 4000)):
        index.remove(gone)
        held = {number: vector for number, vector in held.items() if number not in set(gone.tolist())}
        queries = np.concatenate([unit(rng, 3), vectors[gone[:3]], vectors[5900:5902]])
        found = index.search(queries, 10)
        check_hits(found, held, queries, 10)
        truth = slow_search(held, queries, 10)[0]
        assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found[0], truth, strict=True)]) >= 0.9


@pytest.mark.parametrize("name", OVER_VECTORS)
def test_a_thousand_equal_vectors_fall_to_the_lowest_ids(name):
    rng = np.random.default_rng(5)
    ids = rng.permutation(1000).astype(np.int64)
    index = index_in_memory(name, ids, np.repeat(unit(rng, 1), 1000, axis=0))
    hits, cosines = index.search(unit(rng, 1), 4)
    assert np.ptp(cosines) == 0
    if index.capabilities.exact:
        assert hits.tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize("name", OVER_VECTORS)
def test_what_was_committed_answers_the_same(name, tmp_path):
    rng = np.random.default_rng(1)
    plugin = plugins.load("indexes", name)
    location, opening = plugin.example(tmp_path)
    index = plugin.open(location, opening)
    assert index.stamp is None and index.count() == 0
    vectors, ids = with_twins(rng, 400)
    index.upsert(Entries(ids, vectors))
    index.commit("one")
    again = plugin.open(location, opening)
    if not plugin.capabilities.persistent:
        assert again.count() == 0 and again.stamp is None
        return
    queries = unit(rng, 40)
    for left, right in zip(index.search(queries, 7), again.search(queries, 7), strict=True):
        np.testing.assert_array_equal(left, right)
    assert (again.stamp, again.count(), again.description) == ("one", 400, index.description)
    again.remove(ids[:1])
    assert again.stamp is None
    again.close()
    assert plugin.open(location, opening).stamp in ("one", None)


@pytest.mark.parametrize("name", OVER_VECTORS)
def test_two_collections_of_one_location_know_nothing_of_each_other(name, tmp_path):
    import dataclasses

    plugin = plugins.load("indexes", name)
    location, opening = plugin.example(tmp_path)
    one, two = plugin.open(location, opening), plugin.open(location, dataclasses.replace(opening, collection="other/set"))
    vectors = unit(np.random.default_rng(0), 4)
    one.upsert(Entries(np.arange(4), vectors))
    one.commit("one")
    assert two.count() == 0
    two.upsert(Entries(np.arange(7, 9), vectors[:2]))
    two.commit("two")
    assert one.count() == 4 and sorted(two.ids().tolist()) == [7, 8]


@pytest.mark.parametrize("name", OVER_VECTORS)
def test_a_memory_map_is_indexed_as_it_lies(name, tmp_path):
    rng = np.random.default_rng(2)
    vectors = unit(rng, 300)
    vectors.tofile(tmp_path / "v")
    mapped = np.memmap(tmp_path / "v", np.float32, "r", shape=vectors.shape)
    queries = unit(rng, 5)
    left, right = index_in_memory(name, np.arange(300), mapped), index_in_memory(name, np.arange(300), vectors)
    np.testing.assert_array_equal(left.search(queries, 9)[0], right.search(queries, 9)[0])


@pytest.mark.parametrize("name", OVER_VECTORS)
def test_wrong_shapes_and_options_are_refused(name, tmp_path):
    import dataclasses

    plugin = plugins.load("indexes", name)
    location, opening = plugin.example(tmp_path)
    index = plugin.open(location, opening)
    vectors = unit(np.random.default_rng(0), 5)
    for wrong in (
        Entries(np.zeros(5, np.int64), vectors),
        Entries(np.arange(4), vectors),
        Entries(np.arange(5), vectors.astype(np.float64)),
        Entries(np.arange(5), vectors[:, :8]),
        Entries(np.arange(5), texts=["a"] * 5),
    ):
        with pytest.raises(SettingError):
            index.upsert(wrong)
    index.upsert(Entries(np.arange(5), vectors))
    for queries, k in ((vectors[:, :8], 3), (vectors, 0), (["a text"], 3)):
        with pytest.raises(SettingError):
            index.search(queries, k)
    assert index.count() == 5
    with pytest.raises(SettingError, match="no_such"):
        plugin.open(location, dataclasses.replace(opening, options={"no_such": 1}))


@pytest.mark.parametrize("name", sorted(set(OVER_VECTORS) - set(EXACT)))
def test_an_approximate_index_finds_nearly_all_of_the_ten_nearest(name):
    rng = np.random.default_rng(11)
    centres = unit(rng, 60, 32)
    vectors = centres[rng.integers(0, 60, 6000)] + 0.6 * unit(rng, 6000, 32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    queries = vectors[:200] + 0.1 * unit(rng, 200, 32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    index = index_in_memory(name, np.arange(6000), vectors)
    truth = np.argsort(-(queries @ vectors.T), axis=1)[:, :10]
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(truth, index.search(queries, 10)[0], strict=True)]) >= 0.95
