"""`duplicates`: the groups that dedupe found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.formatting import show
from curate.cli.options import READERS_WAIT_S, JsonOption, WaitOption, WorkspaceOption, opened
from curate.cli.samples import difference, sample_line

if TYPE_CHECKING:
    from curate.steps.duplicates import DuplicatesReport


def register(app: typer.Typer) -> None:
    """Put the command on the app."""
    app.command(epilog="Example: curate duplicates support -n 5")(duplicates)


def duplicates(
    dataset: Annotated[str, typer.Argument(help="The dataset whose groups to show.")],
    groups: Annotated[int, typer.Option("--groups", "-n", min=1, help="How many groups, the largest first.")] = 10,
    members: Annotated[int, typer.Option(min=1, help="How many dropped samples of each.")] = 5,
    method: Annotated[str | None, typer.Option(help="Only those that this method found.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Images: where the contact sheet goes.")] = None,
    workspace: WorkspaceOption = None,
    wait: WaitOption = READERS_WAIT_S,
    as_json: JsonOption = False,
) -> None:
    """Show groups of duplicates side by side: text with its differences marked, images as a contact sheet (PNG)."""
    from curate.steps.duplicates import duplicates as step

    with opened(workspace, read_only=True, wait=wait) as ws:
        report = step(ws, dataset, method=method, limit=groups, members=members, sheet=output)
    show(report, as_json, _describe_duplicates)


def _describe_duplicates(report: DuplicatesReport) -> str:
    if not report.shown:
        return f"{report.dataset}: no duplicates are recorded\n  next: curate dedupe {report.dataset}"
    parts = [f"{report.dataset}: {report.groups:,} groups; the {len(report.shown)} largest:"]
    for group in report.shown:
        parts.append(f"\n  {group.dropped + 1:,} samples, kept: {sample_line(group.keeper)}")
        for member in group.members:
            dropped = member.sample
            shown = (
                f"{dropped.sample_id}  {difference(group.keeper.text, dropped.text)}" if dropped.text else sample_line(dropped)
            )
            parts.append(f"    {member.similarity:.3f} {member.method:<10} {shown}")
        if group.dropped > len(group.members):
            parts.append(f"    … and {group.dropped - len(group.members):,} more")
    if report.sheet:
        parts.append(f"\n  contact sheet: {report.sheet}")
    return "\n".join(parts)
