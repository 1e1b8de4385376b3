"""`demo`: the whole job on real data that comes with the installed packages."""

from __future__ import annotations

import os
import shlex
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from curate.cli.formatting import say, seconds

_CHAPTERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "Read two corpora: documentation strings of Python's standard library, and scikit-learn's handwritten digits",
        (
            "curate ingest data/docstrings.jsonl --dataset docs --text text --label module --id name --licence PSF-2.0",
            "curate ingest data/digits --dataset digits --label-from folder --licence CC-BY-4.0",
        ),
    ),
    (
        "Find copies and near-copies; every drop names the kept sample that it repeats",
        ("curate dedupe docs", "curate duplicates docs -n 3 --members 2", "curate dedupe digits"),
    ),
    (
        "Search by meaning, and by picture",
        (
            'curate search "wait until several tasks have finished" --dataset docs -k 3',
            "curate search --image data/digits/3/0003.png --dataset digits -k 3",
        ),
    ),
    (
        "Ask anything in SQL",
        ('curate sql "SELECT dataset, label, count(*) AS samples FROM curated GROUP BY ALL ORDER BY samples DESC LIMIT 5"',),
    ),
    (
        "Split so that no duplicate crosses from training to test, and export",
        (
            "curate split docs --ratios train=0.8,validation=0.1,test=0.1 --stratify label --seed 7",
            "curate split digits --ratios train=0.8,validation=0.1,test=0.1 --stratify label --seed 7",
            "curate export docs/train --format parquet -o out/docs",
        ),
    ),
    (
        "Train a small generator on the digits' train part, draw labelled images through the gates, measure their worth",
        (
            "curate train diffusion digits/train --preset tiny --set steps=200",
            "curate generate digits-diffusion-1 --count 20 --seed 1",
            "curate evaluate digits-diffusion-1",
            "curate reproduce --all digits-diffusion-1 --limit 20",
        ),
    ),
    (
        "Look at the whole, and prove that it holds together",
        ("curate status", "curate check", "curate report -o report.html"),
    ),
)


def register(app: typer.Typer) -> None:
    """Put the command on the app."""
    app.command(epilog="Example: curate demo demo")(demo)


def demo(
    folder: Annotated[Path, typer.Argument(help="Where the demonstration's workspace goes; it may exist.")] = Path("demo"),
) -> None:
    """Run the whole job on real data that comes with the installed packages, command by command."""
    from curate.cli.progress import make_progress
    from curate.steps.demo_data import write_demo_data
    from curate.workspace import create_workspace

    started = time.monotonic()
    root = create_workspace(folder)
    data = write_demo_data(root / "data", make_progress())
    say(f"Wrote {data.docstring_count:,} docstrings and {data.digit_count:,} digits to {root / 'data'}")
    os.chdir(root)
    for title, commands in _CHAPTERS:
        say(f"\n── {title} ──")
        for command in commands:
            _run(command)
    say(
        f"\nDone in {seconds(time.monotonic() - started)}. The workspace stays in {root}: cd there and go on, for instance with"
    )
    say('  curate search "parse a date" --dataset docs')
    say("  curate sql --schema")
    say("  the page that shows it all: report.html; the export's card: out/docs/README.md")


def _run(command: str) -> None:
    """Type a command as a user would, in a process of its own."""
    import subprocess

    say(f"\n$ {command}")
    result = subprocess.run([sys.executable, "-m", "curate", *shlex.split(command)[1:]], check=False)
    if result.returncode:
        raise typer.Exit(result.returncode)
