"""`curate train` under a launcher: every process runs the same command, and one of them writes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from safetensors.numpy import load_file
from sklearn.datasets import load_digits

from curate.steps.ingest import ingest
from curate.steps.split import split
from curate.workspace import create_workspace, open_workspace

SETTINGS = ["steps=40", "batch_size=16", "widths=[32]", "layers=1", "validate_every=20"]
TRAIN = ["train", "diffusion", "digits/train", "--device", "cpu", *(word for s in SETTINGS for word in ("--set", s))]


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """A workspace with 100 digits in a frozen split, which obeys one thread."""
    found = load_digits(n_class=3)
    for number, (pixels, label) in enumerate(zip(found.images[:100], found.target, strict=False)):
        file = tmp_path / "data" / str(label) / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * (255 / 16)).round().astype("uint8")).save(file)
    root = create_workspace(tmp_path / "ws")
    (root / "curate.toml").write_text("[limits]\nthreads = 1\n")
    with open_workspace(root) as workspace:
        ingest(workspace, [tmp_path / "data"], dataset="digits", label_from="folder")
        split(workspace, "digits", seed=1)
    return root


def command(root: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "curate", *arguments, "-w", str(root), "--json"]


def weights(root: Path) -> dict[str, Any]:
    return load_file(root / "models" / "digits-diffusion-1" / "model.safetensors")


@pytest.mark.slow
def test_two_processes_train_one_recorded_model(digits: Path, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", str(port)]
    twice = []
    for _ in range(2):
        done = subprocess.run(
            [*launch, *command(digits, *TRAIN)[1:]], capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        assert done.returncode == 0, done.stderr
        twice.append([json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")])
    assert [len(reports) for reports in twice] == [1, 1]  # only the first process reports
    first, again = twice[0][0], twice[1][0]
    assert (first["already"], again["already"]) == (False, True)
    assert first["checkpoint_hash"] == again["checkpoint_hash"]
    with open_workspace(digits) as workspace:
        rows = workspace.catalog.rows("SELECT status, counts->>'model' FROM runs WHERE step = 'train' ORDER BY run_id")
        assert rows[0] == ("done", "digits-diffusion-1") and [row[0] for row in rows] == ["done", "done"]
        assert workspace.catalog.scalar("SELECT count(*) FROM models") == 1


@pytest.mark.slow
def test_a_killed_train_command_ends_with_the_weights_of_an_undisturbed_one(digits: Path, tmp_path: Path) -> None:
    """The kill comes before the first checkpoint, which is due after a minute: it begins again, with the threads of before."""
    (digits / "curate.toml").write_text("")  # so that training times the threads itself, which may end either way
    undisturbed = tmp_path / "copy"
    subprocess.run(["cp", "-r", str(digits), str(undisturbed)], check=True)
    slow = [word.replace("steps=40", "steps=200") for word in TRAIN]
    with subprocess.Popen(command(digits, *slow), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as victim:
        assert victim.stderr is not None
        assert any(line.startswith("step ") for line in iter(victim.stderr.readline, ""))  # it learns
        victim.send_signal(signal.SIGKILL)
    begun_with = digits / "models" / "digits-diffusion-1" / "threads"
    (undisturbed / "curate.toml").write_text(f"[limits]\nthreads = {int(begun_with.read_text())}\n")
    for root in (digits, undisturbed):
        done = subprocess.run([*command(root, *slow), "--wait", "60"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    left, right = weights(digits), weights(undisturbed)
    assert left.keys() == right.keys() and all((left[name] == right[name]).all() for name in left)
    assert not begun_with.exists()
    with open_workspace(digits) as workspace:
        statuses = [row[0] for row in workspace.catalog.rows("SELECT status FROM runs WHERE step = 'train' ORDER BY run_id")]
    assert statuses == ["interrupted", "done"]
