"""Filters: their drops are their own, a later run or taking back moves no other's, and what they drop stands for nothing."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, ClassVar

import pytest
from stories import put, story

from curate import plugins
from curate.errors import InputError, SettingError, WorkError
from curate.steps.check import check
from curate.steps.dedupe import dedupe
from curate.steps.drop import drop
from curate.steps.explain import explain
from curate.steps.filter import filter as filter_
from curate.steps.restore import restore
from curate.steps.rethreshold import rethreshold
from curate.steps.take_back import take_back
from curate.workspace import Workspace, create_workspace, open_workspace

TEXTS = ["a", "a b c", "a b c d", "a b c", "a b", "x y z", "x y z w"]
BY_WORDS: dict[str, Any] = {"rule": "length", "settings": {"min_words": 3}}
NEAR: dict[str, Any] = {"methods": ["exact", "minhash"], "threshold": 0.5, "yes": True}


@pytest.fixture
def workspace(tmp_path: Path):
    with open_workspace(create_workspace(tmp_path / "ws")) as opened:
        put(opened, TEXTS)
        yield opened


def kept(workspace: Workspace) -> list[int]:
    return [row[0] for row in workspace.catalog.rows("SELECT sample_id FROM curated ORDER BY sample_id")]


def test_a_dry_run_shows_examples_and_writes_nothing_and_the_run_does_what_it_said(workspace):
    would = filter_(workspace, "d", **BY_WORDS, examples=1, dry_run=True)
    assert workspace.catalog.scalar("SELECT count(*) FROM verdicts") == 0 and kept(workspace) == [1, 2, 3, 4, 5, 6, 7]
    assert [(e.sample.sample_id, e.reason) for e in would.examples] == [(1, "fewer than 3 words"), (2, None)]
    does = filter_(workspace, "d", **BY_WORDS)
    for name in ("samples", "judged", "passed", "dropped", "reasons", "newly_dropped", "restored", "owner"):
        assert getattr(would, name) == getattr(does, name), name
    assert does.owner == "filter:length" and does.reasons == {"fewer than 3 words": 2} and kept(workspace) == [2, 3, 4, 6, 7]
    assert does.samples == does.judged + does.others and does.judged == does.passed + does.dropped and does.kept == 5
    again = filter_(workspace, "d", **BY_WORDS)
    assert (again.newly_dropped, again.restored) == (0, 0)
    assert workspace.catalog.scalar("SELECT count(*) FROM verdicts") == 2
    rows = workspace.catalog.rows("SELECT state, dropped_by, reason FROM samples WHERE sample_id = 1")
    assert rows == [("dropped", "filter:length", "fewer than 3 words")]
    assert not check(workspace).findings


def test_each_rule_moves_its_own_drops_only(workspace):
    assert dedupe(workspace, "d", methods=["exact"]).by_method == {"exact": 1}
    filter_(workspace, "d", **BY_WORDS)
    report = dedupe(workspace, "d", methods=["exact"])
    assert report.by_method == {"exact": 1, "filter:length": 2} and report.restored == 0
    assert report.samples == 7 == report.kept + report.dropped
    looser = filter_(workspace, "d", "length", settings={"min_words": 2})
    assert (looser.dropped, looser.restored) == (1, 1) and kept(workspace) == [2, 3, 5, 6, 7]
    back = take_back(workspace, "d", owner="filter:length")
    assert (back.changed, back.restored, back.others) == (1, 1, {"dedupe": 1}) and kept(workspace) == [1, 2, 3, 5, 6, 7]
    assert take_back(workspace, "d").restored == 1 and kept(workspace) == [1, 2, 3, 4, 5, 6, 7]
    for owner in ("user", "protect", "filter:lenght"):
        with pytest.raises(SettingError):
            take_back(workspace, "d", owner=owner)


def test_what_a_filter_drops_stands_for_nothing_and_the_next_dedupe_judges_its_duplicates_anew(workspace):
    base = story(random.Random(1), 40)
    put(workspace, [f"{base} extra", base, f"{base} more", story(random.Random(2), 40)], "e")
    first, second, third, other = (
        row[0] for row in workspace.catalog.rows("SELECT sample_id FROM samples WHERE dataset = 'e'")
    )
    assert dedupe(workspace, "e", **NEAR).dropped == 2 and explain(workspace, second).keeper.sample_id == first
    filter_(workspace, "e", "length", settings={"max_words": 40})
    between = check(workspace)
    assert not between.findings and any("in favour of one that a filter" in note for note in between.notes)
    assert other in kept(workspace) and not {first, second, third} & set(kept(workspace))
    again = dedupe(workspace, "e", **NEAR)
    assert {second, other} <= set(kept(workspace)) and again.by_method == {"filter:length": 2}
    assert again.samples == 4 == again.kept + again.dropped
    after = check(workspace)
    assert not after.findings and not any("in favour of one" in note for note in after.notes)
    raised = rethreshold(workspace, "e", {"minhash": 0.99})
    assert raised.samples == 4 == raised.kept + raised.dropped and raised.kept == 2
    assert take_back(workspace, "e", owner="filter:length").restored == 2
    assert dedupe(workspace, "e", **NEAR).by_method == {"minhash": 2}


def test_the_users_word_stands_above_a_filters(workspace):
    restore(workspace, [1])
    drop(workspace, [3])
    report = filter_(workspace, "d", **BY_WORDS)
    assert report.pinned == 1 and any("a user pinned them" in note for note in report.notes)
    assert 1 in kept(workspace) and 3 not in kept(workspace)
    assert explain(workspace, 1).dropped_by == "filter:length" and explain(workspace, 5).reason == "fewer than 3 words"


def test_what_cannot_be_filtered_is_refused(workspace):
    for dataset, rule, settings, kind in (
        ("nobody", "length", {"min_words": 1}, InputError),
        ("d", "lenght", {}, SettingError),
        ("d", "length", {"colour": 1}, SettingError),
    ):
        with pytest.raises(kind):
            filter_(workspace, dataset, rule, settings=settings)
    assert workspace.catalog.scalar("SELECT count(*) FROM runs WHERE step = 'filter'") == 0


class Shouting:
    """A filter of somebody else."""

    modalities: ClassVar[frozenset[str]] = frozenset({"text"})
    answer: ClassVar[Any] = None

    def __init__(self) -> None:
        self.settings: dict[str, Any] = {}

    def judge(self, batch: Any) -> list[str | None]:
        if self.answer is not None:
            return self.answer
        return ["capitals" if text.isupper() else None for text in batch["text"].to_pylist()]


def test_a_filter_from_a_notebook_works_and_one_that_breaks_its_contract_changes_nothing(workspace, monkeypatch):
    plugins.register("filters", "shouting", Shouting)
    put(workspace, ["HELLO THERE", "hello"], file="more.jsonl")
    assert filter_(workspace, "d", "shouting").reasons == {"capitals": 1}
    before = workspace.catalog.rows("SELECT * FROM verdicts ORDER BY 1")
    for answer in ([None], ["", *[None] * 8], [7, *[None] * 8]):
        monkeypatch.setattr(Shouting, "answer", answer)
        with pytest.raises(WorkError, match="Shouting must answer"):
            filter_(workspace, "d", "shouting")
    with pytest.raises(SettingError, match="does not take"):
        filter_(workspace, "d", "shouting", settings={"loud": 1})
    assert workspace.catalog.rows("SELECT * FROM verdicts ORDER BY 1") == before
