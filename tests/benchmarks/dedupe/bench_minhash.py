"""MinHash dedupe beside its peers, at one rule, in one run: 32 bands of 4 rows, word 5-grams, Jaccard 0.8, every pair verified.

    python tests/benchmarks/dedupe/bench_minhash.py --documents 20000 [--man /usr/share/man] [--json]

Documents are English tldr pages, gsm8k problems, banking77 questions and plays from ../shared/data (and man pages, where a
folder is named), one alone or some in a row, and copies of them with up to one word in fifteen changed. They are ASCII, so that
the peers' token rule, a regular expression, is ours. The truth is an exact sparse join: all pairs at 0.8 or above, found by
their rarest shingles. Every tool visits the documents in the same order and keeps the first of each kind; CPU
seconds cover shingling, signing, banding, verifying and the verdicts, and exclude reading the documents.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import importlib.util
import json
import random
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

CORPORA = Path(__file__).parents[4] / "shared" / "data"
BANDS, ROWS, THRESHOLD, NGRAM = 32, 4, 0.8, 5
_TOKEN = re.compile(r"[a-z0-9_]+|[+<=>$|~*/%#&@\\^]")


def originals(folder: Path, man: Path | None) -> list[str]:
    """Every ASCII document of at least five tokens, in a fixed order."""
    texts = []
    with tarfile.open(folder / "tldr_pages.tar.gz") as archive:
        for member in archive:
            held = archive.extractfile(member) if {"pages", "pages.en"} & set(Path(member.name).parts) else None
            if held is not None:
                texts.append(held.read().decode())
    for name in ("train", "test"):
        lines = (folder / "gsm8k" / f"{name}.jsonl").read_text().splitlines()
        texts += ["{question}\n{answer}".format(**json.loads(line)) for line in lines]
        with (folder / "banking77" / f"{name}.csv").open() as rows:
            texts += [row["text"] for row in csv.DictReader(rows)]
    plays = (folder / "tinyshakespeare.txt").read_text()
    texts += [plays[at : at + 3000] for at in range(0, len(plays), 3000)]
    if man is not None:
        for path in sorted(man.glob("man[1-8]/*.gz")):
            texts.append(gzip.decompress(path.read_bytes()).decode(errors="replace"))
    return [text for text in texts if text.isascii() and len(_TOKEN.findall(text.lower())) >= NGRAM]


def documents(count: int, folder: Path, man: Path | None) -> list[str]:
    """`count` documents: a third are perturbed copies of earlier ones, a third some originals in a row."""
    rng = random.Random(7)
    texts = originals(folder, man)
    made: list[str] = []
    while len(made) < count:
        kind = rng.random()
        if made and kind < 1 / 3:
            words = rng.choice(made).split(" ")
            for _ in range(rng.randint(0, max(1, len(words) // 15))):
                words[rng.randrange(len(words))] = f"edit{rng.randrange(10**6)}"
            made.append(" ".join(words))
        elif kind < 2 / 3:
            made.append("\n".join(rng.sample(texts, rng.randint(2, 6))))
        else:
            made.append(rng.choice(texts))
    return made


def cut(text: str) -> frozenset[str]:
    """The shingles of one text, as a peer's user would write it."""
    tokens = _TOKEN.findall(text.lower())
    if len(tokens) < NGRAM:
        return frozenset([" ".join(tokens)])
    return frozenset(" ".join(tokens[i : i + NGRAM]) for i in range(len(tokens) - NGRAM + 1))


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """Jaccard of two sets that are not both empty."""
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared)


def exact_pairs(texts: list[str]) -> set[tuple[int, int]]:
    """Every pair (later, earlier) of Jaccard 0.8 or above: such sets share one of their rarest (1 - 0.8)|A| + 1 shingles."""
    sets = [cut(text) for text in texts]
    count: dict[str, int] = defaultdict(int)
    for shingles in sets:
        for shingle in shingles:
            count[shingle] += 1
    holders: dict[str, list[int]] = defaultdict(list)
    pairs = set()
    for row, shingles in enumerate(sets):
        rare = sorted(shingles, key=lambda s: (count[s], s))
        rare = rare[: len(rare) - int(np.ceil(THRESHOLD * len(rare) - 1e-9)) + 1]
        met = {other for shingle in rare for other in holders[shingle]}
        pairs |= {(row, other) for other in met if jaccard(shingles, sets[other]) >= THRESHOLD}
        for shingle in rare:
            if count[shingle] > 1:
                holders[shingle].append(row)
    return pairs


