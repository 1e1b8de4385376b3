"""Commands that ask: embed, search, sql, status."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from curate.cli.formatting import lines, rate, say, seconds, show, tally
from curate.cli.options import READERS_WAIT_S, JsonOption, WaitOption, WorkspaceOption, opened

if TYPE_CHECKING:
    from curate.embedding.missing import EmbedReport
    from curate.retrieval.querying import RelationMeaning
    from curate.steps.search import SearchReport
    from curate.steps.status import DatasetStatus, StatusReport

_FORMATS = ("table", "csv", "json", "jsonl", "parquet")
_PIPED_WIDTH = 120


def register(app: typer.Typer) -> None:
    """Put the commands on the app."""
    app.command(epilog="Example: curate embed support")(embed)
    app.command(epilog='Example: curate search "card has not arrived" --dataset support -k 5')(search)
    app.command(epilog='Example: curate sql "SELECT label, count(*) FROM curated GROUP BY 1 ORDER BY 2 DESC"')(sql)
    app.command(epilog="Example: curate status")(status)


def embed(
    dataset: Annotated[str, typer.Argument(help="The dataset whose samples get vectors.")],
    embedder: Annotated[
        str | None,
        typer.Option("--embedder", "-e", help="NAME, NAME:MODEL, or a sentence-transformers model; else the default."),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Delete vectors of another model or version under the same name first.")
    ] = False,
    workspace: WorkspaceOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Give every sample of a dataset a vector; only what is new is computed."""
    from curate.steps.embed import embed as step

    with opened(workspace, wait=wait) as ws:
        report = step(ws, dataset, embedder=embedder, replace=replace)
    show(report, as_json, _describe_embed)


def search(
    text: Annotated[str | None, typer.Argument(help="What to look for.")] = None,
    image: Annotated[Path | None, typer.Option(help="Look for images like this file.")] = None,
    like: Annotated[int | None, typer.Option(metavar="ID", help="Look for what is near this sample.")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="Search in this one; else in all.")] = None,
    where: Annotated[
        str | None,
        typer.Option(metavar="SQL", help="Only samples for which this is true, over the columns of the view samples."),
    ] = None,
    k: Annotated[int, typer.Option("-k", help="How many hits.")] = 10,
    embedder: Annotated[str | None, typer.Option("--embedder", "-e", help="Compare the vectors of this embedder.")] = None,
    index: Annotated[
        str | None, typer.Option("--index", metavar="NAME", help="The index that answers, such as flat, ivf or hnsw.")
    ] = None,
    origin: Annotated[str, typer.Option(metavar="real|synthetic|all", help="Which samples.")] = "all",
    dropped: Annotated[bool, typer.Option("--dropped", help="Find dropped and refused samples too.")] = False,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="Stop the condition after so long.")] = 20.0,
    workspace: WorkspaceOption = None,
    wait: WaitOption = READERS_WAIT_S,
    as_json: JsonOption = False,
) -> None:
    """Find the samples nearest to a text, an image, or another sample."""
    from curate.steps.search import search as step

    if origin not in ("real", "synthetic", "all"):
        raise typer.BadParameter(f"real, synthetic or all, got {origin!r}", param_hint="--origin")
    with opened(workspace, read_only=True, wait=wait) as ws:
        report = step(
            ws, text, image=image, like=like, dataset=dataset, where=where, k=k, embedder=embedder, index=index,
            origin=cast(Any, origin), dropped=dropped, timeout_s=timeout,
        )  # fmt: skip
    show(report, as_json, _describe_search)


