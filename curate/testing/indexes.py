"""The laws of `curate.indexes.Index`, against a dict and a full sort; an index of texts keeps those that need no vectors."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.errors import SettingError
from curate.indexes import Capabilities, Entries, Index, IndexSettings
from curate.testing.contents import unit_vectors
from curate.testing.laws import hold, refused, require

Hits = tuple[NDArray[np.int64], NDArray[np.float32]]
Held = Mapping[int, NDArray[np.float32]]
"""id → its vector: what an index should hold."""
RECALL = 0.9
"""Of the true nearest, the least that an approximate index may find among vectors in every direction alike."""


def check_index(index: type[Index]) -> None:
    """Hold an index to the laws of its family; one over texts to those that need no vectors.

    Raises:
        AssertionError: a law is broken.
    """
    hold(LAWS_OF_ALL if index.capabilities.text else LAWS, index, index.__name__)


def with_twins(rng: np.random.Generator, rows: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Unit vectors of 16 dimensions of which some are bit-identical, and distinct ids in no order."""
    vectors = unit_vectors(rng, rows)
    if rows:
        vectors = vectors[rng.integers(0, max(1, rows * 2 // 3), rows)]
    return vectors, rng.permutation(3 * rows + 1)[:rows].astype(np.int64)


def in_memory(index: type[Index], ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> Index:
    """An index that holds these and is kept nowhere."""
    opened = index.open(None, IndexSettings(dimension=vectors.shape[1], threads=1))
    opened.upsert(Entries(ids, vectors))
    return opened


def slow_search(held: Held, queries: NDArray[np.float32], k: int, allowed: set[int] | None = None) -> Hits:
    """Sort every allowed vector by cosine, then id, one query at a time."""
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


def check_hits(found: Hits, held: Held, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None = None) -> None:
    """Hits are allowed, distinct, sorted, true, and as many as there are.

    Raises:
        AssertionError: they are not.
    """
    may = set(held) if allowed is None else set(held) & set(allowed.tolist())
    for query, hits, scores in zip(queries, *found, strict=True):
        real = hits[hits >= 0].tolist()
        require(len(real) == min(k, len(may)), f"{len(real)} hits where {min(k, len(may))} could be")
        require((hits[len(real) :] == -1).all(), "-1 stands before a hit")
        require(len(set(real)) == len(real) and set(real) <= may, "a hit comes twice, or is not there, or not allowed")
        true = [held[number] @ query for number in real]
        require(np.allclose(scores[: len(real)], true, atol=1e-5), "a score is not the cosine")
        pairs = [(-score, number) for score, number in zip(scores[: len(real)].tolist(), real, strict=True)]
        require(pairs == sorted(pairs), "hits are not sorted by score, then id")


def check_exact(found: Hits, expected: Hits) -> None:
    """Hits are those of a full sort; ids are compared where cosines differ clearly, for sums in another order round otherwise.

    Raises:
        AssertionError: they are not.
    """
    require(np.allclose(found[1], expected[1], atol=1e-6), "scores are not those of a full scan")
    clear = np.abs(np.diff(expected[1], axis=1, prepend=2, append=-2)).round(6) != 0
    same = clear[:, :-1] & clear[:, 1:]
    require((found[0] == expected[0])[same].all(), "hits are not those of a full scan")


def _it_says_what_it_can_do(index: type[Index]) -> None:
    require(isinstance(index.capabilities, Capabilities), "`capabilities` is no `Capabilities`")
    with _opened(index) as (opened, _, _):
        require(opened.count() == 0 and opened.stamp is None, "a new index is not empty")
        require(opened.description and "\n" not in opened.description, "the description is one line")


def _an_unknown_option_is_refused(index: type[Index]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        location, settings = index.example(Path(folder))
        with refused(SettingError, "the option no_such"):
            index.open(location, replace(settings, options={"no_such": 1}))


def _few_vectors_are_found_as_by_a_full_sort(index: type[Index]) -> None:
    for seed in range(12):
        rng = np.random.default_rng(seed)
        vectors, ids = with_twins(rng, int(rng.integers(0, 60)))
        held = dict(zip(ids.tolist(), vectors, strict=True))
        queries = np.concatenate([unit_vectors(rng, 3), vectors[:2]])
        k = int(rng.integers(1, 70))
        found = in_memory(index, ids, vectors).search(queries, k)
        check_hits(found, held, queries, k)
        if index.capabilities.exact:
            check_exact(found, slow_search(held, queries, k))


def _after_any_changes_it_holds_what_a_dict_would(index: type[Index]) -> None:
    rng = np.random.default_rng(1)
    with _opened(index) as (first, location, settings):
        opened = first
        held: dict[int, NDArray[np.float32]] = {}
        for number in range(20):
            ids = rng.permutation(60)[: rng.integers(0, 40)].astype(np.int64)
            match rng.integers(3):
                case 0:
                    vectors = unit_vectors(rng, len(ids))
                    opened.upsert(Entries(ids, vectors))
                    held.update(zip(ids.tolist(), vectors, strict=True))
                case 1:
                    opened.remove(ids)
                    held = {key: vector for key, vector in held.items() if key not in set(ids.tolist())}
                case _ if index.capabilities.persistent:
                    opened.commit(f"stamp {number}")
                    opened.close()
                    opened = index.open(location, settings)
                    require(opened.stamp == f"stamp {number}", "opened again, it has another stamp")
            require(opened.count() == len(held), f"it counts {opened.count()} entries of {len(held)}")
            require(sorted(opened.ids().tolist()) == sorted(held), "its ids are not those that were put in")
        queries = unit_vectors(rng, 3)
        check_hits(opened.search(queries, 9), held, queries, 9)


def _a_filter_of_any_size_yields_k_hits_where_k_are_allowed(index: type[Index]) -> None:
    if not index.capabilities.filters:
        return
    rng = np.random.default_rng(4)
    vectors, ids = unit_vectors(rng, 2000), rng.permutation(9000)[:2000].astype(np.int64)
    held = dict(zip(ids.tolist(), vectors, strict=True))
    opened, queries = in_memory(index, ids, vectors), unit_vectors(rng, 4)
    for share in (0, 0.0015, 0.02, 0.1, 0.8, 0.999):
        allowed = ids[rng.random(len(ids)) < share]
        found = opened.search(queries, 20, filter=allowed)
        check_hits(found, held, queries, 20, allowed)
        _check_recall(found, slow_search(held, queries, 20, set(allowed.tolist())))


def _what_was_removed_or_replaced_is_no_hit_of_a_large_set_either(index: type[Index]) -> None:
    rng = np.random.default_rng(6)
    vectors = unit_vectors(rng, 3000)
    held = dict(enumerate(vectors))
    opened = in_memory(index, np.arange(3000), vectors)
    moved = unit_vectors(rng, 200)
    opened.upsert(Entries(np.arange(2900, 3100), moved))
    held.update(zip(range(2900, 3100), moved, strict=True))
    for gone in (np.arange(0, 500), np.arange(400, 2000)):
        opened.remove(gone)
        held = {number: vector for number, vector in held.items() if number not in set(gone.tolist())}
        queries = np.concatenate([unit_vectors(rng, 3), vectors[gone[:3]], vectors[2900:2902]])
        found = opened.search(queries, 10)
        check_hits(found, held, queries, 10)
        _check_recall(found, slow_search(held, queries, 10))


def _a_thousand_equal_vectors_have_one_score_and_fall_to_the_lowest_ids(index: type[Index]) -> None:
    rng = np.random.default_rng(5)
    opened = in_memory(index, rng.permutation(1000).astype(np.int64), np.repeat(unit_vectors(rng, 1), 1000, axis=0))
    hits, cosines = opened.search(unit_vectors(rng, 1), 4)
    require(np.ptp(cosines) == 0, "equal vectors have different scores")
    require(not index.capabilities.exact or hits.tolist() == [[0, 1, 2, 3]], f"of equal vectors it finds {hits.tolist()}")


def _what_was_committed_answers_the_same(index: type[Index]) -> None:
    rng = np.random.default_rng(1)
    vectors, ids = with_twins(rng, 400)
    with _opened(index) as (opened, location, settings):
        opened.upsert(Entries(ids, vectors))
        opened.commit("one")
        again = index.open(location, settings)
        if not index.capabilities.persistent:
            require(again.count() == 0 and again.stamp is None, "it says that it keeps nothing, and does")
            return
        queries = unit_vectors(rng, 40)
        before, after = opened.search(queries, 7), again.search(queries, 7)
        same = np.array_equal(before[0], after[0]) and np.array_equal(before[1], after[1])
        require(same, "opened again, it answers otherwise")
        told = (again.stamp, again.count(), again.description)
        require(told == ("one", 400, opened.description), f"opened again, it says {told}")
        again.remove(ids[:1])
        require(again.stamp is None, "after a change it has a stamp still")


def _two_collections_of_one_location_know_nothing_of_each_other(index: type[Index]) -> None:
    vectors = unit_vectors(np.random.default_rng(0), 4)
    with _opened(index) as (one, location, settings):
        two = index.open(location, replace(settings, collection="other/set"))
        one.upsert(Entries(np.arange(4), vectors))
        one.commit("one")
        require(two.count() == 0, "what one collection is given, another holds")
        two.upsert(Entries(np.arange(7, 9), vectors[:2]))
        two.commit("two")
        require(one.count() == 4 and sorted(two.ids().tolist()) == [7, 8], "two collections mix")


def _wrong_shapes_are_refused_and_change_nothing(index: type[Index]) -> None:
    vectors = unit_vectors(np.random.default_rng(0), 5)
    wrong = {
        "one id for all": Entries(np.zeros(5, np.int64), vectors),
        "four ids for five vectors": Entries(np.arange(4), vectors),
        "float64": Entries(np.arange(5), vectors.astype(np.float64)),
        "another width": Entries(np.arange(5), vectors[:, :8]),
        "texts": Entries(np.arange(5), texts=["a"] * 5),
    }
    with _opened(index) as (opened, _, _):
        for what, entries in wrong.items():
            with refused(SettingError, what):
                opened.upsert(entries)
        opened.upsert(Entries(np.arange(5), vectors))
        asked: list[tuple[NDArray[np.float32] | Sequence[str], int]] = [(vectors[:, :8], 3), (vectors, 0), (["a text"], 3)]
        for queries, k in asked:
            with refused(SettingError, f"{k} hits of {queries!r:.40}"):
                opened.search(queries, k)
        require(opened.count() == 5, "what was refused has changed it")


LAWS_OF_ALL = (_it_says_what_it_can_do, _an_unknown_option_is_refused)
LAWS = (
    *LAWS_OF_ALL,
    _few_vectors_are_found_as_by_a_full_sort,
    _after_any_changes_it_holds_what_a_dict_would,
    _a_filter_of_any_size_yields_k_hits_where_k_are_allowed,
    _what_was_removed_or_replaced_is_no_hit_of_a_large_set_either,
    _a_thousand_equal_vectors_have_one_score_and_fall_to_the_lowest_ids,
    _what_was_committed_answers_the_same,
    _two_collections_of_one_location_know_nothing_of_each_other,
    _wrong_shapes_are_refused_and_change_nothing,
)


@contextmanager
def _opened(index: type[Index]) -> Iterator[tuple[Index, Any, IndexSettings]]:
    """The index of an example, its location and settings."""
    with tempfile.TemporaryDirectory(prefix="curate-check-") as folder:
        location, settings = index.example(Path(folder))
        yield index.open(location, settings), location, settings


def _check_recall(found: Hits, truth: Hits) -> None:
    shares = [len(set(a) & set(b)) / len(set(b)) for a, b in zip(found[0].tolist(), truth[0].tolist(), strict=True)]
    require(np.mean(shares) >= RECALL, f"of the true nearest it finds {np.mean(shares):.0%}, less than {RECALL:.0%}")