def greedy(texts: Iterable[Any], candidates: Callable[[int], Iterable[int]], keep: Callable[[int], None]) -> list[int]:
    """The pass that every tool makes: the best verified kept candidate stands for a row, or the row is kept."""
    sets = list(texts)
    stands_for = [-1] * len(sets)
    for row, own in enumerate(sets):
        scored = [(jaccard(own, sets[other]), -other) for other in candidates(row)]
        best, other = max(scored, default=(0.0, 0))
        if best >= THRESHOLD:
            stands_for[row] = -other
        else:
            keep(row)
    return stands_for


def by_datasketch(texts: list[str]) -> list[int]:
    """datasketch 2 with xxhash in place of its SHA-1, its batched update and its own LSH."""
    import xxhash
    from datasketch import MinHash, MinHashLSH

    sets = [cut(text) for text in texts]
    lsh = MinHashLSH(num_perm=BANDS * ROWS, params=(BANDS, ROWS))
    encoded = [[shingle.encode() for shingle in shingles] for shingles in sets]
    made = MinHash.bulk(encoded, num_perm=BANDS * ROWS, hashfunc=xxhash.xxh32_intdigest)
    return greedy(sets, lambda row: lsh.query(made[row]), lambda row: lsh.insert(row, made[row]))


def by_rensa(texts: list[str]) -> list[int]:
    """rensa's RMinHash and its own LSH, signatures made in batches by its Rust code."""
    from rensa import RMinHash, RMinHashLSH

    sets = [cut(text) for text in texts]
    made = RMinHash.from_token_sets([list(shingles) for shingles in sets], BANDS * ROWS, 1)
    lsh = RMinHashLSH(threshold=THRESHOLD, num_perm=BANDS * ROWS, num_bands=BANDS)
    return greedy(sets, lambda row: lsh.query(made[row]), lambda row: lsh.insert(row, made[row]))


def by_curate(texts: list[str]) -> list[int]:
    """Ours, on one thread."""
    from curate.dedupers import MarkOptions
    from curate.dedupers.minhash import MinHashDeduper
    from curate.records import SILENT

    array = pa.array(texts, pa.large_string())

    class Held:
        def take(self, rows: np.ndarray) -> pa.LargeStringArray:
            return array.take(pa.array(rows))

    deduper = MinHashDeduper(threshold=THRESHOLD, ngram=NGRAM, bands=BANDS, rows=ROWS)
    sketches, order = deduper.sketch(array, threads=1), np.arange(len(texts))
    options = MarkOptions(threads=1)
    return deduper.mark(sketches, order, texts=Held(), options=options, progress=SILENT).stands_for.tolist()


TOOLS: dict[str, tuple[str, Callable[[list[str]], list[int]]]] = {
    "curate": ("numba", by_curate),
    "datasketch": ("datasketch", by_datasketch),
    "rensa": ("rensa", by_rensa),
}


def cold_seconds(texts: list[str]) -> float:
    """CPU seconds of ours in a new process with an empty compile cache, the imports not counted."""
    with tempfile.TemporaryDirectory() as folder:
        held = Path(folder) / "texts.json"
        held.write_text(json.dumps(texts))
        code = (
            f"import sys, json, time; sys.path.insert(0, {str(Path(__file__).parent)!r}); import bench_minhash, numba\n"
            f"texts = json.loads(open({str(held)!r}).read()); start = time.process_time(); bench_minhash.by_curate(texts)\n"
            "print(time.process_time() - start)"
        )
        environment = {"NUMBA_CACHE_DIR": str(Path(folder) / "cache"), "PYTHONPATH": str(Path(__file__).parents[3])}
        return float(subprocess.check_output([sys.executable, "-c", code], text=True, env=environment))


