"""Commands about a dataset as a whole: removing and renaming it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.formatting import lines, show
from curate.cli.options import JsonOption, WaitOption, WorkspaceOption, YesOption, opened

if TYPE_CHECKING:
    from curate.steps.remove import RemoveReport
    from curate.steps.rename import RenameReport


def register(app: typer.Typer) -> None:
    """Put the commands on the app."""
    app.command(epilog="Example: curate remove support --dry-run")(remove)
    app.command(epilog="Example: curate rename support helpdesk")(rename)


def remove(
    dataset: Annotated[str, typer.Argument(help="The dataset to remove.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, and change nothing.")] = False,
    yes: YesOption = False,
    workspace: WorkspaceOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Delete a dataset for good, with all that hangs on it: samples, vectors, verdicts, splits, models, drawn samples.

    Without --yes it shows what would go, and changes nothing.
    """
    from curate.steps.remove import remove as step

    with opened(workspace, wait=wait) as ws:
        show(step(ws, dataset, dry_run=dry_run, yes=yes), as_json, _describe_removal)


def rename(
    dataset: Annotated[str, typer.Argument(help="The dataset.")],
    name: Annotated[str, typer.Argument(help="Its new name.")],
    workspace: WorkspaceOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Give a dataset another name; its samples, verdicts, splits and models follow."""
    from curate.steps.rename import rename as step

    with opened(workspace, wait=wait) as ws:
        show(step(ws, dataset, name), as_json, _describe_renaming)


def _describe_removal(report: RemoveReport) -> str:
    would = "would go" if report.dry_run else "are gone"
    return lines(
        f"{report.dataset} {'would be' if report.dry_run else 'is'} removed",
        *(f"  {count:>9,} rows of {table} {would}" for table, count in report.rows.items()),
        f"  {len(report.models):>9,} trained models {would}: {', '.join(report.models)}" if report.models else None,
        f"  {report.blobs:>9,} media files {would}" if report.blobs else None,
        f"  {report.orphaned:,} samples of other datasets {'would be' if report.dry_run else 'are'} kept again: the ones that"
        " stood for them go; curate dedupe decides anew"
        if report.orphaned
        else None,
        f"  next: curate remove {report.dataset} --yes" if report.dry_run else "  next: curate check",
    )


def _describe_renaming(report: RenameReport) -> str:
    return f"{report.before} is called {report.dataset} now"
