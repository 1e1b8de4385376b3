"""Who is kept by several methods at once: random similarities against an oracle that looks at every pair."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.dedupers import Marks
from curate.deduplication.contents import Contents, distinct_contents
from curate.deduplication.judgement_cache import JudgementCache
from curate.deduplication.methods import Method
from curate.deduplication.rounds import Judgement, judge_contents
from curate.steps.ingest import ingest
from curate.workspace import Workspace, create_workspace, open_workspace

ROWS = 16
THRESHOLD = 0.5


class NumbersDeduper:
    """Texts are numbers; which of them are alike stands in a matrix. Keeps the contract, one pair after the other."""

    modalities: ClassVar[frozenset[str]] = frozenset({"text"})
    consumes: ClassVar[str] = "text"
    embedder: ClassVar[str | None] = None
    measure: ClassVar[str] = "matrix"
    equals_share_fate: ClassVar[bool] = False

    def __init__(self, alike: np.ndarray, *, nearest: bool) -> None:
        self.alike = alike  # (ROWS, ROWS) symmetric, in [0, 1]
        self.nearest = nearest
        self.threshold = THRESHOLD
        self.settings: dict[str, Any] = {"threshold": THRESHOLD}

    def sketch(self, texts: pa.LargeStringArray, *, threads: int = 0) -> np.ndarray:
        return np.array([int(text) for text in texts.to_pylist()], np.int64).reshape(-1, 1)

    def mark(self, sketches, order, *, settled=0, texts=None, options=None, progress=None) -> Marks:
        assert len(set(order.tolist())) == len(order)
        assert [int(t) for t in texts.take(order).to_pylist()] == sketches[order, 0].tolist()
        stands_for = np.full(len(sketches), -1, np.int64)
        similarity = np.ones(len(sketches), np.float32)
        kept, compared = [int(row) for row in order[:settled]], 0
        for row in order[settled:].tolist():
            ties = []
            for place, other in enumerate(kept):
                compared += 1
                found = float(self.alike[sketches[row, 0], sketches[other, 0]])
                if found >= THRESHOLD:
                    ties.append((-found if self.nearest else 0, place, other, found))
            if ties:
                _, _, stands_for[row], similarity[row] = min(ties)
            else:
                kept.append(row)
        return Marks(stands_for, similarity, compared)


class EqualDeduper(NumbersDeduper):
    """Equal contents, by hash."""

    consumes: ClassVar[str] = "hash"

    def __init__(self) -> None:
        super().__init__(np.eye(ROWS), nearest=False)
        self.threshold = 1.0

    def mark(self, *args: Any, **kwargs: Any) -> Marks:
        raise AssertionError("equal contents are one content: nothing is left to compare")


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    """A workspace whose sample n has the text n."""
    folder: Path = tmp_path_factory.mktemp("numbers")
    (folder / "numbers.txt").write_text("".join(f"{n}\n" for n in range(ROWS)))
    with open_workspace(create_workspace(folder / "ws")) as workspace:
        ingest(workspace, [folder / "numbers.txt"], dataset="numbers", split_on="lines")
        assert workspace.catalog.rows("SELECT text FROM real_samples ORDER BY sample_id") == [(str(n),) for n in range(ROWS)]
    with open_workspace(folder / "ws", read_only=True) as workspace:  # keeps no sketches: hashes are made up in these tests
        yield workspace


@st.composite
def similarity_matrices(draw):
    """Sparse and dense, with many equal values, so that ties occur."""
    density = draw(st.sampled_from([0.03, 0.1, 0.2, 0.5]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    matrix = np.where(rng.random((ROWS, ROWS)) < density, rng.choice([0.5, 0.75, 0.9], (ROWS, ROWS)), 0.25)
    matrix = np.triu(matrix, 1)
    return matrix + matrix.T + np.eye(ROWS)


VERDICTS = [(None, None)] * 8 + [("restore", "user"), ("drop", "user"), ("drop", "minhash"), ("restore", "dedupe")]


@st.composite
def rows_tables(draw):
    """Rows of the dataset, and perhaps of another; equal contents are common."""
    own, other = [], []
    compares = draw(st.booleans())
    for sample_id in range(1, draw(st.integers(1, ROWS)) + 1):
        action, reason = draw(st.sampled_from(VERDICTS))
        row = {
            "sample_id": sample_id,
            "content_hash": f"{draw(st.integers(0, 12) if draw(st.booleans()) else st.just(100 + sample_id)):064x}",
            "size_bytes": draw(st.integers(1, 3)),
            "length": draw(st.integers(1, 3)),
            "action": action,
            "owner": reason,
        }
        (other if compares and draw(st.integers(0, 3)) == 0 else own).append(row)
    return table_of(own), table_of(other) if compares else None


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    schema = pa.schema(
        {
            "sample_id": pa.int64(),
            "content_hash": pa.string(),
            "size_bytes": pa.int64(),
            "length": pa.int64(),
            "action": pa.string(),
            "owner": pa.string(),
        }
    )
    return pa.Table.from_pylist(rows, schema=schema)


def methods_of(matrices: list[np.ndarray], *, exact: bool, nearest: bool) -> list[Method]:
    near = [Method(f"m{n}", NumbersDeduper(matrix, nearest=nearest)) for n, matrix in enumerate(matrices)]
    return [Method("exact", EqualDeduper()), *near] if exact else near


def number_of(contents: Contents, row: int) -> int:
    """The number in the text that stands for a row's content."""
    return int(contents.sample_id[contents.first_row[contents.content[row]]]) - 1


