"""Protections: whatever is done after, no kept sample that nobody pinned resembles what its dataset is protected from."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stories import drifting, jaccard, put, story

from curate.errors import InputError, NeedsConfirmation, SettingError
from curate.steps.check import check
from curate.steps.dedupe import dedupe
from curate.steps.drop import drop
from curate.steps.explain import explain
from curate.steps.filter import filter as filter_
from curate.steps.ingest import ingest
from curate.steps.protect import protect, protections_of, unprotect
from curate.steps.restore import restore
from curate.steps.rethreshold import rethreshold
from curate.steps.split import split
from curate.steps.take_back import take_back
from curate.steps.target_size import target_size
from curate.workspace import Workspace, create_workspace, open_workspace

AT: dict[str, Any] = {"methods": ["exact", "minhash"], "threshold": {"minhash": 0.6}}
SURE = 0.75
"""A pair that is so similar is found by MinHash at 0.6 for certain (but for one in many millions)."""


@pytest.fixture
def workspace(tmp_path: Path):
    with open_workspace(create_workspace(tmp_path / "ws")) as opened:
        yield opened


def rows(workspace: Workspace, dataset: str) -> list[dict[str, Any]]:
    return workspace.catalog.table(
        """SELECT s.sample_id, s.text, s.state, s.dropped_by, coalesce(u.action = 'restore', false) AS pinned
           FROM samples s LEFT JOIN (SELECT * FROM standing_verdicts WHERE owner = 'user') u USING (sample_id)
           WHERE s.dataset = ? ORDER BY s.sample_id""",
        [dataset],
    ).to_pylist()


def leaks(workspace: Workspace, *, pinned: bool = False) -> list[int]:
    """The kept samples of d that resemble a kept one of e, by comparing all pairs."""
    held = [row["text"] for row in rows(workspace, "e") if row["state"] == "kept"]
    return [
        row["sample_id"]
        for row in rows(workspace, "d")
        if row["state"] == "kept" and row["pinned"] == pinned and any(jaccard(row["text"], text) >= SURE for text in held)
    ]


def some(workspace: Workspace, dataset: str, number: int) -> list[int]:
    return [row["sample_id"] for row in rows(workspace, dataset)][number % 7 :: 5]


def more(workspace: Workspace, dataset: str, number: int) -> None:
    """Ingest a few more: new ones, and edits of what either side has."""
    rng = random.Random(number)
    known = [row["text"] for name in ("d", "e") for row in rows(workspace, name)]
    texts = []
    for _ in range(4):
        words = rng.choice(known).split()
        words[rng.randrange(len(words))] = f"new{rng.randrange(9)}"
        texts.append(" ".join(words))
    path = workspace.root.parent / f"{dataset}-{number}.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in [*texts, story(rng, 40)]))
    ingest(workspace, [path], dataset=dataset)


def tried(step: Any, *arguments: Any, **options: Any) -> None:
    """Run a step that may have nothing to do, or that asks first."""
    with suppress(InputError, SettingError, NeedsConfirmation):
        step(*arguments, **options)


STEPS: dict[str, Any] = {
    "ingest d": lambda w, n: more(w, "d", n),
    "ingest e": lambda w, n: more(w, "e", n),
    "dedupe exact": lambda w, n: dedupe(w, "d", methods=["exact"]),
    "dedupe near": lambda w, n: dedupe(w, "d", methods=["minhash"], threshold=0.5 + (n % 5) / 10, yes=True),
    "dedupe longest": lambda w, n: dedupe(w, "d", methods=["exact", "minhash"], keep="longest", against="e", yes=True),
    "dedupe e": lambda w, n: dedupe(w, "e", methods=["exact", "minhash"], threshold=0.5, yes=True),
    "take back d": lambda w, n: take_back(w, "d"),
    "take back e": lambda w, n: take_back(w, "e"),
    "rethreshold": lambda w, n: tried(rethreshold, w, "d", 0.95),
    "target size": lambda w, n: tried(target_size, w, "d", 5 + n % 9, method="minhash", yes=True),
    "filter d": lambda w, n: filter_(w, "d", "length", settings={"max_words": 38 + n % 4}),
    "filter e": lambda w, n: filter_(w, "e", "length", settings={"max_words": 38 + n % 4}),
    "unfilter": lambda w, n: tried(take_back, w, "d", owner="filter:length"),
    "unfilter e": lambda w, n: tried(take_back, w, "e", owner="filter:length"),
    "pin d": lambda w, n: restore(w, some(w, "d", n)),
    "drop d": lambda w, n: drop(w, some(w, "d", n)),
    "pin e": lambda w, n: restore(w, some(w, "e", n)),
    "drop e": lambda w, n: drop(w, some(w, "e", n)),
    "split": lambda w, n: tried(split, w, "d", name=f"s{n}", allow_empty=True),
    "protect too": lambda w, n: tried(protect, w, "d", "e", methods=["minhash"], threshold=0.5, yes=True),
}


@given(
    st.integers(0, 10**4),
    st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 50)), min_size=2, max_size=6),
)
@settings(deadline=None, max_examples=5, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_whatever_is_done_after_no_kept_sample_resembles_the_protected_set(tmp_path_factory, seed, later):
    texts = drifting(seed, 28)
    with open_workspace(create_workspace(tmp_path_factory.mktemp("protection") / "ws")) as workspace:
        put(workspace, texts[::2], "d")
        put(workspace, texts[1::4], "e")
        protect(workspace, "d", "e", **AT, yes=True)
        assert leaks(workspace) == []
        for name, number in later:
            STEPS[name](workspace, number)
            assert leaks(workspace) == [], name
            found = check(workspace, fast=True)
            assert not [f for f in found.findings if f.invariant in ("protections", "keepers", "kept and dropped")], name
            if leaks(workspace, pinned=True):
                assert any("user pinned them" in note for note in found.notes), name
        before = {row["sample_id"] for row in rows(workspace, "d") if "protect" in (row["dropped_by"] or "")}
        ended = unprotect(workspace, "d", "e")
        assert ended.standing == 0 and ended.restored <= len(before) and protections_of(workspace) == []
        assert not any("protect" in (row["dropped_by"] or "") for row in rows(workspace, "d"))


def test_a_plain_dedupe_after_protect_restores_nothing_that_leaks(workspace):
    rng = random.Random(2)
    evals, own = [story(rng, 40) for _ in range(3)], [story(rng, 40) for _ in range(4)]
    near = [f"{text.rpartition(' ')[0]} other" for text in evals]
    put(workspace, evals, "e")
    put(workspace, [*own, *near, evals[0]], "d")
    report = protect(workspace, "d", "e", **AT)
    assert (report.matched, report.newly_dropped, report.kept, report.already) == (4, 4, 4, False)
    assert report.methods == "exact, minhash ≥ 0.6"
    for again in (dedupe(workspace, "d", methods=["exact"]), dedupe(workspace, "d", methods=["minhash"], threshold=0.9)):
        assert again.protect == ("e",) and again.matched == {"e": 4} and again.by_method == {"protect": 4}
        assert again.restored == 0 and again.samples == 8 == again.kept + again.dropped
    why = explain(workspace, rows(workspace, "d")[4]["sample_id"])
    assert why.owner == "protect" and why.protected == ("e",) and why.keeper.dataset == "e" and why.similarity >= 0.6
    assert protect(workspace, "d", "e", **AT).already and len(protections_of(workspace, "d")) == 1
    assert protect(workspace, "d", "e", methods=["minhash"], threshold=0.8).already  # the first rule covers it
    assert not protect(workspace, "d", "e", methods=["minhash"], threshold=0.4).already
    assert {rule.number for rule in protections_of(workspace)} == {1, 2}
    ended = unprotect(workspace, "d", "e")
    assert ended.restored == 4 and len(ended.ended) == 2
    with pytest.raises(SettingError, match="not protected"):
        unprotect(workspace, "d", "e")


def test_a_pin_of_a_leaking_sample_is_told_loudly_every_time(workspace):
    rng = random.Random(3)
    evals = [story(rng, 40), story(rng, 40)]
    put(workspace, evals, "e")
    put(workspace, [evals[0], story(rng, 40), story(rng, 40)], "d")
    protect(workspace, "d", "e", **AT)
    leaking = rows(workspace, "d")[0]["sample_id"]
    report = restore(workspace, [leaking])
    assert report.changed == 1 and f"sample {leaking} repeats sample 1 of e" in report.notes[0]
    assert f"curate drop {leaking}" in report.notes[0]
    assert leaks(workspace) == [] and leaks(workspace, pinned=True) == [leaking]
    told = check(workspace)
    assert not told.findings and any("1 samples of d repeat one of e" in note for note in told.notes)
    assert restore(workspace, [rows(workspace, "d")[1]["sample_id"]]).notes == ()
    drop(workspace, [leaking])
    assert not any("pinned" in note for note in check(workspace).notes)


def test_what_slips_in_behind_our_back_is_found_by_check(workspace):
    rng = random.Random(4)
    evals = [story(rng, 40), story(rng, 40)]
    put(workspace, evals, "e")
    put(workspace, [evals[0], story(rng, 40)], "d")
    protect(workspace, "d", "e", **AT)
    leaking = rows(workspace, "d")[0]["sample_id"]
    workspace.catalog.execute("DELETE FROM verdicts WHERE owner = 'protect'")
    found = {finding.invariant: finding for finding in check(workspace).findings}
    assert found["protections"].ids == (leaking,) and found["protections"].count == 1


def test_a_dry_run_writes_nothing_and_wrong_sets_are_refused(workspace):
    put(workspace, ["a b c", "d e f"], "d")
    put(workspace, ["a b c"], "e")
    before = workspace.catalog.scalar("SELECT count(*) FROM runs")
    would = protect(workspace, "d", "e", methods=["exact"], dry_run=True)
    assert (would.matched, would.newly_dropped, would.kept, would.run_id) == (1, 1, None, None)
    for reference, kind, said in (
        ("d", SettingError, "itself"),
        ("nobody", InputError, "nobody"),
        ("e/test", InputError, "no split"),
    ):
        with pytest.raises(kind, match=said):
            protect(workspace, "d", reference, methods=["exact"])
    put(workspace, [f"text number {n}" for n in range(12)], "f")
    put(workspace, [f"text number {n}" for n in range(11)], "g")
    with pytest.raises(NeedsConfirmation, match="11 of 12"):
        protect(workspace, "f", "g", methods=["exact"])
    assert workspace.catalog.scalar("SELECT count(*) FROM protections") == 0
    assert workspace.catalog.scalar("SELECT count(*) FROM runs") == before + 2  # the two ingests
    assert protect(workspace, "f", "g", methods=["exact"], yes=True).kept == 1


def test_sets_that_protect_each_other_settle(workspace):
    rng = random.Random(5)
    shared, own, theirs = story(rng, 40), story(rng, 40), story(rng, 40)
    put(workspace, [shared, own], "d")
    put(workspace, [shared, theirs], "e")
    protect(workspace, "d", "e", methods=["exact"])
    protect(workspace, "e", "d", methods=["exact"])
    assert leaks(workspace) == [] and not check(workspace).findings
    assert sum(row["state"] == "kept" for name in ("d", "e") for row in rows(workspace, name)) == 3


def test_a_paraphrase_of_an_eval_question_is_a_repeat_although_a_dedupe_leaves_paraphrases(workspace):
    """Seen by MiniLM at 0.98; a plain dedupe keeps both, because their words differ."""
    question, other = "How do I change the PIN of my card?", "How can I change my card's PIN?"
    put(workspace, [question, "What is the exchange rate for euros?"], "e")
    put(workspace, [other, "Where is the nearest cash machine?"], "d")
    assert dedupe(workspace, "d", against="e").dropped == 0
    report = protect(workspace, "d", "e")
    assert report.matched == 1 and "semantic ≥ 0.95" in report.methods
    assert dedupe(workspace, "d").by_method == {"protect": 1}
    assert check(workspace).findings == ()
