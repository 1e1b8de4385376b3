"""`rethreshold`: a higher threshold, from the evidence that is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.formatting import lines, seconds, show
from curate.cli.options import JsonOption, WaitOption, WorkspaceOption, opened
from curate.cli.pairs import read_thresholds

if TYPE_CHECKING:
    from curate.steps.rethreshold import RethresholdReport


def register(app: typer.Typer) -> None:
    """Put the command on the app."""
    app.command(epilog="Example: curate rethreshold support --threshold minhash=0.9 --dry-run")(rethreshold)


def rethreshold(
    dataset: Annotated[str, typer.Argument(help="The dataset that was deduplicated.")],
    threshold: Annotated[
        list[str], typer.Option(metavar="N|METHOD=N", help="The higher threshold, for all its methods or for one (repeatable).")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report, and change nothing.")] = False,
    workspace: WorkspaceOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Raise the threshold of the last dedupe from its evidence, without comparing everything again."""
    from curate.steps.rethreshold import rethreshold as step

    raised = read_thresholds(threshold)
    assert raised is not None
    with opened(workspace, wait=wait) as ws:
        show(step(ws, dataset, raised, dry_run=dry_run), as_json, _describe)


def _describe(report: RethresholdReport) -> str:
    would = "would be " if report.dry_run else ""
    raised = ", ".join(f"{name} {old:g} → {new:g}" for name, (old, new) in report.thresholds.items() if old != new)
    share = f" ({report.dropped / report.samples:.1%})" if report.samples else ""
    return lines(
        f"{report.dataset}: {raised or 'no threshold changes'}  ({seconds(report.seconds)})",
        f"  {report.samples:,} samples = {report.kept:,} kept + {report.dropped:,} {would}dropped{share}",
        f"  {report.came_back:,} {would}kept again; {report.tied_anew:,} stay dropped, {would}tied to another kept sample",
        f"  {report.compared:,} pairs were compared; the rest is known from the evidence of the last dedupe",
        *(f"  note: {note}" for note in report.notes),
        f"  next: curate duplicates {report.dataset}; curate split {report.dataset}",
    )
