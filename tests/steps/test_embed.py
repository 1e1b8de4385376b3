"""`embed` gives every sample one vector, that of its content, computes each content once, and goes on after a kill."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from curate.catalog import vectors
from curate.embedders import EmbedderOptions
from curate.embedders.minilm import MiniLM
from curate.embedding import missing, pace
from curate.embedding.specs import canonical_spec, parse_spec
from curate.errors import InputError, SettingError, WorkspaceDamaged
from curate.modalities.text import TextModality
from curate.steps.embed import embed
from curate.steps.ingest import ingest
from curate.workspace import Workspace, create_workspace, open_workspace

WORDS = ("card", "transfer", "refund", "limit", "pin", "fee")


def text_of(number: int) -> str:
    return f"my {WORDS[number % 6]} number {number} has not arrived"


@pytest.fixture
def ws(tmp_path: Path):
    with open_workspace(create_workspace(tmp_path / "ws")) as workspace:
        yield workspace


def put_texts(ws: Workspace, dataset: str, texts: list[str]) -> None:
    file = ws.root.parent / f"{dataset}.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    ingest(ws, [file], dataset=dataset, text=["text"])


def put_images(ws: Workspace, dataset: str, count: int) -> None:
    folder = ws.root.parent / dataset
    folder.mkdir()
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 256, (40, 40, 3), np.uint8)
        stream = io.BytesIO()
        Image.fromarray(noise).save(stream, "PNG")
        (folder / f"{number}.png").write_bytes(stream.getvalue())
    ingest(ws, [folder], dataset=dataset)


def all_vectors(ws: Workspace, slug: str) -> dict[int, np.ndarray]:
    ids, matrix = vectors.load(ws.catalog, slug, origin="all")
    return dict(zip(ids.tolist(), matrix, strict=True))


def sums_up(report) -> bool:
    parts = all(done.samples == done.embedded + done.copied + done.already for done in report.passes)
    return parts and report.samples == report.embedded + report.copied + report.already + report.unsupported


def test_every_sample_has_the_vector_of_its_text(ws):
    put_texts(ws, "a", [text_of(i % 20) for i in range(30)])
    report = embed(ws, "a")
    assert (report.samples, report.embedded, report.copied, report.already) == (30, 20, 10, 0) and sums_up(report)
    texts = dict(ws.catalog.rows("SELECT sample_id, text FROM real_samples"))
    stored = all_vectors(ws, "minilm")
    assert stored.keys() == texts.keys()
    slow = MiniLM(EmbedderOptions(threads=1))
    for sample_id, text in texts.items():
        assert np.allclose(stored[sample_id], slow.embed_texts([text])[0], atol=1e-5)


def test_a_second_run_computes_nothing(ws, monkeypatch):
    put_texts(ws, "a", [text_of(i) for i in range(10)])
    embed(ws, "a")
    before = all_vectors(ws, "minilm")
    monkeypatch.setattr(MiniLM, "embed_texts", lambda *_: pytest.fail("computed again"))
    report = embed(ws, "a")
    assert (report.embedded, report.copied, report.already) == (0, 0, 10) and sums_up(report)
    assert before.keys() == all_vectors(ws, "minilm").keys()


def test_what_another_dataset_has_is_copied(ws, monkeypatch):
    put_texts(ws, "a", [text_of(i) for i in range(10)])
    embed(ws, "a")
    put_texts(ws, "b", [text_of(i) for i in range(5, 10)])
    monkeypatch.setattr(MiniLM, "embed_texts", lambda *_: pytest.fail("computed again"))
    report = embed(ws, "b")
    assert (report.embedded, report.copied) == (0, 5) and sums_up(report)
    stored = all_vectors(ws, "minilm")
    for first, second in ws.catalog.rows(
        "SELECT x.sample_id, y.sample_id FROM real_samples x JOIN real_samples y USING (content_hash)"
    ):
        assert np.array_equal(stored[first], stored[second])


@pytest.mark.parametrize("windows", [0, 1, 3])
def test_an_interrupted_run_keeps_its_windows_and_goes_on(ws, monkeypatch, windows):
    put_texts(ws, "a", [text_of(i % 40) for i in range(50)])
    monkeypatch.setattr(pace, "FIRST", 8)
    monkeypatch.setattr(TextModality, "window", 8)
    whole, calls = MiniLM.embed_texts, []

    def dies(self, texts, advance=None):
        calls.append(len(texts))
        if len(calls) > windows:
            raise KeyboardInterrupt
        return whole(self, texts, advance)

    monkeypatch.setattr(MiniLM, "embed_texts", dies)
    with pytest.raises(KeyboardInterrupt):
        embed(ws, "a")
    assert vectors.count(ws.catalog, "minilm") == 8 * windows
    state, counts = ws.catalog.row("SELECT status, counts FROM runs ORDER BY run_id DESC LIMIT 1")
    assert state == "interrupted" and json.loads(counts)["embedded"] == 8 * windows
    monkeypatch.setattr(MiniLM, "embed_texts", whole)
    report = embed(ws, "a")
    assert report.embedded == 40 - 8 * windows and sums_up(report)
    assert len(all_vectors(ws, "minilm")) == 50
    assert ws.catalog.scalar("SELECT count(*) FROM vectors_minilm") == 50


def test_vectors_of_another_model_stay_until_replace_is_said(ws, monkeypatch):
    put_texts(ws, "a", [text_of(i) for i in range(6)])
    put_texts(ws, "b", [text_of(i) for i in range(6, 10)])
    embed(ws, "a")
    embed(ws, "b")
    before = all_vectors(ws, "minilm")
    ws.catalog.execute("UPDATE embedders SET fingerprint = 'older'")
    with pytest.raises(SettingError, match="another model") as caught:
        embed(ws, "a")
    assert "--replace" in str(caught.value.hint)
    assert all_vectors(ws, "minilm").keys() == before.keys()
    report = embed(ws, "a", replace=True)
    assert report.passes[0].replaced == 10 and report.embedded == 6 and report.notes and sums_up(report)
    assert embed(ws, "a", replace=True).embedded == 0
    assert vectors.count(ws.catalog, "minilm") == 6


def test_a_mixed_dataset_takes_each_modalitys_default(ws):
    put_texts(ws, "mixed", [text_of(i) for i in range(5)])
    put_images(ws, "mixed", 7)
    report = embed(ws, "mixed")
    assert {done.slug: done.embedded for done in report.passes} == {"minilm": 5, "perceptual": 7}
    assert report.unsupported == 0 and sums_up(report)
    only = embed(ws, "mixed", embedder="perceptual")
    assert (only.unsupported, only.already) == (5, 7) and sums_up(only)


def test_images_that_do_not_fit_in_one_piece_have_the_same_vectors(ws, monkeypatch):
    put_images(ws, "pictures", 6)
    embed(ws, "pictures")
    before = all_vectors(ws, "perceptual")
    ws.catalog.execute("DELETE FROM vectors_perceptual")
    monkeypatch.setattr(missing, "WINDOW_BYTES", 6000)
    embed(ws, "pictures")
    after = all_vectors(ws, "perceptual")
    assert before.keys() == after.keys() and all(np.allclose(before[i], after[i], atol=1e-6) for i in before)


def test_what_cannot_be_embedded_is_said(ws):
    with pytest.raises(InputError, match="no dataset"):
        embed(ws, "nothing")
    put_images(ws, "pictures", 2)
    with pytest.raises(SettingError, match="minilm embeds text"):
        embed(ws, "pictures", embedder="minilm")
    for name in list(ws.real.names()):
        ws.real.path(name).unlink()
    with pytest.raises(WorkspaceDamaged, match="blob of sample"):
        embed(ws, "pictures")


def test_vectors_larger_than_the_budget_come_as_a_memory_map(ws):
    put_texts(ws, "a", [text_of(i) for i in range(9)])
    embed(ws, "a")
    ids, held = vectors.load(ws.catalog, "minilm")
    spill = ws.root / "indexes" / "spill"
    same_ids, mapped = vectors.load(ws.catalog, "minilm", memory_bytes=100, spill=spill)
    assert isinstance(mapped, np.memmap) and not isinstance(held, np.memmap)
    assert np.array_equal(ids, same_ids) and np.array_equal(held, mapped) and (np.diff(ids) > 0).all()
    assert not list(spill.glob("vectors-*"))
    some, part = vectors.load(ws.catalog, "minilm", sample_ids=ids[[5, 2, 2]])
    assert some.tolist() == ids[[2, 5]].tolist() and np.array_equal(part, held[[2, 5]])
    none, empty = vectors.load(ws.catalog, "minilm", modality="image")
    assert none.shape == (0,) and empty.shape == (0, 384)


def test_dropped_samples_can_be_left_out(ws):
    put_texts(ws, "a", [text_of(i) for i in range(5)])
    embed(ws, "a")
    ws.catalog.execute("INSERT INTO verdicts (sample_id, owner, action, reason, run_id) VALUES (2, 'user', 'drop', 'user', 1)")
    assert vectors.load(ws.catalog, "minilm", dropped=False)[0].tolist() == [1, 3, 4, 5]


@pytest.mark.parametrize(
    ("spec", "name", "model"),
    [
        ("minilm", "minilm", None),
        ("clip:openai/clip-vit-base-patch32", "clip", "openai/clip-vit-base-patch32"),
        ("all-mpnet-base-v2", "sentence-transformers", "all-mpnet-base-v2"),
        ("BAAI/bge-small-en", "sentence-transformers", "BAAI/bge-small-en"),
        ("sentence-transformers:x", "sentence-transformers", "x"),
    ],
)
def test_what_is_typed_is_understood(spec, name, model):
    assert parse_spec(spec) == (name, model)
    assert parse_spec(canonical_spec(spec)) == (name, model)


def test_a_folder_becomes_absolute_and_a_slip_of_the_pen_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-model").mkdir()
    assert parse_spec("./my-model") == ("sentence-transformers", str(tmp_path / "my-model"))
    assert parse_spec("clip:my-model") == ("clip", str(tmp_path / "my-model"))
    for wrong in ("minlm", "perceptul", ""):
        with pytest.raises(SettingError, match="no embedder"):
            parse_spec(wrong)


SLOW_EMBEDDER = """
import sys
from typing import ClassVar
import numpy as np
from curate import embed, open_workspace, plugins