def check(contents: Contents, methods: list[Method], judged: Judgement) -> None:
    """Every law, pair by pair."""
    row_of = {int(sample_id): row for row, sample_id in enumerate(contents.sample_id)}
    drops = judged.drops.to_pylist()
    dropped = {row_of[drop["sample_id"]] for drop in drops}
    by_user = {row for row in row_of.values() if contents.user_kept[row] or contents.user_dropped[row]}
    near = {m.name: m.deduper for m in methods if m.name != "exact"}
    assert len(dropped) == len(drops)
    assert judged.own == sum(not f for f in contents.foreign) and judged.user_dropped == sum(map(bool, contents.user_dropped))
    assert not any(contents.foreign[row] for row in dropped) and not dropped & by_user

    for drop in drops:  # every dropped sample is tied directly to a kept one, or to one that a user dropped
        row, keeper = row_of[drop["sample_id"]], row_of[drop["keeper_id"]]
        assert keeper not in dropped and keeper != row
        method = next(m for m in methods if m.name == drop["method"])
        assert drop["threshold"] == method.deduper.threshold and json.loads(drop["settings"]) == method.recorded
        if contents.content[row] == contents.content[keeper]:
            assert drop["similarity"] == 1.0 and drop["method"] == drop["reason"] == methods[0].name
        else:
            true = near[drop["method"]].alike[number_of(contents, row), number_of(contents, keeper)]
            assert true >= THRESHOLD and drop["similarity"] == pytest.approx(true)

    standing = [row for row in row_of.values() if row not in dropped]
    for left in standing:  # of two samples that stand, or speak for a user, at least one is there by a user's word
        for right in standing:
            if left == right or (is_settled(contents, left) and is_settled(contents, right)):
                continue
            assert contents.content[left] != contents.content[right]
            for deduper in near.values():
                assert deduper.alike[number_of(contents, left), number_of(contents, right)] < THRESHOLD

    for content in range(len(contents.first_row)):  # of equal samples the first in rank stays, unless a user has spoken
        rows = [row for row in row_of.values() if contents.content[row] == content]
        free = [row for row in rows if row not in by_user and not contents.foreign[row]]
        stays = [row for row in free if row not in dropped]
        assert len(stays) <= (1 if len(free) == len(rows) else 0)
        assert not stays or stays == [min(free, key=lambda row: contents.rank[row])]


