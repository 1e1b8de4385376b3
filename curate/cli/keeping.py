"""Commands that keep what was curated: split, export, check."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.formatting import lines, seconds, show
from curate.cli.options import JsonOption, WaitOption, WorkspaceOption, opened

if TYPE_CHECKING:
    from curate.splitting.facts import SplitReport
    from curate.steps.check import CheckReport
    from curate.steps.export import ExportReport


def register(app: typer.Typer) -> None:
    """Put the commands on the app."""
    app.command(epilog="Example: curate split support --ratios train=0.8,validation=0.1,test=0.1 --stratify label --seed 7")(
        split
    )
    app.command(epilog="Example: curate export support/train --format parquet -o out")(export)
    app.command(epilog="Example: curate check")(check)


def split(
    dataset: Annotated[str, typer.Argument(help="The dataset to split.")],
    ratios: Annotated[
        str, typer.Option(metavar="PART=SHARE,…", help="Shares of train, validation and test; together 1.")
    ] = "train=0.8,validation=0.1,test=0.1",
    stratify: Annotated[
        str | None, typer.Option(metavar="FIELD", help="Spread its values evenly: label, or a metadata field.")
    ] = None,
    group: Annotated[
        str | None, typer.Option(metavar="FIELD", help="Keep samples with the same value together: a metadata field, or label.")
    ] = None,
    parts: Annotated[
        str | None,
        typer.Option(
            metavar="FIELD", help="Keep the test and validation parts the data comes with: source (file names) or a field."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed makes another split.")] = 0,
    name: Annotated[str, typer.Option(help="Name of the split; a name keeps its settings for ever.")] = "default",
    near: Annotated[
        bool, typer.Option("--near/--no-near", help="Look for near-duplicates across the parts, and put them together.")
    ] = True,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Go on where a part that has a share gets no sample.")
    ] = False,
    workspace: WorkspaceOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Freeze which samples are learned from, tuned on and tested on; duplicates and groups stay in one part.

    Running it again changes nothing. After data was added it makes the next version, in which nobody moves.
    Name it as DATASET/train, DATASET@NAME/train or DATASET@NAME:2/train.
    """
    from curate.splitting.ratios import parse_ratios
    from curate.steps.split import split as step

    shares = parse_ratios(ratios)
    with opened(workspace, wait=wait) as ws:
        report = step(
            ws, dataset, name=name, ratios=shares, stratify=stratify, group=group, parts=parts, seed=seed, near=near,
            allow_empty=allow_empty,
        )  # fmt: skip
    show(report, as_json, _describe_split)


def _describe_split(report: SplitReport) -> str:
    grouped = f", {report.groups:,} groups (the largest has {report.largest_group:,})"
    state = "frozen" if report.changed else "unchanged"
    since = f"  since the version before: {report.added:,} added, {report.left:,} left, {len(report.moved):,} moved"
    return lines(
        f"{report.reference}: {report.members:,} samples{grouped}, {state}  ({seconds(report.seconds)})",
        *(
            f"  {part:<10} {facts.samples:>9,}  {facts.share:.2%}{_asked(facts.asked)}, {facts.groups:,} groups"
            for part, facts in report.parts.items()
        ),
        since if report.changed and report.version > 1 else None,
        f"  across parts: compared by {report.compared}; "
        + (f"{report.near_pairs:,} near-duplicate pairs were put together" if report.near_pairs else "no near-duplicates left")
        if report.compared
        else None,
        f"  members: sha256 {report.members_hash}",
        *(f"  note: {note}" for note in report.notes),
        f"  next: curate export {report.dataset}@{report.name}/train --format parquet -o out",
    )


def _asked(share: float | None) -> str:
    return f" (asked {share:.2%})" if share is not None else ""


def export(
    spec: Annotated[
        str, typer.Argument(metavar="DATASET[@SPLIT[:VERSION]][/PART]", help="DATASET: all of it; DATASET/: every part.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to make.")],
    format: Annotated[
        str, typer.Option("--format", "-f", help="parquet, jsonl, csv, imagefolder, webdataset or huggingface.")
    ] = "parquet",
    include_synthetic: Annotated[
        bool, typer.Option("--include-synthetic", help="Add accepted synthetic samples to the train part.")
    ] = False,
    max_share: Annotated[float, typer.Option(help="Share of each label's rows that may be synthetic.")] = 0.5,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Other files in the folder are moved beside it.")] = False,
    option: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="A setting of the format (repeatable): shard_size=100MB.")
    ] = None,
    workspace: WorkspaceOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Write curated samples for a trainer, with a dataset card, Croissant metadata and a manifest of hashes."""
    from curate.steps.export import export as step
    from curate.steps.export import parse_options

    options = parse_options(option or ())
    with opened(workspace, wait=wait) as ws:
        report = step(
            ws, spec, format=format, out=out, include_synthetic=include_synthetic, max_share=max_share, overwrite=overwrite,
            options=options,
        )  # fmt: skip
    show(report, as_json, _describe_export)


def _describe_export(report: ExportReport) -> str:
    kinds = f" ({report.real:,} real, {report.synthetic:,} synthetic)" if report.synthetic else ""
    rows = ", ".join(f"{count:,} in {part}" for part, count in report.rows.items())
    return lines(
        f"{report.name}: {rows}{kinds} {'→' if report.changed else 'is there already, whole, in'} {report.out}"
        f"  ({report.format}, {report.bytes / 1e6:,.1f} MB, {seconds(report.seconds)})",
        f"  {report.files:,} files; README.md is the card, croissant.json describes it, manifest.json holds the hashes",
        *(f"  note: {note}" for note in report.notes),
    )


def check(
    fast: Annotated[bool, typer.Option("--fast", help="Look at files by name and size only, without hashing them.")] = False,
    clean: Annotated[
        bool, typer.Option("--clean", help="Remove what killed commands left behind in the blob folders.")
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what loses nothing: remove leftovers and caches, which are built again.")
    ] = False,
    workspace: WorkspaceOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Prove that the workspace is what it says: every count, hash, duplicate, vector, split and lineage.

    Exits with 1 if anything is broken, and says what to do about it.
    """
    from curate.steps.check import check as step

    with opened(workspace, wait=wait) as ws:
        report = step(ws, fast=fast, clean=clean, repair=repair)
    show(report, as_json, _describe_check)
    if report.findings:
        raise typer.Exit(1)


def _describe_check(report: CheckReport) -> str:
    broken = [
        line
        for finding in report.findings
        for line in (
            f"  broken: {finding.invariant}: {finding.message}",
            f"    ids: {', '.join(map(str, finding.ids))}{', …' if finding.count > len(finding.ids) else ''}"
            if finding.ids
            else None,
            f"    try: {finding.hint}" if finding.hint else None,
        )
        if line
    ]
    verdict = f"{len(report.findings):,} findings" if report.findings else "all checks passed"
    return lines(
        f"{verdict}: {len(report.checked):,} invariants over {sum(report.checked.values()):,} items"
        f"  ({seconds(report.seconds)})",
        *(f"  {invariant:<28} {count:>12,} checked" for invariant, count in report.checked.items()),
        *broken,
        *(f"  note: {note}" for note in report.notes),
    )
