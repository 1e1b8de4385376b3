"""What `curate.indexes.Index` promises, kept by every index that is registered; each brings its own `example`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate import plugins
from curate.indexes import Entries, index_in_memory
from curate.testing import check_index
from curate.testing.contents import unit_vectors as unit
from curate.testing.indexes import check_exact, check_hits, slow_search, with_twins

OVER_VECTORS = [name for name in plugins.names("indexes") if not plugins.load("indexes", name).capabilities.text]
EXACT = [name for name in OVER_VECTORS if plugins.load("indexes", name).capabilities.exact]
FILTERS = [name for name in OVER_VECTORS if plugins.load("indexes", name).capabilities.filters]
WIDTH = 16


@pytest.mark.parametrize("name", plugins.names("indexes"))
def test_it_keeps_the_laws_of_its_family(name):
    check_index(plugins.load("indexes", name))


@pytest.mark.parametrize("name", EXACT)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), rows=st.integers(0, 60), k=st.integers(1, 70), share=st.none() | st.floats(0, 1))
def test_an_exact_index_answers_as_a_full_sort_does_ties_by_the_lower_id(name, seed, rows, k, share):
    rng = np.random.default_rng(seed)
    vectors, ids = with_twins(rng, rows)
    held = dict(zip(ids.tolist(), vectors, strict=True))
    queries = np.concatenate([unit(rng, 3), vectors[:2]])
    allowed = None if share is None else np.append(ids[rng.random(rows) < share], 10**9)
    found = index_in_memory(name, ids, vectors, threads=1).search(queries, k, filter=allowed)
    check_exact(found, slow_search(held, queries, k, None if allowed is None else set(allowed.tolist())))


@pytest.mark.parametrize("name", OVER_VECTORS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), rows=st.integers(0, 120), k=st.integers(1, 140), share=st.none() | st.floats(0, 1))
def test_hits_are_allowed_distinct_sorted_true_and_as_many_as_there_are(name, seed, rows, k, share):
    rng = np.random.default_rng(seed)
    vectors, ids = with_twins(rng, rows)
    queries = unit(rng, 4)
    allowed = ids[rng.random(rows) < share] if share is not None and name in FILTERS else None
    found = index_in_memory(name, ids, vectors, threads=1).search(queries, k, filter=allowed)
    check_hits(found, dict(zip(ids.tolist(), vectors, strict=True)), queries, k, allowed)


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
        check_exact(index.search(queries, 9), slow_search(held, queries, 9))


def recall(found, held, queries, k):
    """The part of the k nearest that was found; 1 where there are none."""
    if not held:
        return 1.0
    ids, vectors = np.array(list(held)), np.stack(list(held.values()))
    nearest = ids[np.argsort(-(queries @ vectors.T), axis=1)[:, :k]]
    return np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found[0], nearest, strict=True)])


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_of_any_size_of_a_large_set_yields_k_hits(name):
    rng = np.random.default_rng(4)
    vectors, ids = unit(rng, 5000), rng.permutation(9000)[:5000].astype(np.int64)
    held = dict(zip(ids.tolist(), vectors, strict=True))
    index = index_in_memory(name, ids, vectors, threads=1)
    queries = unit(rng, 5)
    for share in (0, 0.0006, 0.004, 0.02, 0.1, 0.45, 0.8, 0.999):
        allowed = ids[rng.random(len(ids)) < share]
        found = index.search(queries, 20, filter=allowed)
        check_hits(found, held, queries, 20, allowed)
        assert recall(found, {number: held[number] for number in allowed.tolist()}, queries, 20) >= 0.9


@pytest.mark.parametrize("name", OVER_VECTORS)
def test_what_was_removed_or_replaced_is_no_hit_of_a_large_set_either(name):
    rng = np.random.default_rng(6)
    vectors, ids = unit(rng, 4000), np.arange(4000)
    held = dict(zip(ids.tolist(), vectors, strict=True))
    index = index_in_memory(name, ids, vectors, threads=1)
    moved = unit(rng, 100)
    index.upsert(Entries(np.arange(3950, 4050), moved))
    held.update(zip(range(3950, 4050), moved, strict=True))
    for gone in (np.arange(0, 500), np.arange(400, 1400), np.arange(1400, 1700)):
        index.remove(gone)
        for number in gone.tolist():
            held.pop(number, None)
        queries = np.concatenate([unit(rng, 3), vectors[gone[:3]], vectors[3950:3952]])
        found = index.search(queries, 10)
        check_hits(found, held, queries, 10)
        assert recall(found, held, queries, 10) >= 0.9


@pytest.mark.parametrize("name", OVER_VECTORS)
def test_a_memory_map_is_indexed_as_it_lies(name, tmp_path):
    rng = np.random.default_rng(2)
    vectors = unit(rng, 300)
    vectors.tofile(tmp_path / "v")
    mapped = np.memmap(tmp_path / "v", np.float32, "r", shape=vectors.shape)
    queries = unit(rng, 5)
    left, right = index_in_memory(name, np.arange(300), mapped), index_in_memory(name, np.arange(300), vectors)
    np.testing.assert_array_equal(left.search(queries, 9)[0], right.search(queries, 9)[0])


@pytest.mark.parametrize("name", sorted(set(OVER_VECTORS) - set(EXACT)))
def test_an_approximate_index_finds_nearly_all_of_the_ten_nearest(name):
    rng = np.random.default_rng(11)
    centres = unit(rng, 60, 32)
    vectors = centres[rng.integers(0, 60, 6000)] + 0.6 * unit(rng, 6000, 32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    queries = vectors[:200] + 0.1 * unit(rng, 200, 32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    index = index_in_memory(name, np.arange(6000), vectors, threads=1)
    truth = np.argsort(-(queries @ vectors.T), axis=1)[:, :10]
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(truth, index.search(queries, 10)[0], strict=True)]) >= 0.95
