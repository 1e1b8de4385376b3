"""The laws of `curate.dedupers.Deduper`, over every registered plug-in and against all pairs compared one by one."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from curate import plugins
from curate.dedupers import MarkOptions, Marks
from curate.embedders import EmbedderOptions
from curate.errors import SettingError
from curate.records import SILENT

NAMES = plugins.names("dedupers")
WORDS = [f"w{i}" for i in range(200)]


@dataclass(frozen=True)
class Texts:
    """Texts by row number, in memory."""

    array: pa.LargeStringArray

    def take(self, rows: np.ndarray) -> pa.LargeStringArray:
        return self.array.take(pa.array(rows, pa.int64()))


def some_texts(rng: np.random.Generator, rows: int) -> pa.LargeStringArray:
    """More than half are edits of others by a few words: similarities lie on both sides of any threshold."""
    made: list[str] = []
    for _ in range(rows):
        if made and rng.random() < 0.6:
            words = made[rng.integers(len(made))].split()
            for _ in range(rng.integers(0, 4)):
                words[rng.integers(len(words))] = WORDS[rng.integers(200)]
        else:
            words = [WORDS[i] for i in rng.integers(0, 200, rng.integers(1, 80))]
        made.append(" ".join(words))
    return pa.array(made, pa.large_string())


def some_hashes(rng: np.random.Generator, rows: int) -> np.ndarray:
    """About half repeat another."""
    different = rng.integers(0, 256, (max(rows // 2, 1), 16), np.uint8)
    return different[rng.integers(0, len(different), rows)]


def some_vectors(rng: np.random.Generator, rows: int, width: int = 64) -> np.ndarray:
    """Vectors of signs, over half of them others with a few signs turned: of unit length, codes to those who want bits."""
    made = np.sign(rng.standard_normal((rows, width))).astype(np.float32)
    for row in range(1, rows):
        if rng.random() < 0.6:
            made[row] = made[rng.integers(row)]
            made[row, rng.integers(0, width, rng.integers(0, 6))] *= -1
    return made / np.float32(np.sqrt(width))


def some_pictures(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Vectors of random blots, of which more than half are others made darker or scaled."""
    made: list[Image.Image] = []
    for _ in range(rows):
        if made and rng.random() < 0.6:
            picture = made[rng.integers(len(made))]
            picture = [picture.point(lambda value: int(value * 0.8)), picture.resize((80, 80)), picture][rng.integers(3)]
        else:
            blots = rng.integers(0, 256, (8, 8, 3), np.uint8)
            picture = Image.fromarray(blots).resize((96, 96), Image.Resampling.BICUBIC)
        made.append(picture)
    embedder = plugins.load("embedders", "perceptual")(EmbedderOptions(threads=1))
    return embedder.embed_images([_png(picture) for picture in made])


def _png(picture: Image.Image) -> bytes:
    held = io.BytesIO()
    picture.save(held, "PNG")
    return held.getvalue()


MAKERS: dict[str, Callable[[np.random.Generator, int], Any]] = {
    "text": some_texts,
    "hash": some_hashes,
    "vectors": some_vectors,
    "perceptual": some_pictures,
}
"""How content is made for what a deduper consumes, or, under its own name, for one whose embedder has a form of its own."""


THRESHOLDS = {"semantic": 0.9}
"""For dedupers that have none of their own, because it belongs to an embedder."""


def load(name: str) -> Any:
    return plugins.load("dedupers", name)


def build(name: str) -> Any:
    return load(name)(threshold=THRESHOLDS.get(name))


def content_for(name: str, seed: int, rows: int) -> Any:
    make = MAKERS.get(name) or MAKERS[load(name).consumes]
    return make(np.random.default_rng(seed), rows)


def take(content: Any, rows: np.ndarray) -> Any:
    return content.take(pa.array(rows, pa.int64())) if isinstance(content, pa.Array) else content[rows]


def sketches_of(deduper: Any, content: Any) -> np.ndarray:
    return deduper.sketch(content) if deduper.consumes == "text" else content


def mark(deduper: Any, content: Any, order: np.ndarray, settled: int = 0, **options: Any) -> Marks:
    texts = Texts(content) if deduper.consumes == "text" else None
    chosen = MarkOptions(**{"threads": 1, **options})
    sketches = sketches_of(deduper, content)
    return deduper.mark(sketches, order, settled=settled, texts=texts, options=chosen, progress=SILENT)


def all_pairs(deduper: Any, content: Any) -> np.ndarray:
    """(n, n) the true measure of every pair."""
    n = len(content)
    left, right = np.repeat(np.arange(n), n), np.tile(np.arange(n), n)
    return deduper.similarity(take(content, left), take(content, right)).reshape(n, n)


def same(one: Marks, other: Marks) -> bool:
    return bool((one.stands_for == other.stands_for).all() and (one.similarity == other.similarity).all())


each = pytest.mark.parametrize("name", NAMES)


