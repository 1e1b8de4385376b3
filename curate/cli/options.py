"""What every command shares: finding the workspace, printing a report or JSON, and turning errors into exit codes."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.errors import CurateError

if TYPE_CHECKING:
    from curate.workspace import Workspace

WorkspaceOption = Annotated[
    Path | None,
    typer.Option("--workspace", "-w", help="The workspace folder; else CURATE_WORKSPACE, else found upwards from here."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON value on stdout and nothing else there.")]
WaitOption = Annotated[
    float, typer.Option("--wait", metavar="SECONDS", help="Wait so long for another process that holds the workspace.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Go on where the command would stop and ask.")]

_DEBUG = "CURATE_DEBUG"


@contextmanager
def opened(folder: Path | None, *, read_only: bool = False, detached: bool = False, wait: float = 0.0) -> Iterator[Workspace]:
    """Open the workspace with a progress display that suits the terminal; a detached one shows none."""
    from curate.cli.progress import make_progress
    from curate.records import SILENT
    from curate.workspace import open_workspace

    progress = SILENT if detached else make_progress()
    with open_workspace(folder, read_only=read_only, detached=detached, wait_s=wait, progress=progress) as workspace:
        yield workspace


def show(report: Any, as_json: bool, describe: Callable[[Any], str]) -> None:
    """Print a report for a program or for a person."""
    if as_json:
        print_json(report)
    else:
        print(describe(report))


def print_json(value: Any) -> None:
    """Print one JSON value: a report, or a list of them."""
    print(json.dumps(_plain(value), ensure_ascii=False, default=str))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {k: _plain(v) for k, v in value._asdict().items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return value


def lines(*parts: str | None) -> str:
    """Join the lines that are there."""
    return "\n".join(part for part in parts if part)


def tally(counts: dict[str, int]) -> str:
    """Write counts by name: "12 ragged-row, 3 invalid-json"."""
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def seconds(value: float) -> str:
    """Write a duration as people do: "0.3 s", "4 min 10 s"."""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def rate(count: float, elapsed_s: float, unit: str) -> str:
    """Write a rate: "4,800 images/s"."""
    return f"{count / max(elapsed_s, 1e-3):,.0f} {unit}/s"


def debugging() -> bool:
    """Whether tracebacks of expected errors are shown."""
    return bool(os.environ.get(_DEBUG))


def set_debug() -> None:
    """Show tracebacks of expected errors, in child processes too."""
    os.environ[_DEBUG] = "1"


def report_error(error: CurateError) -> int:
    """Print an expected failure, and say with which code to exit."""
    print(f"error: {error}", file=sys.stderr)
    if error.hint:
        print(f"  try: {error.hint}", file=sys.stderr)
    return error.exit_code