def sql(
    query: Annotated[str | None, typer.Argument(help="One statement that reads; '-' reads it from stdin.")] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Read the statement from a file.")] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the views and tables, and what their columns mean.")] = False,
    format: Annotated[
        str | None,
        typer.Option(metavar="|".join(_FORMATS), help="Else by FILE's suffix; a table on a terminal, CSV in a pipe."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write all rows there.")] = None,
    rows: Annotated[int, typer.Option(min=1, help="How many rows a table shows; the rest are counted.")] = 40,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="Stop the query after so long, embed() included.")] = 300.0,
    workspace: WorkspaceOption = None,
    wait: WaitOption = READERS_WAIT_S,
    as_json: JsonOption = False,
) -> None:
    """Ask the catalog: one read-only statement (SELECT, FROM, WITH, DESCRIBE, SUMMARIZE, EXPLAIN).

    embed('TEXT') is the vector of a text: ORDER BY array_cosine_similarity(vector, embed('TEXT')) over vectors_minilm.
    """
    from curate.retrieval.querying import describe_catalog
    from curate.steps.sql import sql as step

    chosen = _chosen_format(format, output, as_json)
    if schema:
        with opened(workspace, read_only=True, wait=wait) as ws:
            show(describe_catalog(ws), as_json or chosen == "json", _describe_schema)
        return
    statement = _statement(query, file)
    if "embed" not in statement.lower():
        # Arrow imports NumPy where it finds it, for a tenth of a second, and writes rows without it. This process ends here.
        sys.modules.setdefault("numpy", cast(Any, None))
    with opened(workspace, detached=True) as ws, step(ws, statement, timeout_s=timeout, wait_s=wait) as result:
        _deliver(result, chosen, output, rows)


def status(workspace: WorkspaceOption = None, wait: WaitOption = READERS_WAIT_S, as_json: JsonOption = False) -> None:
    """Show what is in the workspace: datasets, vectors, splits, models, the last runs, disk use."""
    from curate.steps.status import status as step

    with opened(workspace, read_only=True, wait=wait) as ws:
        report = step(ws)
    show(report, as_json, _describe_status)


def _describe_embed(report: EmbedReport) -> str:
    return lines(
        f"{report.dataset}: {report.samples:,} samples = {report.embedded:,} embedded + {report.copied:,} copied from equals"
        f" + {report.already:,} done before + {report.unsupported:,} of another modality",
        *(
            f"  {done.slug}: {done.description}; vectors_{done.slug}, "
            + (
                f"{seconds(done.seconds)}, {rate(done.embedded, done.seconds, 'samples')}"
                if done.embedded
                else "nothing to compute"
            )
            for done in report.passes
        ),
        *(f"  note: {note}" for note in report.notes),
        f"  next: curate dedupe {report.dataset}",
    )


def _describe_search(report: SearchReport) -> str:
    compared = report.embedder or "words"
    index = report.index if "exact" in report.index else f"{report.index}, {'exact' if report.exact else 'approximate'}"
    return lines(
        *(
            f"{hit.score:7.4f}  {hit.sample_id:>8}  {hit.origin:<9}  {hit.dataset}  {hit.label or '-'}"
            + (f"  [{hit.state}]" if hit.state in ("dropped", "refused") else "")
            + f"\n         {hit.excerpt if hit.excerpt is not None else hit.path}"
            for hit in report.hits
        ),
        None if report.hits else "nothing found",
        f"({len(report.hits)} of {report.candidates:,} candidates; {index}; {compared}; {seconds(report.seconds)})",
        *(f"note: {note}" for note in report.notes),
    )


def _chosen_format(format: str | None, output: Path | None, as_json: bool) -> str | None:
    """The format; None where it follows from the output file's suffix."""
    if format is not None and format not in _FORMATS:
        raise typer.BadParameter(f"one of {', '.join(_FORMATS)}, got {format!r}", param_hint="--format")
    if as_json and format not in (None, "json"):
        raise typer.BadParameter(f"--json and --format {format} contradict each other", param_hint="--json")
    if output is not None:
        if format == "table":
            raise typer.BadParameter("a table is for the eye; a file is csv, json, jsonl or parquet", param_hint="--format")
        return "json" if as_json else format
    chosen = format or ("json" if as_json else "table" if sys.stdout.isatty() else "csv")
    if chosen == "parquet":
        raise typer.BadParameter("parquet needs -o FILE", param_hint="--format")
    return chosen


