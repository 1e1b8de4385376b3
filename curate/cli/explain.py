"""`explain`: why a sample is kept or dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.formatting import lines, show
from curate.cli.options import READERS_WAIT_S, JsonOption, WaitOption, WorkspaceOption, opened
from curate.cli.samples import difference, sample_line

if TYPE_CHECKING:
    from curate.steps.explain import Explanation


def register(app: typer.Typer) -> None:
    """Put the command on the app."""
    app.command(epilog="Example: curate explain 1")(explain)


def explain(
    sample_id: Annotated[int, typer.Argument(metavar="ID", help="A real sample.")],
    workspace: WorkspaceOption = None,
    wait: WaitOption = READERS_WAIT_S,
    as_json: JsonOption = False,
) -> None:
    """Say why a sample is kept or dropped: by whom, in favour of which sample, and how similar the two are."""
    from curate.steps.explain import explain as step

    with opened(workspace, read_only=True, wait=wait) as ws:
        show(step(ws, sample_id), as_json, _describe)


def _describe(why: Explanation) -> str:
    sample = why.sample
    if why.action != "drop":
        pinned = why.owner == "user"
        return lines(
            f"sample {sample.sample_id} is kept" + (" (pinned by a user)" if pinned else ""),
            f"  it would be dropped by {why.dropped_by}" if pinned and why.dropped_by else None,
            f"  {sample_line(sample)}",
        )
    if why.keeper is None:
        by = "by hand" if why.owner == "user" else f"by {why.owner}: {why.reason}"
        return lines(
            f"sample {sample.sample_id} was dropped {by}",
            _others(why),
            f"  {sample_line(sample)}",
            f"  undo: curate restore {sample.sample_id}",
        )
    shown = difference(why.keeper.text, sample.text) if sample.text is not None else sample_line(sample)
    by = f"by {why.reason}" if why.owner == "dedupe" else f"by {why.owner} ({why.reason})"
    return lines(
        f"sample {sample.sample_id} was dropped {by}: {why.measure} {why.similarity:.4f} ≥ {why.threshold:g}",
        _others(why),
        f"  kept:    {sample_line(why.keeper)}"
        + (f"  (of {why.keeper.dataset})" if why.keeper.dataset != sample.dataset else ""),
        f"  protected: that one is in {' and '.join(why.protected)}, which is never to be trained on"
        if why.protected
        else None,
        f"  dropped: {sample.sample_id}  {shown}",
        f"  undo: curate restore {sample.sample_id}",
    )


def _others(why: Explanation) -> str | None:
    """Who else drops it."""
    return f"  dropped by: {why.dropped_by}" if why.dropped_by and "," in why.dropped_by else None
