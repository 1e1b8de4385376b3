"""The laws of `curate.metrics.Metric`: alike each time, and always with sizes, sources and a real-data reference."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from curate.metrics import Findings, Metric, Samples, Space, Trial
from curate.testing.laws import hold, require

SPACES = (Space("plain", "plain features"), Space("seen", "features that saw labels", supervised=True))
WORDS = {"tea": ["green", "black", "cup", "leaf", "brew"], "sea": ["wave", "salt", "tide", "deep", "shore"]}


def check_metric(metric: type[Metric]) -> None:
    """Hold a metric to the laws of its family, on trials of texts, pixels and features that are made here.

    Raises:
        AssertionError: a law is broken.
    """
    hold(LAWS, _Case(metric), metric.__name__)


def clouds(random: np.random.Generator, rows: int, *, shift: float = 0.0) -> Samples:
    """Two labelled clouds in 6 dimensions, as features, pixels and texts at once."""
    labels = [("tea", "sea")[number % 2] for number in range(rows)]
    centre = np.array([[3.0 if label == "tea" else -3.0] + [0.0] * 5 for label in labels])
    features = (centre + random.normal(size=(rows, 6)) + shift).astype(np.float32)
    pixels = np.clip(features[:, :1, None, None] * 20 + 128 + random.normal(0, 5, (rows, 4, 4, 1)), 0, 255).astype(np.uint8)
    texts = [" ".join(random.choice([*WORDS[label], "the", "a"], 8)) for label in labels]
    return Samples(labels, {"plain": features, "seen": features * 2}, texts=texts, pixels=pixels)


def trial(random: np.random.Generator, *, train: int = 90, test: int = 40, synthetic: int = 60, shift: float = 0.0) -> Trial:
    """Real clouds, and synthetic ones of the same law, shifted where asked."""
    return Trial(
        clouds(random, train), clouds(random, test), clouds(random, synthetic, shift=shift), SPACES,
        bits_per_byte=lambda texts, labels: float(sum(map(len, texts)) + len(labels)),
    )  # fmt: skip


@dataclass(frozen=True)
class _Case:
    """A metric's class, and what it finds in one trial."""

    kind: type[Metric]

    def trial(self) -> Trial:
        return trial(np.random.default_rng(0))

    @cached_property
    def found(self) -> Findings:
        return self.kind().measure(self.trial())


def _the_same_trial_gives_the_same_findings(case: _Case) -> None:
    require(case.kind.modalities, "it is for nothing")
    require(case.kind().measure(case.trial()) == case.found, "measured again, it finds something else")
    require(case.found.measures, "it finds nothing")


def _a_measure_says_what_it_is_and_whence(case: _Case) -> None:
    found = case.found
    names = [(measure.name, measure.label) for measure in found.measures]
    require(len(set(names)) == len(names), f"two measures have one name: {names}")
    for measure in found.measures:
        for what in (measure.value, measure.reference):
            require(what is not None and math.isfinite(what), f"{measure.name} has no value or no real-data reference")
        require(measure.spread is None or measure.spread >= 0, f"{measure.name} has a spread of {measure.spread}")
        require(measure.definition.endswith("."), f"{measure.name}: a definition is a sentence")
        require(measure.source and measure.reading, f"{measure.name} has no source, or does not say how to read it")
        require("test" in measure.sizes, f"{measure.name} does not say on how many test rows it rests")
        require(all(isinstance(n, int) and n > 0 for n in measure.sizes.values()), f"{measure.name} has sizes {measure.sizes}")


def _nothing_is_called_private(case: _Case) -> None:
    for measure in case.found.measures:
        said = f"{measure.name} {measure.definition} {measure.reading}".lower()
        require("private" not in said, f"{measure.name}: none of these figures proves that nothing private was learned")


def _the_global_random_state_stays(case: _Case) -> None:
    torch: Any = sys.modules.get("torch")
    before = np.random.get_state()[1].copy(), torch and torch.get_rng_state()  # type: ignore[index]  # noqa: NPY002
    case.kind().measure(trial(np.random.default_rng(0), train=20, test=10, synthetic=12))
    require((np.random.get_state()[1] == before[0]).all(), "it moves NumPy's global random state")  # type: ignore[index]  # noqa: NPY002
    require(not torch or torch.equal(torch.get_rng_state(), before[1]), "it moves torch's global random state")


def _too_few_rows_give_a_note_and_no_error(case: _Case) -> None:
    features = {space.name: np.ones((1, 6), np.float32) for space in SPACES}
    lone = Samples(["tea"], features, texts=[""], pixels=np.zeros((1, 4, 4, 1), np.uint8))
    found: Findings = case.kind().measure(Trial(clouds(np.random.default_rng(0), 1), lone, lone, SPACES))
    require(not found.measures and found.notes, "of one row it measures something, or says nothing")


LAWS = (
    _the_same_trial_gives_the_same_findings,
    _a_measure_says_what_it_is_and_whence,
    _nothing_is_called_private,
    _the_global_random_state_stays,
    _too_few_rows_give_a_note_and_no_error,
)