def _statement(query: str | None, file: Path | None) -> str:
    if query is not None and file is not None:
        raise typer.BadParameter("give the statement or --file, not both", param_hint="QUERY")
    if file is not None:
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise typer.BadParameter(f"{file} cannot be read: {error}", param_hint="--file") from error
    if query == "-" or (query is None and not sys.stdin.isatty()):
        return sys.stdin.read()
    if query is None:
        raise typer.BadParameter("give a statement, --file FILE, or --schema", param_hint="QUERY")
    return query


def _deliver(result: Any, format: str | None, output: Path | None, rows: int) -> None:
    from curate.cli.table import draw
    from curate.reporting import query_output as out

    if output is not None:
        count = out.save(result, output, format)
        say(f"{count:,} rows written to {output}", to=sys.stderr)
    elif format == "table":
        width = shutil.get_terminal_size((_PIPED_WIDTH, 24)).columns
        say(draw(result.schema.names, out.rows(result), width=width, limit=rows))
    else:
        assert format is not None
        out.write(result, format, sys.stdout)


def _describe_schema(relations: tuple[RelationMeaning, ...]) -> str:
    parts = []
    for relation in relations:
        wide = max(len(column.name) for column in relation.columns)
        kinds = max(min(len(column.type), 12) for column in relation.columns)
        parts.append(f"{relation.kind} {relation.name}: {relation.meaning}")
        parts += [f"    {c.name:<{wide}}  {c.type:<{kinds}}  {c.meaning}".rstrip() for c in relation.columns]
    return "\n".join(parts)


def _describe_status(report: StatusReport) -> str:
    disk = ", ".join(f"{name} {_size(size)}" for name, size in report.disk.items())
    return lines(
        f"{report.workspace}  ({disk})",
        *(_describe_dataset(dataset) for dataset in report.datasets),
        None if report.datasets else "  no datasets yet; next: curate ingest PATH --dataset NAME",
        *(
            f"split {s['dataset']}/{s['name']} v{s['version']}: train {s['train']:,}, validation {s['validation']:,}, "
            f"test {s['test']:,}; seed {s['seed']}, frozen as {s['members_hash'][:12]}"
            for s in report.splits
        ),
        *(
            f"model {m['name']}: {m['family']}, from {m['dataset']}/{m['split']}, "
            f"{'trained' if m['trained'] else 'not trained to its end'}, {m['drawn']:,} drawn"
            for m in report.models
        ),
        f"last runs ({min(len(report.runs), report.runs_in_all)} of {report.runs_in_all:,}):" if report.runs else None,
        *(
            f"  {run['run_id']:>4}  {run['started_at']:%Y-%m-%d %H:%M}  {run['step']:<9} "
            f"{run['dataset'] or '-':<16} {run['status']}"
            + (f" in {seconds(run['seconds'])}" if run["seconds"] is not None else "")
            + (f": {run['error'].splitlines()[0][:100]}" if run["error"] else "")
            for run in report.runs
        ),
    )


def _describe_dataset(dataset: DatasetStatus) -> str:
    from curate.modalities import load_modality

    what = tally({load_modality(name).plural: count for name, count in dataset.modalities.items()}) or "no samples"
    covered = ", ".join(f"{slug} {count:,} ({count / max(dataset.samples, 1):.0%})" for slug, count in dataset.vectors.items())
    return lines(
        f"{dataset.name}: {what}, {dataset.labels:,} labels, {_size(dataset.bytes)}, licence {dataset.licence or 'not stated'}",
        f"    kept {dataset.kept:,}, dropped {dataset.dropped:,}"
        + (f" ({tally(dataset.dropped_by)})" if dataset.dropped else "")
        + f", rejects {dataset.rejects:,}",
        f"    vectors: {covered or 'none'}",
        f"    synthetic: {tally(dataset.synthetic)}" if dataset.synthetic else None,
    )


def _size(count: int) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:,.0f} {unit}"
        count = round(count / 1000)
    return f"{count:,.0f} GB"
