"""Type checkers see the library as it is: the lazy names have types, and the wheel says that it is typed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import curate

SNIPPET = """
from curate import dedupe, open_workspace

with open_workspace("ws") as ws:
    dedupe(ws, "q", metods=["exact"])
    dropped: str = dedupe(ws, "q").dropped
    reveal_type(dedupe)
"""


def test_the_names_for_type_checkers_are_those_that_are_imported_lazily():
    tree = ast.parse(Path(curate.__file__).with_suffix(".pyi").read_text())
    told = {alias.name: node.module for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert told == curate._HOMES
    assert (Path(curate.__file__).parent / "py.typed").is_file()


def test_a_misspelt_argument_is_caught(tmp_path):
    root = Path(curate.__file__).parents[1]
    (tmp_path / "snippet.py").write_text(SNIPPET)
    words = ["--config-file", str(root / "pyproject.toml"), str(tmp_path / "snippet.py")]
    done = subprocess.run([sys.executable, "-m", "mypy", *words], cwd=root, capture_output=True, text=True)
    said = [line.split(": ", 1)[1] for line in done.stdout.splitlines() if "snippet.py" in line]
    assert 'error: Unexpected keyword argument "metods" for "dedupe"; did you mean "methods"?  [call-arg]' in said
    assert any("Incompatible types in assignment" in line for line in said)
    assert any(line.startswith("note: Revealed type is") and "DedupeReport" in line for line in said)
