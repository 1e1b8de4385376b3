"""The laws of dedupe over real text and images: what is dropped repeats what is kept, and running again changes nothing."""

from __future__ import annotations

import dataclasses
import io
import json
import random
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image
from stories import WORDS, put, story

from curate.catalog import vectors
from curate.catalog.evidence import evidence
from curate.catalog.vectors import EmbedderRow
from curate.dedupers.minhash import MinHashDeduper
from curate.deduplication.report import DedupeReport
from curate.embedders.perceptual import Perceptual
from curate.errors import InputError, NeedsConfirmation, SettingError
from curate.steps.dedupe import dedupe
from curate.steps.drop import drop
from curate.steps.embed import embed
from curate.steps.ingest import ingest
from curate.steps.restore import restore
from curate.steps.take_back import take_back
from curate.workspace import Workspace, create_workspace, open_workspace

TEXT_METHODS = ["exact", "minhash"]


@pytest.fixture
def workspace(tmp_path: Path):
    with open_workspace(create_workspace(tmp_path / "ws")) as opened:
        yield opened


def edited(rng: random.Random, text: str, changes: int) -> str:
    words = text.split()
    for _ in range(changes):
        words[rng.randrange(len(words))] = rng.choice(WORDS)
    return " ".join(words)


def planted(seed: int, count: int) -> list[str]:
    """Stories, byte-identical copies of some, and edits whose Jaccard lies on both sides of any threshold."""
    rng = random.Random(seed)
    made = [story(rng, rng.choice([5, 12, 60])) for _ in range(3)]
    while len(made) < count:
        kind = rng.random()
        if kind < 0.3:
            made.append(story(rng, rng.choice([1, 8, 60])))
        elif kind < 0.5:
            made.append(rng.choice(made))
        else:
            made.append(edited(rng, rng.choice(made), rng.randint(1, 4)))
    return made


def jaccard(left: str, right: str, ngram: int = 5) -> float:
    """Of sets of n-grams, in Python: of words, or of characters where there are fewer words."""

    def shingles(text: str) -> set[tuple[str, ...]]:
        tokens = re.findall(r"\w+", text.lower())
        if len(tokens) < ngram:
            tokens = list("".join(text.lower().split()))
        return {tuple(tokens[i : i + ngram]) for i in range(max(1, len(tokens) - ngram + 1))}

    a, b = shingles(left), shingles(right)
    return len(a & b) / len(a | b)


def rows(workspace: Workspace, dataset: str = "d") -> list[dict[str, Any]]:
    """Every sample of a dataset with its state and the evidence that it rests on."""
    return workspace.catalog.table(
        """SELECT s.sample_id, s.text, s.content_hash, s.state, v.reason, e.keeper_id, e.method, e.similarity, e.threshold
           FROM samples s LEFT JOIN current_verdicts v USING (sample_id) LEFT JOIN duplicates e USING (duplicate_id)
           WHERE s.dataset = ? ORDER BY s.sample_id""",
        [dataset],
    ).to_pylist()


def kept_texts(workspace: Workspace, dataset: str = "d") -> list[str]:
    return sorted(row["text"] for row in rows(workspace, dataset) if row["state"] == "kept")


def written(workspace: Workspace) -> tuple[int, int]:
    return (
        workspace.catalog.scalar("SELECT count(*) FROM verdicts"),
        workspace.catalog.scalar("SELECT count(*) FROM duplicates"),
    )


