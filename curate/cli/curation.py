"""Commands that decide about samples: dedupe, duplicates, restore, drop."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.formatting import lines, seconds, show
from curate.cli.options import READERS_WAIT_S, JsonOption, WaitOption, WorkspaceOption, YesOption, opened
from curate.cli.thresholds import show_borderline, show_rethreshold, show_target

if TYPE_CHECKING:
    from curate.catalog.samples import Sample
    from curate.deduplication.report import DedupeReport
    from curate.filtering.by_hand import VerdictReport
    from curate.steps.duplicates import DuplicatesReport, Explanation
    from curate.steps.take_back import TakeBackReport


def register(app: typer.Typer) -> None:
    """Put the commands on the app."""
    examples = (
        "curate dedupe support --method exact --method minhash --threshold minhash=0.8",
        "curate dedupe support --rethreshold minhash=0.9 --dry-run",
        "curate dedupe support --borderline 3 --method minhash",
        "curate dedupe support --target-size 43 --method minhash --dry-run",
    )
    app.command(epilog="Example: " + " && ".join(examples))(dedupe)
    app.command(epilog="Example: curate duplicates support -n 5")(duplicates)
    app.command(epilog="Example: curate restore 17")(restore)
    app.command(epilog='Example: curate drop --where "length(text) < 10"')(drop)


def dedupe(
    dataset: Annotated[str | None, typer.Argument(help="The dataset to judge.")] = None,
    method: Annotated[
        list[str] | None, typer.Option(help="exact, minhash, semantic or perceptual (repeatable); all that fit by default.")
    ] = None,
    threshold: Annotated[
        list[str] | None, typer.Option(metavar="N|METHOD=N", help="Least similarity of near-duplicates (repeatable).")
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(metavar="DATASET[/PART]", help="Also drop what this other dataset has already (repeatable)."),
    ] = None,
    protect: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DATASET[/PART]", help="Also drop what resembles this eval set, never to be trained on (repeatable)."
        ),
    ] = None,
    keep: Annotated[str, typer.Option(metavar="first|longest|largest", help="Which of several duplicates is kept.")] = "first",
    embedder: Annotated[str | None, typer.Option(help="Whose vectors the semantic method compares.")] = None,
    invariant: Annotated[
        str | None, typer.Option(metavar="flip,rotate", help="Images: find mirrored and turned copies too.")
    ] = None,
    setting: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Another setting of a method, such as ngram=7 (repeatable).")
    ] = None,
    memory: Annotated[str | None, typer.Option(metavar="2GB", help="Size to hold the process to; more goes to files.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report, and change nothing.")] = False,
    restore: Annotated[bool, typer.Option("--restore", help="Take back all that dedupe dropped in the dataset.")] = False,
    explain: Annotated[int | None, typer.Option(metavar="ID", help="Say why this sample is kept or dropped.")] = None,
    borderline: Annotated[
        int | None, typer.Option(metavar="N", help="Show the N pairs just above and below the threshold of one method.")
    ] = None,
    rethreshold: Annotated[
        list[str] | None,
        typer.Option(metavar="N|METHOD=N", help="Raise the threshold of the last dedupe from its evidence (repeatable)."),
    ] = None,
    target_size: Annotated[
        int | None, typer.Option(metavar="N", help="Find the threshold of one method that keeps about N samples, not fewer.")
    ] = None,
    yes: YesOption = False,
    workspace: WorkspaceOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Drop duplicates and near-duplicates; nothing is deleted, and every drop names the kept sample it repeats.

    The verdicts of the last dedupe count: what an earlier one dropped and this one does not comes back.
    """
    settings = dict(_setting(pair) for pair in setting or ())
    if invariant:
        settings["invariant"] = invariant
    given = {
        "--method": method, "--threshold": threshold, "--against": against, "--protect": protect, "--keep": keep != "first",
        "--embedder": embedder, "--invariant": invariant, "--setting": setting, "--memory": memory, "--dry-run": dry_run,
    }  # fmt: skip
    ways = {
        "--explain": explain is not None, "--restore": restore, "--borderline": borderline is not None,
        "--rethreshold": rethreshold, "--target-size": target_size is not None,
    }  # fmt: skip
    _check_combination([way for way, chosen in ways.items() if chosen], [name for name, value in given.items() if value])
    if explain is not None:
        _explain(explain, workspace, wait, as_json)
        return
    if dataset is None:
        raise typer.BadParameter("name a dataset", param_hint="DATASET")
    if borderline is not None:
        show_borderline(
            dataset, borderline, method=_one(method), threshold=_thresholds(threshold or []), embedder=embedder,
            settings=settings, workspace=workspace, wait=wait, as_json=as_json,
        )  # fmt: skip
        return
    if rethreshold:
        raised = _thresholds(rethreshold, "--rethreshold")
        show_rethreshold(dataset, raised, dry_run=dry_run, workspace=workspace, wait=wait, as_json=as_json)
        return
    if target_size is not None:
        show_target(
            dataset, target_size, method=_one(method), against=against or (), protect=protect or (), keep=keep,
            embedder=embedder, settings=settings, dry_run=dry_run, yes=yes, workspace=workspace, wait=wait, as_json=as_json,
        )  # fmt: skip
        return
    if restore:
        from curate.steps.take_back import take_back

        with opened(workspace, wait=wait) as ws:
            show(take_back(ws, dataset), as_json, _describe_taken_back)
        return
    from curate.steps.dedupe import dedupe as step

    with opened(workspace, wait=wait) as ws:
        report = step(
            ws, dataset, methods=method or (), threshold=_thresholds(threshold or []), against=against or (),
            protect=protect or (), keep=keep, embedder=embedder, settings=settings, memory=memory, dry_run=dry_run,
            yes=yes,
        )  # fmt: skip
    show(report, as_json, describe_dedupe)


