"""What every metric keeps: the same trial gives the same findings, with sizes, sources and real-data references."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from curate import plugins
from curate.errors import SettingError
from curate.metrics import Samples, Trial
from tests.metrics.trials import SPACES, clouds, trial

NAMES = plugins.names("metrics")


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_answers_alike_each_time_and_says_what_and_whence(name):
    metric = plugins.load("metrics", name)()
    assert metric.modalities and metric.modalities <= {"text", "image"}
    first = metric.measure(trial(np.random.default_rng(0)))
    second = plugins.load("metrics", name)().measure(trial(np.random.default_rng(0)))
    assert first == second and first.measures
    names = [(m.name, m.label) for m in first.measures]
    assert len(set(names)) == len(names)
    for measure in first.measures:
        assert math.isfinite(measure.value) and math.isfinite(measure.reference)
        assert measure.spread is None or measure.spread >= 0
        assert measure.definition.endswith(".") and measure.source and measure.reading
        assert "test" in measure.sizes and all(isinstance(n, int) and n > 0 for n in measure.sizes.values())
        text = f"{measure.name} {measure.definition} {measure.reading}".lower()
        assert "private" not in text and "fid" not in text.split()


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_leaves_the_global_random_state_alone(name):
    import torch

    np.random.seed(3)  # noqa: NPY002 (the legacy state is what must not move)
    torch.manual_seed(3)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    plugins.load("metrics", name)().measure(trial(np.random.default_rng(0), train=20, test=10, synthetic=12))
    assert (np.random.get_state()[1] == before[0]).all() and torch.equal(torch.get_rng_state(), before[1])  # noqa: NPY002


@pytest.mark.parametrize("name", NAMES)
def test_too_few_rows_give_a_note_and_no_error(name):
    random = np.random.default_rng(0)
    lone = Samples(
        ["tea"], {s.name: np.ones((1, 6), np.float32) for s in SPACES}, texts=[""], pixels=np.zeros((1, 4, 4, 1), np.uint8)
    )
    found = plugins.load("metrics", name)().measure(Trial(clouds(random, 1), lone, lone, SPACES))
    assert not found.measures and found.notes


@pytest.mark.parametrize("name", NAMES)
def test_real_data_in_the_place_of_synthetic_ones_come_near_the_reference(name):
    random = np.random.default_rng(1)
    base = trial(random, train=300, test=100, synthetic=150)
    for measure in plugins.load("metrics", name)().measure(base).measures:
        if measure.label is None and "given-model" not in measure.name and measure.name != "longest-verbatim-span":
            room = 0.25 + 0.2 * abs(measure.reference) + 2 * (measure.spread or 0.0)
            assert measure.value == pytest.approx(measure.reference, abs=room), measure.name


def test_each_purpose_has_its_own_stream_that_the_seed_moves():
    base = trial(np.random.default_rng(0), train=4, test=4, synthetic=4)
    one, other = base.random("a").random(), base.random("b").random()
    assert one == base.random("a").random() != other
    assert dataclasses.replace(base, seed=1).random("a").random() != one


def test_sides_of_unequal_length_are_refused():
    with pytest.raises(SettingError, match="2 rows of texts for 1 labels"):
        Samples(["a"], texts=["x", "y"])
    with pytest.raises(SettingError, match="features 'plain'"):
        Samples(["a"], {"plain": np.zeros((3, 2), np.float32)})