def recall_of_bands(texts: list[str], pairs: set[tuple[int, int]], bands: int | None, rows: int | None) -> float:
    """The share of the exact pairs whose sketches of ours agree in a band, at these bands or the default ones."""
    from curate.dedupers.minhash import MinHashDeduper

    chosen = {} if bands is None else {"bands": bands, "rows": rows}
    sketches = MinHashDeduper(threshold=THRESHOLD, ngram=NGRAM, **chosen).sketch(pa.array(texts, pa.large_string()))[:, :-2]
    found = np.array(sorted(pairs))
    return float((sketches[found[:, 0]] == sketches[found[:, 1]]).any(axis=1).mean())


def judge(marks: list[int], reference: list[int], pairs: set[tuple[int, int]]) -> dict[str, float]:
    """Recall of the rows that the exact pass drops, and precision of the marks by the exact pairs."""
    dropped = {row for row, other in enumerate(reference) if other >= 0}
    ours = {row for row, other in enumerate(marks) if other >= 0}
    true = sum((row, marks[row]) in pairs for row in ours)
    return {"recall": len(dropped & ours) / max(len(dropped), 1), "precision": true / max(len(ours), 1)}


def measure(texts: list[str], repeats: int) -> dict[str, Any]:
    """Run every tool that can be imported, best of `repeats`, and judge it."""
    pairs = exact_pairs(texts)
    earlier: dict[int, list[int]] = defaultdict(list)
    for row, other in pairs:
        earlier[row].append(other)
    kept: set[int] = set()
    sets = [cut(text) for text in texts]
    reference = greedy(sets, lambda row: [other for other in earlier[row] if other in kept], kept.add)
    by_curate(texts[:100])  # compiled, or read from the cache
    rows = []
    for name, (package, run) in TOOLS.items():
        if importlib.util.find_spec(package) is None:
            rows.append({"tool": name, "missing": True})
            continue
        spent = []
        for _ in range(repeats):
            start = time.process_time()
            marks = run(texts)
            spent.append(time.process_time() - start)
        rows.append({"tool": name, "cpu_s": min(spent), **judge(marks, reference, pairs)})
    for row in rows:
        if "cpu_s" in row:
            row["times_curate"] = row["cpu_s"] / rows[0]["cpu_s"]
    return {
        "documents": len(texts),
        "megabytes": sum(map(len, texts)) / 1e6,
        "pairs": len(pairs),
        "tools": rows,
        "curate_cold_cpu_s": cold_seconds(texts),
        "pair_recall_32x4": recall_of_bands(texts, pairs, BANDS, ROWS),
        "pair_recall_default": recall_of_bands(texts, pairs, None, None),
    }


def main() -> None:
    """Measure and print one table, or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--corpora", type=Path, default=CORPORA)
    parser.add_argument("--man", type=Path)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    report = measure(documents(asked.documents, asked.corpora, asked.man), asked.repeats)
    if asked.json:
        print(json.dumps(report))
        return
    print(
        f"{report['documents']} documents, {report['megabytes']:.1f} MB, {report['pairs']} pairs at Jaccard {THRESHOLD} or more"
    )
    print(f"{'tool':12} {'CPU s':>8} {'× ours':>8} {'recall':>8} {'precision':>10}")
    for row in report["tools"]:
        if row.get("missing"):
            print(f"{row['tool']:12} not installed (extra `bench`)")
            continue
        print(f"{row['tool']:12} {row['cpu_s']:8.2f} {row['times_curate']:8.1f} {row['recall']:8.4f} {row['precision']:10.4f}")
    print(f"curate with an empty compile cache: {report['curate_cold_cpu_s']:.2f} CPU s")
    print(
        f"pairs that share a band: {report['pair_recall_32x4']:.5f} at 32×4, {report['pair_recall_default']:.5f} at the default"
    )


if __name__ == "__main__":
    main()
