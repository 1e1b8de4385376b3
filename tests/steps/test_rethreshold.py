"""Raising a threshold from stored evidence: the same laws as after dedupe, and nothing that was kept falls."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from stories import drifting, jaccard, put, story

from curate.catalog import vectors
from curate.errors import InputError, SettingError
from curate.steps.check import check
from curate.steps.dedupe import dedupe
from curate.steps.drop import drop
from curate.steps.ingest import ingest
from curate.steps.restore import restore
from curate.steps.rethreshold import rethreshold
from curate.steps.take_back import take_back
from curate.workspace import Workspace, create_workspace, open_workspace

METHODS = ["exact", "minhash"]


@pytest.fixture
def workspace(tmp_path: Path):
    with open_workspace(create_workspace(tmp_path / "ws")) as opened:
        yield opened


def rows(workspace: Workspace) -> list[dict[str, Any]]:
    return workspace.catalog.table(
        """SELECT s.sample_id, s.text, s.dataset, s.state, v.reason, e.keeper_id, e.method, e.similarity, e.threshold
           FROM samples s LEFT JOIN current_verdicts v USING (sample_id) LEFT JOIN duplicates e USING (duplicate_id)
           ORDER BY s.sample_id"""
    ).to_pylist()


def kept(workspace: Workspace) -> set[int]:
    return {row["sample_id"] for row in rows(workspace) if row["state"] == "kept"}


def hold_the_laws(workspace: Workspace, threshold: float) -> None:
    """No two kept samples are similar, every drop is tied to a kept one, and `check` finds nothing."""
    found = {row["sample_id"]: row for row in rows(workspace)}
    standing = [row for row in found.values() if row["state"] == "kept"]
    for n, left in enumerate(standing):
        for right in standing[:n]:
            if {left["reason"], right["reason"]} != {"user"} and left["dataset"] == right["dataset"] == "d":
                assert jaccard(left["text"], right["text"]) < threshold
    for row in found.values():
        if row["state"] == "dropped" and row["reason"] != "user":
            keeper = found[row["keeper_id"]]
            assert keeper["state"] == "kept" or keeper["reason"] == "user"
            if row["method"] == "minhash":
                assert row["threshold"] == threshold
                assert row["similarity"] == pytest.approx(jaccard(row["text"], keeper["text"]), abs=1e-6)
                assert row["similarity"] >= threshold - 1e-6
            else:
                assert row["text"] == keeper["text"]
    report = check(workspace)
    assert not report.findings, report.findings


@given(st.integers(0, 10**6), st.integers(4, 40), st.sampled_from([0.4, 0.6]), st.sampled_from([0.6, 0.75, 0.9, 1.0]))
@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_kept_stays_kept_and_the_laws_hold_at_the_higher_threshold(tmp_path_factory, seed, count, low, high):
    folder = tmp_path_factory.mktemp("raise")
    with open_workspace(create_workspace(folder / "ws")) as workspace:
        put(workspace, drifting(seed, count))
        first = dedupe(workspace, "d", methods=METHODS, threshold=low, yes=True)
        before = kept(workspace)
        would = rethreshold(workspace, "d", high, dry_run=True)
        assert kept(workspace) == before and would.dry_run and would.run_id is None
        report = rethreshold(workspace, "d", high)
        hold_the_laws(workspace, high)
        after = kept(workspace)
        assert before <= after
        assert (report.samples, report.kept, report.dropped) == (count, len(after), count - len(after))
        assert report.came_back == len(after) - first.kept == would.came_back
        assert report.thresholds == {"minhash": (low, high)}
        states = rows(workspace)
        again = rethreshold(workspace, "d", high)
        assert (again.came_back, again.tied_anew, again.compared) == (0, 0, 0) and rows(workspace) == states


def chain(workspace: Workspace) -> tuple[str, str, str]:
    """a, b and c: b and c are tied to a at 0.5, and b resembles c more than either resembles a."""
    rng = random.Random(3)
    a = story(rng, 40).split()
    b = list(a)
    b[8] = b[20] = "other"
    c = list(b)
    c[39] = "last"
    texts = tuple(" ".join(words) for words in (a, b, c))
    assert jaccard(texts[0], texts[1]) < 0.75 and jaccard(texts[0], texts[2]) < 0.75 < 0.9 < jaccard(texts[1], texts[2])
    put(workspace, [*texts, story(rng, 40)])
    return texts


def test_one_that_comes_back_stands_for_another_that_resembles_it(workspace):
    chain(workspace)
    assert dedupe(workspace, "d", methods=METHODS, threshold=0.4).dropped == 2
    report = rethreshold(workspace, "d", {"minhash": 0.9})
    assert (report.came_back, report.tied_anew, report.dropped) == (1, 1, 1)
    first, second, third = (row for row in rows(workspace) if row["sample_id"] < 4)
    assert (first["state"], second["state"], third["keeper_id"]) == ("kept", "kept", second["sample_id"])
    hold_the_laws(workspace, 0.9)
    settings_of_run = json.loads(workspace.catalog.scalar("SELECT settings FROM runs ORDER BY run_id DESC LIMIT 1"))
    assert settings_of_run["methods"]["text"]["minhash"]["threshold"] == 0.9 and settings_of_run["rethreshold"] == 2


def test_a_copy_of_one_that_comes_back_is_dropped_in_its_favour(workspace):
    texts = chain(workspace)
    put(workspace, [texts[1], texts[1]], file="more.jsonl")
    assert dedupe(workspace, "d", methods=METHODS, threshold=0.4).dropped == 4
    assert rethreshold(workspace, "d", 0.9).dropped == 3
    hold_the_laws(workspace, 0.9)
    copies = [row for row in rows(workspace) if row["text"] == texts[1] and row["state"] == "dropped"]
    assert [(row["method"], row["keeper_id"]) for row in copies] == [("exact", 2), ("exact", 2)]


def test_a_users_words_count(workspace):
    chain(workspace)
    dedupe(workspace, "d", methods=METHODS, threshold=0.4)
    restore(workspace, [3])
    drop(workspace, [1])
    report = rethreshold(workspace, "d", 0.9)
    assert {row["sample_id"] for row in rows(workspace) if row["state"] == "dropped"} == {1, 2}
    assert report.came_back == 0 and report.tied_anew == 1
    assert next(row for row in rows(workspace) if row["sample_id"] == 2)["keeper_id"] == 3
    hold_the_laws(workspace, 0.9)


def test_what_another_dataset_has_still_counts(workspace):
    texts = chain(workspace)
    put(workspace, [texts[0], texts[2]], "other")
    dedupe(workspace, "d", methods=METHODS, threshold=0.4, against="other", yes=True)
    assert rethreshold(workspace, "d", 0.9).dropped == 3
    hold_the_laws(workspace, 0.9)
    drop(workspace, where="dataset = 'other' AND text LIKE '%last'")
    report = rethreshold(workspace, "d", 0.95)  # the one that stood for the second and third does not any more
    assert report.dropped == 1 and report.came_back == 2
    hold_the_laws(workspace, 0.95)


def test_lowering_and_what_cannot_be_known_from_the_evidence_is_refused(workspace):
    with pytest.raises(InputError, match="'d'"):
        rethreshold(workspace, "d", 0.9)
    chain(workspace)
    with pytest.raises(InputError, match="never deduplicated"):
        rethreshold(workspace, "d", 0.9)
    dedupe(workspace, "d", methods=["exact"])
    with pytest.raises(SettingError, match="no near-duplicates"):
        rethreshold(workspace, "d", 0.9)
    dedupe(workspace, "d", methods=METHODS, threshold=0.5)
    before = rows(workspace)
    for threshold, said in ((0.4, "less similar than 0.5"), (1.5, "got 1.5"), ({"semantic": 0.9}, "did not use 'semantic'")):
        with pytest.raises(SettingError, match=said) as refused:
            rethreshold(workspace, "d", threshold)
        assert refused.value.hint
    put(workspace, ["something new that came later"], file="more.jsonl")
    with pytest.raises(InputError, match="got samples after the last dedupe"):
        rethreshold(workspace, "d", 0.9)
    assert rows(workspace)[:4] == before
    dedupe(workspace, "d", methods=METHODS, threshold=0.5)
    take_back(workspace, "d")
    with pytest.raises(InputError, match="taken back"):
        rethreshold(workspace, "d", 0.9)


def test_pictures_are_raised_by_their_vectors_and_not_by_replaced_ones(workspace, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(2)
    for n in range(4):
        picture = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).resize((96, 96), Image.Resampling.BICUBIC)
        picture.save(folder / f"{n}.png")
        picture.resize((48, 48)).save(folder / f"{n}-small.jpg", quality=20)
        picture.crop((3, 3, 93, 93)).save(folder / f"{n}-crop.png")
    ingest(workspace, [folder], dataset="d")
    first = dedupe(workspace, "d", threshold=0.5, yes=True)
    assert first.kept < 8
    similar = sorted(row["similarity"] for row in rows(workspace) if row["state"] == "dropped")
    report = rethreshold(workspace, "d", {"perceptual": similar[-1]})
    assert report.kept > first.kept and check(workspace).findings == ()
    workspace.catalog.execute("UPDATE embedders SET created_at = created_at + INTERVAL 1 DAY")
    with pytest.raises(InputError, match="replaced after"):
        rethreshold(workspace, "d", 1.0)
    assert vectors.count(workspace.catalog, "perceptual") == 12
