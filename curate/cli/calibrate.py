"""`calibrate`: where a threshold should lie, measured on labelled pairs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.formatting import lines, seconds, show
from curate.cli.options import JsonOption, WaitOption, WorkspaceOption, YesOption, opened

if TYPE_CHECKING:
    from curate.deduplication.precision_curve import Point
    from curate.steps.calibrate import CalibrateReport, ResetReport


def register(app: typer.Typer) -> None:
    """Put the commands on the app."""
    app.command(epilog="Example: curate calibrate pairs.csv --method minhash")(calibrate)


def calibrate(
    pairs: Annotated[
        Path | None,
        typer.Argument(
            metavar="PAIRS.csv",
            help="Columns left, right (texts, or paths of images) and same (1 or 0, duplicate or different).",
        ),
    ] = None,
    embedder: Annotated[
        str | None, typer.Option(help="Whose cosine to measure; the workspace's text embedder by default.")
    ] = None,
    method: Annotated[
        str | None, typer.Option(metavar="semantic|minhash|perceptual", help="Measure this method instead.")
    ] = None,
    precision: Annotated[
        float, typer.Option(help="What share of the pairs at or above the recommended threshold must be the same.")
    ] = 0.99,
    lower: Annotated[
        bool,
        typer.Option(
            "--lower", help="Recommend less than the measured default too: the different pairs are your nearest misses."
        ),
    ] = False,
    save: Annotated[
        bool, typer.Option("--save", help="Make the recommended threshold this embedder's default in this workspace.")
    ] = False,
    reset: Annotated[
        bool, typer.Option("--reset", help="Give the embedder its own default threshold back; measures nothing.")
    ] = False,
    yes: YesOption = False,
    workspace: WorkspaceOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Measure on your own labelled pairs which threshold tells duplicates from others.

    Prints precision and recall over thresholds, and recommends the lowest threshold whose precision the sample proves.
    """
    from curate.steps.calibrate import calibrate as step
    from curate.steps.calibrate import reset_threshold

    if reset:
        if pairs or save or method:
            raise typer.BadParameter("takes --embedder and nothing else", param_hint="--reset")
        with opened(workspace, wait=wait) as ws:
            show(reset_threshold(ws, embedder=embedder), as_json, _describe_reset)
        return
    if pairs is None:
        raise typer.BadParameter("name a CSV file of labelled pairs", param_hint="PAIRS.csv")
    with opened(workspace, read_only=not save, wait=wait) as ws:
        report = step(ws, pairs, method=method, embedder=embedder, precision=precision, lower=lower, save=save, yes=yes)
    show(report, as_json, _describe_calibration)


def _describe_reset(report: ResetReport) -> str:
    now = "none: nobody has measured one" if report.threshold is None else f"{report.threshold:g}"
    before = "" if report.before is None else f" (it was {report.before:g})"
    return f"{report.embedder}: the default threshold is {now}{before}"


def _describe_calibration(report: CalibrateReport) -> str:
    what = f"{report.method} with {report.embedder}" if report.embedder and report.embedder != report.method else report.method
    known = "none measured" if report.shipped is None else f"{report.shipped:g}"
    here = f", {report.before:g} in this workspace" if report.before not in (None, report.shipped) else ""
    chosen = "no threshold" if report.recommended is None else f"threshold {report.recommended:g}"
    return lines(
        f"{what}: {report.measure}, on {report.pairs:,} pairs = {report.same:,} same + {report.different:,} different"
        f"  ({seconds(report.seconds)})",
        "  threshold   pairs    same   precision (least)    recall (least)       false alarms (most)",
        *(_row(point, marked=point.threshold == report.recommended) for point in _shown(report)),
        *(f"  note: {note}" for note in report.notes),
        f"  recommended: {chosen}" + ("" if report.proven else " (not proven)"),
        f"    {report.why}",
        f"  the default: {known}{here}",
        f"  stored: {report.saved:g} is the default of {report.embedder} here from now on; undo: curate calibrate --reset"
        if report.saved is not None
        else None,
        None if report.saved is not None or report.recommended is None else f"  next: {_next(report)}",
    )


def _next(report: CalibrateReport) -> str:
    use = f"curate dedupe DATASET --threshold {report.method}={report.recommended:g}"
    return use + ("; or --save, to make it the default here" if report.method == "semantic" else "")


def _shown(report: CalibrateReport) -> list[Point]:
    """A row for each 0.05, and for each 0.01 around the recommended threshold; none where every pair is or none is."""
    middle = report.recommended if report.recommended is not None else report.before
    kept = (report.recommended, report.before)
    chosen = []
    for n, point in enumerate(report.curve, start=1):  # thresholds are n / 200
        near = middle is not None and abs(point.threshold - middle) < 0.0501
        if n % 10 == 0 or (near and n % 2 == 0) or point.threshold in kept:
            chosen.append(point)
    chosen = [p for n, p in enumerate(chosen) if n + 1 == len(chosen) or p.pairs != chosen[n + 1].pairs or p.threshold in kept]
    last_whole = max((n for n, point in enumerate(chosen) if point.pairs == report.pairs), default=0)
    return [point for point in chosen[last_whole:] if point.pairs]


def _row(point: Point, *, marked: bool) -> str:
    def share(value: float | None, bound: float) -> str:
        return f"{value:7.1%} ({bound:6.1%})" if value is not None else "              –"

    shares = (
        share(point.precision, point.precision_low),
        share(point.recall, point.recall_low),
        share(point.false_alarms, point.false_alarms_high),
    )
    return f"{'→' if marked else ' ':>3} {point.threshold:8.3f} {point.pairs:7,} {point.same:7,}   " + "     ".join(shares)
