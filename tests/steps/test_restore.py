"""Verdicts by a person: only what changes is written, unknown ids change nothing, and nothing is deleted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from curate.errors import InputError, SettingError, WorkError
from curate.steps.drop import drop
from curate.steps.ingest import ingest
from curate.steps.restore import restore
from curate.steps.take_back import take_back
from curate.workspace import Workspace, create_workspace, open_workspace


@pytest.fixture
def workspace(tmp_path: Path):
    """Ids 1–5 with texts t1–t5; the odd ones have the label odd."""
    rows = [{"text": f"t{n}", "label": "odd" if n % 2 else "even"} for n in range(1, 6)]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with open_workspace(create_workspace(tmp_path / "ws")) as opened:
        ingest(opened, [tmp_path / "d.jsonl"], dataset="d", label="label")
        yield opened


def kept(workspace: Workspace) -> list[int]:
    return [row[0] for row in workspace.catalog.rows("SELECT sample_id FROM curated ORDER BY sample_id")]


def verdicts(workspace: Workspace) -> int:
    return workspace.catalog.scalar("SELECT count(*) FROM verdicts")


def test_the_newest_verdict_counts_and_repeating_one_writes_nothing(workspace):
    done = drop(workspace, [2, 4, 4])
    assert (done.action, done.named, done.changed) == ("drop", 2, 2) and kept(workspace) == [1, 3, 5]
    assert (drop(workspace, [2]).changed, verdicts(workspace)) == (0, 2)
    assert restore(workspace, [2, 3]).changed == 2 and kept(workspace) == [1, 2, 3, 5]
    assert (restore(workspace, [2, 3]).changed, verdicts(workspace)) == (0, 4)
    assert drop(workspace, [2]).changed == 1 and kept(workspace) == [1, 3, 5]
    assert workspace.catalog.scalar("SELECT count(*) FROM real_samples") == 5


def test_a_condition_names_real_samples_by_the_columns_of_the_view(workspace):
    assert drop(workspace, where="label = 'odd' AND length(text) = 2").changed == 3 and kept(workspace) == [2, 4]
    assert drop(workspace, where="text = 'nothing has this'").changed == 0
    assert drop(workspace, where="sample_id IN (SELECT max(sample_id) FROM curated) -- the last").changed == 1


@pytest.mark.parametrize(
    "where", ["label =", "nonsense = 1", "1; DELETE FROM verdicts", "true) OR (true", "count(*) > 1", "label"]
)
def test_what_is_no_condition_is_refused_and_changes_nothing(workspace, where):
    with pytest.raises(SettingError):
        drop(workspace, where=where)
    assert kept(workspace) == [1, 2, 3, 4, 5] and verdicts(workspace) == 0


def test_a_condition_can_change_nothing_and_take_no_longer_than_it_may(workspace):
    with pytest.raises(SettingError, match="read-only"):
        drop(workspace, where="nextval('sample_ids') > 0")
    endless = "(SELECT count(*) FROM range(100000) a, range(100000) b, range(1000) c WHERE hash(a, b, c) = 1) = sample_id"
    with pytest.raises(WorkError, match=r"stopped after 0\.5 s"):
        drop(workspace, where=endless, timeout_s=0.5)
    assert kept(workspace) == [1, 2, 3, 4, 5] and verdicts(workspace) == 0
    with workspace.catalog.transaction(), pytest.raises(WorkError, match="inside a transaction"):
        drop(workspace, where="true")
    assert kept(workspace) == [1, 2, 3, 4, 5]


def test_ids_that_are_no_real_samples_change_nothing(workspace):
    for act in (drop, restore):
        with pytest.raises(InputError, match="1 of 3 ids"):
            act(workspace, [1, 2, 99])
    assert verdicts(workspace) == 0
    for ids, where in (([], None), ([1], "true")):
        with pytest.raises(SettingError, match="ids or a condition"):
            drop(workspace, ids, where=where)


def test_taking_back_leaves_a_users_verdicts(workspace):
    drop(workspace, [1])
    assert take_back(workspace, "d").changed == 0 and kept(workspace) == [2, 3, 4, 5]
    with pytest.raises(InputError, match="nobody"):
        take_back(workspace, "nobody")


def test_every_verdict_names_the_run_that_decided_it(workspace):
    run_id = drop(workspace, [1, 2]).run_id
    assert workspace.catalog.rows("SELECT DISTINCT run_id, reason FROM verdicts") == [(run_id, "user")]
    assert workspace.catalog.rows("SELECT step, status, counts FROM runs WHERE run_id = ?", [run_id]) == [
        ("drop", "done", '{"changed": 2}')
    ]
