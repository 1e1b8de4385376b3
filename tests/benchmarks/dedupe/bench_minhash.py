"""MinHash dedupe end to end beside its peers, in one run: texts read from the catalog, verdicts written, every pair verified.

    python tests/benchmarks/dedupe/bench_minhash.py --rows 20000 [--man /usr/share/man] [--folder KEPT]
    python tests/benchmarks/dedupe/bench_minhash.py --curve 10000 100000 1000000
    python tests/benchmarks/dedupe/bench_minhash.py --memory 200MB --rows 1000000

Documents are tldr pages of every language, gsm8k problems, banking77 questions, man pages where a folder is named, and
perturbed copies of them. The truth is an exact sparse join at Jaccard 0.8. `curate` is the public `dedupe(…,
methods=["minhash"])` on an ingested workspace; `deduper` its plug-in alone. That and the peers read the same texts from the
same catalog and write their marks to a table of a DuckDB file. Each runs in a process of its own, on one thread where it can
be told, a second time in the same process (`again`) with everything imported and compiled. Seconds are CPU seconds, which
another load on the machine moves less; `times_curate` compares them. One JSON object a case is printed.

`--curve` measures the plug-in on short generated documents, distinct but for a group of 50,000 equal ones and one of 50,000
near-equal ones (a tenth of the rows each, where that is less), at each number of rows. `--memory` does so under a memory limit.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from minhash_corpus import ExactJoin, documents
from minhash_peers import PEERS

CORPORA = Path(__file__).parents[4] / "shared" / "data"
THRESHOLD = 0.8
OURS = ("curate", "deduper")


class Held:
    """Texts in memory, as a deduper asks for them."""

    def __init__(self, texts: pa.LargeStringArray) -> None:
        self.texts = texts

    def take(self, rows: np.ndarray) -> pa.LargeStringArray:
        """The texts of these rows."""
        return self.texts.take(pa.array(rows))


def prepare(folder: Path, rows: int, corpora: Path, man: Path | None) -> dict[str, Any]:
    """Make the documents, their truth and an ingested workspace in a folder, or find them there."""
    about = folder / "about.json"
    if about.exists():
        found: dict[str, Any] = json.loads(about.read_text())
        if found["documents"] != rows:
            raise SystemExit(f"{folder} holds {found['documents']} documents, not {rows}")
        return found
    from curate import create_workspace, ingest, open_workspace

    made = documents(rows, corpora, man)
    lines = folder / "documents.jsonl"
    lines.write_text("".join(json.dumps({"text": text}) + "\n" for text in made.texts))
    with open_workspace(create_workspace(folder / "workspace")) as workspace:
        ingest(workspace, [lines], dataset="docs", text=["text"])
    (folder / "workspace" / "curate.toml").write_text("[limits]\nthreads = 1\n")
    truth = ExactJoin(made.texts, THRESHOLD)
    np.savez(folder / "truth.npz", pairs=truth.later * rows + truth.earlier, dropped=truth.dropped())
    found = {
        "documents": rows,
        "megabytes": round(sum(len(text.encode()) for text in made.texts) / 1e6, 1),
        "ascii_share": sum(text.isascii() for text in made.texts) / rows,
        "perturbed_copies": sum(at >= 0 for at in made.copy_of),
        "other_scripts_left_out": made.left_out,
        "exact_pairs": len(truth.later),
        "exact_dropped": len(truth.dropped()),
    }
    about.write_text(json.dumps(found))
    return found


def run_child(tool: str, folder: Path, banding: tuple[int, int], runs: int) -> None:
    """Run one tool on a copy of the workspace, print what it took, and leave its marks in the folder."""
    cases = []
    for run in range(runs):
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            workspace = Path(shutil.copytree(folder / "workspace", Path(scratch) / "workspace"))
            if tool not in OURS:
                importlib.import_module(tool)
            cpu, wall = time.process_time(), time.perf_counter()
            marks = _by_step(workspace, banding) if tool == "curate" else _by_texts(tool, workspace, banding)
            taken = {"cpu_s": round(time.process_time() - cpu, 2), "wall_s": round(time.perf_counter() - wall, 2)}
            cases.append({"again": run > 0, **taken, "peak_rss_mb": round(_peak_bytes() / 1e6)})
            np.save(folder / f"{tool}.npy", marks)
    print(json.dumps(cases))


def _by_step(workspace: Path, banding: tuple[int, int]) -> np.ndarray:
    from curate import dedupe, open_workspace

    with open_workspace(workspace) as opened:
        dedupe(opened, "docs", methods=["minhash"], settings=dict(zip(("bands", "rows"), banding, strict=True)), yes=True)
    return _read(workspace, "SELECT sample_id, keeper_id FROM duplicates")


def _by_texts(tool: str, workspace: Path, banding: tuple[int, int]) -> np.ndarray:
    """Read texts from the catalog, mark, write the marks; (marked, 2) sample ids and those of their keepers."""
    import duckdb

    with duckdb.connect(str(workspace / "catalog.duckdb"), read_only=True, config={"threads": "1"}) as catalog:
        table = catalog.sql("SELECT sample_id, text FROM real_samples ORDER BY sample_id").to_arrow_table()
    if tool == "deduper":
        stands = _mark(table["text"].combine_chunks().cast(pa.large_string()), banding)[0].stands_for
    else:
        stands = np.array(PEERS[tool](table["text"].to_pylist(), THRESHOLD, *banding))
    ids = table["sample_id"].to_numpy()
    marked = np.flatnonzero(stands >= 0)
    found = pa.table({"sample_id": ids[marked], "keeper_id": ids[stands[marked]]})
    with duckdb.connect(str(workspace / "marks.duckdb")) as written:
        written.register("found", found)
        written.execute("CREATE TABLE marks AS SELECT * FROM found")
    return np.stack([found["sample_id"].to_numpy(), found["keeper_id"].to_numpy()], axis=1)


def _read(workspace: Path, statement: str) -> np.ndarray:
    import duckdb

    with duckdb.connect(str(workspace / "catalog.duckdb"), read_only=True) as catalog:
        table = catalog.sql(statement).to_arrow_table()
    return np.stack([column.to_numpy() for column in table.columns], axis=1)


def _mark(texts: pa.LargeStringArray, banding: tuple[int, int] | None, memory_bytes: int = 2**31) -> tuple[Any, float, float]:
    """Ours on texts in memory, on one thread: the marks, and CPU seconds of sketching and of marking."""
    from curate.dedupers import MarkOptions
    from curate.dedupers.minhash import MinHashDeduper
    from curate.records import SILENT

    settings = dict(zip(("bands", "rows"), banding, strict=True)) if banding else {}
    deduper = MinHashDeduper(threshold=THRESHOLD, **settings)
    options = MarkOptions(threads=1, memory_bytes=memory_bytes)
    start = time.process_time()
    sketches = deduper.sketch(texts, threads=1)
    middle = time.process_time()
    marks = deduper.mark(sketches, np.arange(len(texts)), texts=Held(texts), options=options, progress=SILENT)
    return marks, middle - start, time.process_time() - middle


def spawn(arguments: list[str], **environment: str) -> Any:
    """Run this file again in a new process and read its JSON."""
    given = {**os.environ, "OMP_NUM_THREADS": "1", "DAFT_PROGRESS_BAR": "0", **environment}
    found = os.pathsep.join([str(Path(__file__).parents[3]), given.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    command = [sys.executable, __file__, *arguments]
    output = subprocess.check_output(command, text=True, env={**given, "PYTHONPATH": found})
    return json.loads(output.splitlines()[-1])


def judge(folder: Path, tool: str) -> dict[str, float]:
    """Recall of the rows that an exact pass drops, and precision of the marks by the exact pairs."""
    ids = np.sort(_read(folder / "workspace", "SELECT sample_id FROM real_samples")[:, 0])
    marks = np.searchsorted(ids, np.load(folder / f"{tool}.npy"))
    truth = np.load(folder / "truth.npz")
    keys = marks.max(axis=1) * len(ids) + marks.min(axis=1)
    recall = np.isin(truth["dropped"], marks[:, 0]).sum() / max(len(truth["dropped"]), 1)
    return {"recall": round(float(recall), 5), "precision": round(float(np.isin(keys, truth["pairs"]).mean()), 5)}


def compare(folder: Path, tools: list[str], banding: tuple[int, int], runs: int) -> None:
    """Run and judge every tool that can be imported, ours first."""
    base: float | None = None
    shape = f"{banding[0]}x{banding[1]}"
    for tool in dict.fromkeys([*OURS, *tools]):
        if tool in PEERS and importlib.util.find_spec(tool) is None:
            print(json.dumps({"case": tool, "missing": "not installed"}), flush=True)
            continue
        asked = ["--child", tool, "--folder", str(folder), "--banding", shape, "--runs", str(runs)]
        cases = spawn(asked)
        if tool == "curate":
            with tempfile.TemporaryDirectory() as empty:
                cold = spawn([*asked[:-1], "1"], NUMBA_CACHE_DIR=empty)[0]
            print(json.dumps({"case": "curate, empty compile cache", "banding": shape, **cold}), flush=True)
            base = min(case["cpu_s"] for case in cases)
        for case in cases:
            ratio = {"times_curate": round(case["cpu_s"] / base, 2)} if base else {}
            print(json.dumps({"case": tool, "banding": shape, **case, **ratio, **judge(folder, tool)}), flush=True)


def short_documents(rows: int) -> pa.LargeStringArray:
    """Documents of 30 words, of which a tenth (at most 50,000) are equal and as many differ from one in a word."""
    rng = np.random.default_rng(rows)
    words = np.array([f"word{i}" for i in range(50_000)])
    group = min(rows // 10, 50_000)
    base = " ".join(words[:40])
    chunks = [pa.array([base] * group + [f"{base} {i}" for i in range(group)], pa.large_string())]
    for low in range(2 * group, rows, 50_000):
        drawn = words[rng.integers(0, len(words), (min(50_000, rows - low), 30))]
        chunks.append(pa.array([" ".join(row) for row in drawn], pa.large_string()))
    return pa.concat_arrays(chunks).take(pa.array(rng.permutation(rows)))


def run_short(rows: int, memory_bytes: int) -> None:
    """Measure the plug-in on short documents in mapped files; peak memory is that of `mark`, above what was held before."""
    from curate.dedupers import MarkOptions
    from curate.dedupers.minhash import MinHashDeduper
    from curate.records import SILENT

    deduper = MinHashDeduper(threshold=THRESHOLD)
    _mark(short_documents(1000), None)  # compiled, or read from the cache
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts = _on_disk(short_documents(rows), folder / "texts.arrow")
        start = time.process_time()
        sketches = np.memmap(folder / "sketches", np.uint32, "w+", shape=(rows, deduper.settings["bands"] + 2))
        for low in range(0, rows, 50_000):
            sketches[low : low + 50_000] = deduper.sketch(texts.slice(low, 50_000), threads=1)
        middle = time.process_time()
        sketches = np.memmap(folder / "sketches", np.uint32, "r", shape=sketches.shape)
        pa.default_memory_pool().release_unused()
        options = MarkOptions(threads=1, memory_bytes=memory_bytes, folder=folder)
        order, held = np.arange(rows), Held(texts)
        before = _reset_peak()
        marks = deduper.mark(sketches, order, texts=held, options=options, progress=SILENT)
        peak = _peak_bytes()
    cpu_s = time.process_time() - start
    found = {
        "case": "short documents",
        "rows": rows,
        "memory_mb": round(memory_bytes / 1e6),
        "sketches_mb": round(sketches.nbytes / 1e6),
        "sketch_cpu_s": round(middle - start, 2),
        "mark_cpu_s": round(cpu_s - (middle - start), 2),
        "us_per_row": round(cpu_s / rows * 1e6, 1),
        "peak_above_start_mb": round((peak - before) / 1e6),
        "marked": int((marks.stands_for >= 0).sum()),
        "compared": marks.compared,
        "notes": marks.notes[1:],
    }
    print(json.dumps(found))


def _on_disk(texts: pa.LargeStringArray, file: Path) -> pa.LargeStringArray:
    """The same texts in a mapped Arrow file, as `dedupe` holds those of a corpus over its limit of memory."""
    schema = pa.schema([("text", pa.large_string())])
    with pa.ipc.new_file(str(file), schema) as written:
        written.write_batch(pa.record_batch([texts], schema=schema))
    return pa.ipc.open_file(pa.memory_map(str(file))).get_batch(0).column(0)


def _reset_peak() -> int:
    """Start the count of the peak anew; returns the resident bytes now (Linux only)."""
    Path("/proc/self/clear_refs").write_text("5")
    return _peak_bytes()


def _peak_bytes() -> int:
    """The most bytes that were resident since the program began; not `ru_maxrss`, which a parent's size leaks into."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])


