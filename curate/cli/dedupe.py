"""`dedupe`: copies and near-copies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.formatting import lines, seconds, show
from curate.cli.methods import (
    AgainstOption,
    EmbedderOption,
    InvariantOption,
    KeepOption,
    MethodsOption,
    ProtectOption,
    SettingOption,
    ThresholdsOption,
    method_settings,
)
from curate.cli.options import JsonOption, WaitOption, WorkspaceOption, YesOption, opened
from curate.cli.pairs import read_thresholds

if TYPE_CHECKING:
    from curate.deduplication.report import DedupeReport


def register(app: typer.Typer) -> None:
    """Put the command on the app."""
    app.command(epilog="Example: curate dedupe support --method exact --method minhash --threshold minhash=0.8")(dedupe)


def dedupe(
    dataset: Annotated[str, typer.Argument(help="The dataset to judge.")],
    level: Annotated[
        str | None,
        typer.Option(
            metavar="copies|edits|meaning",
            help="How far to go: equal bytes; the same words, edited (the default); paraphrases too, which a "
            "model may want to learn from.",
        ),
    ] = None,
    method: MethodsOption = None,
    threshold: ThresholdsOption = None,
    against: AgainstOption = None,
    protect: ProtectOption = None,
    keep: KeepOption = "first",
    embedder: EmbedderOption = None,
    invariant: InvariantOption = None,
    setting: SettingOption = None,
    memory: Annotated[str | None, typer.Option(metavar="2GB", help="Size to hold the process to; more goes to files.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report, and change nothing.")] = False,
    yes: YesOption = False,
    workspace: WorkspaceOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Drop duplicates and near-duplicates; nothing is deleted, and every drop names the kept sample it repeats.

    The verdicts of the last dedupe count: what an earlier one dropped and this one does not comes back. What filters,
    protections and you decided stays as it is.
    """
    from curate.steps.dedupe import dedupe as step

    with opened(workspace, wait=wait) as ws:
        report = step(
            ws, dataset, level=level, methods=method or (), threshold=read_thresholds(threshold), against=against or (),
            protect=protect or (), keep=keep, embedder=embedder, settings=method_settings(setting, invariant), memory=memory,
            dry_run=dry_run, yes=yes,
        )  # fmt: skip
    show(report, as_json, describe_dedupe)


def describe_dedupe(report: DedupeReport) -> str:
    """What a dedupe did, for a person."""
    would = "would be " if report.dry_run else ""
    methods = [
        f"    {name:<11}{report.by_method.get(name, 0):>8,}   {measure}"
        + (f" ≥ {report.thresholds[name]:g}" if name != "exact" else "")
        for name, measure in report.measures.items()
    ]
    share = f" ({report.dropped / report.samples:.1%})" if report.samples else ""
    return lines(
        f"{report.dataset}: {report.samples:,} samples = {report.kept:,} kept + {report.dropped:,} {would}dropped{share}"
        f"  ({seconds(report.seconds)})",
        f"  dropped in favour of a kept sample (--keep {report.keep}"
        + "".join(f", --against {name}" for name in report.against)
        + "".join(f", --protect {name}" for name in report.protect)
        + "):",
        *methods,
        *(f"  in {name}: {report.matched[name]:,} of them repeat one of its samples" for name in report.against),
        *(f"  protected {name}: {report.matched[name]:,} of them repeat one of its samples" for name in report.protect),
        *(
            f"    {'by hand' if name == 'user' else name:<11}{count:>8,}"
            for name, count in report.by_method.items()
            if name not in report.measures
        ),
        "  these are " + ", ".join(f"{count:,} {kind}" for kind, count in report.kinds.items()) if report.kinds else None,
        f"  groups: {report.groups:,}; the largest has {report.largest_group:,} samples"
        if report.groups
        else "  no duplicates were found",
        f"  since the last dedupe: {report.newly_dropped:,} {would}newly dropped, {report.restored:,} {would}restored",
        f"  labels: {report.relabelled:,} {would}dropped with another label than the sample that stands for them"
        if report.relabelled
        else None,
        *(f"  note: {note}" for note in report.notes),
        f"  next: curate duplicates {report.dataset}; curate split {report.dataset}"
        if report.groups
        else f"  next: curate split {report.dataset}",
    )
