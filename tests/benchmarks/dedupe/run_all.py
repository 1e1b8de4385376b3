"""Every dedupe benchmark beside its peers, as one Markdown table: `make bench-dedupe`.

    python tests/benchmarks/dedupe/run_all.py [--rows 20000] [--out FILE.md]

Each benchmark runs in a process of its own and prints JSON objects, of which every one becomes a row; nothing is left out.
The semantic one embeds so many real texts first, at some hundred a second.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def commands(rows: int) -> dict[str, list[str]]:
    """The arguments of each benchmark."""
    memory = {"minhash": 6 * rows, "semantic": 4 * rows, "perceptual": 3 * rows // 2}
    return {
        "minhash": ["bench_minhash.py", "--rows", str(rows)],
        "semantic": [
            "bench_semantic.py",
            "--rows",
            str(rows),
            "--most-rows",
            str(rows),
            "--cases",
            "exact,semhash,curve,again",
        ],
        "perceptual": ["bench_perceptual.py", "--cases", "speed"],
        "edits": ["bench_perceptual.py", "--cases", "quality,unedited", "--originals", str(min(max(rows // 350, 20), 286))],
        "again": ["bench_again.py", "--rows", str(rows)],
        "memory": ["bench_memory.py", "--memory", "1GB", *(w for m, n in memory.items() for w in (f"--{m}-rows", str(n)))],
    }


def cases(arguments: list[str]) -> Iterator[dict[str, Any]]:
    """What a benchmark prints, as it comes.

    Raises:
        SystemExit: it failed.
    """
    command = [sys.executable, str(HERE / arguments[0]), *arguments[1:]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=HERE.parents[2]) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if line.startswith("{"):
                yield json.loads(line)
    if running.returncode:
        raise SystemExit(f"{arguments[0]} ended with {running.returncode}")


def row(bench: str, case: dict[str, Any]) -> str:
    """A row of the table: the benchmark, the case, and every figure by its name."""
    name = case.get("case", "")
    figures = ", ".join(
        f"{key.replace('_', ' ')} {_short(value)}" for key, value in case.items() if key not in ("case", "machine")
    )
    return f"| {bench} | {name} | {figures} |"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}"
    lines = [f"Machine: {machine}.", "", "| benchmark | case | figures |", "| --- | --- | --- |"]
    print("\n".join(lines), flush=True)
    for bench, arguments in commands(given.rows).items():
        for case in cases(arguments):
            lines.append(row(bench, case))
            print(lines[-1], flush=True)
    if given.out:
        given.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
