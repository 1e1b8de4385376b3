"""The command that shows everything on one page: report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.formatting import lines, seconds, show
from curate.cli.options import READERS_WAIT_S, JsonOption, WaitOption, WorkspaceOption, opened

if TYPE_CHECKING:
    from curate.steps.report import ReportReport


def register(app: typer.Typer) -> None:
    """Put the command on the app."""
    app.command(epilog="Example: curate report -o report.html")(report)


def report(
    out: Annotated[Path, typer.Option("--out", "-o", help="The HTML file; it is replaced.")] = Path("report.html"),
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="Only this dataset; all by default.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed shows other samples.")] = 0,
    workspace: WorkspaceOption = None,
    wait: WaitOption = READERS_WAIT_S,
    as_json: JsonOption = False,
) -> None:
    """Write one HTML page that shows the data and the models; it needs no network, and can be sent as it is."""
    from curate.steps.report import report as step

    with opened(workspace, read_only=True, wait=wait) as ws:
        result = step(ws, out=out, dataset=dataset, seed=seed)
    show(result, as_json, _describe)


def _describe(report: ReportReport) -> str:
    return lines(
        f"wrote {report.path}: {report.bytes / 1e6:.2f} MB, {report.datasets:,} datasets, {report.models:,} models,"
        f" {report.images:,} images, {report.points:,} points on maps  ({seconds(report.seconds)})",
        *(f"  note: {note}" for note in report.notes),
        "  next: open it in a browser",
    )
