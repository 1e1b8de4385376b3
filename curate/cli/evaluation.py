"""Commands that measure: evaluate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.formatting import lines, seconds, show
from curate.cli.options import JsonOption, WaitOption, WorkspaceOption, opened

if TYPE_CHECKING:
    from curate.metrics import Measure
    from curate.steps.evaluate import EvaluateReport


def register(app: typer.Typer) -> None:
    """Put the commands on the app."""
    app.command(epilog="Example: curate evaluate digits-diffusion-1")(evaluate)


def evaluate(
    model: Annotated[str, typer.Argument(help="A trained model with accepted samples.")],
    embedder: Annotated[
        str | None, typer.Option(help="Measure in this embedder's vectors too; not one that the gates used.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of subsets and of small classifiers.")] = 0,
    limit: Annotated[int, typer.Option(min=2, help="Rows of each side at most; more are sampled.")] = 5000,
    workspace: WorkspaceOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Measure a model's accepted samples against the held-out real part, beside what real samples reach themselves."""
    from curate.steps.evaluate import evaluate as step

    with opened(workspace, wait=wait) as ws:
        report = step(ws, model, embedder=embedder, seed=seed, limit=limit)
    show(report, as_json, _describe)


def _describe(report: EvaluateReport) -> str:
    overall = [measure for measure in report.measures if measure.label is None]
    width = max((len(measure.name) for measure in overall), default=6)
    sizes = ", ".join(f"{count:,} {side}" for side, count in report.sizes.items())
    by_label = len(report.measures) - len(overall)
    return lines(
        f"{report.model}: measured against {report.evaluated_on} in {seconds(report.seconds)}  ({sizes})",
        f"  {'metric':{width}}  {'synthetic':>18}  {'real':>9}  how to read it",
        *(f"  {m.name:{width}}  {_value(m):>18}  {_figure(m.reference):>9}  {m.reading}" for m in overall),
        *(f"  features {name}: {about}" for name, about in report.spaces.items()),
        f'  {by_label} more figures are of single labels: curate sql "SELECT name, label, value, reference FROM metrics'
        ' WHERE label IS NOT NULL"'
        if by_label
        else None,
        *(f"  note: {note}" for note in report.notes),
        '  next: curate sql "SELECT name, definition, source, sizes FROM metrics"',
    )


def _value(measure: Measure) -> str:
    return _figure(measure.value) + (f" ± {_figure(measure.spread)}" if measure.spread is not None else "")


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    if 0 < abs(value) < 0.001:
        return f"{value:.1e}"
    return f"{value:.4f}" if abs(value) < 100 else f"{value:,.0f}"
