"""Self-BLEU: how much each text of a set repeats the others."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from curate.metrics import Findings, Measure, Trial
from curate.metrics.texts.words import ngrams, words

ORDER = 4
MOST_TEXTS = 500
REPEATS = 3


class SelfBleu:
    """Repetition between texts."""

    modalities: ClassVar[frozenset[str]] = frozenset({"text"})

    def measure(self, trial: Trial) -> Findings:
        """One measure, over equally many texts of each side."""
        drawn, test = ([words(text) for text in side.texts or ()] for side in (trial.synthetic, trial.test))
        drawn, test = [t for t in drawn if t], [t for t in test if t]
        count = min(len(drawn), len(test), MOST_TEXTS)
        if count < 2:
            return Findings(notes=("self-bleu: needs two texts with words on each side",))
        random = trial.random("self-bleu")
        values, references = (
            [np.mean(self_bleu([side[row] for row in random.choice(len(side), count, replace=False)])) for _ in range(REPEATS)]
            for side in (drawn, test)
        )
        return Findings(
            (
                Measure(
                    name="self-bleu",
                    label=None,
                    value=float(np.mean(values)),
                    spread=float(np.std(values)),
                    reference=float(np.mean(references)),
                    sizes={"synthetic": count, "test": count, "repeats": REPEATS},
                    definition=f"Mean BLEU-{ORDER} of each of {count} texts against all the others of its set; counts of"
                    f" two words and more"
                    " are raised by one (Lin and Och 2004). Mean and standard deviation over random subsets; the"
                    " reference is that of as"
                    " many test texts.",
                    source="Zhu et al. 2018, arXiv:1802.01886",
                    reading="repetition: near the reference; above means that samples repeat each other",
                ),
            )
        )


def self_bleu(texts: Sequence[Sequence[str]]) -> list[float]:
    """BLEU-4 of each tokenised text against all others; there are at least two, and none is empty.

    An n-gram's count is clipped at the most that any other text has: the highest count of the set, or the second
    highest where the text holds the highest itself, so that the work grows with the tokens and not with the pairs.
    """
    counted = [[Counter(ngrams(text, n)) for n in range(1, ORDER + 1)] for text in texts]
    best: dict[tuple[str, ...], tuple[int, int, int]] = defaultdict(lambda: (0, -1, 0))
    for row, orders in enumerate(counted):
        for grams in orders:
            for gram, count in grams.items():
                first, owner, second = best[gram]
                best[gram] = (count, row, first) if count > first else (first, owner, max(second, count))
    lengths = np.array([len(text) for text in texts])
    scores = []
    for row, orders in enumerate(counted):
        log_precision = 0.0
        for n, grams in enumerate(orders, start=1):
            clipped = 0
            for gram, count in grams.items():
                first, owner, second = best[gram]
                clipped += min(count, second if owner == row else first)
            raised = n > 1
            if not clipped and not raised:
                log_precision = -math.inf
                break
            log_precision += math.log((clipped + raised) / (sum(grams.values()) + raised)) / ORDER
        others = np.delete(lengths, row)
        closest = int(others[np.lexsort((others, np.abs(others - lengths[row])))[0]])
        scores.append(min(1.0, math.exp(1 - closest / lengths[row])) * math.exp(log_precision))
    return scores


PLUGIN = SelfBleu
