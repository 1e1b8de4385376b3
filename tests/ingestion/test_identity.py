"""Counting identities in sorted arrays agrees with counting them in a dictionary."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.ingestion.identity import KEY_BYTES, KeyCounter, identity_keys, occurrences

HASHES = [hashlib.sha256(bytes([n])).hexdigest() for n in range(6)] + ["00" * 32, "ff" * 32, "00" * 15 + "01" + "ff" * 16]
identities = st.tuples(st.sampled_from([0, 1, 2, 255, 256, 2**40]), st.sampled_from(HASHES))
batches = st.lists(st.lists(identities, max_size=20), max_size=12)


def keys_of(batch: list[tuple[int, str]]) -> np.ndarray:
    return identity_keys(np.array([source for source, _ in batch], np.int64), [content for _, content in batch])


@given(st.lists(identities, max_size=40))
@settings(deadline=None)
def test_keys_are_equal_exactly_where_source_and_content_are(batch):
    keys = keys_of(batch)
    assert keys.dtype.itemsize == KEY_BYTES and keys.shape == (len(batch),)
    for i, left in enumerate(batch):
        for j, right in enumerate(batch):
            assert (keys[i] == keys[j]) == (left == right)


@given(batches, st.lists(identities, max_size=20))
@settings(deadline=None)
def test_the_counter_counts_as_a_dictionary_does(added, asked):
    counter, oracle = KeyCounter(), Counter()
    for batch in added:
        counter.add(keys_of(batch))
        oracle.update(batch)
        assert counter.count(keys_of(asked)).tolist() == [oracle[identity] for identity in asked]


@given(st.lists(identities, max_size=60))
@settings(deadline=None)
def test_repeats_are_numbered_in_order(batch):
    seen: Counter = Counter()
    expected = []
    for identity in batch:
        expected.append(seen[identity])
        seen[identity] += 1
    assert occurrences(keys_of(batch)).tolist() == expected


@given(batches)
@settings(deadline=None)
def test_numbering_over_batches_is_numbering_over_all_of_them(added):
    counter = KeyCounter()
    numbered = []
    for batch in added:
        keys = keys_of(batch)
        numbered += (counter.count(keys) + occurrences(keys)).tolist()
        counter.add(keys)
    assert numbered == occurrences(keys_of([identity for batch in added for identity in batch])).tolist()


def test_a_counter_of_many_batches_holds_few_runs():
    counter = KeyCounter()
    for n in range(500):
        counter.add(keys_of([(n, HASHES[0])]))
    assert len(counter._runs) <= 10
    assert counter.count(keys_of([(499, HASHES[0]), (500, HASHES[0])])).tolist() == [1, 0]
