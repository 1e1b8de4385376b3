"""Several processes train one model."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from .shared import main


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", str(port)]
    command = [*launch, "-m", "tests.generators.shared", str(tmp_path / "two")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    main(tmp_path / "one")
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys() and all(torch.allclose(one[key], two[key], atol=1e-6) for key in one)
    curves = [json.loads((tmp_path / name / "training.json").read_text())["curve"] for name in ("one", "two")]
    for left, right in zip(*curves, strict=True):
        assert left["loss"] == pytest.approx(right["loss"], rel=1e-5)
        assert (left["validation_loss"] or 0) == pytest.approx(right["validation_loss"] or 0, rel=1e-5)
    assert curves[0][-1]["validation_loss"] > 0
