"""Verbatim spans: how much of a text stands word for word in what was learned."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from curate.metrics import Findings, Measure, Trial
from curate.metrics.texts.spans import longest_spans

MOST_CHARACTERS = 1_000_000
_SOURCE = "after Carlini et al. 2021, arXiv:2012.07805, and Lee et al. 2022, arXiv:2107.06499"


class Verbatim:
    """Copying of text."""

    modalities: ClassVar[frozenset[str]] = frozenset({"text"})

    def measure(self, trial: Trial) -> Findings:
        """The longest span of all, and the mean share of a text that its longest span makes up."""
        drawn, test = ([t for t in side.texts or () if t] for side in (trial.synthetic, trial.test))
        count = min(len(drawn), len(test))
        if not count or not trial.train.texts:
            return Findings(notes=("longest-verbatim-span: needs texts on each side",))
        random = trial.random("verbatim")
        drawn, test = (_some(random, side, count) for side in (drawn, test))
        corpus, notes = _within(_some(random, list(trial.train.texts), len(trial.train.texts)))
        spans = longest_spans([*drawn, *test], corpus).astype(float)
        lengths = np.array([len(t) for t in (*drawn, *test)], float)
        shares = spans / lengths
        sizes = {"synthetic": count, "test": count, "train": len(corpus)}
        return Findings(
            (
                Measure(
                    "longest-verbatim-span", None, float(spans[:count].max()), None, float(spans[count:].max()), sizes,
                    "Characters of the longest substring of a synthetic text that stands in a train text, the most over"
                    " all texts; the"
                    " reference is that of as many test texts.",
                    _SOURCE, "well above the reference: passages were learned by heart",
                ),
                Measure(
                    "verbatim-share", None, float(shares[:count].mean()),
                    float(shares[:count].std() / np.sqrt(count)), float(shares[count:].mean()), sizes,
                    "Mean share of a synthetic text's characters that its longest substring in a train text makes up; the"
                    " reference is"
                    " that of as many test texts. Spread: standard error.",
                    _SOURCE, "well above the reference: samples are made of learned passages",
                ),
            ),
            tuple(notes),
        )  # fmt: skip


def _some(random: np.random.Generator, texts: list[str], count: int) -> list[str]:
    return [texts[row] for row in random.choice(len(texts), count, replace=False)]


def _within(texts: list[str]) -> tuple[list[str], list[str]]:
    """The first texts that together stay within the cap, and a note where some do not."""
    total, kept = 0, []
    for text in texts:
        room = MOST_CHARACTERS - total
        if room <= 0:
            break
        kept.append(text[:room])
        total += len(kept[-1])
    lost = sum(map(len, texts)) - total
    return kept, [
        f"longest-verbatim-span: compared with {total:,} characters of the train part; {lost:,} were left out"
    ] * bool(lost)


PLUGIN = Verbatim
