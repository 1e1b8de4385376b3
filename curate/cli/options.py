"""The options that every command shares, and the workspace that they name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from curate.workspace import Workspace

WorkspaceOption = Annotated[
    Path | None,
    typer.Option("--workspace", "-w", help="The workspace folder; else CURATE_WORKSPACE, else found upwards from here."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON value on stdout and nothing else there.")]
WaitOption = Annotated[
    float, typer.Option("--wait", metavar="SECONDS", help="Wait so long for another process that holds the workspace.")
]
READERS_WAIT_S = 5.0
"""How long a command that only reads waits for a writer, unless told otherwise."""
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Go on where the command would stop and ask.")]


@contextmanager
def opened(folder: Path | None, *, read_only: bool = False, detached: bool = False, wait: float = 0.0) -> Iterator[Workspace]:
    """Open the workspace with a progress display that suits the terminal; a detached one shows none."""
    from curate.cli.progress import make_progress
    from curate.records import SILENT
    from curate.workspace import open_workspace

    progress = SILENT if detached else make_progress()
    with open_workspace(folder, read_only=read_only, detached=detached, wait_s=wait, progress=progress) as workspace:
        yield workspace