def is_settled(contents: Contents, row: int) -> bool:
    same = contents.content == contents.content[row]
    return bool((same & (contents.foreign | contents.user_kept | contents.user_dropped)).any())


@given(
    rows_tables(),
    st.lists(similarity_matrices(), max_size=3),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["first", "longest", "largest"]),
)
@settings(deadline=None, max_examples=200)
def test_kept_samples_are_unlike_and_each_dropped_one_is_tied_to_one_that_stands(
    numbers, tables, matrices, exact, nearest, keep
):
    methods = methods_of(matrices, exact=exact or not matrices, nearest=nearest)
    contents = distinct_contents(*tables, keep)
    judged = judge_contents(numbers, contents, methods, "text")
    check(contents, methods, judged)
    again = judge_contents(numbers, contents, methods, "text")
    assert again.drops.equals(judged.drops)


@given(
    st.integers(2, ROWS),
    st.lists(similarity_matrices(), min_size=1, max_size=3),
    st.randoms(use_true_random=False),
    st.booleans(),
)
@settings(deadline=None, max_examples=80)
def test_the_longest_is_kept_whatever_the_order_of_ingest(numbers, count, matrices, random, nearest):
    lengths = [random.randint(1, 4) for _ in range(count)]

    def kept(arrival: list[int]) -> set[str]:
        """Contents that are kept when content `arrival[n]` came n-th."""
        rows = [
            {"sample_id": n + 1, "content_hash": f"{c:064x}", "size_bytes": 1, "length": lengths[c]}
            for n, c in enumerate(arrival)
        ]
        place = np.r_[np.array(arrival), np.arange(count, ROWS)]
        shuffled = [matrix[np.ix_(place, place)] for matrix in matrices]
        contents = distinct_contents(table_of(rows), None, "longest")
        methods = methods_of(shuffled, exact=True, nearest=nearest)
        judged = judge_contents(numbers, contents, methods, "text")
        check(contents, methods, judged)
        gone = set(judged.drops["sample_id"].to_pylist())
        return {row["content_hash"] for row in rows if row["sample_id"] not in gone}

    arrival = list(range(count))
    random.shuffle(arrival)
    assert kept(arrival) == kept(list(range(count)))


def test_a_sample_whose_keeper_falls_to_a_later_method_is_judged_again(numbers: Workspace):
    """3 ~ 2 by the first method, 2 ~ 1 by the second, 3 unlike 1: one pass would leave 3 tied to a dropped sample."""
    by_first, by_second = np.eye(ROWS), np.eye(ROWS)
    by_first[2, 1] = by_first[1, 2] = 0.9
    by_second[1, 0] = by_second[0, 1] = 0.8
    rows = [{"sample_id": n, "content_hash": f"{n:064x}", "size_bytes": 1, "length": 1} for n in (1, 2, 3)]
    contents = distinct_contents(table_of(rows), None, "first")
    judged = judge_contents(numbers, contents, methods_of([by_first, by_second], exact=True, nearest=True), "text")
    assert [(d["sample_id"], d["keeper_id"], d["reason"]) for d in judged.drops.to_pylist()] == [(2, 1, "m1")]


def test_an_orphan_is_tied_anew_where_it_resembles_another_kept_sample(numbers: Workspace):
    """4 ~ 3 by the first method, 3 ~ 1 by the second, and 4 ~ 2 by the second: 4 ends with 2."""
    by_first, by_second = np.eye(ROWS), np.eye(ROWS)
    by_first[3, 2] = by_first[2, 3] = 0.9
    for left, right in ((2, 0), (3, 1)):
        by_second[left, right] = by_second[right, left] = 0.75
    rows = [{"sample_id": n, "content_hash": f"{n:064x}", "size_bytes": 1, "length": 1} for n in (1, 2, 3, 4)]
    contents = distinct_contents(table_of(rows), None, "first")
    judged = judge_contents(numbers, contents, methods_of([by_first, by_second], exact=True, nearest=True), "text")
    assert [(d["sample_id"], d["keeper_id"], d["reason"]) for d in judged.drops.to_pylist()] == [(3, 1, "m1"), (4, 2, "m1")]


