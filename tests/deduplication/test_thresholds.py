"""Borderline pairs and sizes: what is shown lies next to the threshold, what is found keeps no fewer than wanted."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stories import WORDS, drifting, jaccard, put

from curate.errors import InputError, NeedsConfirmation, SettingError
from curate.steps.borderline import borderline
from curate.steps.dedupe import dedupe
from curate.steps.target_size import LEAST, STEPS, target_size
from curate.workspace import Workspace, create_workspace, open_workspace


@pytest.fixture
def workspace(tmp_path: Path):
    with open_workspace(create_workspace(tmp_path / "ws")) as opened:
        yield opened


def recorded(workspace: Workspace) -> tuple[int, ...]:
    return tuple(workspace.catalog.scalar(f"SELECT count(*) FROM {table}") for table in ("runs", "verdicts", "duplicates"))


# ── borderline ──────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.integers(0, 10**6), st.integers(2, 30), st.sampled_from([0.5, 0.7, 0.9]), st.integers(1, 6))
@settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pairs_on_both_sides_are_true_and_none_kept_is_nearer_than_the_first_below(tmp_path_factory, seed, count, line, shown):
    folder = tmp_path_factory.mktemp("border")
    with open_workspace(create_workspace(folder / "ws")) as workspace:
        texts = drifting(seed, count)
        put(workspace, texts)
        before = recorded(workspace)
        report = borderline(workspace, "d", shown, method="minhash", threshold=line)
        assert recorded(workspace) == before and (report.method, report.threshold) == ("minhash", line)
        assert len(report.above) <= shown and len(report.below) <= shown
        for pair in (*report.above, *report.below):
            assert pair.left.sample_id < pair.right.sample_id
            assert pair.similarity == pytest.approx(jaccard(str(pair.left.text), str(pair.right.text)), abs=1e-6)
        above, below = ([pair.similarity for pair in side] for side in (report.above, report.below))
        assert above == sorted(above) and all(s >= line - 1e-6 for s in above)
        assert below == sorted(below, reverse=True) and all(s < line for s in below)

        judged = dedupe(workspace, "d", methods=["minhash"], threshold=line, yes=True)
        ties = sorted(
            row[0]
            for row in workspace.catalog.rows(
                """SELECT e.similarity FROM current_verdicts v JOIN duplicates e USING (duplicate_id)
                   JOIN real_samples s ON s.sample_id = v.sample_id JOIN real_samples k ON k.sample_id = e.keeper_id
                   WHERE s.content_hash <> k.content_hash AND s.sample_id IN
                       (SELECT min(sample_id) FROM real_samples GROUP BY content_hash)"""
            )
        )
        assert above == pytest.approx(ties[:shown])
        kept = [row[0] for row in workspace.catalog.rows("SELECT text FROM curated ORDER BY sample_id")]
        assert len(kept) == judged.kept
        pairs = sorted((jaccard(a, b) for n, a in enumerate(kept) for b in kept[:n]), reverse=True)
        if pairs and pairs[0] >= line / 2:
            assert below[0] == pytest.approx(pairs[0], abs=1e-6)
            assert all(min(abs(s - p) for p in pairs) < 1e-6 for s in below)
        else:
            assert below == [] and "were not looked for" in report.notes[-1]


def test_a_method_without_a_threshold_and_counts_of_nothing_are_refused(workspace):
    put(workspace, drifting(1, 4))
    for count, options, said in (
        (0, {}, "1 or more"),
        (3, {"method": "exact"}, "no threshold"),
        (3, {"method": "perceptual"}, "for image samples"),
        (3, {"method": "minhash", "settings": {"ngrams": 3}}, "'ngrams'"),
        (3, {"method": "minhash", "threshold": 1.5}, "1.5"),
    ):
        with pytest.raises(SettingError, match=said):
            borderline(workspace, "d", count, **options)
    with pytest.raises(InputError, match="'nobody'"):
        borderline(workspace, "nobody", 3)


def test_one_sample_has_no_pair(workspace):
    put(workspace, ["only one"])
    report = borderline(workspace, "d", 3, method="minhash")
    assert (report.above, report.below) == ((), ())


# ── a size ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.integers(0, 10**6), st.integers(8, 40), st.floats(0, 1))
@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_threshold_keeps_no_fewer_than_wanted_and_is_applied_as_it_was_tried(tmp_path_factory, seed, count, share):
    folder = tmp_path_factory.mktemp("size")
    with open_workspace(create_workspace(folder / "ws")) as workspace:
        put(workspace, drifting(seed, count))
        least, most = (
            dedupe(workspace, "d", methods=["exact", "minhash"], threshold=t, dry_run=True).kept for t in (LEAST, 1.0)
        )
        target = least + round(share * (most - least))
        before = recorded(workspace)
        would = target_size(workspace, "d", target, method="minhash", dry_run=True)
        assert recorded(workspace) == before and would.applied is None and would.dry_run
        assert would.kept >= target and would.samples == count
        tried = {trial.threshold: trial.kept for trial in would.trials}
        assert (tried[LEAST], tried[1.0]) == (least, most) and tried[would.threshold] == would.kept
        assert would.kept == min(kept for kept in tried.values() if kept >= target)
        assert would.kept == target or tried.get(round(would.threshold - 1 / STEPS, 4), 0) < target
        report = target_size(workspace, "d", target, method="minhash", yes=True)
        assert report.applied is not None and report.trials == would.trials
        assert workspace.catalog.scalar("SELECT count(*) FROM curated") == report.applied.kept == would.kept
        assert report.applied.thresholds["minhash"] == would.threshold


def test_a_size_out_of_reach_is_refused_with_what_can_be_reached(workspace):
    texts = drifting(3, 30)
    put(workspace, texts)
    for target in (0, len(texts) + 1):
        with pytest.raises(InputError, match=rf"cannot keep {target} samples of d: it keeps from \d+ \(at 0.5\) to") as refused:
            target_size(workspace, "d", target, method="minhash")
        reachable = int((refused.value.hint or "").split()[-1])
        assert target_size(workspace, "d", reachable, method="minhash", dry_run=True).kept == reachable
    assert workspace.catalog.scalar("SELECT count(*) FROM verdicts") == 0
    with pytest.raises(SettingError, match="no threshold"):
        target_size(workspace, "d", 3, method="exact")
    with pytest.raises(InputError, match="'nobody'"):
        target_size(workspace, "nobody", 3)


def test_a_size_that_drops_nearly_all_stops_and_asks(workspace):
    rng = random.Random(2)
    base = [rng.choice(WORDS) for _ in range(200)]
    put(workspace, [" ".join([*base, f"tail{n}"]) for n in range(120)])
    with pytest.raises(NeedsConfirmation, match="nothing was changed"):
        target_size(workspace, "d", 1, method="minhash")
    assert target_size(workspace, "d", 1, method="minhash", yes=True).kept == 1
