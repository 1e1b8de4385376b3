"""Texts whose similarities are known, and the way they come into a workspace."""

from __future__ import annotations

import json
import random

from curate.steps.ingest import ingest
from curate.workspace import Workspace

WORDS = [f"word{n}" for n in range(120)]


def put(workspace: Workspace, texts: list[str], dataset: str = "d", file: str | None = None) -> None:
    """Ingest texts from a JSONL file."""
    path = workspace.root.parent / (file or f"{dataset}.jsonl")
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    ingest(workspace, [path], dataset=dataset)


def story(rng: random.Random, words: int = 60) -> str:
    """Words by chance."""
    return " ".join(rng.choice(WORDS) for _ in range(words))


def drifting(seed: int, count: int) -> list[str]:
    """Stories that drift away from each other word by word, with copies: similarities of every size."""
    rng = random.Random(seed)
    made = [story(rng, 40).split() for _ in range(2)]
    while len(made) < count:
        words = list(rng.choice(made))
        for _ in range(rng.choice([0, 1, 1, 2, 3])):
            words[rng.randrange(len(words))] = rng.choice(WORDS)
        made.append(words)
    return [" ".join(words) for words in made]


def jaccard(left: str, right: str) -> float:
    """The slow one, of word 5-grams."""
    a, b = ({tuple(t.split()[i : i + 5]) for i in range(len(t.split()) - 4)} for t in (left, right))
    return len(a & b) / len(a | b)
