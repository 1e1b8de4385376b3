"""Training, drawing and drawing again: provenance, gates, and the same end whatever was killed on the way."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from sklearn.datasets import load_digits

from curate.errors import InputError, SettingError, WorkspaceDamaged
from curate.steps.check import check
from curate.steps.drop import drop
from curate.steps.generate import generate
from curate.steps.ingest import ingest
from curate.steps.models import models
from curate.steps.reproduce import reproduce
from curate.steps.split import split
from curate.steps.train import train
from curate.workspace import create_workspace, open_workspace

TINY = {
    "network": "mlp", "widths": [48], "layers": 1, "steps": 40, "batch_size": 64, "sample_steps": 4, "draw_batch": 16,
    "validate_every": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with 240 digits of three labels, split and with one briefly trained model."""
    root = tmp_path_factory.mktemp("digits")
    found = load_digits(n_class=3)
    for number, (pixels, label) in enumerate(zip(found.images[:240], found.target, strict=False)):
        file = root / "png" / str(label) / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * (255 / 16)).round().astype("uint8")).save(file)
    with open_workspace(create_workspace(root / "ws")) as workspace:
        ingest(workspace, [root / "png"], dataset="digits", label_from="folder")
        split(workspace, "digits", stratify="label", seed=1)
        train(workspace, "diffusion", "digits/train", preset="tiny", settings=TINY)
    return root / "ws"


@pytest.fixture
def trained(digits: Path, tmp_path: Path) -> Path:
    """A copy of that workspace for one test."""
    return Path(shutil.copytree(digits, tmp_path / "ws"))


def accepted_set(root: Path) -> list[tuple[object, ...]]:
    """Everything that a draw is, without ids, runs and times."""
    with open_workspace(root, read_only=True) as workspace:
        return workspace.catalog.rows(
            """SELECT m.name, seed, draw_index, requested_label, content_hash, status, refusal, round(nearest_real, 5)
               FROM synthetic_samples JOIN models m USING (model_id) ORDER BY ALL"""
        )


def test_the_same_training_is_not_done_twice_and_another_gets_the_next_name(trained: Path) -> None:
    with open_workspace(trained) as workspace:
        again = train(workspace, "diffusion", "digits/train", preset="tiny", settings=TINY)
        other = train(workspace, "diffusion", "digits/train", preset="tiny", settings={**TINY, "seed": 5})
        assert (again.model, again.already, other.model, other.already) == (
            "digits-diffusion-1",
            True,
            "digits-diffusion-2",
            False,
        )
        assert again.checkpoint_hash != other.checkpoint_hash
        assert [m.name for m in models(workspace)] == ["digits-diffusion-1", "digits-diffusion-2"]
        assert workspace.catalog.scalar("SELECT count(*) FROM losses WHERE model_id = 1") > 0


def test_every_draw_is_stored_apart_with_its_pedigree_and_can_be_drawn_again(trained: Path) -> None:
    with open_workspace(trained) as workspace:
        report = generate(workspace, "digits-diffusion-1", count=5, seed=3, label_gate=False)
        assert report.drawn == 15 == report.accepted + sum(report.refused.values())
        rows = workspace.catalog.rows(
            "SELECT model, split, members_hash, seed, requested_label, settings, depth, nearest_real, status FROM lineage"
        )
        assert len(rows) == 15
        assert all(value is not None for row in rows for value in row)
        assert workspace.catalog.scalar("SELECT count(*) FROM samples WHERE origin = 'synthetic'") == 15
        assert workspace.catalog.scalar("SELECT count(*) FROM real_samples") == 240
        again = reproduce(workspace, model="digits-diffusion-1")
        assert (again.samples, again.same) == (15, 15)
        assert not check(workspace).findings


def test_a_larger_count_adds_the_rest_and_the_same_command_adds_nothing(trained: Path, tmp_path: Path) -> None:
    with open_workspace(trained) as workspace:
        generate(workspace, "digits-diffusion-1", labels=["1"], count=4, seed=3, label_gate=False)
        more = generate(workspace, "digits-diffusion-1", labels=["1"], count=9, seed=3, label_gate=False)
        assert (more.drawn, more.already) == (5, 4)
        same = generate(workspace, "digits-diffusion-1", labels=["1"], count=9, seed=3, label_gate=False)
        assert (same.drawn, same.already) == (0, 9)
        other = generate(workspace, "digits-diffusion-1", labels=["1"], count=2, seed=4, label_gate=False)
        assert other.drawn == 2


