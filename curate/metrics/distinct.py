"""Distinct-n: how many different n-grams a set of texts has among all of its n-grams."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import ClassVar

import numpy as np

from curate.metrics import Findings, Measure, Trial
from curate.metrics.texts.words import ngrams, words

ORDERS = (1, 2, 3)
REPEATS = 5


class Distinct:
    """Variety of wording."""

    modalities: ClassVar[frozenset[str]] = frozenset({"text"})

    def measure(self, trial: Trial) -> Findings:
        """One measure for each n; both sides are cut to equally many n-grams, because the share falls with their number."""
        drawn, test = ([words(text) for text in side.texts or ()] for side in (trial.synthetic, trial.test))
        measures, notes = [], []
        for n in ORDERS:
            count = min(sum(max(len(t) - n + 1, 0) for t in side) for side in (drawn, test))
            if not count:
                notes.append(f"distinct-{n}: one side has no run of {n} words")
                continue
            random = trial.random(f"distinct-{n}")
            values, references = (
                [distinct(_shuffled(random, side), n, count) for _ in range(REPEATS)] for side in (drawn, test)
            )
            measures.append(
                Measure(
                    name=f"distinct-{n}",
                    label=None,
                    value=float(np.mean(values)),
                    spread=float(np.std(values)),
                    reference=float(np.mean(references)),
                    sizes={"ngrams": count, "synthetic": len(drawn), "test": len(test), "repeats": REPEATS},
                    definition=f"Different runs of {n} words (lower case, punctuation counts) divided by all of them, in"
                    f" the first"
                    f" {count:,} runs of the texts in random order. Mean and standard deviation over orders; the"
                    f" reference is that of as"
                    " many runs of the test texts.",
                    source="Li et al. 2016, arXiv:1510.03055",
                    reading="variety: near the reference",
                )
            )
        return Findings(tuple(measures), tuple(notes))


def distinct(texts: Iterable[Sequence[str]], n: int, count: int) -> float:
    """The share of different ones among the first `count` n-grams of tokenised texts."""
    taken = list(islice((gram for tokens in texts for gram in ngrams(tokens, n)), count))
    return len(set(taken)) / len(taken)


def _shuffled(random: np.random.Generator, texts: list[list[str]]) -> list[list[str]]:
    return [texts[row] for row in random.permutation(len(texts))]


PLUGIN = Distinct
