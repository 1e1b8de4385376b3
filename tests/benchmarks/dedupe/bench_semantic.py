"""The semantic self-join beside FAISS, in one run: seconds, pairs of rows flagged, recall.

    python tests/benchmarks/dedupe/bench_semantic.py --vectors real.npy --threshold 0.95
    python tests/benchmarks/dedupe/bench_semantic.py --rows 1000000 --ours-only

Without `--vectors` they are made: a mixture of clusters whose spectrum falls like that of a text embedder, with 10 % near
copies and one group of equal rows. FAISS Flat search takes the 32 nearest of each row, range_search all above the threshold;
both only find pairs, ours also decides which rows stay. FAISS is timed on `--faiss-rows` queries and scaled up, as its cost
is linear in them.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

import faiss
import numpy as np

from curate.dedupers import MarkOptions
from curate.dedupers.semantic import EXACT_UP_TO, Semantic
from curate.records import SILENT

NEIGHBOURS = 32
BLOCK = 65_536


def make_vectors(rows: int, width: int, equal: int, seed: int) -> np.ndarray:
    """Unit vectors with a falling spectrum, 10 % near copies of others, `equal` copies of one."""
    rng = np.random.default_rng(seed)
    scale = (1 / (1 + np.arange(width)) ** 0.4).astype(np.float32)
    centres = rng.standard_normal((max(1, rows // 200), width), np.float32) * scale
    vectors = np.empty((rows, width), np.float32)
    for start in range(0, rows, BLOCK):
        part = vectors[start : start + BLOCK]
        part[:] = rng.standard_normal(part.shape, np.float32) * scale
        part += centres[rng.integers(0, len(centres), len(part))]
    copies = rng.permutation(rows)[: rows // 10]
    noise = rng.standard_normal((len(copies), width), np.float32) * scale
    vectors[copies] = (
        vectors[rng.integers(0, rows, len(copies))] + rng.uniform(0, 0.5, (len(copies), 1)).astype(np.float32) * noise
    )
    vectors[rng.permutation(rows)[:equal]] = vectors[0]
    for start in range(0, rows, BLOCK):
        part = vectors[start : start + BLOCK]
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return vectors


def run_ours(vectors: np.ndarray, threshold: float, threads: int, rounds: int = 1, **settings: int) -> dict[str, float]:
    """Mark all rows; the best of the rounds."""
    deduper = Semantic(threshold=threshold, **settings)
    seconds = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        marks = deduper.mark(vectors, np.arange(len(vectors)), options=MarkOptions(threads=threads), progress=SILENT)
        seconds = min(seconds, time.perf_counter() - start)
    return {"seconds": seconds, "dropped": int((marks.stands_for >= 0).sum()), "verified": marks.compared}


def run_faiss(vectors: np.ndarray, threshold: float, threads: int, queries: int) -> dict[str, dict[str, float]]:
    """Time Flat search and range_search on evenly spaced queries, scaled to all rows."""
    faiss.omp_set_num_threads(threads)
    faiss.cvar.distance_compute_blas_threshold = 20
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    picked = vectors[np.linspace(0, len(vectors) - 1, min(queries, len(vectors))).astype(int)]
    report = {}
    for name, search in (
        ("FAISS Flat search", lambda: index.search(picked, NEIGHBOURS)),
        ("FAISS Flat range_search", lambda: index.range_search(picked, threshold)),
    ):
        start = time.perf_counter()
        search()
        report[f"{name}, {threads} threads"] = {"seconds": (time.perf_counter() - start) * len(vectors) / len(picked)}
    return report


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=Path, help="(n, d) float32 .npy of unit vectors")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--equal", type=int, default=0, help="rows of one group of equal vectors, where they are made")
    parser.add_argument("--threshold", type=float, default=0.95)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--faiss-rows", type=int, default=8_192)
    parser.add_argument("--ours-only", action="store_true")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    vectors = np.load(args.vectors)[: args.rows] if args.vectors else make_vectors(args.rows, args.width, args.equal, args.seed)
    run_ours(vectors[:2000], args.threshold, 2)  # compiles
    report: dict[str, dict[str, float]] = {}
    if len(vectors) <= EXACT_UP_TO:
        for threads in (1, 2):
            report[f"ours, exact, {threads} threads"] = run_ours(vectors, args.threshold, threads, args.rounds)
            if not args.ours_only:
                report.update(run_faiss(vectors, args.threshold, threads, args.faiss_rows))
    report["ours, partitioned, 2 threads"] = run_ours(vectors, args.threshold, 2, exact_up_to=0)
    exact = report.get("ours, exact, 2 threads")
    for name, row in report.items():
        if exact and "dropped" in row:
            row["recall"] = row["dropped"] / max(1, exact["dropped"])
        flat = report.get(f"FAISS Flat search, {name.rsplit(', ', 1)[-1]}")
        if flat:
            row["times_flat"] = flat["seconds"] / row["seconds"]
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if args.json:
        print(json.dumps({"rows": len(vectors), "threshold": args.threshold, "peak_mib": peak_mib, "runs": report}))
        return
    print(f"{len(vectors):,} × {vectors.shape[1]}, threshold {args.threshold}, peak {peak_mib:,.0f} MiB with the vectors")
    for name, row in report.items():
        more = "  ".join(
            f"{key} {value:,.4g}" if isinstance(value, float) else f"{key} {value:,}" for key, value in row.items()
        )
        print(f"{name:36}{more}")


if __name__ == "__main__":
    main()
