"""Utility: what a classifier learns from synthetic samples, measured on real ones (TSTR, TRTR, augmentation gain)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from curate.metrics import Findings, Measure, Samples, Trial
from curate.metrics.probes.classifiers import SVC_LABELS, SVC_ROWS, Classifier, affords_support_vectors, classifiers

_SOURCE = "Esteban, Hyland and Rätsch 2017, arXiv:1706.02633"
_GAIN_SOURCE = "Ravuri and Vinyals 2019, arXiv:1905.10887"


class _Judged(NamedTuple):
    """(repeats, test rows) 1 where the classifier was right, for each set that it learned from."""

    synthetic: NDArray[np.float64]
    as_many_real: NDArray[np.float64]
    all_real: NDArray[np.float64]
    real_and_synthetic: NDArray[np.float64]
    half_real: NDArray[np.float64]


class Utility:
    """Train on synthetic, test on real; and what the synthetic samples add to the real ones."""

    modalities: ClassVar[frozenset[str]] = frozenset({"text", "image"})

    def measure(self, trial: Trial) -> Findings:
        """TSTR beside TRTR and the augmentation gain, over all labels and per label, for each classifier."""
        shared = _shared_labels(trial)
        if len(shared) < 2:
            return Findings(notes=(f"utility: needs two labels that all sides have, and there are {len(shared)}",))
        rows = [_labelled(side, shared) for side in (trial.train, trial.test, trial.synthetic)]
        if min(len(rows[0]), len(rows[2])) < 2 * len(shared):
            return Findings(notes=(f"utility: needs two rows of each of the {len(shared)} labels on average",))
        unconverged: Counter[str] = Counter()
        measures: list[Measure] = []
        for classifier in classifiers(trial, unconverged):
            measures += _measures(classifier, trial, rows, shared)
        notes = [*_left_out(trial, rows), *_early(unconverged)]
        if not affords_support_vectors(trial):
            notes.append(
                f"utility: no support vector classifier above {2 * SVC_ROWS:,} train and synthetic rows (see --limit) or"
                f" {SVC_LABELS} labels"
            )
        return Findings(tuple(measures), tuple(notes))


def _measures(classifier: Classifier, trial: Trial, rows: list[NDArray[np.int64]], shared: list[str]) -> Iterator[Measure]:
    labels = [np.array([str(label) for label in side.labels])[chosen] for side, chosen in _sides(trial, rows)]
    inputs = [side[chosen] for side, chosen in zip(classifier.inputs, rows, strict=True)]
    judged = _judge(classifier, inputs, labels, trial)
    matched = min(len(rows[0]), len(rows[2]))
    for label in (None, *shared):
        of_label = np.ones(len(labels[1]), bool) if label is None else labels[1] == label
        share = "accuracy" if label is None else "share of the label's test rows that are recognised"
        sizes = {"test": int(of_label.sum()), "repeats": len(judged.synthetic)}
        value, spread = _mean(judged.synthetic[:, of_label])
        reference, _ = _mean(judged.as_many_real[:, of_label])
        yield Measure(
            f"tstr/{classifier.name}", label, value, spread, reference, {**sizes, "synthetic": matched, "train": matched},
            f"Train on synthetic, test on real: {share} on the real test part of a {classifier.description} trained on"
            f" synthetic samples;"
            " the reference (TRTR) was trained on as many real train samples. Spread: standard error over test rows and"
            " subsets.",
            _SOURCE, "the nearer to the reference, the better synthetic samples teach",
        )  # fmt: skip
        gain, spread = _mean((judged.real_and_synthetic - judged.all_real)[:, of_label])
        growth, _ = _mean((judged.all_real - judged.half_real)[:, of_label])
        yield Measure(
            f"augmentation-gain/{classifier.name}", label, gain, spread, growth,
            {**sizes, "repeats": 1, "synthetic": len(rows[2]), "train": len(rows[0])},
            f"How much the {share} of a {classifier.description} rises when the synthetic samples join all real train ones; the"
            " reference is the rise from half of the real train samples to all. Spread: standard error over test rows.",
            _GAIN_SOURCE, "above 0: the synthetic samples help; the reference is what more real ones brought",
        )  # fmt: skip


def _judge(classifier: Classifier, inputs: list[NDArray[Any]], labels: list[NDArray[np.str_]], trial: Trial) -> _Judged:
    (train, test, drawn), (train_labels, test_labels, drawn_labels) = inputs, labels
    matched = min(len(train), len(drawn))
    repeats = classifier.repeats if len(train) != len(drawn) else 1
    random = trial.random(f"utility {classifier.name}")

    def right(rows: NDArray[Any], of_rows: NDArray[np.str_]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = (classifier.predict(rows, of_rows, test, trial.seed) == test_labels).astype(np.float64)
        return found

    def over_subsets(rows: NDArray[Any], of_rows: NDArray[np.str_], count: int, times: int) -> NDArray[np.float64]:
        chosen = [subset(random, of_rows, count) for _ in range(times if count < len(rows) else 1)]
        return np.stack([right(rows[c], of_rows[c]) for c in chosen])

    every = right(train, train_labels)[None]
    synthetic = over_subsets(drawn, drawn_labels, matched, repeats)
    as_many = every if matched == len(train) else over_subsets(train, train_labels, matched, repeats)
    both = right(np.concatenate([train, drawn]), np.concatenate([train_labels, drawn_labels]))[None]
    half = over_subsets(train, train_labels, max(len(train) // 2, 2), 1)
    return _Judged(synthetic, as_many, every, both, half)


def subset(random: np.random.Generator, labels: NDArray[np.str_], count: int) -> NDArray[np.int64]:
    """`count` distinct rows at random, rising, in which every label keeps its share to within a row."""
    order = random.permutation(len(labels))
    rank = np.empty(len(labels))
    for label in np.unique(labels):
        rows = order[labels[order] == label]
        rank[rows] = (np.arange(len(rows)) + random.random()) / len(rows)
    return np.sort(np.argsort(rank, kind="stable")[:count])


def _mean(right: NDArray[np.float64]) -> tuple[float, float | None]:
    """Mean of (repeats, rows), and its standard error over rows and repeats; None for a single row."""
    if right.shape[1] < 2:
        return float(right.mean()), None
    over_rows = right.mean(axis=0).var(ddof=1) / right.shape[1]
    over_repeats = right.mean(axis=1).var()
    return float(right.mean()), float(np.sqrt(over_rows + over_repeats))


def _shared_labels(trial: Trial) -> list[str]:
    known = [{label for label in side.labels if label is not None} for side in (trial.train, trial.test, trial.synthetic)]
    return sorted(set.intersection(*known))


def _labelled(side: Samples, shared: list[str]) -> NDArray[np.int64]:
    return np.flatnonzero(np.isin(np.array([label if label is not None else "" for label in side.labels]), shared))


def _sides(trial: Trial, rows: list[NDArray[np.int64]]) -> Iterator[tuple[Samples, NDArray[np.int64]]]:
    return zip((trial.train, trial.test, trial.synthetic), rows, strict=True)


def _left_out(trial: Trial, rows: list[NDArray[np.int64]]) -> Iterator[str]:
    names = ("train", "test", "synthetic")
    lacking = {n: len(side) - len(chosen) for n, (side, chosen) in zip(names, _sides(trial, rows), strict=True)}
    if any(lacking.values()):
        counted = ", ".join(f"{count:,} {name}" for name, count in lacking.items() if count)
        yield f"utility: left out rows without a label, or with one that some side lacks: {counted}"


def _early(unconverged: Counter[str]) -> Iterator[str]:
    for name, fits in unconverged.items():
        if fits:
            yield f"utility: {fits} fits of {name} stopped at 1,000 iterations before they converged"


PLUGIN = Utility
