"""`borderline`: pairs just above and just below a threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.formatting import lines, seconds, show
from curate.cli.methods import (
    EmbedderOption,
    InvariantOption,
    MethodOption,
    SettingOption,
    ThresholdsOption,
    method_settings,
)
from curate.cli.options import JsonOption, WaitOption, WorkspaceOption, opened
from curate.cli.pairs import read_thresholds

if TYPE_CHECKING:
    from curate.catalog.samples import Sample
    from curate.steps.borderline import BorderlineReport, Pair


def register(app: typer.Typer) -> None:
    """Put the command on the app."""
    app.command(epilog="Example: curate borderline support -n 3 --method minhash")(borderline)


def borderline(
    dataset: Annotated[str, typer.Argument(help="The dataset to look at.")],
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many pairs on either side, at most.")] = 10,
    method: MethodOption = None,
    threshold: ThresholdsOption = None,
    embedder: EmbedderOption = None,
    invariant: InvariantOption = None,
    setting: SettingOption = None,
    workspace: WorkspaceOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Show the pairs just above and just below the threshold of one method; nothing is changed."""
    from curate.steps.borderline import borderline as step

    line = read_thresholds(threshold)
    if isinstance(line, Mapping):
        if len(line) > 1 or method not in (None, *line):
            raise typer.BadParameter("one threshold, of the one method", param_hint="--threshold")
        method, line = next(iter(line.items()))
    with opened(workspace, wait=wait) as ws:
        report = step(
            ws, dataset, count, method=method, threshold=line, embedder=embedder, settings=method_settings(setting, invariant)
        )
    show(report, as_json, _describe)


def _describe(report: BorderlineReport) -> str:
    return lines(
        f"{report.dataset}: {report.method}, {report.measure} ≥ {report.threshold:g}  ({seconds(report.seconds)})",
        f"  just above, duplicates by this method ({len(report.above)}):"
        if report.above
        else "  no pair is above the threshold",
        *(_pair(pair) for pair in report.above),
        f"  just below, both kept by this method ({len(report.below)}):"
        if report.below
        else "  no pair is just below the threshold",
        *(_pair(pair) for pair in report.below),
        *(f"  note: {note}" for note in report.notes),
        f"  nothing was changed; next: curate dedupe {report.dataset} --threshold {report.method}=N",
    )


def _pair(pair: Pair) -> str:
    return f"    {pair.similarity:.4f}  {_sample(pair.left)}\n            {_sample(pair.right)}"


def _sample(sample: Sample, width: int = 160) -> str:
    shown = " ".join(sample.text.split()) if sample.text is not None else sample.locator or sample.source
    label = f"  [{sample.label}]" if sample.label else ""
    return f"{sample.sample_id}  {shown[:width]}{'…' if len(shown) > width else ''}{label}"
