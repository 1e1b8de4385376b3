"""`target-size`: the threshold that keeps as many samples as are wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.dedupe import describe_dedupe
from curate.cli.formatting import lines, seconds, show
from curate.cli.methods import (
    AgainstOption,
    EmbedderOption,
    InvariantOption,
    KeepOption,
    MethodOption,
    ProtectOption,
    SettingOption,
    method_settings,
)
from curate.cli.options import JsonOption, WaitOption, WorkspaceOption, YesOption, opened

if TYPE_CHECKING:
    from curate.steps.target_size import TargetReport


def register(app: typer.Typer) -> None:
    """Put the command on the app."""
    app.command(epilog="Example: curate target-size support 43 --method minhash --dry-run")(target_size)


def target_size(
    dataset: Annotated[str, typer.Argument(help="The dataset to judge.")],
    target: Annotated[int, typer.Argument(metavar="N", help="How many samples to keep, at least.")],
    method: MethodOption = None,
    against: AgainstOption = None,
    protect: ProtectOption = None,
    keep: KeepOption = "first",
    embedder: EmbedderOption = None,
    invariant: InvariantOption = None,
    setting: SettingOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Find the threshold, and change nothing.")] = False,
    yes: YesOption = False,
    workspace: WorkspaceOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Find the threshold of one method that keeps about N samples and not fewer, and dedupe by it."""
    from curate.steps.target_size import target_size as step

    with opened(workspace, wait=wait) as ws:
        report = step(
            ws, dataset, target, method=method, against=against or (), protect=protect or (), keep=keep, embedder=embedder,
            settings=method_settings(setting, invariant), dry_run=dry_run, yes=yes,
        )  # fmt: skip
    show(report, as_json, _describe)


def _describe(report: TargetReport) -> str:
    found = f"{report.method} ≥ {report.threshold:g} keeps {report.kept:,} of {report.samples:,} samples"
    return lines(
        f"{report.dataset}: at least {report.target:,} samples: {found}  ({seconds(report.seconds)})",
        f"  {report.measure}, tried:",
        *(f"    {trial.threshold:.4f}  {trial.kept:>10,} kept" for trial in report.trials),
        *(f"  note: {note}" for note in report.notes),
        describe_dedupe(report.applied) if report.applied else "  nothing was changed; leave --dry-run out to apply it",
    )
