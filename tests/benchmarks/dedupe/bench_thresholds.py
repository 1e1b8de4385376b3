"""Where an embedder's default threshold comes from: false alarms and found edits by cosine, on real texts.

A negative is a pair that must not be called a duplicate: two banking77 questions of different intents, or two different
gsm8k problems. The false-alarm rate is the share of texts that have such a partner at or above the threshold: it is what
a user loses. A positive is a text and its edit by one stated rule; the found rate is the share at or above the threshold.

    python tests/benchmarks/dedupe/bench_thresholds.py --corpora ../shared/data --embedder minilm

The shares are those of `curate calibrate`. With --pairs FILE the texts are written as labelled pairs, each text beside its
nearest stranger, for `curate calibrate FILE --lower` to measure alike.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from curate import plugins
from curate.deduplication.precision_curve import measure_curve
from curate.embedders import EmbedderOptions

THRESHOLDS = (0.80, 0.85, 0.88, 0.90, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99)
Edit = Callable[[str, random.Random], str]


def upper(text: str, _: random.Random) -> str:
    """All capitals."""
    return text.upper()


def bare(text: str, _: random.Random) -> str:
    """Every punctuation mark dropped."""
    return " ".join("".join(c for c in text if c.isalnum() or c.isspace()).split())


def shouted(text: str, _: random.Random) -> str:
    """Closing marks replaced by '!!!'."""
    return text.rstrip(".?! ") + "!!!"


def typo(text: str, rng: random.Random) -> str:
    """Two neighbouring letters exchanged, once for every ten words begun."""
    letters = list(text)
    for _ in range(1 + len(text.split()) // 10):
        at = rng.randrange(max(1, len(letters) - 1))
        letters[at : at + 2] = letters[at : at + 2][::-1]
    return "".join(letters)


def swapped(text: str, rng: random.Random) -> str:
    """Two neighbouring words exchanged."""
    words = text.split()
    at = rng.randrange(max(1, len(words) - 1))
    words[at : at + 2] = words[at : at + 2][::-1]
    return " ".join(words)


def dropped(text: str, rng: random.Random) -> str:
    """One word left out."""
    words = text.split()
    if len(words) > 1:
        del words[rng.randrange(len(words))]
    return " ".join(words)


def reordered(text: str, _: random.Random) -> str:
    """The second half of the words before the first."""
    words = text.split()
    half = len(words) // 2
    return " ".join(words[half:] + words[:half])


def greeted(text: str, _: random.Random) -> str:
    """Boilerplate before and after."""
    return f"Hello, {text} Thanks in advance."


EDITS: tuple[Edit, ...] = (upper, bare, shouted, typo, swapped, dropped, reordered, greeted)


def read_corpora(folder: Path, problems: int, questions: int | None = None) -> tuple[list[str], list[str], list[str]]:
    """Questions, their intents, and the first problems."""
    with (folder / "banking77" / "train.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if questions:
        rows = random.Random(0).sample(rows, questions)
    lines = (folder / "gsm8k" / "train.jsonl").read_text(encoding="utf-8").splitlines()[:problems]
    return [row["text"] for row in rows], [row["category"] for row in rows], [json.loads(line)["question"] for line in lines]


def nearest_stranger(vectors: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The highest cosine of each row to a row of another group, and that row."""
    best, stranger = np.empty(len(vectors), np.float32), np.empty(len(vectors), np.int64)
    for start in range(0, len(vectors), 1024):
        cosines = vectors[start : start + 1024] @ vectors.T
        cosines[groups[start : start + 1024, None] == groups[None]] = -1
        best[start : start + 1024], stranger[start : start + 1024] = cosines.max(1), cosines.argmax(1)
    return best, stranger


class Measured(NamedTuple):
    """Cosines by name, `strangers …` of the negatives and each edit's of the positives, and the pairs behind them all."""

    cosines: dict[str, np.ndarray]
    pairs: list[tuple[str, str, int]]


def measure(embed: Callable[[list[str]], np.ndarray], args: argparse.Namespace) -> Measured:
    """Measure the pairs of both kinds."""
    questions, intents, maths = read_corpora(args.corpora, args.problems, args.questions)
    found, pairs = dict[str, np.ndarray](), list[tuple[str, str, int]]()
    vectors = []
    for name, texts, groups in (
        ("banking77", questions, np.unique(intents, return_inverse=True)[1]),
        ("gsm8k", maths, np.arange(len(maths))),
    ):
        vectors.append(embed(texts))
        found[f"strangers {name}"], stranger = nearest_stranger(vectors[-1], groups)
        pairs += [(text, texts[other], 0) for text, other in zip(texts, stranger, strict=True)]
    rng = random.Random(args.seed)
    picked = rng.sample(range(len(questions)), args.edited)
    picked_gsm = rng.sample(range(len(maths)), args.edited // 3)
    texts = [questions[row] for row in picked] + [maths[row] for row in picked_gsm]
    originals = np.concatenate([vectors[0][picked], vectors[1][picked_gsm]])
    for edit in EDITS:
        changed = [edit(text, rng) for text in texts]
        found[edit.__name__] = (originals * embed(changed)).sum(1)
        pairs += [(text, other, 1) for text, other in zip(texts, changed, strict=True)]
    return Measured(found, pairs)


def shares(cosines: np.ndarray) -> dict[str, float]:
    """The share of pairs at or above each threshold, as `curate calibrate` counts it."""
    curve = measure_curve(cosines, np.ones(len(cosines), np.bool_), THRESHOLDS)
    return {str(point.threshold): point.recall or 0.0 for point in curve}


def main() -> None:
    """Print the curve."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpora", type=Path, default=Path("../shared/data"))
    parser.add_argument("--embedder", default="minilm", help="name or name:model")
    parser.add_argument("--problems", type=int, default=2000)
    parser.add_argument("--edited", type=int, default=600)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the static embedder keeps its table")
    parser.add_argument("--questions", type=int, help="only so many of banking77")
    parser.add_argument("--pairs", type=Path, help="write the labelled pairs to this CSV file")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    name, _, model = args.embedder.partition(":")
    embedder = plugins.load("embedders", name)(EmbedderOptions(model=model or None, threads=args.threads, folder=args.folder))
    measured = measure(embedder.embed_texts, args)
    table = {what: shares(cosines) for what, cosines in measured.cosines.items()}
    if args.pairs:
        with args.pairs.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("left", "right", "same"), *measured.pairs])
    if args.json:
        print(json.dumps({"embedder": args.embedder, "share at or above": table}))
        return
    print(f"{'share at or above':22}" + "".join(f"{t:8.2f}" for t in THRESHOLDS))
    for what, row in table.items():
        print(f"{what:22}" + "".join(f"{100 * share:7.2f}%" for share in row.values()))


if __name__ == "__main__":
    main()
