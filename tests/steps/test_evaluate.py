"""Evaluation of accepted samples: against the real parts of the split, the same again every time, and honest about copies."""

from __future__ import annotations

import hashlib
import io
import json

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from curate.catalog import metrics as catalog_metrics
from curate.catalog import models, sources, splits, synthetic
from curate.errors import InputError, SettingError
from curate.steps.evaluate import evaluate
from curate.steps.ingest import ingest
from curate.steps.split import split
from curate.workspace import BlobStore, Workspace, create_workspace, open_workspace

LABELS = ("0", "1", "2")


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format="PNG")
    return out.getvalue()


def model_of(workspace: Workspace, name: str) -> int:
    """A finished model without weights: what `evaluate` reads of an image model is its row."""
    found = splits.every(workspace.catalog)[-1]
    with workspace.catalog.transaction():
        model_id = models.create(
            workspace.catalog, name=name, family="diffusion", objective="flow_matching", split=found,
            parent_id=None, base_model=None, settings={"identity": name},
            folder=name, depth=0, run_id=1,
        )  # fmt: skip
        models.finish(workspace.catalog, model_id, "0" * 64, 1, [])
    return model_id


def draw(workspace: Workspace, model_id: int, contents: list[bytes | str], labels: list[str | None], status: str = "accepted"):
    """Put rows where `generate` would."""
    n, catalog = len(contents), workspace.catalog
    raw = [c.encode() if isinstance(c, str) else c for c in contents]
    hashes = [hashlib.sha256(c).hexdigest() for c in raw]
    is_text = isinstance(contents[0], str)
    names = [None if is_text else BlobStore.name(h, ".png") for h in hashes]
    if not is_text:
        workspace.synthetic.write(zip(names, raw, strict=True))
    dataset_id = models.by_id(catalog, model_id).dataset_id
    before = catalog.scalar("SELECT count(*) FROM synthetic_samples")
    with catalog.transaction():
        columns = {
            "sample_id": list(sources.reserve_ids(catalog, "sample_ids", n)),
            "dataset_id": [dataset_id] * n,
            "model_id": [model_id] * n,
            "run_id": [1] * n,
            "seed": [before + i for i in range(n)],
            "draw_index": list(range(n)),
            "requested_label": labels,
            "settings": ["{}"] * n,
            "depth": [1] * n,
            "parents": ["[]"] * n,
            "modality": ["text" if is_text else "image"] * n,
            "content_hash": hashes,
            "label": labels,
            "text": contents if is_text else [None] * n,
            "blob": names,
            "size_bytes": [len(c) for c in raw],
            "width": [None if is_text else 8] * n,
            "height": [None if is_text else 8] * n,
            "metadata": [None] * n,
            "status": [status] * n,
            "refusal": [None if status == "accepted" else "duplicate"] * n,
            "nearest_id": pa.array([None] * n, pa.int64()),
            "nearest_real": pa.array([None] * n, pa.float64()),
        }
        text = {"text", "blob", "metadata", "refusal", "requested_label", "label"}
        table = pa.table({k: pa.array(v, pa.string()) if k in text else pa.array(v) for k, v in columns.items()})
        synthetic.add(catalog, table)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Real digits 0 to 2, sixty of each, in a workspace with a split."""
    folder = tmp_path_factory.mktemp("evaluate")
    digits = load_digits()
    for label in LABELS:
        path = folder / "digits" / label
        path.mkdir(parents=True)
        for row in np.flatnonzero(digits.target == int(label))[:60]:
            (path / f"{row}.png").write_bytes(png((digits.images[row] * 15.9).astype(np.uint8)))
    with open_workspace(create_workspace(folder / "ws")) as workspace:
        ingest(workspace, [folder / "digits"], dataset="digits", label_from="folder")
        split(workspace, "digits", stratify="label", ratios={"train": 0.6, "validation": 0.1, "test": 0.3})
        yield workspace


def real(workspace: Workspace, part: str) -> tuple[list[np.ndarray], list[str]]:
    table = models.members(workspace.catalog, splits.every(workspace.catalog)[-1], part)
    images = [np.asarray(Image.open(io.BytesIO(workspace.real.read(b)))) for b in table["blob"].to_pylist()]
    return images, table["label"].to_pylist()


@pytest.fixture(scope="module")
def noisy(home):
    """A model whose samples are noisy validation images: neither the train part's nor the test part's own."""
    random = np.random.default_rng(0)
    images, labels = real(home, "validation")
    rows = random.integers(0, len(images), 160)
    drawn = [np.clip(images[r] + random.normal(0, 25, (8, 8)), 0, 255).astype(np.uint8) for r in rows]
    model_id = model_of(home, "noisy")
    draw(home, model_id, [png(d) for d in drawn], [labels[r] for r in rows])
    draw(home, model_id, [png(np.full((8, 8), 7, np.uint8))], ["0"], status="refused")
    return evaluate(home, "noisy")


def figure(report, name, label=None):
    return next(m for m in report.measures if (m.name, m.label) == (name, label))


def test_every_measure_is_a_row_and_the_same_evaluation_gives_the_same_rows(home, noisy):
    model_id = models.find(home.catalog, "noisy").model_id
    stored = catalog_metrics.of_model(home.catalog, model_id)
    again = evaluate(home, "noisy")
    assert again.measures == noisy.measures
    assert catalog_metrics.of_model(home.catalog, model_id) == stored and len(stored) == len(noisy.measures)
    assert [tuple(row) for row in stored] == [
        (m.name, m.label, m.value, m.spread, m.reference, dict(m.sizes), m.definition, m.source) for m in noisy.measures
    ]
    run_ids = home.catalog.rows("SELECT DISTINCT run_id FROM metrics WHERE model_id = ?", [model_id])
    assert run_ids == [(again.run_id,)] and again.run_id > noisy.run_id
    settings = json.loads(home.catalog.scalar("SELECT settings FROM runs WHERE run_id = ?", [again.run_id]))
    assert settings["seed"] == 0 and settings["limit"] == 5000


def test_only_accepted_samples_are_measured_against_train_and_test(home, noisy):
    assert noisy.samples == 160 and noisy.sizes["synthetic"] == 160
    counts = splits.counts(home.catalog, splits.every(home.catalog)[-1])
    assert (noisy.sizes["train"], noisy.sizes["test"]) == (counts["train"], counts["test"])


def test_usable_samples_teach_a_classifier_and_every_label_is_told(noisy):
    whole = figure(noisy, "tstr/svc/pixels")
    assert whole.value > 0.9 and whole.reference > 0.9
    for label in LABELS:
        assert figure(noisy, "tstr/svc/pixels", label).sizes["test"] > 1
    assert abs(figure(noisy, "authenticity/pixels").value - figure(noisy, "authenticity/pixels").reference) < 0.4


def test_no_word_promises_more_than_was_measured(noisy):
    for measure in noisy.measures:
        words = f"{measure.name} {measure.definition} {measure.reading}".lower()
        assert "private" not in words and "privacy" not in words and "fid" not in words.split()


def test_copies_of_the_train_part_are_told_by_nearness_and_shuffled_labels_by_tstr(home):
    random = np.random.default_rng(1)
    images, labels = real(home, "train")
    rows = random.choice(len(images), 90, replace=False)
    model_id = model_of(home, "copies")
    draw(home, model_id, [png(images[r]) for r in rows], [labels[r] for r in random.permutation(rows)])
    report = evaluate(home, "copies")
    assert figure(report, "nearest-in-train/pixels").value > 0.99
    assert figure(report, "authenticity/pixels").value == 0
    assert figure(report, "distance-to-train/pixels").value < 1e-3
    assert figure(report, "tstr/svc/pixels").value < 0.5 < figure(report, "tstr/svc/pixels").reference


def test_labels_that_were_never_drawn_are_left_out_and_counted(home):
    images, labels = real(home, "validation")
    rows = [r for r, label in enumerate(labels) if label in "01"]
    draw(home, model_of(home, "half"), [png(images[r]) for r in rows], [labels[r] for r in rows])
    report = evaluate(home, "half", limit=30)
    assert report.sizes["train"] == report.sizes["test"] == 30
    assert any("never drawn" in note for note in report.notes)
    assert any("30 of" in note and "train samples" in note for note in report.notes)
    assert {m.label for m in report.measures} == {None, "0", "1"}


def test_a_named_embedder_is_a_space_of_its_own_and_one_that_filtered_is_said_to_flatter(home, noisy):
    report = evaluate(home, "noisy", embedder="perceptual")
    assert "coverage/perceptual" in {m.name for m in report.measures} and "perceptual" in report.spaces
    assert any("flatter" in note for note in report.notes)
    assert figure(report, "coverage/pixels") == figure(noisy, "coverage/pixels")


def test_what_cannot_be_measured_is_refused_with_advice(home):
    with pytest.raises(InputError, match="no model"):
        evaluate(home, "nobody")
    with pytest.raises(SettingError, match="limit"):
        evaluate(home, "noisy", limit=1)
    model_of(home, "idle")
    with pytest.raises(InputError, match="no accepted sample"):
        evaluate(home, "idle")


def test_texts_are_measured_by_their_own_metrics(tmp_path):
    random = np.random.default_rng(0)
    words = {"tea": ["green", "black", "cup", "leaf", "brew"], "sea": ["wave", "salt", "tide", "deep", "shore"]}

    def some(label):
        return " ".join(random.choice([*words[label], "the", "a", "of"], 9))

    with open_workspace(create_workspace(tmp_path / "ws")) as workspace:
        path = tmp_path / "texts.jsonl"
        path.write_text("".join(json.dumps({"text": some(label), "label": label}) + "\n" for label in words for _ in range(60)))
        ingest(workspace, [path], dataset="texts", text=["text"], label="label")
        split(workspace, "texts", stratify="label", ratios={"train": 0.6, "test": 0.4})
        labels = ["tea", "sea"] * 25
        draw(workspace, model_of(workspace, "writer"), [some(label) for label in labels], labels)
        report = evaluate(workspace, "writer")
    assert figure(report, "tstr/logistic-regression/tfidf-svd").value > 0.95
    assert figure(report, "distinct-1").value == pytest.approx(figure(report, "distinct-1").reference, abs=0.05)
    assert 0 < figure(report, "bits-per-byte/synthetic-given-real").value < 8
    assert any("itself were not measured" in note for note in report.notes)
    assert {"self-bleu", "longest-verbatim-span", "coverage/tfidf-svd"} <= {m.name for m in report.measures}


def test_the_command_prints_every_overall_figure_beside_its_reference_or_one_json_object(home, noisy, capsys):
    from curate.cli.evaluation import _describe
    from curate.cli.formatting import show

    show(noisy, False, _describe)
    printed = capsys.readouterr().out
    for measure in noisy.measures:
        line = next(line for line in printed.splitlines() if line.split()[:1] == [measure.name])
        assert measure.reading in line
    show(noisy, True, _describe)
    told = json.loads(capsys.readouterr().out)
    assert [m["value"] for m in told["measures"]] == [m.value for m in noisy.measures] and told["sizes"] == noisy.sizes
