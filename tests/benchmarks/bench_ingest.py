"""Ingest beside physical limits, in one run: decoding and hashing the same images, DuckDB reading the same JSONL into a table.

    python tests/benchmarks/bench_ingest.py [--images ../shared/data/fashion_mnist.tar.gz] [--records 200000] [--json]

Without `--images` (or where the file is missing) 20,000 generated 28×28 PNGs in a tar stand in. Memory is the peak
resident size of the process that ran `curate ingest`.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import random
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

_CHILD = """
import json, resource, sys, time
from curate import create_workspace, ingest, open_workspace
root, path, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
with open_workspace(create_workspace(root)) as workspace:
    for run in range(2):
        started, cpu = time.perf_counter(), time.process_time()
        report = ingest(workspace, [path], dataset="bench", **options)
        taken = {"seconds": time.perf_counter() - started, "cpu_s": time.process_time() - cpu}
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        print(json.dumps({"read": report.read, "added": report.added, "peak_mb": peak_mb, **taken}))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, default=Path(__file__).parents[3] / "shared" / "data" / "fashion_mnist.tar.gz")
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        images = arguments.images if arguments.images.is_file() else _make_images(folder / "images.tar")
        results = {"images": _images(folder, images), "jsonl": _jsonl(folder, arguments.records)}
    print(json.dumps(results) if arguments.json else _table(results))


def _images(folder: Path, archive: Path) -> dict[str, Any]:
    bare = _bare_decode(archive)
    first, second = _ingest(folder / "ws-images", archive, {"label_from": "folder"})
    return {
        "images": first["read"],
        "bare_images_per_s": first["read"] / bare["seconds"],
        "bare_cpu_s": bare["cpu_s"],
        "ingest_images_per_s": first["read"] / first["seconds"],
        "ingest_cpu_s": first["cpu_s"],
        "share_of_bare_rate": bare["seconds"] / first["seconds"],
        "second_run_share": second["seconds"] / first["seconds"],
        "peak_mb": first["peak_mb"],
    }


def _bare_decode(archive: Path) -> dict[str, float]:
    """Read every member of the archive, decode it with Pillow and hash it, in one thread, and store nothing."""
    from PIL import Image

    started, cpu = time.perf_counter(), time.process_time()
    with tarfile.open(archive, "r|*") as stream:
        for member in stream:
            if member.isfile() and member.name.endswith(".png"):
                found = stream.extractfile(member)
                assert found is not None
                data = found.read()
                Image.open(io.BytesIO(data)).load()
                hashlib.sha256(data).hexdigest()
    return {"seconds": time.perf_counter() - started, "cpu_s": time.process_time() - cpu}


def _jsonl(folder: Path, records: int) -> dict[str, Any]:
    import duckdb

    file = _make_jsonl(folder / "records.jsonl", records)
    megabytes = file.stat().st_size / 1e6
    connection = duckdb.connect(str(folder / "peer.duckdb"))
    started = time.perf_counter()
    connection.sql(f"CREATE TABLE records AS SELECT * FROM read_json('{file}')")
    connection.close()  # which checkpoints
    peer = time.perf_counter() - started
    first, second = _ingest(folder / "ws-jsonl", file, {"text": ["text"], "label": "label"})
    return {
        "megabytes": megabytes,
        "duckdb_mb_per_s": megabytes / peer,
        "ingest_mb_per_s": megabytes / first["seconds"],
        "share_of_duckdb_rate": peer / first["seconds"],
        "second_run_share": second["seconds"] / first["seconds"],
        "peak_mb": first["peak_mb"],
    }


def _ingest(root: Path, path: Path, options: dict[str, Any]) -> list[dict[str, float]]:
    command = [sys.executable, "-c", _CHILD, str(root), str(path), json.dumps(options)]
    return [
        json.loads(line) for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    ]


def _make_images(path: Path) -> Path:
    from PIL import Image

    with tarfile.open(path, "w") as archive:
        for number in range(20_000):
            out = io.BytesIO()
            Image.effect_noise((28, 28), 10 + number % 90).save(out, "PNG")
            info = tarfile.TarInfo(f"train/{number % 10}/{number:05d}.png")
            info.size = out.tell()
            archive.addfile(info, io.BytesIO(out.getvalue()))
    return path


def _make_jsonl(path: Path, records: int) -> Path:
    rng = random.Random(0)
    words = [f"word{n}" for n in range(5000)]
    with path.open("w", encoding="utf-8") as stream:
        for number in range(records):
            row = {
                "id": number,
                "text": " ".join(rng.choices(words, k=60)),
                "label": f"label{number % 20}",
                "score": rng.random(),
            }
            stream.write(json.dumps(row) + "\n")
    return path


def _table(results: dict[str, dict[str, Any]]) -> str:
    return "\n".join(
        f"{name}\n" + "\n".join(f"  {k:<24}{v:>14,.2f}" for k, v in found.items()) for name, found in results.items()
    )


if __name__ == "__main__":
    main()
