"""Thresholds measured on labelled pairs: the bounds hold, nothing is recommended that the pairs do not bear out."""

from __future__ import annotations

import csv
import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from curate.catalog import vectors
from curate.deduplication.labelled_pairs import read_pairs
from curate.deduplication.precision_curve import ERROR, GRID, lower_bound, measure_curve, pairs_needed, recommend
from curate.errors import InputError, NeedsConfirmation, SettingError
from curate.steps.calibrate import calibrate, reset_threshold
from curate.steps.dedupe import dedupe
from curate.steps.embed import embed
from curate.steps.ingest import ingest
from curate.workspace import create_workspace, open_workspace

WORDS = [f"word{n}" for n in range(200)]


@pytest.fixture
def workspace(tmp_path: Path):
    with open_workspace(create_workspace(tmp_path / "ws")) as opened:
        yield opened


def write_pairs(path: Path, rows: list[tuple[str, str, object]], header: tuple[str, ...] = ("left", "right", "same")) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


# ── the curve ───────────────────────────────────────────────────────────────────────────────────────────────────────


def chance_of_so_many(hits: int, trials: int, share: float) -> float:
    return sum(math.comb(trials, n) * share**n * (1 - share) ** (trials - n) for n in range(hits, trials + 1))


@given(st.integers(1, 120).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
@settings(deadline=None, max_examples=60)
def test_the_lower_bound_is_where_so_many_hits_have_the_chance_that_is_allowed(numbers):
    hits, trials = numbers
    bound = lower_bound(hits, trials)
    assert 0 <= bound <= hits / trials
    if hits:
        assert chance_of_so_many(hits, trials, bound) == pytest.approx(ERROR, rel=1e-6)


def test_so_many_faultless_pairs_prove_a_precision_and_one_less_does_not():
    assert pairs_needed(0.99) == 299
    assert lower_bound(299, 299) >= 0.99 > lower_bound(298, 298)


PAIRS = st.lists(st.tuples(st.floats(-1, 1, width=32), st.booleans()), min_size=1, max_size=60)


@given(PAIRS)
@settings(deadline=None, max_examples=40)
def test_every_point_counts_the_pairs_at_or_above_it(pairs):
    curve = measure_curve(*columns(pairs))
    assert [point.threshold for point in curve] == list(GRID)
    for point in curve:
        above = [same for similarity, same in pairs if similarity >= point.threshold]
        positives = sum(same for _, same in pairs)
        assert (point.pairs, point.same) == (len(above), sum(above))
        assert point.precision == (sum(above) / len(above) if above else None)
        assert point.recall == (sum(above) / positives if positives else None)
        assert point.precision_low <= (point.precision or 0) and point.recall_low <= (point.recall or 0)
        if point.false_alarms is not None:
            assert point.false_alarms == (len(above) - sum(above)) / (len(pairs) - positives) <= point.false_alarms_high + 1e-12


def columns(pairs) -> tuple[np.ndarray, np.ndarray]:
    return np.array([s for s, _ in pairs], np.float32), np.array([same for _, same in pairs], np.bool_)


@given(PAIRS, st.sampled_from([0.5, 0.8, 0.95]), st.none() | st.sampled_from([0.3, 0.6, 0.95]))
@settings(deadline=None, max_examples=120)
def test_the_recommended_threshold_is_the_lowest_that_the_pairs_bear_out_and_never_under_the_floor(pairs, precision, floor):
    curve = measure_curve(*columns(pairs))
    found = recommend(curve, precision=precision, floor=floor)
    counted = [point for point in curve if point.pairs]
    sound = [p for p in counted if all(q.precision >= precision for q in counted if q.threshold >= p.threshold)]
    if found.threshold is None:
        assert not any(p.precision == 1 for p in sound) and not any(p.precision_low >= precision for p in sound)
        return
    assert floor is None or found.threshold >= floor
    shown = [p for p in sound if p.precision_low >= precision] or [p for p in sound if p.precision == 1]
    lowest = min(p.threshold for p in shown)
    assert found.threshold == max(lowest, floor or 0)
    at = next(p for p in curve if p.threshold >= found.threshold)
    assert found.proven == (at.precision_low >= precision)
    if not any(p.precision_low >= precision for p in sound):
        assert "too small" in found.why and f"{pairs_needed(precision):,} such pairs" in found.why


def test_pairs_that_no_threshold_parts_get_none():
    found = recommend(measure_curve(*columns([(0.9, False), (0.5, True)])), precision=0.99, floor=0.8)
    assert found.threshold is None and not found.proven


# ── the file ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_file_is_read_whatever_the_order_of_its_columns_and_the_words_for_same(tmp_path):
    rows: list[tuple[str, str, object]] = [
        (" Duplicate", "a,\nb", "c"), ("0", "d", ""), ("TRUE", "e", "f"), ("different", "g", "h"), ("yes", "i", "j"),
    ]  # fmt: skip
    read = read_pairs(write_pairs(tmp_path / "p.csv", rows, ("Same", "left", "right")))
    assert read.left == ("a,\nb", "d", "e", "g", "i") and read.right == ("c", "", "f", "h", "j")
    assert read.same.tolist() == [True, False, True, False, True]
    (tmp_path / "bom.csv").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "p.csv").read_bytes() + b"\n")
    assert read_pairs(tmp_path / "bom.csv").left == read.left


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"left,right\na,b\n", "no column 'same'; it has: left, right"),
        (b"", "no column 'left'; it has: none"),
        (b"left,right,same\n", "holds no pair"),
        (b"left,right,same\na,b,1\nc,d,perhaps\n", "line 3: same is 'perhaps'"),
        (b"left,right,same\na,b,1\nc,d\n", "line 3: 2 fields under 3 columns"),
        (b"left,right,same\n\xff,b,1\n", "no CSV file in UTF-8"),
        (b'left,right,same\n"a"x,b,1\n', "no CSV file"),
    ],
)
def test_a_file_that_cannot_be_understood_is_refused_with_its_line(tmp_path, content, said):
    (tmp_path / "p.csv").write_bytes(content)
    with pytest.raises(InputError, match=said):
        read_pairs(tmp_path / "p.csv")
    with pytest.raises(InputError, match="cannot be read"):
        read_pairs(tmp_path / "missing.csv")


