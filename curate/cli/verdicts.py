"""Verdicts by hand, and taking back those of a rule: restore, drop, take-back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.formatting import lines, show, tally
from curate.cli.options import JsonOption, WaitOption, WorkspaceOption, opened

if TYPE_CHECKING:
    from curate.filtering.by_hand import VerdictReport
    from curate.steps.take_back import TakeBackReport


def register(app: typer.Typer) -> None:
    """Put the commands on the app."""
    app.command(epilog="Example: curate restore 17")(restore)
    app.command(epilog='Example: curate drop --where "length(text) < 10"')(drop)
    app.command(epilog="Example: curate take-back support")(take_back)


def restore(
    sample_ids: Annotated[list[int], typer.Argument(metavar="ID...", help="Samples to keep whatever they resemble.")],
    workspace: WorkspaceOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Bring dropped samples back, and pin them: no dedupe, filter or protection drops them again."""
    from curate.steps.restore import restore as step

    with opened(workspace, wait=wait) as ws:
        show(step(ws, sample_ids), as_json, _describe)


def drop(
    sample_ids: Annotated[list[int] | None, typer.Argument(metavar="ID...", help="Samples to drop.")] = None,
    where: Annotated[
        str | None, typer.Option(help="Drop all real samples that this SQL condition over the view `samples` names.")
    ] = None,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="Stop a condition after so long.")] = 20.0,
    workspace: WorkspaceOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Drop samples by hand; they stay in the catalog, and `restore` brings them back."""
    from curate.steps.drop import drop as step

    with opened(workspace, wait=wait) as ws:
        show(step(ws, sample_ids or (), where=where, timeout_s=timeout), as_json, _describe)


def take_back(
    dataset: Annotated[str, typer.Argument(help="The dataset whose drops to take back.")],
    owner: Annotated[
        str, typer.Option(metavar="dedupe|filter:NAME", help="Whose: what others and you decided stays as it is.")
    ] = "dedupe",
    workspace: WorkspaceOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Take back all that a rule dropped in a dataset; a later run of the rule decides anew."""
    from curate.steps.take_back import take_back as step

    with opened(workspace, wait=wait) as ws:
        show(step(ws, dataset, owner=owner), as_json, _describe_taken_back)


def _describe(report: VerdictReport) -> str:
    verb = {"restore": "restored", "drop": "dropped"}[report.action]
    same = report.named - report.changed
    return lines(
        f"{verb} {report.changed:,} samples" + (f"; {same:,} were so already" if same else ""),
        *(f"  note: {note}" for note in report.notes),
    )


def _describe_taken_back(report: TakeBackReport) -> str:
    return lines(
        f"{report.dataset}: {report.owner} drops {report.changed:,} samples no more; {report.restored:,} of them are kept now",
        f"  still dropped, by: {tally(report.others)}" if report.others else None,
        *(f"  note: {note}" for note in report.notes),
    )