def test_a_long_chain_of_orphans_is_settled_link_by_link(numbers: Workspace):
    """n ~ n+1, by the first method where n is even and by the second where it is odd: every other one is kept."""
    matrices = [np.eye(ROWS), np.eye(ROWS)]
    for n in range(ROWS - 1):
        matrices[n % 2][n, n + 1] = matrices[n % 2][n + 1, n] = 0.9
    rows = [{"sample_id": n + 1, "content_hash": f"{n:064x}", "size_bytes": 1, "length": 1} for n in range(ROWS)]
    contents = distinct_contents(table_of(rows), None, "first")
    methods = methods_of(matrices, exact=True, nearest=False)
    judged = judge_contents(numbers, contents, methods, "text")
    check(contents, methods, judged)
    assert 1 not in judged.drops["sample_id"].to_pylist()


# ── incremental ─────────────────────────────────────────────────────────────────────────────────────────────────────


class KindsDeduper(NumbersDeduper):
    """Number n is of kind n % kinds, equal kinds have equal sketches, and a row of a kind shares the fate of the first."""

    equals_share_fate: ClassVar[bool] = True

    def __init__(self, alike: np.ndarray, *, nearest: bool, kinds: int) -> None:
        super().__init__(alike, nearest=nearest)
        self.kinds = kinds

    def sketch(self, texts: pa.LargeStringArray, *, threads: int = 0) -> np.ndarray:
        return super().sketch(texts) % self.kinds

    def mark(self, sketches, order, *, settled=0, texts=None, options=None, progress=None) -> Marks:
        stands_for, similarity = np.full(len(sketches), -1, np.int64), np.ones(len(sketches), np.float32)
        kept = [int(row) for row in order[:settled]]
        fate = {int(sketches[row, 0]): (row, 1.0) for row in reversed(kept)}
        for row in order[settled:].tolist():
            kind = int(sketches[row, 0])
            if kind in fate:
                stands_for[row], similarity[row] = fate[kind]
                continue
            ties = []
            for place, other in enumerate(kept):
                found = float(self.alike[kind, sketches[other, 0]])
                if found >= THRESHOLD:
                    ties.append((-found if self.nearest else 0, place, other, found))
            if ties:
                _, _, stands_for[row], similarity[row] = min(ties)
                fate[kind] = int(stands_for[row]), float(similarity[row])
            else:
                kept.append(row)
                fate[kind] = row, 1.0
        return Marks(stands_for, similarity, len(order))


class RoughDeduper(NumbersDeduper):
    """Misses pairs, and others for every number of rows, where there are more rows than it promises to compare exactly."""

    def __init__(self, alike: np.ndarray, *, nearest: bool, limit: int) -> None:
        super().__init__(alike, nearest=nearest)
        self.settings["exact_up_to"] = limit

    def mark(self, sketches, order, **options: Any) -> Marks:
        whole = self.alike
        if len(order) > self.settings["exact_up_to"]:
            self.alike = np.where((np.add.outer(np.arange(ROWS), np.arange(ROWS)) + len(order)) % 3 == 0, 0.0, whole)
        try:
            return super().mark(sketches, order, **options)
        finally:
            self.alike = whole


@st.composite
def near_methods(draw):
    """One to three methods of every temper."""
    methods = []
    for n, matrix in enumerate(draw(st.lists(similarity_matrices(), min_size=1, max_size=3))):
        nearest = draw(st.booleans())
        kind = draw(st.sampled_from(["plain", "plain", "kinds"]))
        if kind == "kinds":
            deduper = KindsDeduper(matrix, nearest=nearest, kinds=draw(st.integers(3, ROWS)))
        else:
            deduper = NumbersDeduper(matrix, nearest=nearest)
        methods.append(Method(f"m{n}", deduper))
    return methods