# ── the step ────────────────────────────────────────────────────────────────────────────────────────────────────────


def texts(count: int) -> list[tuple[str, str, object]]:
    """Pairs that are the same but for one word, and pairs that share nothing."""
    rng = random.Random(5)
    rows: list[tuple[str, str, object]] = []
    for _ in range(count):
        words = rng.choices(WORDS, k=60)
        rows.append((" ".join(words), " ".join([*words[:-1], "other"]), 1))
        rows.append((" ".join(words), " ".join(rng.choices(WORDS, k=60)), 0))
    return rows


def test_minhash_is_measured_by_its_true_jaccard_and_the_default_is_not_undercut_unasked(workspace, tmp_path):
    file = write_pairs(tmp_path / "p.csv", texts(320))
    report = calibrate(workspace, file, method="minhash")
    assert (report.pairs, report.same, report.different) == (640, 320, 320)
    assert (report.shipped, report.before, report.recommended, report.proven) == (0.8, 0.8, 0.8, True)
    assert report.embedder is None and "Jaccard" in report.measure and report.saved is None and report.run_id is None
    assert next(point for point in report.curve if point.threshold == 0.8).recall == 1
    lowered = calibrate(workspace, file, method="minhash", lower=True)
    assert lowered.recommended is not None and lowered.recommended < 0.1 and lowered.proven
    assert workspace.catalog.scalar("SELECT count(*) FROM runs") == 0


def test_a_method_that_does_not_fit_is_refused(workspace, tmp_path):
    file = write_pairs(tmp_path / "p.csv", texts(2))
    for options, said in (
        ({"method": "exact"}, "no threshold to measure"),
        ({"method": "minhash", "embedder": "minilm"}, "uses no embedder"),
        ({"method": "perceptual", "embedder": "minilm"}, "vectors of perceptual"),
        ({"method": "minhash", "save": True}, "can be stored"),
        ({"method": "minhash", "precision": 1.0}, "precision"),
    ):
        with pytest.raises(SettingError, match=said):
            calibrate(workspace, file, **options)