class Slow:
    modalities: ClassVar = frozenset({"text"})
    default_threshold, dimension, fingerprint, slug, description = None, 2, "slow", "slow", "answers once, then never"
    calls = 0
    def __init__(self, options): ...
    def embed_texts(self, texts, advance=None):
        Slow.calls += 1
        if Slow.calls == 2:
            print("asked again", flush=True)
            sys.stdin.read()
        return np.tile(np.array([[1, 0]], np.float32), (len(texts), 1))
    def embed_images(self, images, advance=None): ...
    def close(self): ...

plugins.register("embedders", "slow", Slow)
with open_workspace(sys.argv[1]) as workspace:
    embed(workspace, "long", embedder="slow")
"""


def test_a_run_that_is_killed_in_its_second_window_has_kept_the_first(tmp_path):
    texts = [f"{number} " + "word " * 400 for number in range(pace.FIRST + 40)]
    with open_workspace(create_workspace(tmp_path / "ws")) as ws:
        put_texts(ws, "long", texts)
    child = subprocess.Popen(
        [sys.executable, "-c", SLOW_EMBEDDER, str(tmp_path / "ws")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None and child.stdin is not None
    with child.stdin, child.stdout:
        assert child.stdout.readline() == "asked again\n"
        child.kill()
        child.wait()
    with open_workspace(tmp_path / "ws") as ws:
        assert vectors.count(ws.catalog, "slow") == pace.FIRST
        status, counts = ws.catalog.row("SELECT status, counts FROM runs WHERE step = 'embed'")
        assert status == "interrupted" and json.loads(counts)["embedded"] == pace.FIRST


@given(st.lists(st.floats(1, 5000), min_size=1, max_size=300), st.floats(1e-5, 10), st.integers(1, 200))
def test_windows_cover_everything_and_take_about_the_time_they_should(costs, seconds_each, most):
    now = 0.0
    paced = pace.Pace(most, every_s=10, clock=lambda: now)
    start, before = 0, None
    while start < len(costs):
        offered = costs[start : start + paced.fetch]
        count = paced.begin(offered)
        assert 1 <= count <= min(len(offered), most)
        spent = sum(offered[:count])
        if before is not None and count > 1:
            assert spent * seconds_each <= 10 * (1 + 1e-6) and spent <= before * pace.GROWTH * (1 + 1e-6)
        now += spent * seconds_each
        paced.end()
        start, before = start + count, spent
    assert start == len(costs)
