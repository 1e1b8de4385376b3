"""The laws of semantic marks, against a slow pass that compares everything."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curate.dedupers import MarkOptions
from curate.dedupers.cosine_join import cells as cells_module
from curate.dedupers.cosine_join import join, prefix
from curate.dedupers.semantic import Semantic
from curate.errors import SettingError
from curate.records import SILENT
from curate.spill import give_back, roomy
from curate.spill.residency import Residency
from curate.spill.scratch import Scratch


def true_cosine(left, right):
    """The rule in words: float64 sums, one rounding to float32 at the end."""
    left, right = left.astype(np.float64), right.astype(np.float64)
    return np.float32(left @ right / np.sqrt((left @ left) * (right @ right)))


def slow_marks(vectors, order, settled, threshold):
    """Visit rows in order; point each at the most similar kept row before it, or keep it; equal rows share their fate."""
    deduper = Semantic(threshold=threshold)
    stands_for, similarity = np.full(len(vectors), -1), np.ones(len(vectors), np.float32)
    kept: list[int] = list(order[:settled])
    fate = {vectors[row].tobytes(): (row, 1) for row in reversed(kept)}
    for row in order[settled:]:
        cosines = deduper.similarity(np.repeat(vectors[row][None], len(kept), 0), vectors[kept]) if kept else np.zeros(0)
        if vectors[row].tobytes() in fate:
            stands_for[row], similarity[row] = fate[vectors[row].tobytes()]
        elif len(kept) and float(cosines.max()) >= threshold:
            stands_for[row], similarity[row] = fate[vectors[row].tobytes()] = kept[int(cosines.argmax())], cosines.max()
        else:
            kept.append(row)
            fate[vectors[row].tobytes()] = row, 1
    return stands_for, similarity


def clustered(seed, rows, width, spread=0.3):
    """Unit vectors in groups: some near one another, some equal."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(max(1, rows // 4), width))
    vectors = centres[rng.integers(0, len(centres), rows)] + spread * rng.normal(size=(rows, width)) * (
        rng.random((rows, 1)) > 0.3
    )
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def mark(vectors, order=None, *, threshold=0.8, settled=0, options=MarkOptions(threads=2), **more):
    order = np.arange(len(vectors)) if order is None else np.asarray(order)
    return Semantic(threshold=threshold, **more).mark(vectors, order, settled=settled, options=options, progress=SILENT)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    rows=st.integers(0, 70),
    width=st.sampled_from([1, 2, 3, 8, 40, 70]),
    threshold=st.floats(0.05, 1.0),
    share=st.floats(0, 1),
    settled_share=st.floats(0, 1),
)
@example(
    seed=756, rows=29, width=40, threshold=0.875, share=1.0, settled_share=0.0
)  # 2, kept after 26, is nearer to its copy 11
def test_marks_are_those_of_a_slow_pass(seed, rows, width, threshold, share, settled_share):
    vectors = clustered(seed, rows, width)
    order = np.random.default_rng(seed).permutation(rows)[: round(rows * share)]
    settled = round(len(order) * settled_share)
    stands_for, similarity = slow_marks(vectors, order, settled, threshold)
    for exact_up_to in (200_000, 0):  # so few rows have so few cells that the partitioned pass looks into all
        marks = mark(vectors, order, threshold=threshold, settled=settled, exact_up_to=exact_up_to)
        np.testing.assert_array_equal(marks.stands_for, stands_for)
        np.testing.assert_array_equal(marks.similarity, similarity)


