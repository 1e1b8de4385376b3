"""Every registered gate keeps the laws of its family; what single gates do beyond them."""

from __future__ import annotations

import numpy as np
import pytest

from curate.gates import Real
from curate.gates.contract.usual import spread, usual_limit
from curate.gates.label_mismatch import classifier
from curate.plugins import load, names
from curate.testing import check_gate


@pytest.mark.parametrize("name", names("gates"))
def test_it_keeps_the_laws_of_its_family(name):
    check_gate(load("gates", name))


def test_the_classifier_knows_every_label_however_rare_and_says_what_it_learned_from():
    vectors = np.repeat(np.eye(3, dtype=np.float32), [200, 200, 1], axis=0)
    found = classifier(Real(vectors, ["a"] * 200 + ["b"] * 200 + ["rare"]), most_rows=9)
    assert found is not None
    assert found[0](np.eye(3, dtype=np.float32)) == ["a", "b", "rare"]
    assert "7 of 401" in found[1]
    assert classifier(Real(vectors[:5], ["a"] * 5)) is None


def test_a_limit_is_what_nearly_all_real_samples_stay_under_and_rows_are_spread_evenly():
    similarities = np.linspace(0, 0.8, 1000, dtype=np.float32)
    assert (similarities <= usual_limit(similarities)).mean() == pytest.approx(0.995, abs=0.001)
    assert usual_limit(np.zeros(0, np.float32)) == 1.0
    assert spread(5, 10).tolist() == [0, 1, 2, 3, 4] and spread(101, 3).tolist() == [0, 50, 100] and not len(spread(0, 3))
