"""Utility: what classifiers learn from synthetic samples."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import SettingError
from curate.metrics import Samples, Trial
from curate.metrics.probes.small_network import SmallNetwork
from curate.metrics.utility import Utility, subset
from curate.testing.metrics import SPACES, clouds, trial


def by_name(found) -> dict:
    return {(m.name, m.label): m for m in found.measures}


def relabelled(side: Samples, labels: list) -> Samples:
    return Samples(labels, side.features, texts=side.texts, pixels=side.pixels)


def test_samples_of_the_true_law_teach_as_well_as_real_ones():
    found = by_name(Utility().measure(trial(np.random.default_rng(0))))
    kinds = {name.partition("/")[2] for name, _ in found}
    assert kinds == {"logistic-regression/plain", "svc/plain", "small-network/pixels"}  # none on what saw the real labels
    for kind in kinds:
        whole = found[f"tstr/{kind}", None]
        assert whole.value > 0.9 and whole.reference > 0.9 and whole.sizes["synthetic"] == whole.sizes["train"] == 60
        assert abs(found[f"augmentation-gain/{kind}", None].value) < 0.1
        parts = [found[f"tstr/{kind}", label] for label in ("sea", "tea")]
        assert sum(p.value * p.sizes["test"] for p in parts) / 40 == pytest.approx(whole.value)


def test_shuffled_labels_teach_no_more_than_chance():
    base = trial(np.random.default_rng(1), test=200, synthetic=90)
    labels = np.random.default_rng(5).permutation(list(base.synthetic.labels)).tolist()
    found = by_name(Utility().measure(Trial(base.train, base.test, relabelled(base.synthetic, labels), SPACES)))
    for kind in ("logistic-regression/plain", "svc/plain"):
        assert 0.2 < found[f"tstr/{kind}", None].value < 0.8
        assert found[f"tstr/{kind}", None].reference > 0.95


def test_swapped_labels_teach_the_opposite_and_spoil_the_real_ones():
    base = trial(np.random.default_rng(2), synthetic=200, test=100)
    swapped = ["tea" if label == "sea" else "sea" for label in base.synthetic.labels]
    found = by_name(Utility().measure(Trial(base.train, base.test, relabelled(base.synthetic, swapped), SPACES)))
    assert found["tstr/svc/plain", None].value < 0.1
    assert found["augmentation-gain/svc/plain", None].value < -0.3


def test_the_train_part_itself_reaches_the_reference_exactly():
    base = trial(np.random.default_rng(3))
    found = by_name(Utility().measure(Trial(base.train, base.test, base.train, SPACES)))
    for (name, _), measure in found.items():
        if name.startswith("tstr/"):
            assert measure.value == measure.reference


def test_a_label_that_one_side_lacks_is_left_out_and_counted():
    random = np.random.default_rng(0)
    extra = relabelled(clouds(random, 30), ["lake"] * 10 + [None] * 2 + ["tea", "sea"] * 9)
    base = trial(random)
    found = Utility().measure(Trial(base.train, extra, base.synthetic, SPACES))
    assert {m.label for m in found.measures} == {None, "sea", "tea"}
    assert by_name(found)["tstr/svc/plain", None].sizes["test"] == 18
    assert any("12 test" in note for note in found.notes)


def test_a_classifier_that_cannot_be_afforded_is_said_to_be_missing(monkeypatch):
    base = trial(np.random.default_rng(0))
    monkeypatch.setattr("curate.metrics.probes.classifiers.SVC_ROWS", 60)
    found = Utility().measure(Trial(base.train, base.test, base.synthetic, SPACES[:1]))
    assert not any("svc" in m.name for m in found.measures)
    assert any("no support vector classifier" in note for note in found.notes)


def test_one_label_alone_is_said_to_be_too_few():
    base = trial(np.random.default_rng(0))
    found = Utility().measure(Trial(base.train, base.test, relabelled(base.synthetic, ["tea"] * 60), SPACES))
    assert not found.measures and "two labels" in found.notes[0]


@given(st.lists(st.sampled_from("aaaabbc"), min_size=1, max_size=60), st.data(), st.integers(0, 99))
@settings(deadline=None, max_examples=80)
def test_a_subset_keeps_the_shares_of_labels_to_within_a_row(labels, data, seed):
    count = data.draw(st.integers(0, len(labels)))
    chosen = subset(np.random.default_rng(seed), np.array(labels), count)
    assert len(set(chosen.tolist())) == count and (np.diff(chosen) > 0).all()
    taken = Counter(labels[row] for row in chosen)
    for label, whole in Counter(labels).items():
        assert abs(taken[label] - count * whole / len(labels)) < 3


def test_the_small_network_is_the_same_twice_and_learns_what_can_be_seen():
    random = np.random.default_rng(0)
    train, test = clouds(random, 120), clouds(random, 80)
    one, two = (SmallNetwork(train.pixels, list(train.labels), seed=4) for _ in range(2))
    assert (one.features(test.pixels) == two.features(test.pixels)).all() and one.features(test.pixels).shape == (80, 64)
    assert (one.predict(test.pixels) == np.array(test.labels)).mean() > 0.95
    assert (SmallNetwork(train.pixels, list(train.labels), seed=5).features(test.pixels) != one.features(test.pixels)).any()
    with pytest.raises(SettingError, match="two labels"):
        SmallNetwork(train.pixels, ["tea"] * 120, seed=0)
