"""Does `curate dedupe --memory SIZE` keep within SIZE? The command itself is run and its resident size watched.

    python tests/benchmarks/dedupe/bench_memory.py [--methods minhash semantic perceptual] [--memory 300MB 1GB] [--folder DIR]

One JSON object a method and size: the highest resident size that the system reports, the highest of its anonymous and of its
mapped part, what the same command takes over 64 rows (the libraries), and the excess over that beside the size asked for.
Texts are drawn from the words of real ones; vectors are drawn in few dimensions (perceptual ones in all), or mixed
from real ones where a file of these is given. A tenth of the rows are near copies.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curate.workspace import parse_bytes

TINY_ROWS = 64
BLOCK_ROWS = 50_000
SAMPLE_S = 0.005
WIDTHS = {"semantic": 384, "perceptual": 598}
EMBEDDERS = {"semantic": ("minilm", "minilm"), "perceptual": ("perceptual", "perceptual")}
FIELDS = {"VmHWM": "peak_total", "RssAnon": "peak_anonymous", "RssFile": "peak_mapped"}


def blocks(rows: int) -> Iterator[tuple[int, np.random.Generator]]:
    """How many rows to make at a time, and by what chance."""
    for start in range(0, rows, BLOCK_ROWS):
        yield min(BLOCK_ROWS, rows - start), np.random.default_rng([7, start])


def text_block(count: int, rng: np.random.Generator, words: NDArray[Any], length: int) -> list[str]:
    """Texts of so many words; each tenth is the one before it with a word changed."""
    drawn = (len(words) * rng.random((count, length)) ** 3).astype(np.int64)
    drawn[9::10] = drawn[8::10][: len(drawn[9::10])]
    drawn[9::10, length // 2] = rng.integers(0, len(words), len(drawn[9::10]))
    return [" ".join(line) for line in words[drawn]]


def vector_block(count: int, rng: np.random.Generator, real: NDArray[np.float32] | None, width: int) -> NDArray[np.float32]:
    """(count, width) unit vectors; each tenth is the one before it, a little moved."""
    if real is None and width == WIDTHS["perceptual"]:
        made = rng.standard_normal((count, width), np.float32)  # whitened, as perceptual vectors are
    elif real is None:
        axes = np.random.default_rng(1).standard_normal((96, width), np.float32)
        made = (rng.standard_normal((count, 96), np.float32) / np.arange(4, 100, dtype=np.float32)) @ axes
    else:
        made = np.zeros((count, width), np.float32)
        for share in (0.6, 0.4, 0.3):
            made += np.float32(share) * real[rng.integers(0, len(real), count)]
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    moved = made[8::10][: len(made[9::10])]
    made[9::10] = moved + rng.standard_normal(moved.shape, np.float32) * np.float32(0.05 / width**0.5)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def prepare(folder: Path, method: str, rows: int, asked: argparse.Namespace) -> Path:
    """Make a workspace whose dataset `d` has so many rows, or find it in the folder."""
    root = folder / f"{method}-{rows}"
    done = root / "bench-is-ready"
    if done.exists():
        return root
    from curate import create_workspace, ingest, open_workspace

    with open_workspace(create_workspace(root)) as workspace:
        if method == "perceptual":
            _put_images(workspace, rows)
        else:
            words = np.array(sorted(set(re.findall(r"\w+", asked.words.read_text()))), dtype=object)
            length = asked.text_words if method == "minhash" else 6
            lines = folder / f"{method}-{rows}.jsonl"
            with lines.open("w") as file:
                for count, rng in blocks(rows):
                    file.writelines(json.dumps({"text": text}) + "\n" for text in text_block(count, rng, words, length))
            ingest(workspace, [lines], dataset="d", text=["text"])
            lines.unlink()
        if method in WIDTHS:
            _put_vectors(workspace, method, rows, getattr(asked, f"{method}_vectors"))
    done.touch()
    return root


def _put_images(workspace: Any, rows: int) -> None:
    """Samples whose media are not there: the dedupe of vectors does not look at them."""
    from curate.catalog import datasets, samples

    home = datasets.ensure(workspace.catalog, "d")
    for start in range(0, rows, BLOCK_ROWS):
        ids = np.arange(start + 1, min(start + BLOCK_ROWS, rows) + 1)
        count, hashes = len(ids), [hashlib.sha256(b"%d" % number).hexdigest() for number in ids]
        nothing = pa.nulls(count, pa.string())
        made = {
            "sample_id": ids, "dataset_id": np.full(count, home.dataset_id, np.int32), "source_id": np.ones(count, np.int64),
            "locator": [str(n) for n in ids], "modality": ["image"] * count, "content_hash": hashes,
            "occurrence": np.zeros(count, np.int32), "external_id": nothing, "label": nothing, "text": nothing,
            "blob": hashes, "size_bytes": np.ones(count, np.int64), "width": np.full(count, 48, np.int32),
            "height": np.full(count, 48, np.int32), "metadata": nothing, "run_id": np.ones(count, np.int32),
        }  # fmt: skip
        samples.add(workspace.catalog, pa.table(made))


def _put_vectors(workspace: Any, method: str, rows: int, real: Path | None) -> None:
    """Store vectors as `embed` does; ids count from 1."""
    from curate.catalog import vectors
    from curate.embedding.specs import canonical_spec

    spec, slug = EMBEDDERS[method]
    width, known = WIDTHS[method], None if real is None else np.load(real).astype(np.float32)
    vectors.register(workspace.catalog, vectors.EmbedderRow(slug, canonical_spec(spec), "bench", width, "bench", None))
    start = 1
    for count, rng in blocks(rows):
        vectors.add(workspace.catalog, slug, np.arange(start, start + count), vector_block(count, rng, known, width))
        start += count


def watch(command: list[str], environment: dict[str, str]) -> dict[str, Any]:
    """Run a command to its end; its highest sizes in MB, CPU and wall seconds, and what it printed.

    Raises:
        SystemExit: it failed.
    """
    peaks = dict.fromkeys(FIELDS.values(), 0)
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen(command, stdout=out, stderr=told, env=environment)
        while True:
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            for name, kilobytes in _sizes(process.pid):
                peaks[name] = max(peaks[name], kilobytes)
            time.sleep(SAMPLE_S)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        told.seek(0)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} ended with {process.returncode}: {told.read()[-2000:]}")
        report = json.load(out)
    figures = {f"{name}_mb": round(value * 1024 / 1e6, 1) for name, value in peaks.items()}
    times = {"cpu_s": round(usage.ru_utime + usage.ru_stime, 1), "wall_s": round(time.monotonic() - started, 1)}
    return {**figures, **times, "report": report}


def _sizes(process_id: int) -> list[tuple[str, int]]:
    try:
        lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    except OSError:
        return []
    found = (line.split(":") for line in lines)
    return [(FIELDS[name], int(rest.split()[0])) for name, rest in found if name in FIELDS]


def run(root: Path, method: str, memory: str, asked: argparse.Namespace) -> dict[str, Any]:
    """Dedupe a copy of a workspace."""
    threads = str(asked.threads)
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), threads)
    options = {"semantic": ["--threshold", "0.95"], "minhash": ["--setting", f"bands={asked.minhash_bands}"]}
    with tempfile.TemporaryDirectory(dir=root.parent) as scratch:
        copy = shutil.copytree(root, Path(scratch) / "workspace")
        shutil.rmtree(copy / "indexes", ignore_errors=True)
        (copy / "curate.toml").write_text(f'[limits]\nthreads = {threads}\nmemory = "{memory}"\n')
        command = [sys.executable, "-m", "curate", "dedupe", "d", "-w", str(copy), "--method", method, "--memory", memory]
        return watch([*command, *options.get(method, ()), "--keep", asked.keep, "--yes", "--json"], {**os.environ, **limits})


def case(folder: Path, method: str, memory: str, asked: argparse.Namespace) -> dict[str, Any]:
    """One row of the table."""
    rows = getattr(asked, f"{method}_rows")
    tiny = run(prepare(folder, method, TINY_ROWS, asked), method, memory, asked)
    full = run(prepare(folder, method, rows, asked), method, memory, asked)
    report = full.pop("report")
    base = tiny["peak_total_mb"]
    wide = WIDTHS.get(method, asked.minhash_bands + 2) * 4
    return {
        "case": f"{method} --memory {memory}",
        "rows": rows,
        "compared_mb": round(rows * wide / 1e6),
        "catalog_mb": round((folder / f"{method}-{rows}" / "catalog.duckdb").stat().st_size / 1e6),
        "memory_mb": round(parse_bytes(memory) / 1e6, 1),
        **full,
        "libraries_mb": base,
        "excess_mb": round(full["peak_total_mb"] - base, 1),
        "dropped": report["dropped"],
        "notes": report["notes"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", nargs="+", default=["minhash", "semantic", "perceptual"])
    parser.add_argument("--memory", nargs="+", default=["300MB", "1GB"])
    parser.add_argument("--minhash-rows", type=int, default=600_000)
    parser.add_argument("--semantic-rows", type=int, default=400_000)
    parser.add_argument("--perceptual-rows", type=int, default=150_000)
    parser.add_argument("--minhash-bands", type=int, default=128, help="128 bands of 7 rows make sketches of 520 bytes")
    parser.add_argument("--keep", default="first")
    parser.add_argument("--text-words", type=int, default=60)
    parser.add_argument("--words", type=Path, default=Path(__file__).parents[3] / "../shared/data/tinyshakespeare.txt")
    parser.add_argument("--semantic-vectors", type=Path, help="an .npy file of real ones (n, 384), to be mixed")
    parser.add_argument("--perceptual-vectors", type=Path, help="an .npy file of real ones (n, 598), to be mixed")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="keep the workspaces here")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for method in asked.methods:
            for memory in asked.memory:
                print(json.dumps(case(folder, method, memory, asked)), flush=True)


if __name__ == "__main__":
    main()