@each
@pytest.mark.parametrize("seed", range(4))
def test_survivors_are_unlike_each_other_and_every_mark_names_a_similar_survivor(name: str, seed: int) -> None:
    deduper = build(name)
    content = content_for(name, seed, 120)
    rng = np.random.default_rng(seed)
    order = rng.permutation(120)[:100]
    settled = (0, 30)[seed % 2]
    marks = mark(deduper, content, order, settled)
    truth = all_pairs(deduper, content)
    limit = np.float32(deduper.threshold)

    kept = order[marks.stands_for[order] < 0]
    place = {int(row): at for at, row in enumerate(order)}
    pairs = [(a, b) for i, a in enumerate(kept) for b in kept[:i] if max(place[a], place[b]) >= settled]
    missed = sum(truth[a, b] >= limit + 1e-6 for a, b in pairs)
    assert missed <= 0.01 * (truth >= limit).sum() / 2
    marked = np.flatnonzero(marks.stands_for >= 0)
    assert len(marked) > 5, "the data should hold duplicates"
    assert set(marks.stands_for[marked]) <= set(kept)
    for row in marked:
        keeper = marks.stands_for[row]
        assert place[keeper] < place[row]
        assert place[row] >= settled
        assert marks.similarity[row] >= limit - 1e-6
        assert marks.similarity[row] == pytest.approx(truth[row, keeper], abs=1e-5)
    unmarked = np.flatnonzero(marks.stands_for < 0)
    assert (marks.similarity[unmarked] == 1).all()
    assert marks.stands_for.dtype == np.int64
    assert marks.similarity.dtype == np.float32
    assert 0 <= marks.compared <= 120 * 120


@each
def test_threads_memory_and_a_second_run_change_nothing(name: str, tmp_path: Path) -> None:
    deduper = build(name)
    content, order = content_for(name, 5, 600), np.arange(600)
    one = mark(deduper, content, order)
    assert same(one, mark(deduper, content, order, threads=2))
    assert same(one, mark(build(name), content, order, memory_bytes=1 << 12, folder=tmp_path))
    assert list(tmp_path.iterdir()) == [], "spilled files are removed"


@each
def test_row_numbers_do_not_matter_only_the_order_of_contents_does(name: str) -> None:
    deduper = build(name)
    content = content_for(name, 6, 300)
    shuffle = np.random.default_rng(0).permutation(300)  # row i of the shuffled content is row shuffle[i] of the first
    where = np.argsort(shuffle)
    straight = mark(deduper, content, np.arange(300))
    shuffled = mark(deduper, take(content, shuffle), where)
    expected = np.where(straight.stands_for >= 0, where[straight.stands_for], -1)
    assert (shuffled.stands_for[where] == expected).all()
    assert (shuffled.similarity[where] == straight.similarity).all()


@each
def test_marks_of_a_first_pass_stay_when_its_survivors_are_settled_and_rows_are_added(name: str) -> None:
    deduper = build(name)
    content = content_for(name, 7, 400)
    first = mark(deduper, content, np.arange(300))
    kept = np.flatnonzero(first.stands_for[:300] < 0)
    later = mark(deduper, content, np.concatenate([kept, np.arange(300, 400)]), settled=len(kept))
    whole = mark(deduper, content, np.arange(400))
    assert (later.stands_for[300:] == whole.stands_for[300:]).all()
    assert (later.stands_for[:300] == -1).all()


@each
def test_equal_rows_leave_the_first_and_compare_about_once_each(name: str) -> None:
    deduper = build(name)
    content = take(content_for(name, 8, 3), np.ones(5000, np.int64))
    order = np.arange(5000)[::-1]
    marks = mark(deduper, content, order)
    assert marks.stands_for[4999] == -1
    assert (marks.stands_for[:4999] == 4999).all()
    assert marks.similarity == pytest.approx(1.0, abs=1e-6)
    assert marks.compared < 10 * 5000


@each
def test_equal_settled_rows_are_all_kept_and_the_first_stands_for_later_ones(name: str) -> None:
    content = take(content_for(name, 9, 2), np.zeros(6, np.int64))
    marks = mark(build(name), content, np.array([3, 1, 0, 2, 5]), settled=2)
    assert marks.stands_for.tolist() == [3, -1, 3, -1, -1, 3]


@each
@pytest.mark.parametrize("rows", [0, 1])
def test_no_row_and_one_row_are_kept(name: str, rows: int) -> None:
    content = content_for(name, 10, 4)
    marks = mark(build(name), content, np.arange(rows))
    assert marks.stands_for.tolist() == [-1] * 4
    assert marks.similarity.tolist() == [1.0] * 4
    none = mark(build(name), take(content, np.arange(0)), np.arange(0))
    assert len(none.stands_for) == 0


@each
def test_settings_are_complete_and_make_the_same_deduper_again(name: str) -> None:
    deduper = build(name)
    assert json.loads(json.dumps(deduper.settings)) == deduper.settings
    assert deduper.settings["threshold"] == deduper.threshold
    assert load(name)(**deduper.settings).settings == deduper.settings
    assert deduper.modalities <= {"text", "image"}
    assert deduper.measure


@each
@pytest.mark.parametrize("settings", [{"threshold": 3.0}, {"threshold": float("nan")}, {"no_such_setting": 1}])
def test_a_wrong_setting_is_refused_with_its_value(name: str, settings: dict[str, Any]) -> None:
    with pytest.raises(SettingError):
        load(name)(**settings)


@each
def test_sketches_do_not_depend_on_their_batch_and_are_texts_alone(name: str) -> None:
    deduper = build(name)
    texts = content_for("minhash", 11, 90)
    if deduper.consumes != "text":
        with pytest.raises(SettingError):
            deduper.sketch(texts)
        return
    whole = deduper.sketch(texts)
    parts = [deduper.sketch(texts.slice(low, 30)) for low in (0, 30, 60)]
    assert whole.shape == (90, whole.shape[1])
    assert np.issubdtype(whole.dtype, np.integer)
    assert (np.concatenate(parts) == whole).all()
    assert deduper.sketch(texts.slice(0, 0)).shape == (0, whole.shape[1])
