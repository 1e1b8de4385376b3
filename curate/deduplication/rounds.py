"""Who is kept and who is dropped: several methods over the distinct contents of a dataset.

One pass of each method over what the methods before it kept is not enough: a content dropped in favour of one that a
later method drops would be tied to nothing that is kept. Such contents are judged again, against those that are kept,
until none is left; each round settles at least one, and most corpora need two rounds. In the end no two kept contents are
similar by any method, and every dropped one is tied directly to a kept one. One that is judged again may fall to a kept
content that comes after it in the order of priority, because what is kept stays kept.

What the first round found is kept between runs (`judgement_cache`), so that new contents are compared with the old ones and the
old ones not with each other. The outcome is that of judging everything anew, except where a method compared so many old ones
only in cells, which new ones would move: what it found then stands, and the report says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from curate.columns import as_array, as_column, as_words
from curate.deduplication.contents import Contents
from curate.deduplication.inputs import Materials
from curate.deduplication.judgement_cache import Judged, JudgementCache
from curate.deduplication.methods import Method
from curate.deduplication.ties import Ties
from curate.spill import give_back
from curate.workspace import Workspace

if TYPE_CHECKING:
    from numpy.typing import NDArray

HASH_ROWS = 8_192


@dataclass(frozen=True, slots=True)
class Judgement:
    """The dropped rows of one modality.

    Attributes:
        drops: sample_id, keeper_id, reason, method, similarity, threshold, settings: what `verdicts.decide` takes.
        own: how many of the dataset's samples were judged.
        user_dropped: how many of them a user had dropped.
        compared: pairs verified.
        taken_over: contents whose first verdict was known from an earlier run.
        notes: what the methods said.
        parted: (u,) uint8, for each kept content that only a guard keeps, which one; see `curate.dedupers.Marks`.
        matched: for each set that was compared with, by name, drops that stand behind one of its samples.
    """

    drops: pa.Table
    own: int
    user_dropped: int
    compared: int
    taken_over: int
    notes: tuple[str, ...]
    parted: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))
    matched: Mapping[str, int] = field(default_factory=dict)


def judge_contents(
    workspace: Workspace,
    contents: Contents,
    methods: Sequence[Method],
    modality: str,
    *,
    cache: JudgementCache | None = None,
    memory_bytes: int | None = None,
) -> Judgement:
    """Drop every sample that repeats a kept one.

    Equal contents are one and need no comparing. A copy is dropped by "exact" where that is among the methods, else by the
    first method, whose measure of equal contents is 1; where its content is dropped as a whole, its evidence is the
    near-duplicate tie of that content, because a tie is always to a kept sample.

    Args:
        cache: where an earlier judgement by the same rules is found, and this one is kept; None to judge all anew.
        memory_bytes: what the step may hold; the workspace's own bound by default.
    """
    near = [method for method in methods if method.deduper.consumes != "hash"]
    if not near:
        return as_judgement(contents, methods, near, Ties.none(len(contents.first_row)), Work(0, 0, ()))
    known, notes = _recall(cache, contents, near, modality)
    if known is not None and known.nothing_new:
        work = Work(0, known.contents, (*known.notes, *notes), known.parted)
        return as_judgement(contents, methods, near, known.final, work)
    with Materials(workspace, contents, memory_bytes or workspace.memory_bytes) as materials:
        judging = _Rounds(materials, contents, near)
        first, final = judging.run(known)
    said = tuple(judging.notes)
    if cache is not None:
        cache.keep(contents, first, final, said, judging.parted)
    work = Work(judging.compared, known.contents if known else 0, (*said, *notes), judging.parted)
    return as_judgement(contents, methods, near, final, work)


def judge_with(materials: Materials, contents: Contents, methods: Sequence[Method]) -> Judgement:
    """Judge all anew, with materials that are there already; see `judge_contents`."""
    near = [method for method in methods if method.deduper.consumes != "hash"]
    judging = _Rounds(materials, contents, near)
    _, final = judging.run(None)
    return as_judgement(contents, methods, near, final, Work(judging.compared, 0, tuple(judging.notes), judging.parted))


def judge_again(
    materials: Materials, contents: Contents, methods: Sequence[Method], ties: Ties, again: NDArray[np.bool_]
) -> Judgement:
    """Judge some contents again, against all that stand and each other; the others stay as they are.

    Args:
        ties: of all contents; what is not tied and not judged again stands.
        again: (u,) which contents.
    """
    near = [method for method in methods if method.deduper.consumes != "hash"]
    judging = _Rounds(materials, contents, near)
    final = judging.run_again(ties, again)
    return as_judgement(contents, methods, near, final, Work(judging.compared, 0, tuple(judging.notes)))


@dataclass(frozen=True, slots=True)
class Work:
    """How much was compared, what was known before, and what is to be said of it."""

    compared: int
    taken_over: int
    notes: tuple[str, ...]
    parted: NDArray[np.uint8] | None = None


def _recall(
    cache: JudgementCache | None, contents: Contents, near: Sequence[Method], modality: str
) -> tuple[Judged | None, tuple[str, ...]]:
    """What an earlier judgement says of these contents, if it still holds, and a sentence on it for the report."""
    known = cache.recall(contents) if cache is not None else None
    total = len(contents.first_row)
    if isinstance(known, str):
        return None, (f"all {total:,} distinct {modality}s were judged anew, and none was taken over: {known}",)
    if known is None:
        return None, ()
    fresh = f"{total - known.contents:,} new ones were compared with them" if total > known.contents else "none is new"
    said = f"{known.contents:,} of {total:,} distinct {modality}s were judged by these rules before; {fresh}"
    return known, (said, *_roughly_known(known, contents, near))


def _roughly_known(known: Judged, contents: Contents, near: Sequence[Method]) -> Iterator[str]:
    """A sentence for each method that compared so many old contents that it did so roughly."""
    if known.nothing_new:
        return  # the notes of that time say so
    settled = contents.settled()
    for number, method in enumerate(near):
        earlier = (known.first.keeper >= 0) & (known.first.method < number)
        compared = known.contents - int((earlier & ~settled[: known.contents]).sum())
        if method.exact_up_to is not None and compared > method.exact_up_to:
            yield f"{method.name}: more than {method.exact_up_to:,} old ones were compared in cells; what was found then stands"


class _Rounds:
    """The rounds of one judgement.

    Attributes:
        compared: pairs verified so far.
        notes: what the methods said, each sentence once.
        parted: (u,) uint8, which guard alone keeps a content, as far as is known.
    """

    def __init__(self, materials: Materials, contents: Contents, near: Sequence[Method]) -> None:
        self.compared = 0
        self.notes = dict[str, None]()
        self.parted = np.zeros(len(contents.first_row), np.uint8)
        self._materials = materials
        self._near = near
        rank = contents.rank[contents.keepers()]
        by_rank = np.argsort(rank, kind="stable")
        settled = contents.settled()[by_rank]
        self._settled, self._open = by_rank[settled], by_rank[~settled]

    def run(self, known: Judged | None) -> tuple[Ties, Ties]:
        """Judge all contents; returns their ties after the first round and in the end."""
        count = len(self._settled) + len(self._open)
        ties = known.first.extended(count) if known else Ties.none(count)
        if known is not None:
            self.parted[: known.contents] = known.parted
        self._mark_new(ties, known.contents if known else 0)
        first = ties.copy()
        kept, orphans = self._settle(ties, self._settled, self._open)
        while len(orphans):
            self._mark(ties, kept, orphans)
            kept, orphans = self._settle(ties, kept, orphans)
        return first, ties

    def run_again(self, ties: Ties, again: NDArray[np.bool_]) -> Ties:
        """Judge some contents again; returns the ties of all."""
        ties = ties.copy()
        ties.keeper[again] = -1
        kept = np.r_[self._settled, self._open[(ties.keeper[self._open] < 0) & ~again[self._open]]]
        orphans = self._open[again[self._open]]
        while len(orphans):
            self._mark(ties, kept, orphans)
            kept, orphans = self._settle(ties, kept, orphans)
        return ties

    def _mark_new(self, ties: Ties, known: int) -> None:
        """The first round: mark contents from number `known` on; the ties of those before it are given."""
        old, fresh = self._open[self._open < known], self._open[self._open >= known]
        for number, method in enumerate(self._near):
            if not len(fresh):
                return
            tied = ties.keeper[old] >= 0
            standing = old[~tied | (ties.method[old] > number)]
            fallen = old[tied & (ties.method[old] == number)]
            lead = np.r_[self._settled, standing]
            fresh = self._follow(ties, method, fresh, fallen)
            fresh = self._ask(ties, number, lead, fresh)

    def _follow(self, ties: Ties, method: Method, fresh: NDArray[np.int64], fallen: NDArray[np.int64]) -> NDArray[np.int64]:
        """Tie those that equal a fallen one to its keeper, where the method has it so; returns the others."""
        if not method.deduper.equals_share_fate or not len(fallen):
            return fresh
        sketches = self._materials.sketches(method)
        leader = equal_rows(sketches, fresh, fallen)
        follows = leader >= 0
        follower, leader = fresh[follows], leader[follows]
        ties.keeper[follower], ties.similarity[follower] = ties.keeper[leader], ties.similarity[leader]
        ties.method[follower] = ties.method[leader]
        self.compared += len(follower)
        return fresh[~follows]

    def _mark(self, ties: Ties, kept: NDArray[np.int64], candidates: NDArray[np.int64]) -> None:
        """A later round: let each method mark what those before it left, against what is kept."""
        ties.keeper[candidates] = -1
        for number in range(len(self._near)):
            candidates = self._ask(ties, number, kept, candidates)

    def _ask(self, ties: Ties, number: int, kept: NDArray[np.int64], candidates: NDArray[np.int64]) -> NDArray[np.int64]:
        """Let one method mark candidates against what is kept and each other; returns those that it left."""
        if not len(candidates):
            return candidates
        method = self._near[number]
        marks = self._materials.mark(method, np.r_[kept, candidates], len(kept))
        self.compared += marks.compared
        self.notes.update(dict.fromkeys(f"{method.name}: {note}" for note in marks.notes))
        hit = candidates[marks.stands_for[candidates] >= 0]
        ties.keeper[hit] = marks.stands_for[hit]
        ties.similarity[hit] = marks.similarity[hit]
        ties.method[hit] = number
        if marks.parted is not None:
            self.parted[candidates] = marks.parted[candidates]
        return candidates[marks.stands_for[candidates] < 0]

    def _settle(
        self, ties: Ties, kept: NDArray[np.int64], judged: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Keep those of `judged` that are not tied; returns all that are kept, and those tied to one that is not."""
        tied = ties.keeper[judged] >= 0
        kept = np.r_[kept, judged[~tied]]
        is_kept = np.zeros(len(ties.keeper), dtype=bool)
        is_kept[kept] = True
        return kept, judged[tied][~is_kept[ties.keeper[judged[tied]]]]


