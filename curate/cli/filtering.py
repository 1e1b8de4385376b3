"""`filter`: rules about single samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.formatting import lines, seconds, show
from curate.cli.options import JsonOption, WaitOption, WorkspaceOption, opened
from curate.cli.pairs import read_settings

if TYPE_CHECKING:
    from curate.steps.filter import Example, FilterReport


def register(app: typer.Typer) -> None:
    """Put the command on the app."""
    app.command(
        epilog="Example: curate filter support --rule length --setting min_words=2 --dry-run"
        " && curate filter support --rule length --setting min_words=2 && curate take-back support --owner filter:length"
    )(filter)


def filter(
    dataset: Annotated[str, typer.Argument(help="The dataset to judge.")],
    rule: Annotated[str, typer.Option(help="A filter, such as length.")],
    setting: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Of the rule (repeatable): min_words=5, max_characters=20000."),
    ] = None,
    examples: Annotated[int, typer.Option(min=0, help="How many samples to show of each reason, and of those that pass.")] = 3,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report, and change nothing.")] = False,
    workspace: WorkspaceOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Drop the samples that a rule does not let pass; nothing is deleted, and `take-back --owner filter:RULE` brings them back.

    The last run of a rule counts: what it lets pass now and dropped before comes back. Other rules' verdicts stay as they are.
    """
    from curate.steps.filter import filter as step

    with opened(workspace, wait=wait) as ws:
        report = step(ws, dataset, rule, settings=read_settings(setting), examples=examples, dry_run=dry_run)
    show(report, as_json, _describe)


def _describe(report: FilterReport) -> str:
    would = "would be " if report.dry_run else ""
    share = f" ({report.dropped / report.judged:.1%})" if report.judged else ""
    chosen = " ".join(f"{name}={value}" for name, value in report.settings.items())
    return lines(
        f"{report.dataset}: {report.rule} {chosen}: {report.judged:,} judged = {report.passed:,} pass"
        f" + {report.dropped:,} {would}dropped{share}  ({seconds(report.seconds)})",
        *(f"  {count:>10,}  {reason}" for reason, count in report.reasons.items()),
        *(_example(example) for example in report.examples),
        f"  since the last run: {report.newly_dropped:,} {would}newly dropped, {report.restored:,} {would}restored",
        f"  kept now: {report.kept:,} of {report.samples:,} samples" if report.kept is not None else None,
        *(f"  note: {note}" for note in report.notes),
        "  nothing was changed; leave --dry-run out to apply it"
        if report.dry_run
        else f"  undo: curate take-back {report.dataset} --owner {report.owner}; next: curate dedupe {report.dataset}",
    )


def _example(example: Example, width: int = 100) -> str:
    sample = example.sample
    shown = " ".join(sample.text.split()) if sample.text is not None else sample.locator or sample.source
    shown = shown if len(shown) <= width else shown[:width] + "…"
    return f"    {'passes' if example.reason is None else 'drops '}  {sample.sample_id:>8}  {shown}" + (
        f"  [{example.reason}]" if example.reason else ""
    )
