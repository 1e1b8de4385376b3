"""What it costs to start: the CPU time of the shortest commands, and the modules that each of them imports.

    python tests/benchmarks/bench_start.py [--times 7] [--imports]

Prints user and system time together, the best of several starts, because a busy machine only ever adds to it. The goals are
`--help` 150 ms, `status` 350 ms and `sql "select 1"` 500 ms, the process that answers the query included.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from curate.workspace import create_workspace

COMMANDS = {"--help": 150, "--version": 150, "search --help": 250, "status": 350, "sql 'select 1'": 500}
HEAVY = ("numpy", "duckdb", "pyarrow", "pydantic", "pandas", "faiss", "torch", "PIL", "numba", "yaml", "rich", "psutil")
BARE = "the interpreter alone"


def arguments(command: str) -> list[str]:
    """The words of a command line."""
    import shlex

    return [sys.executable, "-c", "pass"] if command == BARE else [sys.executable, "-m", "curate", *shlex.split(command)]


def cpu_ms(command: str, workspace: Path) -> float:
    """User and system time of one start, with all its child processes."""
    child = subprocess.Popen(
        arguments(command), cwd=workspace, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ}
    )
    assert child.stderr is not None
    said = child.stderr.read().decode()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{command}: {said}")
    return 1000 * (usage.ru_utime + usage.ru_stime)


def imported(command: str, workspace: Path) -> list[tuple[int, str]]:
    """(microseconds with what it imports, name) of each module, dearest first; of the command's own process."""
    words = [sys.executable, "-X", "importtime", *arguments(command)[1:]]
    said = subprocess.run(words, cwd=workspace, capture_output=True, text=True).stderr
    rows = [line[len("import time:") :].split("|") for line in said.splitlines() if line.startswith("import time:")]
    found = [(int(cost), name.strip()) for _, cost, name in rows if cost.strip().isdigit()]
    return sorted(found, reverse=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=7)
    parser.add_argument("--imports", action="store_true", help="print the dearest imports of each command too")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = create_workspace(Path(folder) / "ws")
        best = {name: min(cpu_ms(name, workspace) for _ in range(asked.times)) for name in (BARE, *COMMANDS)}
        for name, cost in best.items():
            modules = {module.partition(".")[0] for _, module in imported(name, workspace)}
            heavy = ", ".join(module for module in HEAVY if module in modules) or "nothing heavy"
            goal = f"goal {COMMANDS[name]}" if name in COMMANDS else ""
            print(f"{name:<24} {cost:6.0f} ms CPU  {goal:<9}  imports {heavy}")
            if asked.imports and name in COMMANDS:
                for cost_us, module in imported(name, workspace)[:25]:
                    print(f"    {cost_us / 1000:8.1f} ms  {module}")


if __name__ == "__main__":
    main()