def test_blocks_threads_memory_and_pruning_width_move_no_mark(monkeypatch, tmp_path):
    vectors = clustered(3, 1500, 100)
    order = np.random.default_rng(4).permutation(1500)
    expected = slow_marks(vectors, order, 100, 0.85)
    for block, threads, memory, widths in (
        (1024, 1, 2**31, (64,)),
        (37, 3, 2**31, ()),
        (200, 2, 1000, (32, 64)),
        (1, 2, 0, (8,)),
    ):
        monkeypatch.setattr(join, "BLOCK_ROWS", block)
        monkeypatch.setattr(join, "TILE_COLUMNS", block + 1)
        monkeypatch.setattr(join, "TILE_ROWS", max(1, block // 3))
        monkeypatch.setattr(prefix, "WIDTHS", widths or (10_000,))
        marks = mark(
            vectors,
            order,
            threshold=0.85,
            settled=100,
            options=MarkOptions(threads=threads, memory_bytes=memory, folder=tmp_path),
        )
        np.testing.assert_array_equal(marks.stands_for, expected[0])
        np.testing.assert_array_equal(marks.similarity, expected[1])
        assert bool(marks.notes) == (memory < 10**6)
        assert list(tmp_path.iterdir()) == []


def test_the_partitioned_pass_finds_nearly_all_keeps_the_law_and_says_so(monkeypatch):
    monkeypatch.setattr(cells_module, "BLOCK_ROWS", 700)
    vectors = clustered(8, 5000, 48, spread=0.2)
    exact, partitioned = mark(vectors, threshold=0.9), mark(vectors, threshold=0.9, exact_up_to=0)
    flagged = exact.stands_for >= 0
    assert 500 < flagged.sum() < 4500
    assert (partitioned.stands_for[flagged] >= 0).mean() >= 0.99
    assert "cells" in " ".join(partitioned.notes) and not exact.notes
    justified(vectors, partitioned, 0.9)
    one = mark(vectors, threshold=0.9, exact_up_to=0, options=MarkOptions(threads=1))
    np.testing.assert_array_equal(one.stands_for, partitioned.stands_for)


def justified(vectors, marks, threshold):
    rows = np.flatnonzero(marks.stands_for >= 0)
    keepers = marks.stands_for[rows]
    assert (marks.stands_for[keepers] == -1).all()
    np.testing.assert_array_equal(
        Semantic(threshold=threshold).similarity(vectors[rows], vectors[keepers]), marks.similarity[rows]
    )
    assert (marks.similarity[rows].astype(np.float64) >= threshold).all()
    assert (marks.similarity[marks.stands_for < 0] == 1).all()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), threshold=st.floats(0.3, 1.0))
def test_no_two_kept_rows_are_similar_and_every_mark_is_justified(seed, threshold):
    vectors = clustered(seed, 60, 12)
    marks = mark(vectors, threshold=threshold)
    kept = np.flatnonzero(marks.stands_for < 0)
    for at, left in enumerate(kept):
        for right in kept[:at]:
            assert true_cosine(vectors[left], vectors[right]) < threshold + 1e-6
    justified(vectors, marks, threshold)


def test_the_cosine_is_the_rule_in_words_and_of_equal_vectors_exactly_one():
    vectors = clustered(1, 400, 37)
    deduper = Semantic(threshold=0.9)
    expected = [true_cosine(a, b) for a, b in pairwise(vectors)]
    np.testing.assert_allclose(deduper.similarity(vectors[:-1], vectors[1:]), expected, rtol=0, atol=1e-7)
    assert (deduper.similarity(vectors, vectors) == 1).all()
    assert deduper.similarity(np.zeros((1, 3), np.float32), np.ones((1, 3), np.float32)) == 0


def test_a_huge_group_of_equal_rows_is_compared_once():
    rng = np.random.default_rng(2)
    vectors = np.concatenate([np.repeat(clustered(5, 1, 32), 20_000, axis=0), clustered(6, 500, 32)])
    vectors = vectors[rng.permutation(len(vectors))]
    marks = mark(vectors, threshold=0.999)
    assert (marks.stands_for >= 0).sum() >= 19_999 and marks.compared < 20_000
    justified(vectors, marks, 0.999)


def test_threshold_one_drops_equal_vectors_only():
    vectors = clustered(9, 200, 24)
    marks = mark(vectors, threshold=1.0)
    same = {tuple(v) for v in vectors}
    assert (marks.stands_for < 0).sum() == len(same)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), rows=st.integers(2, 60))