def check(workspace: Workspace, report: DedupeReport, *, threshold: float = 0.8, dataset: str = "d") -> DedupeReport:
    """Every drop is justified by recomputation, and no two kept samples are similar."""
    found = rows(workspace, dataset)
    everything = {row["sample_id"]: row for name in {dataset, *report.against} for row in rows(workspace, name)}
    dropped = [row for row in found if row["state"] == "dropped"]
    kept = [row for row in found if row["state"] == "kept"]
    assert report.samples == len(found) == report.kept + report.dropped
    assert report.kept == len(kept) and report.dropped == len(dropped) == sum(report.by_method.values())
    sizes: dict[int, int] = {}
    for row in dropped:
        if row["reason"] == "user":
            continue
        keeper = everything[row["keeper_id"]]
        sizes[row["keeper_id"]] = sizes.get(row["keeper_id"], 0) + 1
        banned = everything[row["keeper_id"]]["state"] == "dropped" and keeper["reason"] == "user"
        assert keeper["state"] == "kept" or banned
        if row["method"] == "exact":
            assert row["content_hash"] == keeper["content_hash"] and row["similarity"] == 1
        elif row["method"] == "minhash":
            true = jaccard(row["text"], keeper["text"])
            assert true >= threshold - 1e-6 and row["similarity"] == pytest.approx(true, abs=1e-6)
            assert row["threshold"] == threshold
    assert report.groups == len(sizes) and report.largest_group == (max(sizes.values()) + 1 if sizes else 0)
    free = [row for row in kept if row["reason"] != "user"]
    for n, left in enumerate(free):
        for right in free[:n]:
            assert left["content_hash"] != right["content_hash"]
            if "minhash" in report.thresholds:
                assert jaccard(left["text"], right["text"]) < threshold
    return report


KEEPS = st.sampled_from(["first", "longest", "largest"])


@given(st.integers(0, 10**6), st.integers(3, 24), KEEPS, st.sampled_from([0.5, 0.8]))
@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_drops_are_justified_kept_samples_unlike_and_a_rerun_writes_nothing(tmp_path_factory, seed, count, keep, threshold):
    folder = tmp_path_factory.mktemp("dedupe")
    with open_workspace(create_workspace(folder / "ws")) as workspace:
        put(workspace, planted(seed, count))
        options: dict[str, Any] = {"methods": TEXT_METHODS, "keep": keep, "threshold": threshold, "yes": True}
        first = check(workspace, dedupe(workspace, "d", **options), threshold=threshold)
        assert (first.newly_dropped, first.restored) == (first.dropped, 0)
        before = written(workspace)
        again = check(workspace, dedupe(workspace, "d", **options), threshold=threshold)
        assert (again.newly_dropped, again.restored, again.dropped) == (0, 0, first.dropped)
        assert written(workspace) == before

        narrow = dedupe(workspace, "d", methods=["exact"], keep=keep)
        assert narrow.restored == first.dropped - narrow.dropped + narrow.newly_dropped
        assert len(kept_texts(workspace)) == narrow.kept == len({row["text"] for row in rows(workspace)})
        check(workspace, narrow)


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_with_keep_longest_the_order_of_ingest_changes_nothing_that_is_kept(tmp_path_factory, seed):
    folder = tmp_path_factory.mktemp("order")
    texts = planted(seed, 20)
    shuffled = random.Random(seed).sample(texts, len(texts))
    ended = []
    with open_workspace(create_workspace(folder / "ws")) as workspace:
        for name, order in (("d", texts), ("e", shuffled)):
            put(workspace, order, name)
            check(workspace, dedupe(workspace, name, methods=TEXT_METHODS, keep="longest", yes=True), dataset=name)
            ended.append(kept_texts(workspace, name))
    assert ended[0] == ended[1]


# ── again and again ─────────────────────────────────────────────────────────────────────────────────────────────────


def give_vectors(workspace: Workspace, dataset: str = "d") -> None:
    """Give every sample that has none a vector under the name of the embedder `static`: the mean of vectors of its words."""
    catalog = workspace.catalog
    vectors.register(catalog, EmbedderRow("static", "static", "toy", 40, "means of words", 0.97))
    known, _ = vectors.load(catalog, "static")
    fresh = [(row["sample_id"], row["text"]) for row in rows(workspace, dataset) if row["sample_id"] not in known]
    words = {word: np.random.default_rng(n).standard_normal(40) for n, word in enumerate(WORDS)}
    made = np.array([sum(words.get(word, words[WORDS[0]]) for word in text.split()) for _, text in fresh], np.float32)
    if fresh:
        made /= np.linalg.norm(made, axis=1, keepdims=True)
        vectors.add(catalog, "static", np.array([sample_id for sample_id, _ in fresh]), made)