def photographs(folder: Path) -> list[tuple[str, str, object]]:
    """Pictures, with one that is lighter and with another one each."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    rows: list[tuple[str, str, object]] = []
    for n in range(8):
        picture = Image.fromarray(rng.integers(0, 200, (8, 8, 3), np.uint8)).resize((64, 64), Image.Resampling.BICUBIC)
        picture.save(folder / f"{n}.png")
        picture.point([min(255, v + 20) for v in range(256)] * 3).save(folder / f"{n}-light.png")
        rows += [(f"{n}.png", f"{n}-light.png", "duplicate"), (f"{n}.png", f"{(n + 1) % 8}.png", "different")]
    return rows


def test_a_stored_threshold_is_the_default_until_it_is_reset(workspace, tmp_path):
    file = write_pairs(tmp_path / "photos" / "p.csv", photographs(tmp_path / "photos"))
    use: dict[str, Any] = {"method": "semantic", "embedder": "perceptual", "lower": True}
    measured = calibrate(workspace, file, **use)
    assert measured.recommended is not None and not measured.proven and measured.shipped == 0.8
    assert measured.recommended < 0.8 == calibrate(workspace, file, **{**use, "lower": False}).recommended
    with pytest.raises(NeedsConfirmation, match="too small"):
        calibrate(workspace, file, **use, save=True)
    assert vectors.embedders(workspace.catalog) == []
    saved = calibrate(workspace, file, **use, save=True, yes=True)
    assert saved.saved == saved.recommended == measured.recommended and saved.run_id is not None
    recorded = json.loads(workspace.catalog.scalar("SELECT settings FROM runs WHERE status = 'done'"))
    assert recorded["threshold"] == saved.saved and recorded["before"] == recorded["shipped"] == 0.8

    (tmp_path / "photos" / "p.csv").unlink()
    ingest(workspace, [tmp_path / "photos"], dataset="photos")
    assert dedupe(workspace, "photos", methods=["semantic"], embedder="perceptual").thresholds == {"semantic": saved.saved}
    reset = reset_threshold(workspace, embedder="perceptual")
    assert (reset.before, reset.threshold) == (saved.saved, 0.8)
    assert dedupe(workspace, "photos", methods=["semantic"], embedder="perceptual").thresholds == {"semantic": 0.8}
    with pytest.raises(InputError, match="stored nothing"):
        reset_threshold(workspace, embedder="minilm")


def test_pictures_are_found_from_the_folder_of_the_file_and_a_bad_one_is_named(workspace, tmp_path):
    rows = photographs(tmp_path / "photos")
    report = calibrate(workspace, write_pairs(tmp_path / "photos" / "p.csv", rows), method="perceptual")
    assert report.embedder == "perceptual" and report.shipped == report.before == 0.85
    assert report.recommended is None or any("in dedupe pairs are looked for" in note for note in report.notes)
    assert next(point for point in report.curve if point.threshold == 0.85).recall == 1
    (tmp_path / "photos" / "bad.png").write_bytes(b"no picture")
    for name, said in (("bad.png", "cannot be read as an image"), ("gone.png", "cannot be read")):
        file = write_pairs(tmp_path / "photos" / "q.csv", [*rows, ("0.png", name, 0)])
        with pytest.raises(InputError, match=f"{name} {said}"):
            calibrate(workspace, file, method="perceptual")


@pytest.mark.slow
def test_the_text_embedder_of_the_workspace_is_measured_where_nothing_is_named(workspace, tmp_path):
    rows: list[tuple[str, str, object]] = [
        ("My card has not arrived.", "my card has not arrived", 1),
        ("My card.", "A fee?", 0),
    ]
    report = calibrate(workspace, write_pairs(tmp_path / "p.csv", rows))
    assert (report.method, report.embedder, report.shipped, report.recommended) == ("semantic", "minilm", 0.95, 0.95)
    assert not report.proven and "too small" in report.why


def test_vectors_that_the_catalog_has_are_not_made_again(workspace, tmp_path):
    folder = tmp_path / "photos"
    file = write_pairs(folder / "p.csv", photographs(folder))
    anew = calibrate(workspace, file, method="perceptual")
    ingest(workspace, [folder], dataset="photos", include=["*.png"])
    embed(workspace, "photos", embedder="perceptual")
    known = calibrate(workspace, file, method="perceptual")
    assert not any("in the catalog already" in note for note in anew.notes)
    assert "16 of the vectors were in the catalog already" in known.notes
    assert known.curve == anew.curve
    workspace.catalog.execute("UPDATE embedders SET fingerprint = 'another model'")
    assert not any("in the catalog" in note for note in calibrate(workspace, file, method="perceptual").notes)
