"""Sketches that were kept are found again by content, or not at all."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from curate.spill import roomy
from curate.steps import _sketches
from curate.steps._sketches import SketchCache, copy_rows

WIDTH = 5


def keys_of(contents: np.ndarray) -> np.ndarray:
    """(n, 16) a key for each content; many share a leading half."""
    return np.stack([contents % 3, contents], axis=1).astype(np.uint64).view(np.uint8)


def sketches_of(contents: np.ndarray) -> np.ndarray:
    return (contents[:, None] * 10 + np.arange(WIDTH)).astype(np.uint32)


def look_up(cache: SketchCache, contents: np.ndarray) -> dict[int, list[int]]:
    """The sketches of those contents that are found."""
    places = cache.find(keys_of(contents))
    hit = np.flatnonzero(places >= 0)
    out = np.zeros((len(contents), WIDTH), np.uint32)
    cache.read(places[hit], out, hit, 10**9)
    return {int(contents[row]): out[row].tolist() for row in hit}


@pytest.mark.parametrize("most", [16, 2])
def test_every_sketch_is_found_by_its_key_and_no_other_is(tmp_path, monkeypatch, most):
    monkeypatch.setattr(_sketches, "MOST_SEGMENTS", most)
    rng, everything = np.random.default_rng(5), np.random.default_rng(4).permutation(60)
    added: list[int] = []
    for start, end in ((0, 20), (20, 21), (21, 40), (40, 50)):
        cache = SketchCache(tmp_path, "minhash", {"ngram": 5})
        assert look_up(cache, rng.permutation(60)) == {n: sketches_of(np.array([n]))[0].tolist() for n in added}
        part = everything[start:end]
        made = cache.add(keys_of(part), iter(np.array_split(sketches_of(part), min(3, len(part)))))
        assert (made == sketches_of(part)).all()
        added += part.tolist()
        assert look_up(cache, rng.permutation(60)) == {n: sketches_of(np.array([n]))[0].tolist() for n in added}
    (folder,) = tmp_path.iterdir()
    assert len(json.loads((folder / "manifest.json").read_text())) == len(list(folder.glob("*.sketches"))) <= most
    assert look_up(SketchCache(tmp_path, "minhash", {"ngram": 4}), everything) == {}


def test_a_damaged_segment_is_not_read_and_the_others_are(tmp_path):
    for part in (np.arange(5), np.arange(5, 9)):
        SketchCache(tmp_path, "minhash", {}).add(keys_of(part), [sketches_of(part)])
    (folder,) = tmp_path.iterdir()
    first, second = (folder / entry["file"] for entry in json.loads((folder / "manifest.json").read_text()))
    whole = first.read_bytes()
    first.write_bytes(whole[:-1] + bytes([whole[-1] ^ 4]))
    (folder / "new-dead.tmp").write_bytes(b"left by a kill")
    cache = SketchCache(tmp_path, "minhash", {})
    assert sorted(look_up(cache, np.arange(9))) == [5, 6, 7, 8]
    cache.add(keys_of(np.arange(5)), [sketches_of(np.arange(5))])
    assert sorted(look_up(SketchCache(tmp_path, "minhash", {}), np.arange(9))) == list(range(9))
    assert sorted(folder.iterdir()) == sorted([first, second, folder / "manifest.json"])


def test_a_sketching_that_fails_leaves_what_was_there(tmp_path):
    SketchCache(tmp_path, "minhash", {}).add(keys_of(np.arange(5)), [sketches_of(np.arange(5))])
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def failing():
        yield sketches_of(np.arange(5, 7))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SketchCache(tmp_path, "minhash", {}).add(keys_of(np.arange(5, 9)), failing())
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_settings_used_longest_ago_are_forgotten(tmp_path):
    for ngram in range(_sketches.MOST_SETTINGS + 2):
        SketchCache(tmp_path, "minhash", {"ngram": ngram}).add(keys_of(np.arange(3)), [sketches_of(np.arange(3))])
        for age, folder in enumerate(sorted(tmp_path.iterdir(), key=lambda path: -path.stat().st_mtime_ns)):
            os.utime(folder, times=(10**9 - age, 10**9 - age))
        assert len(look_up(SketchCache(tmp_path, "minhash", {"ngram": 0}), np.arange(3))) == 3
    left = [n for n in range(_sketches.MOST_SETTINGS + 2) if SketchCache(tmp_path, "minhash", {"ngram": n}).row]
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
