"""What a command does not need, it does not import: seconds at every start are made of such imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from curate.steps.ingest import ingest
from curate.workspace import create_workspace, open_workspace

HEAVY = ("numpy", "duckdb", "pyarrow", "pydantic", "pandas", "faiss", "torch", "transformers", "PIL", "numba", "sklearn")
NEEDED = {
    ("--help",): (),
    ("--version",): (),
    ("search", "--help"): (),
    ("status",): ("duckdb",),
    ("status", "--json"): ("duckdb",),
    ("sql", "SELECT count(*) FROM samples"): ("pyarrow",),  # DuckDB is in the process that answers
    ("sql", "SELECT 'embed'"): ("pyarrow", "numpy", "duckdb"),
    ("sql", "--schema"): ("duckdb", "numpy"),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start")
    (folder / "a.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n')
    root = create_workspace(folder / "ws")
    with open_workspace(root) as workspace:
        ingest(workspace, [folder / "a.jsonl"], dataset="a", text=["text"])
    return root


@pytest.mark.parametrize("arguments", list(NEEDED))
def test_a_command_imports_only_what_it_needs(home, arguments):
    code = (
        "import sys; from curate.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end\n"
        f"print(*[name for name in {HEAVY!r} if sys.modules.get(name)], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=home, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert set(done.stderr.splitlines()[-1].split()) <= set(NEEDED[arguments]), arguments
