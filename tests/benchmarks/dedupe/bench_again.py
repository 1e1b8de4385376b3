"""What does `curate dedupe` cost after an ingest of one percent more, beside the first time?

    python tests/benchmarks/dedupe/bench_again.py [--rows 100000 1000000] [--words 60] [--folder DIR]

One JSON object a size. Texts are drawn from 20,000 words; each tenth is the one before it with a word changed, so that some
of the new ones repeat old ones. Each command is a process of its own: CPU seconds of all its threads, start and imports
included, and the same without what a dedupe of 64 texts takes, which is start and imports alone.
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

import numpy as np

CURATE = [sys.executable, "-m", "curate"]
METHODS = ["--method", "exact", "--method", "minhash", "--yes", "--json"]


def write_texts(file: Path, rows: int, words: int, seed: int, repeat: Path | None = None) -> list[str]:
    """Write texts as JSONL; a tenth of them repeats the text before, or one of another file, but for one word."""
    rng = np.random.default_rng(seed)
    vocabulary = np.array([f"w{n}" for n in range(20_000)])
    earlier = (
        None if repeat is None else [json.loads(line)["text"] for line, _ in zip(repeat.open(), range(rows), strict=False)]
    )
    texts: list[str] = []
    for row in range(rows):
        if row % 10 == 9:
            kept = (texts[-1] if earlier is None else earlier[row % len(earlier)]).split(" ")
            kept[rng.integers(words)] = f"e{row}"
            texts.append(" ".join(kept))
        else:
            texts.append(" ".join(vocabulary[rng.integers(0, len(vocabulary), words)]))
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return texts


def run(folder: Path, *command: str) -> tuple[float, dict[str, object]]:
    """CPU seconds of a command in a workspace, and what it reports."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([*CURATE, *command, "-w", str(folder)], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, json.loads(done.stdout) if "--json" in command else {}


def measure(folder: Path, rows: int, words: int) -> dict[str, object]:
    """One workspace: the first dedupe, one after 1 % more, and one after nothing more."""
    first, more, ws = folder / "first.jsonl", folder / "more.jsonl", folder / "ws"
    write_texts(first, rows - rows // 100, words, seed=rows)
    write_texts(more, rows // 100, words, seed=rows + 1, repeat=first)
    subprocess.run([*CURATE, "init", str(ws)], check=True, capture_output=True)
    run(ws, "ingest", str(first), "--dataset", "d", "--text", "text")
    at_first, _ = run(ws, "dedupe", "d", *METHODS)
    run(ws, "ingest", str(more), "--dataset", "d", "--text", "text")
    again, report = run(ws, "dedupe", "d", *METHODS)
    idle, _ = run(ws, "dedupe", "d", *METHODS)
    return {
        "first": at_first,
        "again": again,
        "nothing_new": idle,
        "dropped": report["dropped"],
        "taken_over": report["taken_over"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--words", type=int, default=60)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as scratch:
        (Path(scratch) / "tiny").mkdir()
        measure(Path(scratch) / "tiny", 100, given.words)  # compiles, where nothing was compiled
        (Path(scratch) / "start").mkdir()
        start = float(str(measure(Path(scratch) / "start", 100, given.words)["first"]))
        for rows in given.rows:
            folder = Path(scratch) / str(rows)
            folder.mkdir()
            found = measure(folder, rows, given.words)
            first, again = float(str(found["first"])), float(str(found["again"]))
            case = {
                "case": f"{rows:,} texts of {given.words} words, then 1 % more",
                "first_cpu_s": round(first, 2),
                "one_percent_more_cpu_s": round(again, 2),
                "nothing_new_cpu_s": round(float(str(found["nothing_new"])), 2),
                "start_cpu_s": round(start, 2),
                "share": round(again / first, 3),
                "share_beyond_start": round((again - start) / (first - start), 3),
                "dropped": found["dropped"],
                "taken_over": found["taken_over"],
                "machine": platform.machine(),
            }
            print(json.dumps(case), flush=True)


if __name__ == "__main__":
    main()
