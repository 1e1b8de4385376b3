"""The laws of `curate.dedupers.Deduper`, against all pairs compared one by one."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curate import plugins
from curate.dedupers import Deduper, MarkOptions, Marks
from curate.embedders import Embedder
from curate.errors import SettingError
from curate.records import SILENT
from curate.testing.contents import some_hashes, some_pictures, some_texts, some_vectors, take
from curate.testing.laws import hold, refused, require


def check_deduper(deduper: type[Deduper]) -> None:
    """Hold a deduper, with the settings of its `example`, to the laws of its family.

    One that wants the vectors of a certain embedder is tried on that embedder's.

    Raises:
        AssertionError: a law is broken.
    """
    hold(LAWS, _Case(deduper), deduper.__name__)


@dataclass(frozen=True)
class _Texts:
    """Texts by row number, in memory."""

    array: pa.LargeStringArray

    def take(self, rows: NDArray[np.int64]) -> pa.LargeStringArray:
        return self.array.take(pa.array(rows, pa.int64()))


@dataclass(frozen=True)
class _Case:
    """A deduper's class, and what it can be tried on."""

    kind: type[Deduper]

    def build(self) -> Deduper:
        return self.kind(**self.kind.example())

    @cached_property
    def embedder(self) -> Embedder | None:
        """The one whose vectors it wants; None where any will do."""
        if self.kind.embedder is None:
            return None
        made: type[Embedder] = plugins.load("embedders", self.kind.embedder)
        return made(made.example(Path(tempfile.mkdtemp(prefix="curate-check-"))))

    def content(self, seed: int, rows: int) -> Any:
        """Rows of what the deduper consumes, with near-duplicates among them."""
        rng = np.random.default_rng(seed)
        if self.kind.consumes == "hash":
            return some_hashes(rng, rows)
        if self.kind.consumes == "text":
            return some_texts(rng, rows)
        if self.embedder is None:
            return some_vectors(rng, rows)
        if "image" in self.embedder.modalities:
            return self.embedder.embed_images(some_pictures(rng, rows))
        return self.embedder.embed_texts(some_texts(rng, rows).to_pylist())


def _mark(
    deduper: Deduper, content: Any, order: NDArray[np.int64], settled: int = 0, among: bool = True, **options: Any
) -> Marks:
    texts = _Texts(content) if deduper.consumes == "text" else None
    sketches = deduper.sketch(content) if deduper.consumes == "text" else content
    chosen = MarkOptions(**{"threads": 1, **options})
    return deduper.mark(sketches, order, settled=settled, among=among, texts=texts, options=chosen, progress=SILENT)


def _all_pairs(deduper: Deduper, content: Any) -> NDArray[np.float32]:
    """(n, n) the true measure of every pair."""
    n = len(content)
    left, right = np.repeat(np.arange(n), n), np.tile(np.arange(n), n)
    return deduper.similarity(take(content, left), take(content, right)).reshape(n, n)


def _same(one: Marks, other: Marks) -> bool:
    return bool((one.stands_for == other.stands_for).all() and (one.similarity == other.similarity).all())


def _survivors_are_unlike_each_other_and_every_mark_names_a_similar_survivor(case: _Case) -> None:
    for seed in range(4):
        deduper, content = case.build(), case.content(seed, 120)
        order = np.random.default_rng(seed).permutation(120)[:100]
        settled = (0, 30)[seed % 2]
        marks = _mark(deduper, content, order, settled)
        truth = _all_pairs(deduper, content)
        _check_survivors(marks, order, settled, truth, deduper.threshold)
        _check_marked(marks, order, settled, truth, deduper.threshold)
        kinds = (marks.stands_for.dtype, marks.similarity.dtype)
        require(kinds == (np.dtype(np.int64), np.dtype(np.float32)), f"marks are int64 and float32, not {kinds}")
        require(0 <= marks.compared <= 120 * 120, f"it says that it compared {marks.compared} of 14,400 pairs")


