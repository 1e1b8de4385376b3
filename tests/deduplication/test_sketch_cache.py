"""Sketches that were kept are found again by content, or not at all."""

from __future__ import annotations

import os

import numpy as np
import pytest

from curate.deduplication import sketch_cache as _sketches
from curate.deduplication.sketch_cache import SketchCache, copy_rows
from curate.spill import roomy

WIDTH = 5


def keys_of(contents: np.ndarray) -> np.ndarray:
    """(n, 16) a key for each content; many share a leading half."""
    return np.stack([contents % 3, contents], axis=1).astype(np.uint64).view(np.uint8)


def sketches_of(contents: np.ndarray) -> np.ndarray:
    return (contents[:, None] * 10 + np.arange(WIDTH)).astype(np.uint32)


def look_up(cache: SketchCache, contents: np.ndarray) -> dict[int, list[int]]:
    """The sketches of those contents that are found."""
    places = cache.find(keys_of(contents))
    return {int(contents[row]): cache.sketches[places[row]].tolist() for row in np.flatnonzero(places >= 0)}


def test_every_sketch_is_found_by_its_key_and_no_other_is(tmp_path):
    rng, everything = np.random.default_rng(5), np.random.default_rng(4).permutation(60)
    added: list[int] = []
    for start, end in ((0, 20), (20, 21), (21, 40), (40, 50)):
        cache = SketchCache(tmp_path, "minhash", {"ngram": 5})
        for asked in (rng.permutation(60), everything, everything[3:], everything[::-1]):
            assert look_up(cache, asked) == {n: sketches_of(np.array([n]))[0].tolist() for n in added if n in asked}
        part = everything[start:end]
        places = cache.add(keys_of(part), iter(np.array_split(sketches_of(part), min(3, len(part)))))
        assert (cache.sketches[places] == sketches_of(part)).all()
        added += part.tolist()
        assert look_up(cache, rng.permutation(60)) == {n: sketches_of(np.array([n]))[0].tolist() for n in added}
    assert look_up(SketchCache(tmp_path, "minhash", {"ngram": 4}), everything) == {}


def test_settings_used_longest_ago_are_forgotten(tmp_path):
    for ngram in range(_sketches.MOST_SETTINGS + 2):
        SketchCache(tmp_path, "minhash", {"ngram": ngram}).add(keys_of(np.arange(3)), [sketches_of(np.arange(3))])
        for age, folder in enumerate(sorted(tmp_path.iterdir(), key=lambda path: -path.stat().st_mtime_ns)):
            os.utime(folder, times=(10**9 - age, 10**9 - age))
        assert len(look_up(SketchCache(tmp_path, "minhash", {"ngram": 0}), np.arange(3))) == 3
    left = [
        n
        for n in range(_sketches.MOST_SETTINGS + 2)
        if len(look_up(SketchCache(tmp_path, "minhash", {"ngram": n}), np.arange(3)))
    ]
    assert left == [0, *range(3, _sketches.MOST_SETTINGS + 2)] and len(left) == _sketches.MOST_SETTINGS


@pytest.mark.parametrize("memory_bytes", [0, 10**9])
def test_sketches_are_copied_to_their_rows_wherever_either_lies(tmp_path, memory_bytes):
    rng = np.random.default_rng(4)
    source = rng.integers(0, 2**32, (700, WIDTH), np.uint32)
    held = roomy(source.shape, np.uint32, memory_bytes, tmp_path)
    held[:] = source
    rows, taken = rng.permutation(900)[:500], rng.integers(0, 700, 500)
    expected = np.zeros((900, WIDTH), np.uint32)
    expected[rows] = source[taken]
    out = roomy(expected.shape, np.uint32, memory_bytes, tmp_path)
    out[:] = 0
    copy_rows(held, out, rows, memory_bytes, taken)
    assert (out == expected).all()
    copy_rows(held[:500], out, np.arange(200, 700), memory_bytes)
    assert (out[200:700] == source[:500]).all()