def duplicates(
    dataset: Annotated[str, typer.Argument(help="The dataset whose groups to show.")],
    groups: Annotated[int, typer.Option("--groups", "-n", min=1, help="How many groups, the largest first.")] = 10,
    members: Annotated[int, typer.Option(min=1, help="How many dropped samples of each.")] = 5,
    method: Annotated[str | None, typer.Option(help="Only those that this method found.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Images: where the contact sheet goes.")] = None,
    workspace: WorkspaceOption = None,
    wait: WaitOption = READERS_WAIT_S,
    as_json: JsonOption = False,
) -> None:
    """Show groups of duplicates side by side: text with its differences marked, images as a contact sheet (PNG)."""
    from curate.steps.duplicates import duplicates as step

    with opened(workspace, read_only=True, wait=wait) as ws:
        report = step(ws, dataset, method=method, limit=groups, members=members, sheet=output)
    show(report, as_json, _describe_duplicates)


def restore(
    sample_ids: Annotated[list[int], typer.Argument(metavar="ID...", help="Samples to keep whatever they resemble.")],
    workspace: WorkspaceOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Bring dropped samples back, and pin them: no later dedupe drops them again."""
    from curate.steps.restore import restore as step

    with opened(workspace, wait=wait) as ws:
        show(step(ws, sample_ids), as_json, _describe_verdicts)


def drop(
    sample_ids: Annotated[list[int] | None, typer.Argument(metavar="ID...", help="Samples to drop.")] = None,
    where: Annotated[
        str | None, typer.Option(help="Drop all real samples that this SQL condition over the view `samples` names.")
    ] = None,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="Stop a condition after so long.")] = 20.0,
    workspace: WorkspaceOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Drop samples by hand; they stay in the catalog, and `restore` brings them back."""
    from curate.steps.drop import drop as step

    with opened(workspace, wait=wait) as ws:
        show(step(ws, sample_ids or (), where=where, timeout_s=timeout), as_json, _describe_verdicts)


def _explain(sample_id: int, workspace: Path | None, wait: float, as_json: bool) -> None:
    from curate.steps.duplicates import explain

    with opened(workspace, read_only=True, wait=wait) as ws:
        show(explain(ws, sample_id), as_json, _describe_explanation)


_OBEYED = {
    "--explain": frozenset[str](),
    "--restore": frozenset[str](),
    "--borderline": frozenset({"--method", "--threshold", "--embedder", "--invariant", "--setting"}),
    "--rethreshold": frozenset({"--dry-run"}),
    "--target-size": frozenset(
        {"--method", "--against", "--protect", "--keep", "--embedder", "--invariant", "--setting", "--dry-run"}
    ),
}
"""The other options that each way of using `dedupe` obeys."""


def _check_combination(ways: Sequence[str], given: Sequence[str]) -> None:
    """Refuse options that would be ignored."""
    if len(ways) > 1:
        raise typer.BadParameter(f"does not go with {ways[1]}", param_hint=ways[0])
    for way in ways:
        for option in given:
            if option not in _OBEYED[way]:
                obeyed = ", ".join(sorted(_OBEYED[way])) or "no other option"
                raise typer.BadParameter(f"does not go with {way}, which takes {obeyed}", param_hint=option)


def _one(methods: Sequence[str] | None) -> str | None:
    if methods and len(methods) > 1:
        raise typer.BadParameter(f"one near-duplicate method, got {len(methods)}", param_hint="--method")
    return methods[0] if methods else None


def _thresholds(given: Sequence[str], option: str = "--threshold") -> float | dict[str, float] | None:
    named: dict[str, float] = {}
    plain: float | None = None
    for item in given:
        name, _, number = item.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            raise typer.BadParameter(f"a number or METHOD=NUMBER, got {item!r}", param_hint=option) from None
        if name:
            named[name] = value
        else:
            plain = value
    if named and plain is not None:
        raise typer.BadParameter("give one number for all methods, or one by method", param_hint=option)
    return named or plain


def _setting(pair: str) -> tuple[str, object]:
    key, equals, value = pair.partition("=")
    if not equals or not key:
        raise typer.BadParameter(f"KEY=VALUE, got {pair!r}", param_hint="--setting")
    for kind in (int, float):
        try:
            return key, kind(value)
        except ValueError:
            continue
    return key, value


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
        f"    by hand    {report.by_method['user']:>8,}" if report.by_method.get("user") else None,
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


def _describe_verdicts(report: VerdictReport) -> str:
    verb = {"restore": "restored", "drop": "dropped"}[report.action]
    same = report.named - report.changed
    return f"{verb} {report.changed:,} samples" + (f"; {same:,} were so already" if same else "")


def _describe_taken_back(report: TakeBackReport) -> str:
    still = f"; still dropped: {', '.join(f'{count:,} by {owner}' for owner, count in report.others.items())}"
    return (
        f"{report.dataset}: {report.owner} drops {report.changed:,} samples no more, {report.restored:,} of them are kept now"
        + (still if report.others else "")
    )


def _describe_duplicates(report: DuplicatesReport) -> str:
    if not report.shown:
        return f"{report.dataset}: no duplicates are recorded\n  next: curate dedupe {report.dataset}"
    parts = [f"{report.dataset}: {report.groups:,} groups; the {len(report.shown)} largest:"]
    for group in report.shown:
        parts.append(f"\n  {group.dropped + 1:,} samples, kept: {_line(group.keeper)}")
        for member in group.members:
            dropped = member.sample
            shown = f"{dropped.sample_id}  {_difference(group.keeper.text, dropped.text)}" if dropped.text else _line(dropped)
            parts.append(f"    {member.similarity:.3f} {member.method:<10} {shown}")
        if group.dropped > len(group.members):
            parts.append(f"    … and {group.dropped - len(group.members):,} more")
    if report.sheet:
        parts.append(f"\n  contact sheet: {report.sheet}")
    return "\n".join(parts)


def _describe_explanation(why: Explanation) -> str:
    sample = why.sample
    if why.action != "drop":
        pinned = " (pinned by a user)" if why.action == "restore" and why.reason == "user" else ""
        return f"sample {sample.sample_id} is kept{pinned}\n  {_line(sample)}"
    if why.keeper is None:
        return f"sample {sample.sample_id} was dropped by hand\n  {_line(sample)}\n  undo: curate restore {sample.sample_id}"
    shown = _difference(why.keeper.text, sample.text) if sample.text is not None else _line(sample)
    return lines(
        f"sample {sample.sample_id} was dropped by {why.reason}: {why.measure} {why.similarity:.4f} ≥ {why.threshold:g}",
        f"  kept:    {_line(why.keeper)}" + (f"  (of {why.keeper.dataset})" if why.keeper.dataset != sample.dataset else ""),
        f"  protected: that one is in {' and '.join(why.protected)}, which is never to be trained on"
        if why.protected
        else None,
        f"  dropped: {sample.sample_id}  {shown}",
        f"  undo: curate restore {sample.sample_id}",
    )


def _line(sample: Sample, width: int = 160) -> str:
    if sample.text is None:
        return f"{sample.sample_id}  {sample.locator or sample.source}" + (f"  [{sample.label}]" if sample.label else "")
    text = " ".join(sample.text.split())
    return f"{sample.sample_id}  {text[:width]}{'…' if len(text) > width else ''}"


def _difference(kept: str | None, dropped: str | None) -> str:
    """The dropped text with [-what only the kept one has-] and {+what only it has+}."""
    from curate.differences import marked

    return marked(kept or "", dropped or "")