def _apart_from_each_other_a_row_is_marked_where_it_resembles_a_settled_one(case: _Case) -> None:
    deduper, content = case.build(), case.content(5, 120)
    order = np.random.default_rng(5).permutation(120)
    settled, later = order[:40], order[40:]
    marks = _mark(deduper, content, order, 40, among=False)
    nearest = _all_pairs(deduper, content)[np.ix_(later, settled)].max(axis=1)
    marked = marks.stands_for[later] >= 0
    require(bool(np.isin(marks.stands_for[later[marked]], settled).all()), "a mark names a row that is not settled")
    require(bool((nearest[marked] >= deduper.threshold - 1e-5).all()), "a row is marked that resembles no settled one")
    similar = nearest >= np.float32(deduper.threshold) + 1e-6
    require(int((similar & ~marked).sum()) <= 0.01 * similar.sum(), "rows that resemble a settled one are not marked")


def _check_survivors(
    marks: Marks, order: NDArray[np.int64], settled: int, truth: NDArray[np.float32], threshold: float
) -> None:
    place = {int(row): at for at, row in enumerate(order)}
    kept = order[marks.stands_for[order] < 0]
    pairs = [(a, b) for at, a in enumerate(kept) for b in kept[:at] if max(place[int(a)], place[int(b)]) >= settled]
    missed = sum(bool(truth[a, b] >= np.float32(threshold) + 1e-6) for a, b in pairs)
    require(missed <= 0.01 * (truth >= threshold).sum() / 2, f"{missed} pairs of similar rows are both kept")


def _check_marked(marks: Marks, order: NDArray[np.int64], settled: int, truth: NDArray[np.float32], threshold: float) -> None:
    place = {int(row): at for at, row in enumerate(order)}
    kept = {int(row) for row in order[marks.stands_for[order] < 0]}
    marked = np.flatnonzero(marks.stands_for >= 0)
    require(len(marked) > 5, f"only {len(marked)} of 100 rows with many near-duplicates are marked")
    for row in map(int, marked):
        keeper = int(marks.stands_for[row])
        require(keeper in kept, f"row {row} stands behind row {keeper}, which is not kept")
        require(place[keeper] < place[row] and place[row] >= settled, f"row {row} stands behind a later row, or was settled")
        require(marks.similarity[row] >= np.float32(threshold) - 1e-6, f"row {row} is marked under the threshold")
        require(abs(marks.similarity[row] - truth[row, keeper]) <= 1e-5, f"row {row} is marked with an estimate")
    require((marks.similarity[marks.stands_for < 0] == 1).all(), "a kept row's similarity is 1")


def _threads_memory_and_a_second_run_change_nothing(case: _Case) -> None:
    deduper, content, order = case.build(), case.content(5, 600), np.arange(600)
    one = _mark(deduper, content, order)
    require(_same(one, _mark(deduper, content, order, threads=2)), "two threads mark other rows")
    with tempfile.TemporaryDirectory() as folder:
        again = _mark(case.build(), content, order, memory_bytes=1 << 12, folder=Path(folder))
        require(_same(one, again), "with little memory it marks other rows")
        require(not list(Path(folder).iterdir()), "spilled files are left behind")


def _row_numbers_do_not_matter_only_the_order_of_contents_does(case: _Case) -> None:
    deduper, content = case.build(), case.content(6, 300)
    shuffle = np.random.default_rng(0).permutation(300)  # row i of the shuffled content is row shuffle[i] of the first
    where = np.argsort(shuffle)
    straight = _mark(deduper, content, np.arange(300))
    shuffled = _mark(deduper, take(content, shuffle), where)
    expected = np.where(straight.stands_for >= 0, where[straight.stands_for], -1)
    require((shuffled.stands_for[where] == expected).all(), "rows stored in another order are marked otherwise")
    require((shuffled.similarity[where] == straight.similarity).all(), "rows stored in another order are measured otherwise")


def _marks_of_a_first_pass_stay_when_its_survivors_are_settled_and_rows_are_added(case: _Case) -> None:
    deduper, content = case.build(), case.content(7, 400)
    first = _mark(deduper, content, np.arange(300))
    kept = np.flatnonzero(first.stands_for[:300] < 0)
    later = _mark(deduper, content, np.concatenate([kept, np.arange(300, 400)]), settled=len(kept))
    whole = _mark(deduper, content, np.arange(400))
    require((later.stands_for[300:] == whole.stands_for[300:]).all(), "a second pass marks new rows otherwise than one pass")
    require((later.stands_for[:300] == -1).all(), "a settled row is marked")


