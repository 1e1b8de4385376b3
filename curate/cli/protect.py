"""`protect`: standing rules that keep a dataset apart from an eval set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.formatting import lines, print_json, say, seconds, show
from curate.cli.methods import (
    EmbedderOption,
    InvariantOption,
    MethodsOption,
    SettingOption,
    ThresholdsOption,
    method_settings,
)
from curate.cli.options import JsonOption, WaitOption, WorkspaceOption, YesOption, opened
from curate.cli.pairs import read_thresholds

if TYPE_CHECKING:
    from curate.steps.protect import ProtectReport, RuleFacts, UnprotectReport


def register(app: typer.Typer) -> None:
    """Put the command on the app."""
    app.command(epilog="Example: curate protect support --from support/test && curate protect support --list")(protect)


def protect(
    dataset: Annotated[str | None, typer.Argument(help="The dataset that is trained on.")] = None,
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="DATASET[/PART]", help="The set that it must not resemble."),
    ] = None,
    method: MethodsOption = None,
    threshold: ThresholdsOption = None,
    embedder: EmbedderOption = None,
    invariant: InvariantOption = None,
    setting: SettingOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report, and change nothing.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="Show the rules that stand, of this dataset or of all.")] = False,
    remove: Annotated[
        str | None, typer.Option(metavar="DATASET[/PART]", help="End the rules of this dataset about this set.")
    ] = None,
    yes: YesOption = False,
    workspace: WorkspaceOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Keep a dataset apart from an eval set: what repeats one of its samples is dropped, now and after every later command.

    The methods and thresholds are frozen in the rule: those named here, else those of the dataset's last dedupe. `curate check`
    proves that no kept sample resembles the set; one that you pinned with `restore` stays, and you are told so.
    """
    from curate.steps.protect import protect as step
    from curate.steps.protect import protections_of, unprotect

    if sum((from_ is not None, list_, remove is not None)) != 1:
        raise typer.BadParameter("one of --from SET, --list and --remove SET", param_hint="protect")
    if list_:
        with opened(workspace, read_only=True, wait=wait) as ws:
            rules = protections_of(ws, dataset)
        if as_json:
            print_json(rules)
        else:
            say(_describe_rules(rules, dataset))
        return
    if dataset is None:
        raise typer.BadParameter("name a dataset", param_hint="DATASET")
    with opened(workspace, wait=wait) as ws:
        if remove is not None:
            show(unprotect(ws, dataset, remove), as_json, _describe_end)
            return
        assert from_ is not None
        report = step(
            ws, dataset, from_, methods=method or (), threshold=read_thresholds(threshold), embedder=embedder,
            settings=method_settings(setting, invariant), dry_run=dry_run, yes=yes,
        )  # fmt: skip
    show(report, as_json, _describe)


def _describe(report: ProtectReport) -> str:
    would = "would be " if report.dry_run else ""
    return lines(
        f"{report.dataset} {'would be' if report.dry_run else 'is'} protected from {report.reference} by {report.methods}"
        f"  ({seconds(report.seconds)})",
        "  a rule that stood before covers it" if report.already else None,
        f"  {report.matched:,} of {report.samples:,} samples repeat one of it; {report.newly_dropped:,} {would}newly dropped",
        f"  kept now: {report.kept:,}" if report.kept is not None else None,
        *(f"  note: {note}" for note in report.notes),
        "  nothing was changed; leave --dry-run out to apply it"
        if report.dry_run
        else f"  undo: curate protect {report.dataset} --remove {report.reference}; next: curate check",
    )


def _describe_rules(rules: list[RuleFacts], dataset: str | None) -> str:
    if not rules:
        return f"no protection stands{f' for {dataset}' if dataset else ''}\n  next: curate protect DATASET --from DATASET/test"
    return "\n".join(
        f"{rule.dataset} is protected from {rule.reference}: {rule.methods}; {rule.matched:,} samples repeat it"
        f"  (run {rule.run_id})"
        for rule in rules
    )


def _describe_end(report: UnprotectReport) -> str:
    return lines(
        *(f"{report.dataset} is protected from {rule.reference} no more ({rule.methods})" for rule in report.ended),
        f"  {report.restored:,} samples are kept again; {report.standing:,} rules stand still  ({seconds(report.seconds)})",
        *(f"  note: {note}" for note in report.notes),
        f"  next: curate dedupe {report.dataset}" if report.restored else None,
    )
