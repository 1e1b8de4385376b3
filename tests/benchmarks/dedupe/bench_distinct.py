"""Which distinct texts a dedupe drops, and which edits it finds: by level, on real texts.

Distinct: lines of the tldr pages in each language, banking77 and gsm8k questions, lines of code, sensor records as JSON.
What is dropped of them is listed, for a person to judge. Edits: banking77 and gsm8k texts beside themselves changed by one
stated rule (`bench_thresholds`); the share that is dropped is printed.

    python tests/benchmarks/dedupe/bench_distinct.py --corpora ../shared/data --level edits --show 20
"""

from __future__ import annotations

import argparse
import csv
import inspect
import json
import random
import tarfile
import tempfile
import tokenize
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import bench_thresholds

from curate import dedupe, ingest, open_workspace
from curate.workspace import create_workspace


def tldr_lines(corpora: Path, lines: int) -> dict[str, list[str]]:
    """So many distinct description lines of each language, as a seed draws them."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    with tarfile.open(corpora / "tldr_pages.tar.gz") as tar:
        for member in tar:
            language = next((part for part in member.name.split("/") if part.startswith("pages")), "")
            if not member.isfile() or not member.name.endswith(".md") or not language:
                continue
            text = tar.extractfile(member).read().decode("utf-8", "replace")  # type: ignore[union-attr]
            kept = (line[2:].strip() for line in text.splitlines() if line.startswith("- "))
            found[language.partition(".")[2] or "en"].update(dict.fromkeys(kept))
    rng = random.Random(0)
    return {name: rng.sample(sorted(all_), min(lines, len(all_))) for name, all_ in sorted(found.items())}


def code_lines(count: int) -> list[str]:
    """Distinct functions of the standard library, and each with one operator, name or number changed."""
    made = dict[str, None]()
    for module in (argparse, csv, inspect, json, tarfile, tempfile, tokenize, random):
        for _, function in inspect.getmembers(module, inspect.isfunction):
            try:
                text = inspect.getsource(function)
            except OSError:
                continue
            if 80 < len(text) < 1_200:
                made[text] = None
                made.update(dict.fromkeys(_changed(text)))
    return list(made)[:count]


def _changed(text: str) -> Iterator[str]:
    for before, after in ((" == ", " != "), (" < ", " > "), (" + ", " - "), (" and ", " or "), ("True", "False"), ("0", "1")):
        if before in text:
            yield text.replace(before, after, 1)


def sensor_records(count: int) -> list[str]:
    """Records that differ in a reading or a time."""
    rng = random.Random(1)
    return [
        json.dumps(
            {"sensor": f"hall-{rng.randrange(9)}", "time": f"2024-03-0{1 + n % 9}T1{n % 10}:0{n % 6}:00Z",
             "temperature": round(rng.uniform(18, 24), 1), "humidity": rng.randrange(30, 60), "status": rng.choice("ab")}
        )
        for n in range(count)
    ]  # fmt: skip


def edited(corpora: Path, count: int) -> Iterator[tuple[str, list[str]]]:
    """For each rule so many texts and then their edits."""
    questions, _, maths = bench_thresholds.read_corpora(corpora, 2_000)
    rng = random.Random(7)
    texts = rng.sample(questions, count) + rng.sample(maths, count // 3)
    for edit in bench_thresholds.EDITS:
        yield edit.__name__, texts + [edit(text, rng) for text in texts]


def run(folder: Path, texts: list[str], **options: object) -> tuple[int, list[tuple[str, str, str, float]]]:
    """Dedupe texts; returns how many were dropped by something else than equality, and (kept, dropped, method, similarity)."""
    source = folder / "texts.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    create_workspace(folder / "ws")
    with open_workspace(folder / "ws") as workspace:
        ingest(workspace, [str(source)], dataset="texts")
        dedupe(workspace, "texts", yes=True, **options)  # type: ignore[arg-type]
        found = workspace.catalog.rows(
            """SELECT k.text, s.text, e.method, e.similarity FROM current_verdicts v JOIN duplicates e USING (duplicate_id)
               JOIN real_samples s ON s.sample_id = v.sample_id JOIN real_samples k ON k.sample_id = e.keeper_id
               WHERE v.action = 'drop' AND e.method <> 'exact' ORDER BY s.sample_id"""
        )
    return len(found), found


def main() -> None:
    """Print what was dropped and what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpora", type=Path, default=Path("../shared/data"))
    parser.add_argument("--level", help="none for the defaults of the installed version")
    parser.add_argument("--lines", type=int, default=300)
    parser.add_argument("--edited", type=int, default=300)
    parser.add_argument("--languages", nargs="*", help="only these")
    parser.add_argument("--only", nargs="*", default=["tldr", "others", "edits"])
    parser.add_argument("--show", type=int, default=0, help="list so many drops of each set")
    args = parser.parse_args()
    options = {"level": args.level} if args.level else {}

    def told(name: str, texts: list[str], count: Callable[[list[tuple[str, str, str, float]]], int] = len) -> None:
        with tempfile.TemporaryDirectory() as folder:
            _, found = run(Path(folder), texts, **options)
        print(f"{name:24} {count(found):6,} of {len(texts):6,}", flush=True)
        for kept, dropped, method, similarity in found[: args.show]:
            print(
                f"    {method} {similarity:.3f}\n      {' '.join(kept.split())[:300]}\n      {' '.join(dropped.split())[:300]}"
            )

    if "tldr" in args.only:
        for language, lines in tldr_lines(args.corpora, args.lines).items():
            if not args.languages or language in args.languages:
                told(f"tldr {language}", lines)
    if "others" in args.only:
        questions, _, maths = bench_thresholds.read_corpora(args.corpora, 2_000)
        told("banking77", list(dict.fromkeys(questions)))
        told("gsm8k", maths)
        told("code", code_lines(600))
        told("sensor records", sensor_records(300))
    if "edits" in args.only:
        for name, texts in edited(args.corpora, args.edited):
            half = len(texts) // 2
            told(f"edit: {name}", texts, lambda found, changed=set(texts[half:]): sum(d in changed for _, d, _, _ in found))


if __name__ == "__main__":
    main()
