"""Commands about what is in the workspace: init, ingest, status."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from curate.cli.formatting import lines, rate, seconds, show, tally
from curate.cli.options import JsonOption, WaitOption, WorkspaceOption, opened

if TYPE_CHECKING:
    from curate.catalog.changes import FieldChange
    from curate.steps.ingest import IngestReport
    from curate.steps.revert import RevertReport

    SplitOn = Literal["file", "paragraphs", "lines"]


def register(app: typer.Typer) -> None:
    """Put the commands on the app."""
    app.command(epilog="Example: curate init ws")(init)
    app.command(epilog="Example: curate ingest train.csv --dataset support --text text --label category")(ingest)
    app.command(epilog="Example: curate revert 3")(revert)


def init(
    folder: Annotated[Path, typer.Argument(help="The folder to make; '.' for this one.")] = Path(),
    as_json: JsonOption = False,
) -> None:
    """Make a workspace: a folder with a catalog and a settings file."""
    from curate.workspace import create_workspace

    root = create_workspace(folder)
    show({"workspace": str(root)}, as_json, lambda _: f"Workspace ready in {root}\n  next: curate ingest PATH --dataset NAME")


def ingest(
    paths: Annotated[list[str], typer.Argument(help="Files, folders, or quoted globs.")],
    dataset: Annotated[str, typer.Option("--dataset", "-d", help="The dataset to add to; made where there is none.")],
    text: Annotated[
        str | None, typer.Option(help="Field(s) that are the text: FIELD or FIELD,FIELD; dots reach into nested fields.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="Field that is the label.")] = None,
    id: Annotated[str | None, typer.Option("--id", help="Field that is your own id.")] = None,
    image: Annotated[str | None, typer.Option(help="Field that holds the bytes of an image.")] = None,
    label_from: Annotated[
        str | None, typer.Option(metavar="folder|'file-name REGEX'", help="Take the label from the path.")
    ] = None,
    split_on: Annotated[str, typer.Option(metavar="file|paragraphs|lines", help="How a text file becomes samples.")] = "file",
    delimiter: Annotated[
        str | None,
        typer.Option(metavar="SIGN", help="CSV, TSV: the sign between cells, by default guessed; \\t is a tab."),
    ] = None,
    quote: Annotated[
        str | None,
        typer.Option(metavar="SIGN", help="CSV, TSV: the sign around cells; '' for none, as TSV has it."),
    ] = None,
    include: Annotated[list[str] | None, typer.Option(help="Only paths that match this glob (repeatable).")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Not the paths that match this glob (repeatable).")] = None,
    licence: Annotated[
        str | None, typer.Option("--licence", "--license", help="The corpus's licence, for the dataset card.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Where the corpus comes from, for the dataset card.")] = None,
    notes: Annotated[str | None, typer.Option(help="Anything else that the dataset card should say.")] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Take over labels, ids and metadata that changed since the last run.")
    ] = False,
    allow_synthetic: Annotated[
        bool, typer.Option("--allow-synthetic", help="Take records that are marked as machine-made, as if they were real.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 3 if a record was rejected.")] = False,
    workspace: WorkspaceOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Read files into a dataset: JSONL, JSON, CSV, Parquet, text, Markdown, images, tar and zip of these.

    Running it again adds nothing that is there already; after a kill it goes on where it stopped.
    """
    from curate.steps.ingest import ingest as step

    if split_on not in ("file", "paragraphs", "lines"):  # Typer cannot take a Literal
        raise typer.BadParameter(f"file, paragraphs or lines, got {split_on!r}", param_hint="--split-on")
    sign = "\t" if delimiter == "\\t" else delimiter
    fields = tuple(part.strip() for part in text.split(",")) if text else ()
    with opened(workspace, wait=wait) as ws:
        report = step(
            ws, paths, dataset=dataset, text=fields, label=label, id=id, image=image, label_from=label_from,
            split_on=cast("SplitOn", split_on), delimiter=sign, quote=quote,
            include=include or (), exclude=exclude or (), licence=licence, source=source,
            notes=notes, update=update, allow_synthetic=allow_synthetic,
        )  # fmt: skip
    show(report, as_json, _describe_ingest)
    if strict and report.rejected:
        raise typer.Exit(3)


def revert(
    run: Annotated[int, typer.Argument(help="The run whose changes are taken back; the ingest told its number.")],
    workspace: WorkspaceOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Take back the labels, ids and metadata that an `ingest --update` changed."""
    from curate.steps.revert import revert as step

    with opened(workspace, wait=wait) as ws:
        report = step(ws, run)
    show(report, as_json, _describe_revert)


def _describe_revert(report: RevertReport) -> str:
    return lines(
        f"{report.values:,} values of run {report.reverted} are again what they were before it",
        f"  {report.left:,} were left, because something changed them since" if report.left else None,
        *_describe_changes(report.changes),
        f"  take it back: curate revert {report.run_id}",
    )


def _describe_changes(changes: tuple[FieldChange, ...]) -> list[str]:
    told = []
    for change in changes:
        told.append(f"  changed {change.field} of {change.samples:,} samples, such as")
        told += [f"    {example.sample_id}: {example.old!r} → {example.new!r}" for example in change.examples]
    return told


def _describe_ingest(report: IngestReport) -> str:
    opened_files = report.files - report.files_unchanged
    unchanged = f"; {report.files_unchanged:,} unchanged since last time" if report.files_unchanged else ""
    account = f"{report.added:,} added + {report.unchanged:,} unchanged + {report.rejected:,} rejected"
    return lines(
        f"{report.dataset}: read {report.read:,} = {account}"
        f"  ({seconds(report.seconds)}, {rate(report.read, report.seconds, 'records')})",
        f"  files: {opened_files:,} opened ({report.bytes_read / 1e6:,.1f} MB){unchanged}",
        f"  rejected: {tally(report.reject_reasons)}" if report.rejected else None,
        f'    see: curate sql "SELECT * FROM rejects WHERE run_id = {report.run_id}"' if report.reject_reasons else None,
        f"  skipped files: {tally(report.skipped)}" if report.skipped else None,
        *_describe_changes(report.changes),
        f"    take it back: curate revert {report.run_id}" if report.changes else None,
        *(f"  note: {note}" for note in report.notes),
        f"  next: curate dedupe {report.dataset}",
    )
