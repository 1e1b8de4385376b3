"""The semantic join on real MiniLM vectors beside FAISS and SemHash, and its curve and memory up to a million vectors.

    python tests/benchmarks/dedupe/bench_semantic.py --rows 20000 --cases exact
    python tests/benchmarks/dedupe/bench_semantic.py --cases exact,semhash,curve,memory --folder CACHE

The vectors are those of a random choice of distinct lines: English tldr pages, sentences of gsm8k, questions of banking77. They
are made by our `minilm` once (half an hour a core for 100,000) and kept in `--folder`. Each case runs in a process of its own
and prints one JSON object.

exact:   ours, which decides which rows stay, on one and two threads; FAISS Flat search for the 32 nearest and range_search,
         which only find pairs, on `--faiss-rows` queries, scaled up, as their cost is linear in queries; and whether our
         marks are those of an oracle: the pairs of a whole range_search, verified and visited row by row. One thread is
         timed by processor seconds, two by those and by the clock.
semhash: SemHash on the same vectors and threshold; recall is the share of the rows we drop that it drops.
curve:   10,000 to `--most-rows` vectors; those beyond the real ones are mixtures of two real ones with a little noise, a tenth
         of them near copies of others. Also with a group of 50,000 equal vectors and one of 50,000 near-equal ones. Recall: of
         those of 1,000 sampled rows that an exact comparison with all kept rows before them says to drop, the share dropped.
again:   `--most-rows` vectors as in the curve, of which the last 1 % comes later and is compared with those that were kept.
memory:  a memory map of vectors larger than `MarkOptions.memory_bytes`: how far resident and anonymous memory grew.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import re
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from curate.dedupers import MarkOptions
from curate.dedupers.semantic import Semantic
from curate.records import SILENT

CORPORA = Path(__file__).parents[4] / "shared" / "data"
NEIGHBOURS = 32
BLOCK = 16_384
SAMPLE = 1_000
GROUP = 50_000
CASES = ("exact", "semhash", "curve", "memory")


def lines(folder: Path) -> list[str]:
    """Distinct short texts, in a fixed order."""
    found: dict[str, None] = {}
    for name in ("train", "test"):
        with (folder / "banking77" / f"{name}.csv").open(newline="", encoding="utf-8") as rows:
            found.update((row["text"].strip(), None) for row in csv.DictReader(rows))
        for line in (folder / "gsm8k" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            problem = "{question}\n{answer}".format(**json.loads(line))
            found.update((sentence.strip(), None) for sentence in re.split(r"(?<=[.?!])\s+|\n", problem))
    with tarfile.open(folder / "tldr_pages.tar.gz") as archive:
        for member in archive:
            held = archive.extractfile(member) if {"pages", "pages.en"} & set(Path(member.name).parts) else None
            if held is not None:
                page = held.read().decode("utf-8", "replace").splitlines()
                found.update((line.strip().lstrip("->#` ").rstrip("`"), None) for line in page)
    return [text for text in found if len(text) >= 8]


def real_vectors(folder: Path, rows: int) -> Path:
    """The cached vectors of at least `rows` texts, made where they are lacking."""
    texts = lines(CORPORA)
    texts = [texts[at] for at in np.random.default_rng(1).permutation(len(texts))[:rows]]
    path = folder / "real.npy"
    if path.exists() and len(np.load(path, mmap_mode="r")) >= len(texts):
        return path
    from curate.embedders import EmbedderOptions
    from curate.embedders.minilm import MiniLM

    started = time.perf_counter()
    np.save(path, MiniLM(EmbedderOptions(device="cpu")).embed_texts(texts))
    print(json.dumps({"case": "embedding", "rows": len(texts), "seconds": time.perf_counter() - started}), flush=True)
    return path


def grown(real: np.ndarray, rows: int, group: str | None) -> np.ndarray:
    """Real vectors, shuffled with mixtures of two of them; a tenth are near copies, and `GROUP` rows "equal" or "near"."""
    rng = np.random.default_rng(7)
    vectors = np.empty((rows, real.shape[1]), np.float32)
    vectors[: len(real)] = real[:rows]
    spectrum = np.sqrt(np.maximum(np.linalg.eigvalsh(real.T @ real / len(real)), 0)).astype(np.float32)
    axes = np.linalg.eigh(real.T @ real)[1].astype(np.float32)

    def noise(count: int) -> np.ndarray:
        return (rng.standard_normal((count, len(spectrum)), np.float32) * spectrum) @ axes.T

    for start in range(min(len(real), rows), rows, BLOCK):
        part = vectors[start : start + BLOCK]
        left, right = (real[rng.integers(0, len(real), len(part))] for _ in range(2))
        share = rng.uniform(0.5, 0.8, (len(part), 1)).astype(np.float32)
        part[:] = share * left + (1 - share) * right + 0.2 * noise(len(part))
        copies = np.flatnonzero(rng.random(len(part)) < 0.1)
        source = vectors[rng.integers(0, start, len(copies))]
        part[copies] = source + rng.uniform(0.02, 0.4, (len(copies), 1)).astype(np.float32) * noise(len(copies))
    order = rng.permutation(rows)
    if group:
        chosen = order[: min(GROUP, rows // 2)]
        vectors[chosen] = vectors[chosen[0]]
        if group == "near":
            vectors[chosen] += 0.1 * noise(len(chosen))
    for start in range(0, rows, BLOCK):
        part = vectors[start : start + BLOCK]
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    for column in range(0, real.shape[1], 32):  # shuffle in place, a few columns at a time
        vectors[:, column : column + 32] = vectors[order, column : column + 32]
    return vectors


class Memory:
    """Watches this process while a block runs: `grown_mib` of resident and of anonymous memory, and `peak_mib` in all."""

    def __enter__(self) -> Memory:
        Path("/proc/self/clear_refs").write_text("5")
        self._start = self._now()
        self._most = dict(self._start)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.report = {
            "resident_growth_mib": round(max(self._most["VmRSS"], self._now()["VmHWM"]) - self._start["VmRSS"]),
            "anonymous_growth_mib": round(self._most["RssAnon"] - self._start["RssAnon"]),
            "peak_rss_mib": round(self._now()["VmHWM"]),
        }

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            for key, value in self._now().items():
                self._most[key] = max(self._most[key], value)

    @staticmethod
    def _now() -> dict[str, float]:
        text = Path("/proc/self/status").read_text()
        return {key: int(re.search(rf"{key}:\s+(\d+)", text)[1]) / 1024 for key in ("VmRSS", "RssAnon", "VmHWM")}  # type: ignore[index]


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Wall-clock seconds, and the result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def cpu_timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds of all threads, which other load on the machine disturbs least, and the result."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def mark(vectors: np.ndarray, threshold: float, threads: int, **options: Any) -> Any:
    """Our marks of all rows in their order."""
    chosen = MarkOptions(threads=threads, **options)
    return Semantic(threshold=threshold).mark(vectors, np.arange(len(vectors)), options=chosen, progress=SILENT)


def oracle(vectors: np.ndarray, threshold: float) -> np.ndarray:
    """Visit rows in order with all their pairs at hand: (n,) the kept row that stands for each, or -1."""
    import faiss

    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    deduper = Semantic(threshold=threshold)
    stands_for = np.full(len(vectors), -1)
    fate: dict[bytes, int] = {}
    for start in range(0, len(vectors), 4_096):
        limits, _, found = index.range_search(vectors[start : start + 4_096], threshold - 1e-3)
        for row in range(start, min(start + 4_096, len(vectors))):
            near = np.sort(found[limits[row - start] : limits[row - start + 1]])
            near = near[(near < row) & (stands_for[near] < 0)]
            cosines = deduper.similarity(np.repeat(vectors[row : row + 1], len(near), 0), vectors[near])
            key = vectors[row].tobytes()
            if key not in fate:
                fate[key] = near[cosines.argmax()] if len(near) and float(cosines.max()) >= threshold else row
            stands_for[row] = -1 if fate[key] == row else fate[key]
    return stands_for


def run_exact(args: argparse.Namespace, vectors: np.ndarray, threshold: float) -> Iterator[dict[str, Any]]:
    """Ours and FAISS on one and two threads, and the check by the oracle."""
    import faiss

    faiss.cvar.distance_compute_blas_threshold = 20
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    queries = vectors[np.linspace(0, len(vectors) - 1, min(args.faiss_rows, len(vectors))).astype(int)]
    scale = len(vectors) / len(queries)
    row: dict[str, Any] = {"rows": len(vectors), "threshold": threshold, "faiss_queries": len(queries)}
    for threads, clock, name in (
        (1, cpu_timed, "one_thread_cpu"),
        (2, cpu_timed, "two_threads_cpu"),
        (2, timed, "two_threads"),
    ):
        faiss.omp_set_num_threads(threads)
        ours, flat, ranged, marks = float("inf"), float("inf"), float("inf"), None
        for _ in range(args.rounds):  # in turns, so that other load on the machine hits all alike
            seconds, marks = clock(lambda threads=threads: mark(vectors, threshold, threads))  # type: ignore[misc]
            ours = min(ours, seconds)
            flat = min(flat, clock(lambda: index.search(queries, NEIGHBOURS))[0] * scale)
            ranged = min(ranged, clock(lambda: index.range_search(queries, threshold))[0] * scale)
        row[name] = {
            key: float(f"{value:.4g}")
            for key, value in {
                "ours_s": ours,
                "faiss_flat_s": flat,
                "faiss_range_s": ranged,
                "times_flat": flat / ours,
                "times_range": ranged / ours,
            }.items()
        }
    row |= {"dropped": int((marks.stands_for >= 0).sum()), "verified": marks.compared}  # type: ignore[union-attr]
    if not args.no_oracle:
        row["marks_of_the_oracle"] = bool(np.array_equal(marks.stands_for, oracle(vectors, threshold)))  # type: ignore[union-attr]
    yield row


def run_semhash(args: argparse.Namespace, vectors: np.ndarray, threshold: float) -> Iterator[dict[str, Any]]:
    """SemHash with its usual index on our vectors, and both with the embedding of `--embed-rows` texts in the time."""
    from semhash import SemHash

    from curate.embedders import EmbedderOptions
    from curate.embedders.minilm import MiniLM

    minilm = MiniLM(EmbedderOptions(threads=2, device="cpu"))

    class Encoder:
        def encode(self, inputs: Any, **_: Any) -> np.ndarray:
            return minilm.embed_texts(list(inputs))

    def theirs(rows: np.ndarray) -> set[int]:
        names = [str(at) for at in range(len(rows))]
        held = SemHash.from_embeddings(rows, names, model=Encoder()).self_deduplicate(threshold=threshold)
        return {int(found.record) for found in held.filtered}

    seconds, gone = timed(lambda: theirs(vectors))
    ours, marks = timed(lambda: mark(vectors, threshold, 2))
    dropped = set(np.flatnonzero(marks.stands_for >= 0).tolist())
    row = {"rows": len(vectors), "threshold": threshold, "ours_s": ours, "semhash_s": seconds, "times_semhash": seconds / ours}
    row |= {
        "dropped": len(dropped),
        "semhash_dropped": len(gone),
        "semhash_recall": len(gone & dropped) / len(dropped) if dropped else None,
    }
    texts = lines(CORPORA)[: args.embed_rows]
    whole, _ = timed(lambda: SemHash.from_records(texts, model=Encoder()).self_deduplicate(threshold=threshold))
    ours_whole, _ = timed(lambda: mark(minilm.embed_texts(texts), threshold, 2))
    yield row | {"with_embedding": {"texts": len(texts), "ours_s": ours_whole, "semhash_with_our_embedder_s": whole}}


def sampled_recall(vectors: np.ndarray, stands_for: np.ndarray, threshold: float) -> float | None:
    """Of sampled rows with a kept row before them that is similar, the share that was dropped; None where there is none."""
    sample = np.sort(np.random.default_rng(3).permutation(len(vectors))[:SAMPLE])
    most = np.full(len(sample), -1, np.float32)
    for start in range(0, len(vectors), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(vectors)))
        rows = rows[stands_for[rows] < 0]
        cosines = vectors[sample] @ vectors[rows].T
        cosines[rows[None] >= sample[:, None]] = -1
        if len(rows):
            most = np.maximum(most, cosines.max(1))
    flagged = stands_for[sample] >= 0
    missed = ~flagged & (most >= threshold)
    similar = int(flagged.sum() + missed.sum())
    return float(flagged.sum() / similar) if similar else None


def run_curve(args: argparse.Namespace, vectors: np.ndarray, threshold: float) -> Iterator[dict[str, Any]]:
    """Growing sets, and groups."""
    sizes = [rows for rows in (10_000, 100_000) if rows < args.most_rows]
    for rows, group in [(rows, None) for rows in [*sizes, args.most_rows]] + [
        (args.most_rows, "equal"),
        (args.most_rows, "near"),
    ]:
        many = grown(vectors, rows, group)
        with Memory() as memory:
            cpu, (seconds, marks) = cpu_timed(lambda many=many: timed(lambda: mark(many, threshold, args.threads)))  # type: ignore[misc]
        yield {
            "rows": rows,
            "group": group,
            "threshold": threshold,
            "threads": args.threads,
            "seconds": seconds,
            "cpu_seconds": cpu,
            "cpu_microseconds_a_row": cpu / rows * 1e6,
            "dropped": int((marks.stands_for >= 0).sum()),
            "verified": marks.compared,
            "recall": sampled_recall(many, marks.stands_for, threshold),
            "notes": marks.notes,
            **memory.report,
        }


def run_again(args: argparse.Namespace, vectors: np.ndarray, threshold: float) -> Iterator[dict[str, Any]]:
    """The first 99 %, then the rest against what was kept of them."""
    many = grown(vectors, args.most_rows, None)
    old = len(many) - len(many) // 100
    cpu, (seconds, marks) = cpu_timed(lambda: timed(lambda: mark(many[:old], threshold, args.threads)))
    kept = np.flatnonzero(marks.stands_for < 0)
    order, options = np.r_[kept, np.arange(old, len(many))], MarkOptions(threads=args.threads)
    semantic = Semantic(threshold=threshold)
    more_cpu, (more_seconds, more) = cpu_timed(
        lambda: timed(lambda: semantic.mark(many, order, settled=len(kept), options=options, progress=SILENT))
    )
    row = {"rows": len(many), "threshold": threshold, "first_s": seconds, "one_percent_more_s": more_seconds}
    row |= {"first_cpu_s": cpu, "one_percent_more_cpu_s": more_cpu, "share": more_cpu / cpu}
    yield row | {"dropped_later": int((more.stands_for >= 0).sum()), "notes": more.notes}


def run_memory(args: argparse.Namespace, vectors: np.ndarray, threshold: float) -> Iterator[dict[str, Any]]:
    """A mapped file of vectors and two limits: one that holds it, and `--memory-mib`."""
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        path = Path(folder) / "many.npy"
        np.save(path, grown(vectors, args.most_rows, None))
        found = []
        for limit in (4_096, args.memory_mib):
            mapped = np.load(path, mmap_mode="r")
            with Memory() as memory:
                options = {"memory_bytes": limit * 2**20, "folder": Path(folder)}
                seconds, marks = timed(lambda m=mapped, o=options: mark(m, threshold, args.threads, **o))  # type: ignore[misc]
            found.append(marks.stands_for)
            yield {
                "rows": len(mapped),
                "vectors_mib": mapped.nbytes >> 20,
                "limit_mib": limit,
                "seconds": seconds,
                "same_marks": bool(np.array_equal(found[0], found[-1])),
                "notes": marks.notes,
                **memory.report,
            }
            del mapped


def machine() -> dict[str, Any]:
    """What a figure depends on."""
    names = [line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    return {"cpu": names[0], "cores": len(names), "load": os.getloadavg()[0], "python": platform.python_version()}


def main() -> None:
    """Run the cases, each in a process of its own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", default="exact,curve,memory")
    parser.add_argument("--rows", type=int, default=100_000, help="real vectors")
    parser.add_argument("--most-rows", type=int, default=1_000_000, help="of the curve, and of the memory case")
    parser.add_argument("--thresholds", default="0.95,0.9")
    parser.add_argument("--threads", type=int, default=2, help="of the curve and the memory case")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--faiss-rows", type=int, default=4_096)
    parser.add_argument("--embed-rows", type=int, default=2_000)
    parser.add_argument("--memory-mib", type=int, default=256)
    parser.add_argument("--no-oracle", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--only", help=argparse.SUPPRESS)
    args = parser.parse_args()
    path = real_vectors(args.folder, args.rows)
    if args.only is None:
        for case in args.cases.split(","):
            for threshold in args.thresholds.split(",")[: None if case in ("exact", "semhash") else 1]:
                subprocess.run([sys.executable, *sys.argv, "--only", f"{case},{threshold}"], check=True)
        return
    case, threshold = args.only.split(",")
    runner = {"exact": run_exact, "semhash": run_semhash, "curve": run_curve, "again": run_again, "memory": run_memory}[case]
    vectors = np.load(path)[: args.rows]
    mark(vectors[:3_000], float(threshold), 2)  # compiles
    for row in runner(args, vectors, float(threshold)):
        rounded = {key: float(f"{value:.4g}") if isinstance(value, float) else value for key, value in row.items()}
        print(json.dumps({"case": case, **rounded, **machine()}), flush=True)


if __name__ == "__main__":
    main()