def test_a_draw_that_copies_a_training_image_is_refused(trained: Path) -> None:
    from curate.catalog import models as catalog_models
    from curate.catalog import splits
    from curate.synthesis.gates import Gates

    with open_workspace(trained) as workspace:
        model = catalog_models.find(workspace.catalog, "digits-diffusion-1")
        frozen = splits.every(workspace.catalog)[0]
        part = {p: catalog_models.members(workspace.catalog, frozen, p) for p in ("train", "test")}
        copy, leak = (workspace.real.read(part[p]["blob"][0].as_py()) for p in ("train", "test"))
        flat = io.BytesIO()
        Image.new("L", (8, 8), 128).save(flat, "PNG")
        noise = io.BytesIO()
        Image.effect_noise((8, 8), 90).save(noise, "PNG")
        contents = [copy, leak, flat.getvalue(), noise.getvalue(), noise.getvalue()]
        with Gates(workspace, model, frozen, "image", [], skip=["label-mismatch"]) as gates:
            found = gates.judge(contents, [{"label": "0"}] * 5)
        assert "label-mismatch: off" in gates.descriptions
        assert found[0].refusal == "copy-of-train"
        assert found[0].nearest_id == part["train"]["sample_id"][0].as_py()
        assert found[1].refusal in ("copy-of-train", "leak-of-test")
        assert [v.refusal for v in found[2:]] == ["invalid", None, "duplicate"]


