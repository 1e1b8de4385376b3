"""Every command explains itself with an example that runs, and help imports nothing heavy."""

from __future__ import annotations

import json
import os
import random
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

CURATE = Path(sys.prefix) / "bin" / "curate"
HEAVY = ("numpy", "duckdb", "faiss", "torch", "pyarrow", "PIL", "pydantic", "transformers", "sentence_transformers", "numba")

PRINT_HELP = f"""
import io, json, sys
from contextlib import redirect_stdout
from curate.cli import app
found = {{}}
for words in [[], *[[name] for name in sys.argv[1:]]]:
    out = io.StringIO()
    with redirect_stdout(out):
        try:
            app([*words, "--help"])
        except SystemExit as end:
            assert not end.code, (words, end.code)
    found[" ".join(words)] = out.getvalue()
found["heavy"] = [name for name in {HEAVY!r} if name in sys.modules]
print(json.dumps(found))
"""


def helps(*names: str) -> dict[str, str]:
    """What `--help` prints for the app and for these commands, from a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PRINT_HELP, *names],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def names() -> list[str]:
    listed = helps()[""].split("Commands:\n")[1].split("\n\n")[0]
    return [line.split()[0] for line in listed.splitlines()]


@pytest.fixture(scope="module")
def pages(names) -> dict[str, str]:
    return helps(*names)


def examples(page: str) -> list[str]:
    """The commands of the line "Example: curate …"; several are joined by &&."""
    found = re.search(r"^ *Example: (curate .*?)\n\s*$", page + "\n\n", re.MULTILINE | re.DOTALL)
    return " ".join(found.group(1).split()).split(" && ") if found else []


def test_help_imports_none_of_the_heavy_packages(pages):
    assert pages["heavy"] == []


def test_every_command_has_an_example_of_itself(names, pages):
    assert {"init", "ingest", "dedupe", "split", "export", "check"} <= set(names)
    for name in names:
        found = examples(pages[name])
        assert found and any(shlex.split(example)[1] == name for example in found), name


def test_every_command_takes_a_workspace_and_prints_json(names, pages):
    for name in names:
        assert "json" in pages[name] or name == "demo", name
        if name not in ("init", "demo", "restore-backup"):
            assert "-w, --workspace" in pages[name] or "--workspace, -w" in pages[name], name


def test_every_option_is_explained(names, pages):
    for name in names:
        listed = pages[name].split("Options:\n")[1].split("\n\n")[0]
        for option in re.split(r"\n(?=  -)", listed.removeprefix("\n")):
            assert re.match(r"  -\S.*?\s{2,}\S", option.rstrip(), re.DOTALL), f"{name}: {option}"


# ── the examples run ────────────────────────────────────────────────────────────────────────────────────────────────

ORDER = [
    "ingest",
    "embed",
    "filter",
    "dedupe",
    "rethreshold",
    "target-size",
    "calibrate",
    "duplicates",
    "borderline",
    "explain",
    "restore",
    "drop",
    "take-back",
    "search",
    "sql",
    "status",
    "split",
    "protect",
    "export",
    "check",
]


def write_data(place: Path) -> None:
    """`train.csv` with text, label and category, some rows copies, some short; `pairs.csv` with labelled pairs."""
    rng = random.Random(0)
    words = ["card", "cash", "arrived", "late", "money", "refund", "fee", "transfer", "account", "pin", "blocked", "shop"]
    rows = [" ".join(rng.choices(words, k=14)) for _ in range(40)]
    rows += rows[:4] + [row + " please" for row in rows[:3]] + ["hi", "thanks"]
    lines = [f"{text},{n % 2},{('cards', 'money')[n % 2]}" for n, text in enumerate(rows)]
    pairs = [f"{row},{row} please,1\n{row},{rows[n - 1]},0" for n, row in enumerate(rows[:20])]
    (place / "pairs.csv").write_text("left,right,same\n" + "\n".join(pairs) + "\n")
    (place / "train.csv").write_text("text,label,category\n" + "\n".join(lines) + "\n")


def curate(place: Path, example: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "CURATE_DEBUG"}
    environment["CURATE_WORKSPACE"] = str(place / "ws")
    words = [str(CURATE), *shlex.split(example)[1:]]
    return subprocess.run(words, cwd=place, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_the_examples_of_curation_run_one_after_the_other(tmp_path, pages):
    write_data(tmp_path)
    assert curate(tmp_path, examples(pages["init"])[0]).returncode == 0
    for name in ORDER:
        for example in examples(pages[name]):
            done = curate(tmp_path, example)
            assert done.returncode == 0, f"{example}\n{done.stdout}\n{done.stderr}"
            assert done.stdout, example
