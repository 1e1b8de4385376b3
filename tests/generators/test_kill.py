"""A training that is killed and started again ends like one that nobody disturbed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from curate.generators import DrawRequest, load_model, weights_file
from curate.generators.training.checkpoint import FILE

from .killed import FAMILIES, OPTIONS, job

KILLS = (2, 8, 11)
"""Before the first checkpoint, then after those of steps 6 and 9."""


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-m", "tests.generators.killed", str(folder), *map(str, KILLS)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    ends = json.loads(done.stdout.splitlines()[-1])
    assert len(ends) == 3 * len(FAMILIES) and set(ends.values()) == {-signal.SIGKILL}
    return folder


@pytest.mark.parametrize("name", FAMILIES)
def test_after_three_kills_the_model_is_the_same_bit_for_bit(killed, tmp_path, name):
    generator, train, held = job(name)
    assert (killed / name / FILE).is_file() and not (killed / name / "config.json").exists()
    resumed = generator.fit(train, held, killed / name, options=OPTIONS)
    whole = generator.fit(train, held, tmp_path / "whole", options=OPTIONS)
    assert resumed.resumed_at == (6, 9) and whole.resumed_at == () and resumed.steps == whole.steps > max(KILLS)
    assert weights_file(killed / name).read_bytes() == weights_file(tmp_path / "whole").read_bytes()
    assert [(row.step, row.loss, row.validation_loss) for row in resumed.curve] == [
        (row.step, row.loss, row.validation_loss) for row in whole.curve
    ]
    assert not (killed / name / FILE).exists()
    draws = []
    for folder in (killed / name, tmp_path / "whole"):
        model = load_model(folder, device="cpu")
        found = model.draw([DrawRequest(4)], model.draw_settings(most_threads=1))
        draws += [(drawn.media, drawn.text) for drawn in found]
    assert draws[0] == draws[1]
