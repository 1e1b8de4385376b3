"""Verdicts by several owners: whatever they say in whatever order, the state of a sample is that of the slow, obvious rule."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stories import put

from curate.catalog import Catalog, verdicts
from curate.workspace import Workspace, create_workspace, open_workspace

OWNERS = ("user", "dedupe", "protect", "filter:length", "filter:other", "feedback")
SAMPLES = (1, 2, 3, 4)
KEEPER = 5
said = st.tuples(st.sampled_from(OWNERS), st.sampled_from(SAMPLES), st.sampled_from(["drop", "restore"]))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("verdicts")
    with open_workspace(create_workspace(folder / "ws")) as opened:
        put(opened, ["a", "b", "c", "d", "e"])
        opened.catalog.execute(
            """INSERT INTO duplicates (run_id, sample_id, keeper_id, method, similarity, threshold, settings)
               SELECT 1, sample_id, 5, 'exact', 1, 1, '{}' FROM real_samples WHERE sample_id < 5"""
        )
        yield opened


@pytest.fixture(autouse=True)
def nothing_said(workspace: Workspace):
    workspace.catalog.execute("DELETE FROM verdicts")


def say(catalog: Catalog, owner: str, sample: int, action: str) -> None:
    evidence = sample if owner in ("dedupe", "protect") and action == "drop" else None
    catalog.execute(
        "INSERT INTO verdicts (sample_id, owner, action, reason, duplicate_id, run_id) VALUES (?, ?, ?, ?, ?, 1)",
        [sample, owner, action, f"{owner} says so", evidence],
    )


def begin(catalog: Catalog, sequence: list[tuple[str, int, str]]) -> None:
    with catalog.transaction():
        catalog.execute("DELETE FROM verdicts")
        for word in sequence:
            say(catalog, *word)


def oracle(sequence: list[tuple[str, int, str]], sample: int) -> tuple[str, str | None]:
    """The state of a sample and who drops it: the last word of each owner, the user's above all."""
    newest = {owner: action for owner, of, action in sequence if of == sample}
    by = sorted(owner for owner, action in newest.items() if action == "drop")
    if newest.get("user") == "restore" or not by:
        return "kept", None
    return "dropped", ", ".join(by)


@given(st.lists(said, max_size=25))
@settings(deadline=None, max_examples=40)
def test_any_sequence_of_verdicts_ends_as_the_rule_says(workspace, sequence):
    begin(workspace.catalog, sequence)
    found = workspace.catalog.rows("SELECT sample_id, state, dropped_by, reason FROM samples WHERE sample_id < 5 ORDER BY 1")
    assert [(state, by) for _, state, by, _ in found] == [oracle(sequence, sample) for sample in SAMPLES]
    for sample, state, by, reason in found:
        assert (reason is None) == (state == "kept")
        decided = workspace.catalog.row("SELECT owner, reason FROM current_verdicts WHERE sample_id = ?", [sample])
        if state == "dropped":
            owner, said_by = decided
            assert reason == said_by == f"{owner} says so" and owner in by.split(", ")
            assert ("user" in by.split(", ")) == (owner == "user")
    curated = [row[0] for row in workspace.catalog.rows("SELECT sample_id FROM curated WHERE sample_id < 5 ORDER BY 1")]
    assert curated == [sample for sample, state, _, _ in found if state == "kept"]


def dropping(catalog: Catalog, owner: str) -> set[int]:
    rows = catalog.rows("SELECT sample_id FROM standing_verdicts WHERE owner = ? AND action = 'drop'", [owner])
    return {row[0] for row in rows}


def drops(*samples: int) -> pa.Table:
    return pa.table(
        {
            "sample_id": pa.array(samples, pa.int64()),
            "keeper_id": pa.array([KEEPER] * len(samples), pa.int64()),
            "reason": pa.array(["exact"] * len(samples), pa.string()),
            "method": pa.array(["exact"] * len(samples), pa.string()),
            "similarity": pa.array([1.0] * len(samples)),
            "threshold": pa.array([1.0] * len(samples)),
            "settings": pa.array(["{}"] * len(samples), pa.string()),
        }
    )


decisions = st.tuples(st.sampled_from(["dedupe", "protect", "filter:length"]), st.sets(st.sampled_from(SAMPLES)))


@given(st.lists(said, max_size=8), st.lists(decisions, min_size=1, max_size=6))
@settings(deadline=None, max_examples=25)
def test_a_rule_moves_its_own_verdicts_only_and_counts_what_it_moved(workspace, before, later):
    catalog = workspace.catalog
    begin(catalog, before)
    for owner, wanted in later:
        others = catalog.rows("SELECT * FROM standing_verdicts WHERE owner <> ? ORDER BY ALL", [owner])
        own = dropping(catalog, owner)
        kept = {row[0] for row in catalog.rows("SELECT sample_id FROM curated")}
        if owner.startswith("filter"):
            table = drops(*sorted(wanted)).select(["sample_id", "reason"])
            would = verdicts.would_decide_by_rule(catalog, 1, table, owner=owner)
            change = verdicts.decide_by_rule(catalog, 1, 1, table, owner=owner)
            assert would == change
        else:
            would = verdicts.would_decide(catalog, 1, "text", drops(*sorted(wanted)), owner=owner)
            change = verdicts.decide(catalog, 1, 1, "text", drops(*sorted(wanted)), owner=owner)
            assert would == change
        now = dropping(catalog, owner)
        back = {row[0] for row in catalog.rows("SELECT sample_id FROM curated")} - kept
        assert now == wanted
        assert catalog.rows("SELECT * FROM standing_verdicts WHERE owner <> ? ORDER BY ALL", [owner]) == others
        assert change == (len(wanted - own), len(wanted & own), len(back))


def test_taking_back_one_owners_drops_leaves_the_others(workspace):
    for owner, sample in (("dedupe", 1), ("filter:length", 1), ("filter:length", 2), ("user", 3), ("filter:length", 4)):
        say(workspace.catalog, owner, sample, "drop")
    say(workspace.catalog, "user", 4, "restore")
    assert verdicts.owners(workspace.catalog, 1) == {"dedupe": 1, "filter:length": 3, "user": 1}
    assert verdicts.take_back(workspace.catalog, 1, 1, "filter:length") == (3, 1)
    assert workspace.catalog.rows("SELECT sample_id FROM curated ORDER BY 1") == [(2,), (4,), (5,)]
    assert verdicts.take_back(workspace.catalog, 1, 1, "filter:length") == (0, 0)


def test_no_owner_is_nameless_and_no_drop_by_comparison_without_evidence(workspace):
    for owner, evidence in (("Dedupe!", 1), ("dedupe", None), ("protect", None)):
        with pytest.raises(Exception, match="CHECK"):
            workspace.catalog.execute(
                """INSERT INTO verdicts (sample_id, owner, action, reason, duplicate_id, run_id)
                   VALUES (1, ?, 'drop', 'x', ?, 1)""",
                [owner, evidence],
            )