def decided(workspace: Workspace) -> list[dict[str, Any]]:
    """Every sample with its state and its evidence, settings and all."""
    found = [(row, evidence(workspace.catalog, row["sample_id"])) for row in rows(workspace)]
    # One that an earlier dedupe dropped and this one brings back is as one that was always kept, but for the words.
    back = {"reason": None, "evidence": None}
    return [row | (back if row["state"] == "kept" else {"evidence": why}) for row, why in found]


@given(
    st.integers(0, 10**6),
    st.lists(st.integers(1, 16), min_size=2, max_size=3),
    st.sampled_from([["exact", "minhash", "semantic"], ["minhash", "semantic"], ["exact", "minhash"], ["semantic"]]),
    st.sampled_from(["first", "first", "first", "longest"]),
)
@example(80, [1, 12, 3], ["exact", "minhash", "semantic"], "longest")  # a longer newcomer brings a dropped sample back
@settings(deadline=None, max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_dedupe_after_each_ingest_ends_as_one_of_everything_does(tmp_path_factory, seed, sizes, methods, keep):
    folder = tmp_path_factory.mktemp("again")
    texts = planted(seed, sum(sizes))[: sum(sizes)]
    options: dict[str, Any] = {"methods": methods, "keep": keep, "embedder": "static", "yes": True, "threshold": {}}
    options["threshold"] = {"minhash": 0.6} if "minhash" in methods else None
    ended = []
    for often in (True, False):
        with open_workspace(create_workspace(folder / f"often-{often}")) as workspace:
            for n, end in enumerate(np.cumsum(sizes)):
                put(workspace, texts[end - sizes[n] : end], file=f"{n}.jsonl")
                give_vectors(workspace)
                if often or end == len(texts):
                    report = dedupe(workspace, "d", **options)
            ended.append(decided(workspace))
            assert report.taken_over == (len({*texts[: end - sizes[-1]]}) if often and keep == "first" else report.taken_over)
            if often:
                before = written(workspace)
                again = dedupe(workspace, "d", **options)
                assert (again.compared, again.taken_over, written(workspace)) == (0, len({*texts}), before)
    for mine, theirs in zip(*ended, strict=True):
        assert mine == theirs


@pytest.mark.parametrize("keep", ["first", "largest"])
def test_neither_threads_nor_memory_nor_caches_move_a_verdict(workspace, keep):
    put(workspace, planted(12, 120))
    give_vectors(workspace)
    options: dict[str, Any] = {"methods": ["exact", "minhash", "semantic"], "keep": keep, "embedder": "static", "yes": True}
    options["settings"] = {"guards": "none"}  # the words of stories are names with numbers
    dedupe(workspace, "d", **options)
    before, counts = decided(workspace), written(workspace)
    assert any(row["reason"] == "minhash" for row in before) and any(row["reason"] == "semantic" for row in before)
    for threads, memory in ((1, "2GB"), (2, "1kB"), (3, "20kB")):
        limits = dataclasses.replace(workspace.settings.limits, threads=threads)
        workspace.settings = dataclasses.replace(workspace.settings, limits=limits)
        for cache in ("judged", "sketches", "contents"):
            shutil.rmtree(workspace.root / "indexes" / cache, ignore_errors=True)  # "longest" reads all contents anyway
        done = dedupe(workspace, "d", **options, memory=memory)
        assert any("on top" in note for note in done.notes) == (memory != "2GB")
        assert (decided(workspace), written(workspace)) == (before, counts)
        spilled = (workspace.root / "indexes" / "spill").iterdir()
        assert not [file for file in spilled if not file.name.startswith("duckdb")]


def test_new_texts_alone_are_sketched_and_compared(workspace, monkeypatch):
    sketched = []
    real = MinHashDeduper.sketch

    def counted(self: MinHashDeduper, texts: Any, **options: Any) -> Any:
        sketched.append(len(texts))
        return real(self, texts, **options)

    monkeypatch.setattr(MinHashDeduper, "sketch", counted)
    put(workspace, planted(8, 40))
    first = dedupe(workspace, "d", methods=TEXT_METHODS)
    contents = len({row["text"] for row in rows(workspace)})
    assert sum(sketched) == contents and first.taken_over == 0
    put(workspace, ["quite another text", "and yet one more"], file="more.jsonl")
    second = check(workspace, dedupe(workspace, "d", methods=TEXT_METHODS))
    assert sum(sketched) == contents + 2 and second.taken_over == contents
    assert any(f"{contents} of {contents + 2} distinct texts" in note for note in second.notes)
    dedupe(workspace, "d", methods=TEXT_METHODS, keep="longest")
    put(workspace, planted(8, 40), "copy")
    dedupe(workspace, "copy", methods=TEXT_METHODS)
    assert sum(sketched) == contents + 2
    dedupe(workspace, "d", methods=TEXT_METHODS, settings={"ngram": 4})
    assert sum(sketched) == 2 * (contents + 2)


@pytest.mark.parametrize("harm", ["gone", "cut", "flipped", "no manifest", "another manifest"])
def test_damaged_sketches_are_made_anew(workspace, harm):
    put(workspace, planted(6, 30))
    first = dedupe(workspace, "d", methods=TEXT_METHODS)
    before = decided(workspace)
    (manifest,) = (workspace.root / "indexes" / "sketches").glob("*/manifest.json")
    segment = manifest.parent / "sketch"
    whole = segment.read_bytes()
    if harm == "gone":
        segment.unlink()
    elif harm == "no manifest":
        manifest.unlink()
    elif harm == "another manifest":
        name = "../../../curate.toml"
        span = {"rows": 1, "sha256": {name: "0"}, "note": {}}
        manifest.write_text(json.dumps({"columns": {name: [1, "|u1"]}, "spans": [span], "stamps": {name: [1, 1]}}))
    else:
        segment.write_bytes(whole[:-8] if harm == "cut" else whole[:9] + bytes([whole[9] ^ 1]) + whole[10:])
    for file in (workspace.root / "indexes" / "judged").iterdir():
        file.unlink()
    assert check(workspace, dedupe(workspace, "d", methods=TEXT_METHODS)).dropped == first.dropped
    assert decided(workspace) == before and segment.read_bytes() == whole
    assert (workspace.root / "curate.toml").exists()


def test_a_word_of_the_user_on_an_old_sample_is_heeded(workspace):
    a_group(workspace)
    options: dict[str, Any] = {"methods": TEXT_METHODS, "threshold": 0.6}
    dedupe(workspace, "d", **options)
    drop(workspace, [ids(workspace)[0]])
    put(workspace, ["a text of its own"], file="more.jsonl")
    report = check(workspace, dedupe(workspace, "d", **options), threshold=0.6)
    assert report.by_method == {"user": 1, "minhash": 2} and report.taken_over == 0
    assert any("judged anew" in note for note in report.notes)


# ── users ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def a_group(workspace: Workspace) -> tuple[str, str, str]:
    """Three like texts, the first one kept, and three others."""
    rng = random.Random(1)
    first = story(rng)
    group = (first, edited(rng, first, 1), edited(rng, first, 1))
    assert all(jaccard(a, b) >= 0.6 for a in group for b in group)
    put(workspace, [*group, story(rng), story(rng), story(rng)])
    return group


def ids(workspace: Workspace) -> list[int]:
    return [row["sample_id"] for row in rows(workspace)]


def test_a_pinned_sample_stays_and_stands_for_what_resembles_it(workspace):
    group = a_group(workspace)
    options: dict[str, Any] = {"methods": TEXT_METHODS, "threshold": 0.6}
    assert dedupe(workspace, "d", **options).dropped == 2
    second = ids(workspace)[1]
    assert restore(workspace, [second]).changed == 1 and restore(workspace, [second]).changed == 0
    report = check(workspace, dedupe(workspace, "d", **options), threshold=0.6)
    assert report.newly_dropped == 1 and report.dropped == 2
    kept = kept_texts(workspace)
    assert group[1] in kept and group[0] not in kept and group[2] not in kept
    assert {row["keeper_id"] for row in rows(workspace) if row["state"] == "dropped"} == {second}


def test_what_a_user_drops_stays_dropped_and_what_resembles_it_follows(workspace):
    a_group(workspace)
    options: dict[str, Any] = {"methods": TEXT_METHODS, "threshold": 0.6}
    first = ids(workspace)[0]
    assert drop(workspace, [first]).changed == 1
    report = check(workspace, dedupe(workspace, "d", **options), threshold=0.6)
    assert report.by_method == {"user": 1, "minhash": 2} and report.kept == 3
    restore(workspace, [first])
    assert check(workspace, dedupe(workspace, "d", **options), threshold=0.6).by_method == {"minhash": 2}


def test_a_banned_text_bans_its_copies_and_a_copy_that_comes_later(workspace):
    put(workspace, ["spam", "ham", "spam", "eggs"])
    drop(workspace, where="text = 'ham'")
    drop(workspace, [ids(workspace)[0]])
    assert check(workspace, dedupe(workspace, "d", methods=["exact"])).by_method == {"user": 2, "exact": 1}
    put(workspace, ["spam", "new"], file="more.jsonl")
    report = check(workspace, dedupe(workspace, "d", methods=["exact"]))
    assert (report.by_method, report.newly_dropped) == ({"user": 2, "exact": 2}, 1)
    assert kept_texts(workspace) == ["eggs", "new"]


def test_taking_back_restores_all_that_dedupe_dropped_and_no_more(workspace):
    put(workspace, ["a", "a", "b", "b", "c"])
    drop(workspace, where="text = 'c'")
    assert dedupe(workspace, "d", methods=["exact"]).kept == 2
    assert take_back(workspace, "d").changed == 2 and take_back(workspace, "d").changed == 0
    assert kept_texts(workspace) == ["a", "a", "b", "b"]
    assert dedupe(workspace, "d", methods=["exact"]).newly_dropped == 2


# ── against ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_against_drops_what_the_other_dataset_keeps_and_leaves_that_alone(workspace):
    rng = random.Random(3)
    shared, near, own = story(rng), story(rng), story(rng)
    put(workspace, [own, shared, edited(rng, near, 1), own])
    put(workspace, [shared, near, shared, "gone"], "other")
    drop(workspace, where="dataset = 'other' AND text = 'gone'")
    put(workspace, ["gone"], file="late.jsonl")
    report = dedupe(workspace, "d", methods=TEXT_METHODS, threshold=0.6, against="other", yes=True)
    check(workspace, report, threshold=0.6)
    assert kept_texts(workspace) == sorted([own, "gone"]) and report.by_method == {"exact": 2, "minhash": 1}
    assert len(kept_texts(workspace, "other")) == 3
    assert dedupe(workspace, "d", methods=TEXT_METHODS, threshold=0.6).restored == 2
    with pytest.raises(SettingError, match="itself"):
        dedupe(workspace, "d", against="d")
    with pytest.raises(InputError, match="nobody"):
        dedupe(workspace, "d", against="nobody")


# ── stopping ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_dry_run_says_what_would_happen_and_writes_nothing(workspace):
    put(workspace, planted(5, 20))
    dedupe(workspace, "d", methods=["exact"])
    before = written(workspace), workspace.catalog.scalar("SELECT count(*) FROM runs")
    would = dedupe(workspace, "d", methods=TEXT_METHODS, dry_run=True)
    assert would.dry_run and would.run_id is None
    assert (written(workspace), workspace.catalog.scalar("SELECT count(*) FROM runs")) == before
    does = check(workspace, dedupe(workspace, "d", methods=TEXT_METHODS))
    for name in ("samples", "kept", "dropped", "groups", "largest_group", "by_method", "newly_dropped", "restored"):
        assert getattr(would, name) == getattr(does, name), name


def near_copies(count: int) -> list[str]:
    rng = random.Random(11)
    base = story(rng, 200)
    return [edited(rng, base, 1) + f" tail{n}" for n in range(count)]


@pytest.mark.parametrize(
    ("others", "what"),
    [(5, "109 of 115 samples would be dropped"), (200, "one group of near-duplicates would hold 110 of 310 samples")],
)
def test_a_false_group_stops_the_step_shows_itself_and_changes_nothing_until_told_yes(workspace, others, what):
    rng = random.Random(7)
    put(workspace, [story(rng) for _ in range(others)] + near_copies(110))
    with pytest.raises(NeedsConfirmation, match=f"{what}; nothing was changed") as stopped:
        dedupe(workspace, "d", methods=TEXT_METHODS)
    assert "--yes" in (stopped.value.hint or "")
    texts = {row["sample_id"]: row["text"] for row in rows(workspace)}
    group = ids(workspace)[others:]
    shown = re.findall(r"\n    (\d+): (.*)", str(stopped.value))
    assert len(shown) == 5 and int(shown[0][0]) == group[0] and {int(sample_id) for sample_id, _ in shown} <= set(group)
    assert texts[group[0]].startswith(shown[0][1].partition("…")[0])
    assert all(f"{{+tail{texts[int(sample_id)].rpartition('tail')[2]}+}}" in difference for sample_id, difference in shown[1:])
    assert written(workspace) == (0, 0)
    assert workspace.catalog.rows("SELECT status FROM runs WHERE step = 'dedupe'") == [("failed",)]
    report = dedupe(workspace, "d", methods=TEXT_METHODS, yes=True)
    assert report.largest_group == 110 and report.kept == others + 1


def test_a_group_of_a_quarter_raises_no_alarm(workspace):
    rng = random.Random(7)
    put(workspace, near_copies(40) + [story(rng) for _ in range(120)])
    assert dedupe(workspace, "d", methods=TEXT_METHODS).largest_group == 40


def test_many_byte_identical_copies_raise_no_alarm(workspace):
    put(workspace, ["same"] * 150 + [f"text {n}" for n in range(50)])
    assert dedupe(workspace, "d", methods=["exact"]).dropped == 149


def test_nearly_all_being_copies_is_said_in_the_report(workspace):
    put(workspace, ["same"] * 150 + [f"text {n}" for n in range(5)])
    report = dedupe(workspace, "d", methods=["exact"])
    assert "149 of 155 samples repeat another, 149 of them to the letter: look before you trust it" in report.notes


def test_a_dozen_samples_that_are_nearly_all_dropped_raise_the_alarm_too(workspace):
    put(workspace, near_copies(12))
    with pytest.raises(NeedsConfirmation, match="11 of 12 samples would be dropped"):
        dedupe(workspace, "d", methods=TEXT_METHODS)


# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_settings_that_no_method_would_obey_are_refused(workspace):
    put(workspace, planted(2, 10))
    for options, message in (
        ({"settings": {"ngrams": 7}}, "'ngrams'"),
        ({"threshold": {"perceptual": 0.9}}, "'perceptual'"),
        ({"methods": ["perceptual"]}, "perceptual"),
        ({"methods": ["nearest"]}, "'nearest'"),
        ({"threshold": 3.0}, "3"),
        ({"keep": "newest"}, "'newest'"),
    ):
        with pytest.raises(SettingError, match=message):
            dedupe(workspace, "d", **{"methods": TEXT_METHODS, **options})
    with pytest.raises(InputError, match="'nobody'"):
        dedupe(workspace, "nobody")
    assert written(workspace) == (0, 0)


def test_a_threshold_by_method_and_a_setting_reach_their_method_and_its_evidence(workspace):
    rng = random.Random(4)
    base = story(rng, 40)
    near = edited(rng, base, 3)
    put(workspace, [base, near, story(rng)])
    close = jaccard(base, near, 2)
    assert close > jaccard(base, near, 5) + 0.05
    report = dedupe(workspace, "d", methods=TEXT_METHODS, threshold={"minhash": close - 0.01}, settings={"ngram": 2})
    assert report.thresholds == {"exact": 1.0, "minhash": close - 0.01} and report.dropped == 1
    recorded = json.loads(workspace.catalog.scalar("SELECT settings FROM duplicates"))
    assert recorded["ngram"] == 2 and recorded["threshold"] == close - 0.01
    assert dedupe(workspace, "d", methods=TEXT_METHODS, threshold={"minhash": close - 0.01}).restored == 1


def test_an_empty_dataset_is_said_to_be_empty(workspace, tmp_path):
    (tmp_path / "bad.jsonl").write_text("{\n")
    ingest(workspace, [tmp_path / "bad.jsonl"], dataset="d")
    with pytest.raises(InputError, match="no samples"):
        dedupe(workspace, "d")


# ── images ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def photograph(seed: int, size: int = 96) -> Image.Image:
    blots = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return Image.fromarray(blots).resize((size, size), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def test_images_of_one_picture_are_one_and_the_largest_is_kept(workspace, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(4):
        (folder / f"{seed}.png").write_bytes(encoded(photograph(seed)))
    (folder / "0-again.png").write_bytes(encoded(photograph(0)))
    (folder / "1-small.jpg").write_bytes(encoded(photograph(1).resize((64, 64)), "JPEG", quality=90))
    (folder / "2-large.png").write_bytes(encoded(photograph(2).resize((200, 200), Image.Resampling.BICUBIC)))
    ingest(workspace, [folder], dataset="d")
    report = dedupe(workspace, "d", keep="largest")
    assert report.by_method == {"exact": 1, "perceptual": 2} and report.kept == 4
    kept = {Path(row[0]).name for row in workspace.catalog.rows("SELECT source FROM curated")}
    assert {"1.png", "2-large.png", "3.png"} < kept and len(kept & {"0.png", "0-again.png"}) == 1
    assert dedupe(workspace, "d", keep="largest").newly_dropped == 0


def test_vectors_of_an_earlier_version_are_refused_with_the_command_that_makes_them_anew(workspace, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(3):
        (folder / f"{seed}.png").write_bytes(encoded(photograph(seed)))
    ingest(workspace, [folder], dataset="d")
    embed(workspace, "d", embedder="perceptual")
    with workspace.catalog.transaction():
        workspace.catalog.execute("DROP TABLE vectors_perceptual")
        workspace.catalog.execute("CREATE TABLE vectors_perceptual (sample_id BIGINT PRIMARY KEY, vector FLOAT[8])")
        workspace.catalog.execute("INSERT INTO vectors_perceptual SELECT sample_id, [1, 0, 0, 0, 0, 0, 0, 0] FROM samples")
        old = sorted(Perceptual.superseded)[0]
        workspace.catalog.execute("UPDATE embedders SET fingerprint = ?, dimension = 8 WHERE slug = 'perceptual'", [old])
    with pytest.raises(SettingError, match="earlier version") as caught:
        dedupe(workspace, "d")
    assert caught.value.hint == "curate embed d --embedder perceptual --replace"
    assert embed(workspace, "d", embedder="perceptual", replace=True).embedded == 3
    assert dedupe(workspace, "d").kept == 3