@st.composite
def growing(draw):
    """The rows of a dataset, and perhaps of another, as they are after each of some ingests."""
    own, other = draw(rows_tables())
    if draw(st.integers(0, 3)):  # mostly the new rows are the dataset's own and nobody has spoken of them
        own = pa.concat_tables([own, table_of([]) if other is None else other]).sort_by("sample_id")
        other = None
        if draw(st.booleans()):
            plain = pa.array([None] * own.num_rows, pa.string())
            own = own.set_column(4, "action", plain).set_column(5, "owner", plain)
    last = max(t["sample_id"].to_pylist()[-1] for t in (own, other) if t is not None and t.num_rows)
    cuts = sorted({*draw(st.lists(st.integers(1, last), min_size=1, max_size=2)), last})
    return [tuple(t and t.slice(0, sum(i <= cut for i in t["sample_id"].to_pylist())) for t in (own, other)) for cut in cuts]


@given(growing(), near_methods(), st.sampled_from(["first", "first", "first", "longest"]))
@settings(deadline=None, max_examples=100)
def test_what_is_taken_over_is_what_judging_anew_would_find(numbers, tmp_path_factory, grown, methods, keep):
    memory = JudgementCache(tmp_path_factory.mktemp("judged"), {})
    for own, other in grown:
        contents = distinct_contents(own, other, keep)
        anew = judge_contents(numbers, contents, methods, "text")
        assert judge_contents(numbers, contents, methods, "text", cache=memory).drops.equals(anew.drops)
        again = judge_contents(numbers, contents, methods, "text", cache=memory)
        assert again.drops.equals(anew.drops) and again.compared == 0
        assert again.taken_over == len(contents.first_row)


def test_new_contents_alone_are_compared_and_the_report_says_so(numbers, tmp_path):
    rows = [{"sample_id": n, "content_hash": f"{n:064x}", "size_bytes": 1, "length": 1} for n in range(1, 13)]
    alike = np.eye(ROWS)
    alike[11, 3] = alike[3, 11] = 0.9
    methods, memory = methods_of([alike], exact=True, nearest=True), JudgementCache(tmp_path, {})
    first = judge_contents(numbers, distinct_contents(table_of(rows[:10]), None, "first"), methods, "text", cache=memory)
    assert (first.compared, first.taken_over, first.drops.num_rows) == (45, 0, 0)
    grown = distinct_contents(table_of(rows), None, "first")
    second = judge_contents(numbers, grown, methods, "text", cache=memory)
    assert (second.compared, second.taken_over) == (10 + 11, 10)
    assert [(d["sample_id"], d["keeper_id"]) for d in second.drops.to_pylist()] == [(12, 4)]
    assert any("10 of 12 distinct texts" in note and "2 new ones" in note for note in second.notes)


@pytest.mark.parametrize("change", ["pinned", "banned", "vanished", "longest", "before"])
def test_what_moves_the_old_ones_is_judged_anew_and_said(numbers, tmp_path, change):
    rows = [{"sample_id": n, "content_hash": f"{n:064x}", "size_bytes": 1, "length": n} for n in range(1, 11)]
    methods, memory = methods_of([np.eye(ROWS)], exact=True, nearest=True), JudgementCache(tmp_path, {})
    judge_contents(numbers, distinct_contents(table_of(rows[1:8]), None, "first"), methods, "text", cache=memory)
    spoken = {"pinned": ("restore", "user"), "banned": ("drop", "user")}.get(change, (None, None))
    rows[3] |= dict(zip(("action", "owner"), spoken, strict=True))
    now = {"vanished": rows[2:8], "before": rows}.get(change, rows[1:])
    grown = distinct_contents(table_of(now), None, "longest" if change == "longest" else "first")
    judged = judge_contents(numbers, grown, methods, "text", cache=memory)
    assert judged.taken_over == 0 and any("judged anew" in note for note in judged.notes)


