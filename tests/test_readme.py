"""The README's examples do what they say."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import curate

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def block(name: str) -> str:
    """The fenced block that follows the comment <!-- name -->."""
    found = re.search(rf"<!-- {name} -->\n```\w+\n(.*?)```", README, re.DOTALL)
    assert found, f"the README has no block {name!r}"
    return found[1]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A folder with the train.csv that the examples read."""
    with (tmp_path / "train.csv").open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["text", "category"])
        for n in range(60):
            rows.writerow([f"My card number {n} has not arrived after {n + 2} days, what now?", "arrival"])
            rows.writerow([f"Why was I charged {n} euros for the transfer to account {n * 7}?", "fee"])
        rows.writerow(["Why was I charged 3 euros for the transfer to account 21?", "fee"])
    return tmp_path


def test_the_tour_runs_line_by_line(corpus: Path) -> None:
    lines = block("tour").splitlines()
    assert len(lines) == 10
    script = "set -e\n" + "\n".join(lines)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], cwd=corpus, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert "121 added" in done.stdout
    assert "all checks passed" in done.stdout
    assert (corpus / "ws" / "out" / "README.md").is_file()


def test_the_library_example_runs(corpus: Path) -> None:
    done = subprocess.run([sys.executable, "-c", block("library")], cwd=corpus, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    added, by_method, train = done.stdout.splitlines()
    assert added == "121"
    assert "'exact': 1" in by_method
    assert 90 <= int(train) <= 100


def test_every_command_is_in_the_readme() -> None:
    listed = set(re.findall(r"`([a-z]+)`", " ".join(re.findall(r"^\| (.*?) \|", README, re.MULTILINE))))
    shown = subprocess.run([sys.executable, "-m", "curate", "--help"], capture_output=True, text=True, timeout=60).stdout
    commands = set(re.findall(r"^  ([a-z]+) ", shown.split("Commands:")[1], re.MULTILINE))
    assert commands <= listed, f"not in the README: {sorted(commands - listed)}"
    assert listed <= commands, f"in the README, but no command: {sorted(listed - commands)}"


def test_every_public_name_can_be_imported() -> None:
    for name in curate.__all__:
        assert getattr(curate, name) is not None
