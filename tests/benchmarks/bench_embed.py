"""Texts a second of our embedders beside stock `SentenceTransformer.encode`, in one run, on the same cores and texts.

    python tests/benchmarks/bench_embed.py --corpora ../shared/data --rows 2000 --rounds 3

Rounds alternate the contenders, and the best round of each counts, so that other load on the machine disturbs the ratio least;
for the same reason one thread is timed by processor seconds. `--verdicts 10003` also tells how many of so many banking77
questions `minilm-int8` would keep or drop otherwise than `minilm`, both at the default threshold of `minilm`.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from curate import plugins
from curate.dedupers import MarkOptions
from curate.embedders import EmbedderOptions
from curate.embedders.minilm import model_folder
from curate.records import SILENT

NEIGHBOURS = 10


def read_texts(corpora: Path, rows: int) -> dict[str, list[str]]:
    """Short and long real texts: banking77 questions, gsm8k problems with their answers."""
    with (corpora / "banking77" / "train.csv").open(newline="", encoding="utf-8") as file:
        short = [row["text"] for row in csv.DictReader(file)][:rows]
    lines = (corpora / "gsm8k" / "train.jsonl").read_text(encoding="utf-8").splitlines()[: rows // 4]
    return {"banking77": short, "gsm8k": ["{question}\n{answer}".format(**json.loads(line)) for line in lines]}


def best_seconds(
    contenders: dict[str, Callable[[], np.ndarray]], rounds: int, clock: Callable[[], float]
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """The shortest time of each contender, and what it returned."""
    seconds = dict.fromkeys(contenders, float("inf"))
    vectors = {}
    for _ in range(rounds):
        for name, run in contenders.items():
            start = clock()
            vectors[name] = run()
            seconds[name] = min(seconds[name], clock() - start)
    return seconds, vectors


def shared_neighbours(left: np.ndarray, right: np.ndarray) -> float:
    """Mean share of the ten nearest that two embeddings of the same texts agree on."""
    near = []
    for vectors in (left, right):
        cosines = vectors @ vectors.T
        np.fill_diagonal(cosines, -2)
        near.append(np.argpartition(-cosines, NEIGHBOURS, axis=1)[:, :NEIGHBOURS])
    return float(np.mean([len(set(a) & set(b)) / NEIGHBOURS for a, b in zip(*near, strict=True)]))


def changed_verdicts(texts: list[str], left: Any, right: Any) -> dict[str, float]:
    """How two embedders' marks of the same texts differ at the first one's default threshold, and their cosines."""
    vectors = [embedder.embed_texts(texts) for embedder in (left, right)]
    dropped = []
    for rows in vectors:
        deduper = plugins.load("dedupers", "semantic")(threshold=left.default_threshold)
        marks = deduper.mark(rows, np.arange(len(rows)), options=MarkOptions(threads=1), progress=SILENT)
        dropped.append(marks.stands_for >= 0)
    some = np.linspace(0, len(texts) - 1, min(len(texts), 4_000)).astype(int)
    cosines = [(rows[some] @ rows[some].T)[np.triu_indices(len(some), 1)] for rows in vectors]
    near = cosines[0] > 0.85
    return {
        "texts": len(texts),
        "dropped_by_both": int((dropped[0] & dropped[1]).sum()),
        "dropped_by_float32_only": int((dropped[0] & ~dropped[1]).sum()),
        "dropped_by_int8_only": int((dropped[1] & ~dropped[0]).sum()),
        "mean_cosine_to_float32": float((vectors[0] * vectors[1]).sum(1).mean()),
        "least_cosine_to_float32": float((vectors[0] * vectors[1]).sum(1).min()),
        "mean_shift_of_cosines_over_0.85": float((cosines[1] - cosines[0])[near].mean()),
        "largest_change_of_a_cosine_over_0.85": float(np.abs(cosines[1] - cosines[0])[near].max()),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpora", type=Path, default=Path("../shared/data"))
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the static embedder keeps its table; left out, it is not measured")
    parser.add_argument("--verdicts", type=int, default=0, metavar="QUESTIONS")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(args.threads)
    stock = SentenceTransformer(str(model_folder()), device="cpu", local_files_only=True)
    names = ["minilm", "minilm-int8", *(["static"] if args.folder else [])]
    ours = {
        name: plugins.load("embedders", name)(EmbedderOptions(threads=args.threads, device="cpu", folder=args.folder))
        for name in names
    }
    report = {}
    for corpus, texts in read_texts(args.corpora, args.rows).items():
        contenders: dict[str, Callable[[], np.ndarray]] = {
            "stock": lambda texts=texts: stock.encode(texts, show_progress_bar=False),
            **{name: lambda embedder=embedder, texts=texts: embedder.embed_texts(texts) for name, embedder in ours.items()},
        }
        seconds, vectors = best_seconds(contenders, args.rounds, time.process_time if args.threads == 1 else time.perf_counter)
        for name in contenders:
            report[f"{corpus} {name}"] = {
                "texts_per_s": len(texts) / seconds[name],
                "times_stock": seconds["stock"] / seconds[name],
                "largest_difference": float(np.abs(vectors[name] - vectors["stock"]).max()) if name != "static" else None,
                "shared_neighbours": shared_neighbours(vectors["stock"], vectors[name]),
            }
    verdicts = {}
    if args.verdicts:
        questions = read_texts(args.corpora, args.verdicts)["banking77"]
        verdicts = changed_verdicts(questions, ours["minilm"], ours["minilm-int8"])
    if args.json:
        print(json.dumps(report | {"verdicts": verdicts}))
        return
    print(f"{'':24}{'texts/s':>10}{'x stock':>9}{'largest difference':>20}{'10 nearest shared':>19}")
    for name, row in report.items():
        difference = "" if row["largest_difference"] is None else f"{row['largest_difference']:.1e}"
        print(f"{name:24}{row['texts_per_s']:10.0f}{row['times_stock']:9.2f}{difference:>20}{row['shared_neighbours']:19.3f}")
    for name, value in verdicts.items():
        print(f"{name:40}{value:,.5g}")


if __name__ == "__main__":
    main()