def machine() -> str:
    """One line about where this runs."""
    load = os.getloadavg()[0]
    return f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, load {load:.1f}, Python {platform.python_version()}"


def main() -> None:
    """Measure, and print one JSON object a case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000, help="documents")
    parser.add_argument("--banding", default="30x7", help="bands x rows; 30x7 is what curate chooses at 0.8")
    parser.add_argument("--tools", nargs="*", default=list(PEERS), help="peers to run")
    parser.add_argument("--runs", type=int, default=2, help="how often each runs in its process")
    parser.add_argument("--corpora", type=Path, default=CORPORA)
    parser.add_argument("--man", type=Path)
    parser.add_argument("--folder", type=Path, help="keep the documents, their truth and the workspace here")
    parser.add_argument("--curve", type=int, nargs="*", help="numbers of short documents")
    parser.add_argument("--memory", help="limit of memory for short documents, such as 200MB")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    bands, rows = (int(part) for part in asked.banding.split("x"))
    if asked.child == "short":
        run_short(asked.rows, int(asked.memory))
    elif asked.child:
        run_child(asked.child, asked.folder, (bands, rows), asked.runs)
    elif asked.curve or asked.memory:
        from curate.workspace import parse_bytes

        print(json.dumps({"case": "machine", "machine": machine()}), flush=True)
        for count in asked.curve or [asked.rows]:
            limit = parse_bytes(asked.memory or "2GB")
            case = spawn(["--child", "short", "--rows", str(count), "--memory", str(limit)])
            print(json.dumps(case), flush=True)
    else:
        with tempfile.TemporaryDirectory() as scratch:
            folder = asked.folder or Path(scratch)
            folder.mkdir(parents=True, exist_ok=True)
            about = prepare(folder, asked.rows, asked.corpora, asked.man)
            print(json.dumps({"case": "documents", "machine": machine(), **about}), flush=True)
            compare(folder, asked.tools, (bands, rows), asked.runs)


if __name__ == "__main__":
    main()
