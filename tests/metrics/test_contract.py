"""Every registered metric keeps the laws of its family, and tells real data in the place of synthetic ones as real."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from curate import plugins
from curate.errors import SettingError
from curate.metrics import Samples
from curate.testing import check_metric
from curate.testing.metrics import trial

NAMES = plugins.names("metrics")


@pytest.mark.parametrize("name", NAMES)
def test_it_keeps_the_laws_of_its_family(name):
    check_metric(plugins.load("metrics", name))


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
