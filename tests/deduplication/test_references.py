"""Sets that a dataset is compared with: nothing that resembles a protected sample is kept, and the match is named."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from stories import WORDS, put

from curate.errors import InputError, SettingError
from curate.steps.check import check
from curate.steps.dedupe import dedupe
from curate.steps.drop import drop
from curate.steps.explain import explain
from curate.steps.restore import restore
from curate.steps.rethreshold import rethreshold
from curate.steps.split import split
from curate.steps.target_size import target_size
from curate.workspace import Workspace, create_workspace, open_workspace

NEAR: dict[str, Any] = {"methods": ["exact", "minhash"], "threshold": 0.6, "yes": True}


@pytest.fixture
def workspace(tmp_path: Path):
    with open_workspace(create_workspace(tmp_path / "ws")) as opened:
        yield opened


def stories(seed: int, count: int) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=40)) for _ in range(count)]


def edited(text: str) -> str:
    """The same but for its last word."""
    return f"{text.rpartition(' ')[0]} other"


def kept(workspace: Workspace, dataset: str = "d") -> list[str]:
    rows = workspace.catalog.rows("SELECT text FROM curated WHERE dataset = ? ORDER BY sample_id", [dataset])
    return [row[0] for row in rows]


def id_of(workspace: Workspace, text: str, dataset: str = "d") -> int:
    return int(workspace.catalog.scalar("SELECT min(sample_id) FROM samples WHERE text = ? AND dataset = ?", [text, dataset]))


def test_several_sets_are_compared_with_and_each_match_is_counted_and_named(workspace):
    own, old, evals, other = stories(1, 4), stories(2, 2), stories(3, 2), stories(4, 2)
    put(workspace, [*own, edited(old[0]), evals[0], edited(evals[1]), edited(other[1])], "d")
    for name, texts in (("old", old), ("evals", evals), ("other", other)):
        put(workspace, texts, name)
    report = dedupe(workspace, "d", **NEAR, against=["old"], protect=["evals", "other"])
    assert (report.against, report.protect) == (("old",), ("evals", "other"))
    assert report.matched == {"old": 1, "evals": 2, "other": 1} and report.dropped == 4
    assert kept(workspace) == own and len(kept(workspace, "evals")) == 2
    why = explain(workspace, id_of(workspace, edited(evals[1])))
    assert why.protected == ("evals",) and why.keeper is not None and why.keeper.dataset == "evals"
    assert explain(workspace, id_of(workspace, edited(old[0]))).protected == ()
    assert not check(workspace).findings
    again = dedupe(workspace, "d", **NEAR, against="old", protect=["evals", "other"])
    assert (again.newly_dropped, again.restored, again.matched) == (0, 0, report.matched)
    later = dedupe(workspace, "d", **NEAR)
    assert later.restored == 1 and later.protect == ("evals", "other")  # the protections stand, `against` was of that run


def test_what_repeats_a_protected_sample_is_dropped_by_the_protection_whatever_else_it_repeats(workspace):
    shared, own = stories(5, 1)[0], stories(6, 3)
    put(workspace, [shared], "old")
    put(workspace, [shared], "evals")
    put(workspace, [*own, shared], "d")
    report = dedupe(workspace, "d", **NEAR, against="old", protect="evals")
    assert report.dropped == 1 and report.matched == {"old": 0, "evals": 1}
    assert explain(workspace, id_of(workspace, shared)).protected == ("evals",)


def test_a_part_of_another_dataset_protects_its_frozen_members_dropped_since_or_not(workspace):
    texts = stories(7, 40)
    put(workspace, texts, "evals")
    split(workspace, "evals", seed=1)
    parts = dict(workspace.catalog.rows("SELECT s.text, p.part FROM parts p JOIN samples s USING (sample_id)"))
    tested = [text for text in texts if parts[text] == "test"]
    trained = [text for text in texts if parts[text] == "train"]
    put(workspace, [edited(tested[0]), edited(tested[1]), edited(trained[0]), *stories(8, 3)], "d")
    near = texts[0] if texts[0] not in tested else trained[1]
    workspace.catalog.execute(  # the member was dropped by a dedupe of its own dataset, after the split was frozen
        f"""INSERT INTO duplicates (run_id, sample_id, keeper_id, method, similarity, threshold, settings) VALUES
            (1, {id_of(workspace, tested[1], "evals")}, {id_of(workspace, near, "evals")}, 'minhash', 0, 0, '{{}}')"""
    )
    workspace.catalog.execute(
        f"""INSERT INTO verdicts (sample_id, owner, action, reason, duplicate_id, run_id) VALUES
            ({id_of(workspace, tested[1], "evals")}, 'dedupe', 'drop', 'minhash',
             (SELECT max(duplicate_id) FROM duplicates), 1)"""
    )
    report = dedupe(workspace, "d", **NEAR, protect="evals/test")
    assert report.protect == ("evals@default:1/test",) and report.matched == {"evals@default:1/test": 2}
    assert edited(trained[0]) in kept(workspace) and len(kept(workspace)) == 4
    assert explain(workspace, id_of(workspace, edited(tested[1]))).protected == ("evals@default:1/test",)
    assert "keepers" not in {finding.invariant for finding in check(workspace).findings}
    whole = dedupe(workspace, "d", **NEAR, protect="evals")  # of a whole dataset, what is dropped there protects nothing
    assert whole.matched == {"evals@default:1/test": 2, "evals": 2} and whole.dropped == 3
    assert edited(tested[1]) not in kept(workspace)  # the rule about the frozen part stands beside the new one


def test_a_part_of_the_dataset_itself_stays_and_what_resembles_it_goes(workspace):
    texts = stories(9, 40)
    put(workspace, texts, "d")
    split(workspace, "d", seed=2)
    tested = [
        row[0] for row in workspace.catalog.rows("SELECT text FROM parts JOIN samples USING (sample_id) WHERE part = 'test'")
    ]
    later = [edited(tested[0]), edited(tested[1]), stories(10, 1)[0]]
    put(workspace, later, "d", file="later.jsonl")
    put(workspace, [tested[0]], "old")
    report = dedupe(workspace, "d", **NEAR, keep="longest", against="old", protect="d/test")
    assert report.samples == 43 and report.kept + report.dropped == 43
    assert set(tested) < set(kept(workspace)) and report.matched["d@default:1/test"] == report.dropped == 2
    assert set(kept(workspace)) == {*texts, later[2]}
    assert not check(workspace).findings
    raised = rethreshold(workspace, "d", {"minhash": 0.99})
    assert raised.came_back == 0 and not check(workspace).findings  # the protection keeps its own threshold


def test_what_a_user_restored_stays_and_is_told(workspace):
    evals = stories(11, 2)
    put(workspace, evals, "evals")
    put(workspace, [edited(evals[0]), edited(evals[1]), *stories(12, 2)], "d")
    restore(workspace, [id_of(workspace, edited(evals[0]))])
    report = dedupe(workspace, "d", **NEAR, protect="evals")
    assert report.matched == {"evals": 2} and len(kept(workspace)) == 3
    assert any("stay because a user pinned them" in note for note in check(workspace).notes)


def test_a_set_that_compares_nothing_is_refused(workspace, tmp_path):
    put(workspace, stories(13, 20), "d")
    put(workspace, stories(14, 2), "evals")
    before = workspace.catalog.scalar("SELECT count(*) FROM runs")
    for options, kind, said in (
        ({"against": "d"}, SettingError, "itself"),
        ({"protect": "d"}, SettingError, "protected from itself"),
        ({"against": "nobody"}, InputError, "'nobody'"),
        ({"protect": "evals/test"}, InputError, "no split"),
        ({"protect": "evals/tset"}, SettingError, "'evals/tset'"),
    ):
        with pytest.raises(kind, match=said):
            dedupe(workspace, "d", **NEAR, **options)
    split(workspace, "d", seed=1)
    with pytest.raises(SettingError, match="--against names the dataset itself"):
        dedupe(workspace, "d", **NEAR, against="d/test")
    drop(workspace, where="dataset = 'evals'")
    with pytest.raises(SettingError, match="no kept text sample"):
        dedupe(workspace, "d", **NEAR, protect="evals")
    assert workspace.catalog.scalar("SELECT count(*) FROM runs WHERE step = 'dedupe'") == 0 and before


def test_a_size_is_found_beside_what_is_protected(workspace):
    evals = stories(15, 3)
    put(workspace, evals, "evals")
    put(workspace, [evals[0], edited(evals[1]), *stories(16, 5)], "d")
    report = target_size(workspace, "d", 5, method="minhash", protect="evals")
    assert report.kept == 5 and report.applied is not None and report.applied.matched == {"evals": 2}
    with pytest.raises(InputError, match="cannot keep 6"):
        target_size(workspace, "d", 6, method="minhash")