def test_renumbering_the_rows_renames_the_marks_and_changes_nothing_else(seed, rows):
    rng = np.random.default_rng(seed)
    vectors, order, moved_to = clustered(seed, rows, 40), rng.permutation(rows), rng.permutation(rows)
    elsewhere = np.empty_like(vectors)
    elsewhere[moved_to] = vectors
    for exact_up_to in (200_000, 0):
        here = mark(vectors, order, exact_up_to=exact_up_to)
        there = mark(elsewhere, moved_to[order], exact_up_to=exact_up_to)
        expected = np.where(here.stands_for >= 0, moved_to[here.stands_for], -1)
        np.testing.assert_array_equal(there.stands_for[moved_to], expected)
        np.testing.assert_array_equal(there.similarity[moved_to], here.similarity)


def tight_groups(seed, groups, rows, width=48):
    """Unit vectors in groups whose rows are within cosine 0.99 of each other, and far from those of other groups."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(width, width)))[0][:groups]
    member = rng.integers(0, groups, rows)
    vectors = axes[member] + 0.005 * rng.normal(size=(rows, width))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), member


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), groups=st.integers(1, 12), rows=st.integers(1, 80))
def test_any_order_finds_the_same_groups_where_likeness_has_no_chains(seed, groups, rows):
    vectors, member = tight_groups(seed, groups, rows)
    for order in (np.arange(rows), np.random.default_rng(seed).permutation(rows)):
        marks = mark(vectors, order, threshold=0.95)
        keeper = np.where(marks.stands_for < 0, np.arange(rows), marks.stands_for)
        assert (member[keeper] == member).all()
        assert (marks.stands_for < 0).sum() == len(set(member))
        place = np.argsort(order)
        assert (place[keeper] <= place).all()


def test_settled_rows_are_not_compared_with_each_other_and_a_few_new_ones_are_compared_with_all():
    vectors, member = tight_groups(4, 10, 3_000)
    settled = mark(vectors, threshold=0.95, settled=2_990)
    assert (settled.stands_for[:2_990] == -1).all() and (settled.stands_for[2_990:] >= 0).all()
    assert (member[settled.stands_for[2_990:]] == member[2_990:]).all()
    few = mark(vectors, threshold=0.95, settled=2_990, exact_up_to=300)  # 10 × 3,000 pairs are fewer than 300 × 300 / 2
    assert not few.notes
    many = mark(vectors, threshold=0.95, settled=2_000, exact_up_to=300)
    assert "cells" in many.notes[0]
    np.testing.assert_array_equal(many.stands_for[2_990:] >= 0, True)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 150)), max_size=12))
def test_cells_give_back_what_was_put_in_in_order(adds):
    rows = sum(count for _, count in adds)
    cells = cells_module.Cells(5, rows, 3, Scratch(2**30, None, Residency(2**30)))
    expected: dict[int, list[int]] = {cell: [] for cell in range(5)}
    for number, (cell, count) in enumerate(adds):
        ranks = np.arange(count) + 1_000 * number
        cells.extend(cell, ranks, np.repeat(ranks[:, None], 3, axis=1).astype(np.float32))
        expected[cell] += ranks.tolist()
    for cell, ranks in expected.items():
        assert cells.counts[cell] == len(ranks)
        found = [cells.members(cell, first, 128) for first in range(0, len(ranks), 128)]
        assert [rank for part, _ in found for rank in part] == ranks
        assert [short[0] for _, part in found for short in part] == ranks


def resident_mib(array):
    """How much of a mapped file this process holds, as the kernel tells."""
    name = str(array.filename)
    wanted, total = False, 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            wanted = line.endswith(name)
        elif wanted and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total / 1024


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="the resident size of a map is told by Linux only")
def test_pages_of_a_mapped_matrix_are_given_back_and_the_marks_stay_the_same(tmp_path):
    vectors = clustered(11, 30_000, 256)
    np.save(tmp_path / "vectors.npy", vectors)
    options = MarkOptions(threads=1, memory_bytes=5 * 2**20, folder=tmp_path)
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    assert mapped.sum() != 0 and resident_mib(mapped) > 25  # 29 MiB, all read
    marks = mark(mapped, threshold=0.9, options=options)
    assert resident_mib(mapped) < 20
    np.testing.assert_array_equal(marks.stands_for, mark(vectors, threshold=0.9).stands_for)


def peak_bytes(*, anew=False):
    """The most resident bytes of this process since they were last counted anew."""
    try:
        if anew:
            Path("/proc/self/clear_refs").write_text("5")
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        pytest.skip("only Linux tells the peak of a process")
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])


@pytest.mark.parametrize("exact_up_to", [0, 10**6])
def test_spilled_vectors_in_any_order_get_the_same_marks_and_stay_out_of_the_memory(tmp_path, exact_up_to):
    axes = np.linalg.qr(np.random.default_rng(16).normal(size=(640, 24)))[0].T  # few, so that vectors can be shortened
    vectors = (clustered(14, 32_000, 24, spread=0.1) @ axes).astype(np.float32)
    spilled = roomy(vectors.shape, np.float32, 0, tmp_path)
    spilled[:] = vectors
    order = np.random.default_rng(15).permutation(len(vectors))
    expected = mark(vectors, order, threshold=0.9, exact_up_to=exact_up_to)
    give_back(spilled)
    before = peak_bytes(anew=True)
    options = MarkOptions(threads=2, memory_bytes=12 * 2**20, folder=tmp_path)
    marks = mark(spilled, order, threshold=0.9, exact_up_to=exact_up_to, options=options)
    grown = peak_bytes() - before
    np.testing.assert_array_equal(marks.stands_for, expected.stands_for)
    np.testing.assert_array_equal(marks.similarity, expected.similarity)
    assert (marks.stands_for >= 0).sum() > 1_000
    assert grown < spilled.nbytes * 3 // 4, f"{grown / 2**20:.0f} of {spilled.nbytes / 2**20:.0f} MiB"


def test_changes_in_a_copy_on_write_map_are_never_lost(tmp_path):
    vectors = clustered(12, 400, 64)
    np.save(tmp_path / "vectors.npy", clustered(13, 400, 64))
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="c")
    mapped[:] = vectors
    marks = mark(mapped, options=MarkOptions(threads=1, memory_bytes=0, folder=tmp_path))
    np.testing.assert_array_equal(mapped, vectors)
    np.testing.assert_array_equal(marks.stands_for, mark(vectors).stands_for)


def test_all_equal_leaves_one_and_all_distinct_leaves_all():
    equal = np.repeat(clustered(0, 1, 40), 3_000, axis=0)
    assert mark(equal).stands_for.tolist() == [-1] + [0] * 2_999
    distinct = np.eye(300, dtype=np.float32)
    for exact_up_to in (200_000, 0):
        assert (mark(distinct, threshold=0.01, exact_up_to=exact_up_to).stands_for == -1).all()


@pytest.mark.parametrize("rows", [0, 1])
def test_nothing_and_one_row_are_kept(rows):
    marks = mark(clustered(0, rows, 8))
    assert len(marks.stands_for) == rows and (marks.stands_for == -1).all() and marks.compared == 0


def test_rows_outside_the_order_take_no_part_and_may_be_anything():
    vectors = np.repeat(clustered(0, 1, 8), 4, axis=0)
    vectors[3] = np.nan
    marks = mark(vectors, [2, 0])
    assert marks.stands_for.tolist() == [2, -1, -1, -1]


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, 5.0])
def test_a_vector_that_is_not_of_unit_length_is_refused(bad):
    vectors = clustered(0, 5, 8)
    vectors[3] = bad
    with pytest.raises(SettingError, match="row 3"):
        mark(vectors)


@pytest.mark.parametrize("settings_", [{}, {"threshold": 0}, {"threshold": 1.5}, {"threshold": np.nan}, {"threshold": True}])
def test_a_threshold_is_needed_and_must_be_in_range(settings_):
    with pytest.raises(SettingError, match="threshold"):
        Semantic(**settings_)


def test_unknown_settings_and_texts_are_refused():
    with pytest.raises(SettingError, match="bands"):
        Semantic(threshold=0.9, bands=3)
    with pytest.raises(SettingError, match="exact_up_to"):
        Semantic(threshold=0.9, exact_up_to=-1)
    with pytest.raises(SettingError, match="vectors"):
        Semantic(threshold=0.9).sketch(pa.array(["a"], pa.large_string()))
    with pytest.raises(SettingError, match="float64"):
        mark(clustered(0, 5, 8).astype(np.float64))
    with pytest.raises(SettingError, match="settled"):
        mark(clustered(0, 5, 8), settled=6)