def equal_rows(array: NDArray[Any], left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find for each of the rows `left` (l,) of an array one of the rows `right` (r,) that holds the same bytes, or -1."""
    ours, theirs = _hashes(array, left), _hashes(array, right)
    order = np.argsort(theirs, kind="stable")
    at = np.minimum(np.searchsorted(theirs[order], ours), len(order) - 1)
    found = np.full(len(left), -1, np.int64)
    for row in np.flatnonzero(theirs[order[at]] == ours):
        wanted = array[left[row]].tobytes()
        place = int(at[row])
        while place < len(order) and theirs[order[place]] == ours[row]:
            if array[right[order[place]]].tobytes() == wanted:
                found[row] = right[order[place]]
                break
            place += 1
    return found


def _hashes(array: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[np.uint64]:
    """(r,) a 64-bit hash of the bytes of each row: the sum of its words, each times an odd number of its own."""
    row_bytes = array.shape[1] * array.dtype.itemsize
    word = np.uint32 if row_bytes % 4 == 0 else np.uint8
    words = row_bytes // np.dtype(word).itemsize
    factors = np.random.default_rng(0).integers(0, 2**63, words, np.uint64) * np.uint64(2) + np.uint64(1)
    out = np.empty(len(rows), np.uint64)
    for start in range(0, len(rows), HASH_ROWS):
        block = np.ascontiguousarray(array[rows[start : start + HASH_ROWS]]).view(word)
        out[start : start + HASH_ROWS] = block.astype(np.uint64) @ factors
        give_back(array)
    return out


def as_judgement(contents: Contents, methods: Sequence[Method], near: Sequence[Method], ties: Ties, work: Work) -> Judgement:
    """The rows that fall where some contents are tied to others; equal rows fall to the first of them.

    Args:
        near: the near-duplicate ones of the methods, which `ties.method` numbers.
    """
    keeper_row = contents.keepers()
    judged = ~contents.foreign & ~contents.user_kept & ~contents.user_dropped
    content = contents.content
    tied = (ties.keeper >= 0)[content]
    dropped_near = judged & tied
    is_keeper = np.zeros(len(content), dtype=bool)
    is_keeper[keeper_row] = True
    is_copy = judged & ~is_keeper  # another sample of the same content comes before it
    dropped_equal = is_copy & ~tied
    rows = np.flatnonzero(dropped_near | dropped_equal)
    equal = dropped_equal[rows]
    keeper = np.where(equal, keeper_row[content[rows]], keeper_row[np.maximum(ties.keeper[content[rows]], 0)])
    by_equality = next((m for m in methods if m.deduper.consumes == "hash"), methods[0])
    known = [*near, by_equality]
    chosen = as_column(np.where(equal, len(near), ties.method[content[rows]]).astype(np.int32))  # places in `known`
    reason = as_column(np.where(is_copy[rows], len(near), as_array(chosen)))
    names = as_words([m.name for m in known])
    drops = pa.table(
        {
            "sample_id": as_column(contents.sample_id[rows]),
            "keeper_id": as_column(contents.sample_id[keeper]),
            "reason": names.take(reason),
            "method": names.take(chosen),
            "similarity": as_column(np.where(equal, 1.0, ties.similarity[content[rows]])),
            "threshold": as_column(np.array([m.deduper.threshold for m in known], np.float64)).take(chosen),
            "settings": as_words([json.dumps(m.recorded, sort_keys=True) for m in known]).take(chosen),
        }
    )
    own, user_dropped = int((~contents.foreign).sum()), int(contents.user_dropped.sum())
    kept = (ties.keeper < 0) & ~contents.foreign[keeper_row] & ~contents.user_dropped[keeper_row]
    parted = np.zeros(0, np.uint8) if work.parted is None else np.where(kept, work.parted, 0).astype(np.uint8)
    return Judgement(drops, own, user_dropped, work.compared, work.taken_over, work.notes, parted)