def _equal_rows_leave_the_first_and_compare_about_once_each(case: _Case) -> None:
    content = take(case.content(8, 3), np.ones(5000, np.int64))
    marks = _mark(case.build(), content, np.arange(5000)[::-1])
    require(marks.stands_for[4999] == -1 and (marks.stands_for[:4999] == 4999).all(), "equal rows do not leave the first")
    require((abs(marks.similarity - 1) <= 1e-6).all(), "equal rows have similarity 1")
    require(marks.compared < 10 * 5000, f"5,000 equal rows take {marks.compared} comparisons")


def _equal_settled_rows_are_all_kept_and_the_first_stands_for_later_ones(case: _Case) -> None:
    content = take(case.content(9, 2), np.zeros(6, np.int64))
    found = _mark(case.build(), content, np.array([3, 1, 0, 2, 5]), settled=2).stands_for.tolist()
    require(found == [3, -1, 3, -1, -1, 3], f"of equal rows in the order 3 1 0 2 5, two of them settled, it marks {found}")


def _no_row_and_one_row_are_kept(case: _Case) -> None:
    content = case.content(10, 4)
    for rows in (0, 1):
        marks = _mark(case.build(), content, np.arange(rows))
        require(marks.stands_for.tolist() == [-1] * 4, "a row alone is marked")
        require(marks.similarity.tolist() == [1.0] * 4, "a kept row's similarity is 1")
    none = _mark(case.build(), take(content, np.arange(0)), np.arange(0))
    require(len(none.stands_for) == 0, "no rows give marks")


def _settings_are_complete_and_make_the_same_deduper_again(case: _Case) -> None:
    deduper = case.build()
    require(json.loads(json.dumps(deduper.settings)) == deduper.settings, "the settings do not survive JSON")
    require(deduper.settings.get("threshold") == deduper.threshold, "the settings lack the threshold")
    require(case.kind(**deduper.settings).settings == deduper.settings, "the settings make another deduper")
    require(deduper.modalities and deduper.measure, "it says neither for what it is nor what it measures")


def _a_wrong_setting_is_refused(case: _Case) -> None:
    wrong: list[dict[str, Any]] = [{"threshold": 3.0}, {"threshold": float("nan")}, {"no_such_setting": 1}]
    for settings in wrong:
        with refused(SettingError, f"the setting {settings}"):
            case.kind(**settings)


def _sketches_do_not_depend_on_their_batch_and_are_of_texts_alone(case: _Case) -> None:
    deduper = case.build()
    texts = some_texts(np.random.default_rng(11), 90)
    if deduper.consumes != "text":
        with refused(SettingError, "sketching texts for a method that consumes none"):
            deduper.sketch(texts)
        return
    whole = deduper.sketch(texts)
    parts = [deduper.sketch(texts.slice(low, 30)) for low in (0, 30, 60)]
    require(whole.ndim == 2 and len(whole) == 90 and np.issubdtype(whole.dtype, np.integer), "sketches are (n, width) integers")
    require((np.concatenate(parts) == whole).all(), "a text's sketch depends on its batch")
    require(deduper.sketch(texts.slice(0, 0)).shape == (0, whole.shape[1]), "no texts give no sketch of the same width")


LAWS = (
    _survivors_are_unlike_each_other_and_every_mark_names_a_similar_survivor,
    _apart_from_each_other_a_row_is_marked_where_it_resembles_a_settled_one,
    _threads_memory_and_a_second_run_change_nothing,
    _row_numbers_do_not_matter_only_the_order_of_contents_does,
    _marks_of_a_first_pass_stay_when_its_survivors_are_settled_and_rows_are_added,
    _equal_rows_leave_the_first_and_compare_about_once_each,
    _equal_settled_rows_are_all_kept_and_the_first_stands_for_later_ones,
    _no_row_and_one_row_are_kept,
    _settings_are_complete_and_make_the_same_deduper_again,
    _a_wrong_setting_is_refused,
    _sketches_do_not_depend_on_their_batch_and_are_of_texts_alone,
)
