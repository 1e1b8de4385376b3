"""What does `curate dedupe` cost after an ingest of one percent more, beside the first time?

    python tests/benchmarks/dedupe/bench_again.py [--rows 100000 1000000] [--words 60] [--texts FILE.jsonl] [--folder DIR]
        [--methods exact minhash]

One JSON object a size. Texts are drawn from 20,000 words; each tenth is the one before it with a word changed, so that some
of the new ones repeat old ones. With --texts those of a file are taken instead, in a random order. Each command is a process
of its own: CPU seconds of all its threads, start and imports included, and the same beyond what a dedupe of 99 texts takes,
which is start and imports alone. `--methods` without a name is the bare command, which embeds too.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

CURATE = [sys.executable, "-m", "curate"]
LEAST_S = 1.0
"""A first dedupe that takes no more than this beyond start says nothing about a share of it."""


def drawn_texts(rows: int, words: int) -> list[str]:
    """Texts of so many words; each tenth is one of those before it but for a word, and of the last 1 % mostly an old one."""
    rng = np.random.default_rng(rows)
    vocabulary = np.array([f"w{n}" for n in range(20_000)])
    texts: list[str] = []
    for row in range(rows):
        if row % 10 == 9:
            kept = texts[row - 1 if row < rows - rows // 100 else rng.integers(row)].split(" ")
            kept[rng.integers(words)] = f"e{row}"
            texts.append(" ".join(kept))
        else:
            texts.append(" ".join(vocabulary[rng.integers(0, len(vocabulary), words)]))
    return texts


def real_texts(file: Path) -> list[str]:
    """The field "text" of every line of a JSONL file, in a random order."""
    texts = [json.loads(line)["text"] for line in file.open(encoding="utf-8")]
    return [texts[row] for row in np.random.default_rng(0).permutation(len(texts))]


def write(file: Path, texts: list[str]) -> str:
    """Write texts as JSONL; returns the file's name."""
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    return str(file)


def run(folder: Path, *command: str) -> tuple[float, dict[str, Any]]:
    """CPU seconds of a command in a workspace, and what it reports."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([*CURATE, *command, "-w", str(folder)], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, json.loads(done.stdout) if "--json" in command else {}


def measure(folder: Path, texts: list[str], methods: list[str]) -> dict[str, float]:
    """One workspace: CPU seconds of the first dedupe, of one after 1 % more and of one after nothing more; what was dropped."""
    folder.mkdir()
    ws, cut = folder / "ws", len(texts) - len(texts) // 100
    dedupe = ["dedupe", "d", *(word for name in methods for word in ("--method", name)), "--yes", "--json"]
    subprocess.run([*CURATE, "init", str(ws)], check=True, capture_output=True)
    run(ws, "ingest", write(folder / "first.jsonl", texts[:cut]), "--dataset", "d", "--text", "text")
    first, _ = run(ws, *dedupe)
    run(ws, "ingest", write(folder / "more.jsonl", texts[cut:]), "--dataset", "d", "--text", "text")
    again, report = run(ws, *dedupe)
    idle, _ = run(ws, *dedupe)
    return {
        "first": first,
        "again": again,
        "nothing_new": idle,
        "dropped": report["dropped"],
        "taken_over": report["taken_over"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--words", type=int, default=60)
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--methods", nargs="*", default=["exact", "minhash"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as scratch:
        few = drawn_texts(100, given.words)
        measure(Path(scratch) / "tiny", few, given.methods)  # compiles, where nothing was compiled
        start = measure(Path(scratch) / "start", few, given.methods)["first"]
        sets = [real_texts(given.texts)] if given.texts else (drawn_texts(rows, given.words) for rows in given.rows)
        for texts in sets:
            found = measure(Path(scratch) / str(len(texts)), texts, given.methods)
            beyond = found["first"] - start if given.methods else 0.0  # else the start embeds 99 texts
            characters = sum(map(len, texts)) / len(texts)
            case = {
                "case": f"{len(texts):,} texts of {characters:.0f} characters, the last 1 % later",
                "methods": given.methods or "the command's own",
                "first_cpu_s": round(found["first"], 2),
                "one_percent_more_cpu_s": round(found["again"], 2),
                "nothing_new_cpu_s": round(found["nothing_new"], 2),
                "start_cpu_s": round(start, 2),
                "share": round(found["again"] / found["first"], 3),
                "share_beyond_start": round((found["again"] - start) / beyond, 3) if beyond > LEAST_S else None,
                "dropped": found["dropped"],
                "taken_over": found["taken_over"],
                "machine": platform.machine(),
            }
            print(json.dumps(case), flush=True)


if __name__ == "__main__":
    main()