def test_a_damaged_memory_is_no_memory(numbers, tmp_path):
    rows = [{"sample_id": n, "content_hash": f"{n:064x}", "size_bytes": 1, "length": 1} for n in range(1, 11)]
    alike = np.full((ROWS, ROWS), 0.25) + np.eye(ROWS)
    alike[2, 5] = alike[5, 2] = 0.9
    contents = distinct_contents(table_of(rows), None, "first")
    methods, memory = methods_of([alike], exact=True, nearest=True), JudgementCache(tmp_path, {})
    anew = judge_contents(numbers, contents, methods, "text", cache=memory)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    for damaged in (b"", whole[:-1], whole[:40], b"{}\n", whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:]):
        file.write_bytes(damaged)
        judged = judge_contents(numbers, contents, methods, "text", cache=memory)
        assert judged.taken_over == 0 and judged.drops.equals(anew.drops) and file.read_bytes() == whole
    other = JudgementCache(tmp_path, {"threshold": 0.7})
    assert judge_contents(numbers, contents, methods, "text", cache=other).taken_over == 0


def judged_in_two(numbers: Workspace, folder: Path, ids: list[int], cut: int, method: Method) -> tuple[Judgement, Judgement]:
    """Judge the first `cut` samples, then all of them, and all anew; the text of sample n is n - 1."""
    rows = [{"sample_id": n, "content_hash": f"{n:064x}", "size_bytes": 1, "length": 1} for n in ids]
    memory = JudgementCache(folder, {})
    for count in (cut, len(rows)):
        contents = distinct_contents(table_of(rows[:count]), None, "first")
        judged = judge_contents(numbers, contents, [method], "text", cache=memory)
    return judged, judge_contents(numbers, contents, [method], "text")


def test_a_new_equal_of_a_fallen_content_follows_it_where_equals_share_their_fate(numbers, tmp_path):
    """2 ~ 1, then 3 is kept and more like 2; 6, of the same kind as 2, stands behind 1 all the same."""
    alike = np.full((ROWS, ROWS), 0.25) + 0.75 * np.eye(ROWS)
    alike[1, 0] = alike[0, 1] = 0.6
    alike[1, 2] = alike[2, 1] = 0.9
    method = Method("m0", KindsDeduper(alike, nearest=True, kinds=4))
    judged, anew = judged_in_two(numbers, tmp_path, [1, 2, 3, 6], 3, method)
    assert judged.taken_over == 3 and judged.drops.equals(anew.drops)
    assert [(d["sample_id"], d["keeper_id"]) for d in judged.drops.to_pylist()] == [(2, 1), (6, 1)]


def test_what_was_found_roughly_stands_and_new_ones_are_compared_with_it(numbers, tmp_path):
    """1, 2 and 8 are alike; the method overlooks 1 and 2 among five rows, and sees them and 8 among six."""
    alike = np.full((ROWS, ROWS), 0.25) + 0.75 * np.eye(ROWS)
    for left, right in ((0, 1), (0, 7)):
        alike[left, right] = alike[right, left] = 0.9
    method = Method("m0", RoughDeduper(alike, nearest=True, limit=3))
    judged, anew = judged_in_two(numbers, tmp_path, [1, 2, 3, 4, 5, 8], 5, method)
    found, found_anew = ([(d["sample_id"], d["keeper_id"]) for d in j.drops.to_pylist()] for j in (judged, anew))
    assert judged.taken_over == 5 and found == [(8, 1)] and found_anew == [(2, 1), (8, 1)]
    assert any("in cells" in note for note in judged.notes) and not any("in cells" in note for note in anew.notes)