def test_gates_give_their_embedder_back_where_one_cannot_be_built(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from contextlib import contextmanager

    from curate import plugins
    from curate.catalog import models as catalog_models
    from curate.catalog import splits
    from curate.gates.invalid import Invalid
    from curate.synthesis import gates

    given_back: list[str] = []
    borrow = gates.loaded

    @contextmanager
    def watched(workspace, spec):  # type: ignore[no-untyped-def]
        with borrow(workspace, spec) as embedder:
            try:
                yield embedder
            finally:
                given_back.append(spec)

    class Broken(Invalid):
        def __init__(self, reference: object) -> None:
            raise ZeroDivisionError

    monkeypatch.setattr(gates, "loaded", watched)
    with open_workspace(trained) as workspace:
        model = catalog_models.find(workspace.catalog, "digits-diffusion-1")
        split_row = splits.every(workspace.catalog)[0]
        with gates.Gates(workspace, model, split_row, "image", []):
            assert given_back == []
        assert given_back == ["perceptual"]
        plugins.register("gates", "broken", Broken)
        try:
            with pytest.raises(ZeroDivisionError):
                gates.Gates(workspace, model, split_row, "image", [])
        finally:
            plugins.unregister("gates", "broken")
        assert given_back == ["perceptual", "perceptual"]


def test_balance_replays_to_the_same_set(trained: Path, tmp_path: Path) -> None:
    with open_workspace(trained) as workspace:
        workspace.catalog.execute("SELECT 1")
        zeros = [
            r[0]
            for r in workspace.catalog.rows(
                "SELECT sample_id FROM parts JOIN curated USING (sample_id) WHERE part = 'train' AND label = '0'"
            )
        ]
        drop(workspace, zeros[:20])
        report = generate(workspace, "digits-diffusion-1", balance=True, seed=1, label_gate=False)
        assert report.by_label["0"] >= 1
        same = generate(workspace, "digits-diffusion-1", balance=True, seed=1, label_gate=False)
        assert same.drawn == 0
        assert same.by_label == report.by_label


def test_synthetic_samples_are_learned_from_only_when_asked_and_within_their_share(trained: Path) -> None:
    with open_workspace(trained) as workspace:
        generate(workspace, "digits-diffusion-1", count=12, seed=3, label_gate=False)
        plain = train(workspace, "diffusion", "digits/train", preset="tiny", settings={**TINY, "steps": 4, "seed": 9})
        assert (plain.synthetic, plain.depth) == (0, 0)
        mixed = train(
            workspace,
            "diffusion",
            "digits/train",
            preset="tiny",
            settings={**TINY, "steps": 4},
            include_synthetic=True,
            max_share=0.1,
        )
        assert 0 < mixed.synthetic <= 0.1 * mixed.samples + 1
        assert mixed.depth == 1
        drawn = generate(workspace, mixed.model, count=1, label_gate=False)
        depth = workspace.catalog.scalar("SELECT max(depth) FROM synthetic_samples WHERE model_id = ?", [drawn.model_id])
        assert depth == 2
        assert not check(workspace).findings


def test_what_cannot_be_is_refused_with_advice(trained: Path) -> None:
    with open_workspace(trained) as workspace:
        with pytest.raises(SettingError, match="train part"):
            train(workspace, "diffusion", "digits/test", preset="tiny")
        with pytest.raises(SettingError, match="preset"):
            train(workspace, "diffusion", "digits/train", preset="huge")
        with pytest.raises(InputError, match="no text sample"):
            train(workspace, "causal-lm", "digits/train")
        with pytest.raises(InputError, match="no model"):
            generate(workspace, "nobody", count=1)
        with pytest.raises(SettingError, match="knows no label"):
            generate(workspace, "digits-diffusion-1", labels=["9"], count=1)
        with pytest.raises(SettingError, match="say how many"):
            generate(workspace, "digits-diffusion-1")
        with pytest.raises(InputError, match="no synthetic sample"):
            reproduce(workspace, [1])


def test_a_split_without_a_validation_part_is_learned_from(tmp_path: Path) -> None:
    source = tmp_path / "one.jsonl"
    source.write_text('{"text": "how do I reset my password", "label": "a"}\n')
    with open_workspace(create_workspace(tmp_path / "ws")) as workspace:
        ingest(workspace, [source], dataset="one", label="label")
        split(workspace, "one", ratios={"train": 1.0})
        report = train(
            workspace, "causal-lm", "one/train", settings={"steps": 2, "width": 16, "layers": 1, "heads": 2, "vocabulary": 260}
        )
        assert (report.samples, report.validation_loss, report.steps) == (1, None, 2)
        child = train(workspace, "causal-lm", "one/train", base=report.folder, settings={"steps": 2, "max_tokens": 4})
        known = {m.name: m for m in models(workspace)}
        assert known[child.model].parent == report.model and known[child.model].base_model is None
        generate(workspace, child.model, count=1)
        assert workspace.catalog.rows("SELECT model, parent_model, objective FROM lineage") == [
            (child.model, report.model, "next_token")
        ]


def test_altered_weights_are_noticed(trained: Path) -> None:
    with open_workspace(trained) as workspace:
        generate(workspace, "digits-diffusion-1", labels=["1"], count=1, label_gate=False)
        weights = trained / "models" / "digits-diffusion-1" / "model.safetensors"
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1
        weights.write_bytes(bytes(data))
        with pytest.raises(WorkspaceDamaged):
            reproduce(workspace, model="digits-diffusion-1")


DRAW_AND_KILL = """
import os, signal, sys, time
from curate.generators import diffusion  # before the forks, because importing it is what takes the time
from curate.records import Silent
from curate.steps.generate import generate
from curate.workspace import open_workspace

class Kill(Silent):
    def start(self, what, *, total=None, unit="samples"):
        self.drawing = what == "drawing"

    def advance(self, count):  # a window of draws is stored, others are not
        if self.drawing:
            os.kill(os.getpid(), signal.SIGKILL)

def begin(root, progress=Silent()):
    child = os.fork()
    if not child:
        with open_workspace(root, progress=progress) as workspace:
            generate(workspace, "digits-diffusion-1", count=90, seed=2, label_gate=False)
        os._exit(0)
    return child

def end(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

calm, killed = sys.argv[1:]
started = time.monotonic()
assert end(begin(calm)) == 0
duration = time.monotonic() - started
assert end(begin(killed, Kill())) == -signal.SIGKILL
for share in (0.2, 0.4, 0.55):
    child = begin(killed)
    time.sleep(duration * share)
    os.kill(child, signal.SIGKILL)
    end(child)
"""


@pytest.mark.slow
def test_a_killed_drawing_ends_in_the_set_of_an_undisturbed_one(digits: Path, tmp_path: Path) -> None:
    calm, killed = (Path(shutil.copytree(digits, tmp_path / name)) for name in ("calm", "killed"))
    command = [sys.executable, "-c", DRAW_AND_KILL, str(calm), str(killed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    assert len(accepted_set(calm)) == 270 and len(accepted_set(killed)) >= 128  # the first kill left a window
    run_curate(killed, ["generate", "digits-diffusion-1", "--count", "90", "--seed", "2", "--no-label-gate"])
    assert accepted_set(killed) == accepted_set(calm)
    with open_workspace(killed) as workspace:
        assert not check(workspace).findings


def run_curate(root: Path, command: list[str]) -> None:
    """Run a command to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "curate", *command, "-w", str(root)], capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stderr
