"""The workspace: one folder, one catalog, and the only object with state."""

from __future__ import annotations

import html
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from curate.catalog import Catalog, overview, runs
from curate.errors import InputError, WorkError, WorkspaceNotFound
from curate.records import SILENT, Progress
from curate.reports import table_of_records
from curate.workspace._blobs import BlobStore
from curate.workspace._files import write_atomically
from curate.workspace._settings import FILE_NAME, TEMPLATE, Settings, parse_bytes, read_settings
from curate.workspace.sealed_files import file_hash, seal_models_of_before, seal_settings

__all__ = [
    "BlobStore",
    "Run",
    "Settings",
    "Workspace",
    "create_workspace",
    "file_hash",
    "find_workspace",
    "open_workspace",
    "parse_bytes",
    "write_atomically",
]

CATALOG_NAME = "catalog.duckdb"
FOLDERS = ("blobs/real", "blobs/synthetic", "indexes", "models")


class Run:
    """A step that is running: its id, and the counts that its batches commit."""

    def __init__(self, workspace: Workspace, run_id: int) -> None:
        self.run_id = run_id
        self.counts: dict[str, Any] = {}
        self._workspace = workspace

    def commit_counts(self, counts: Mapping[str, Any]) -> None:
        """Record how far the run is, inside the transaction of the batch."""
        self.counts = dict(counts)
        runs.progress(self._workspace.catalog, self.run_id, self.counts)


class Workspace:
    """An open workspace; use it as a context manager.

    Attributes:
        root: the folder.
        settings: what `curate.toml` says.
        catalog: the open catalog; writable unless `read_only`, and closed until `reading` where the workspace is `detached`.
        real, synthetic: the two blob stores.
        progress: where steps tell how far they are.
    """

    def __init__(
        self,
        root: Path,
        *,
        read_only: bool = False,
        detached: bool = False,
        wait_s: float = 0.0,
        progress: Progress = SILENT,
    ) -> None:
        self.root = root
        self.settings = read_settings(root)
        self.read_only = read_only
        self.progress = progress
        self.real = BlobStore(root / "blobs" / "real")
        self.synthetic = BlobStore(root / "blobs" / "synthetic")
        self._catalog = None if detached else self._open_catalog(wait_s)

    @property
    def catalog(self) -> Catalog:
        """The catalog.

        Raises:
            WorkError: the workspace was opened without it.
        """
        if self._catalog is None:
            raise WorkError(f"the catalog of {self.root} was not opened: another process of this launch holds it")
        return self._catalog

    @property
    def detached(self) -> bool:
        """Whether the catalog was left alone."""
        return self._catalog is None

    def __repr__(self) -> str:
        state = "without its catalog" if self._catalog is None else "read-only" if self.read_only else "writable"
        return f"Workspace({str(self.root)!r}, {state})"

    def to_dict(self) -> dict[str, Any]:
        """What it is and which datasets it holds, in JSON-like values."""
        held = [] if self._catalog is None else overview.dataset_counts(self._catalog)
        return {"root": str(self.root), "read_only": self.read_only, "datasets": held}

    def _repr_html_(self) -> str:
        """A table for a notebook: a row a dataset."""
        return f"<b>{html.escape(repr(self))}</b>{table_of_records(self.to_dict()['datasets'])}"

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self._record_interrupt()  # where it came between the record of a run and the block that ends it
        self.close()

    def close(self) -> None:
        """Let go of the catalog."""
        if self._catalog is not None:
            self._catalog.close()

    @contextmanager
    def released(self, *, wait_s: float = 600.0) -> Iterator[None]:
        """Let other processes use the catalog while the block runs; nothing in it may touch `catalog`.

        Args:
            wait_s: how many seconds to wait for them to let go of it afterwards.

        Raises:
            WorkspaceLocked: somebody still holds the catalog after that.
            WorkError: a transaction is open, which closing the catalog would undo.
        """
        if self.catalog.in_transaction:
            raise WorkError("the catalog cannot be let go of inside a transaction", hint="end the transaction first")
        run_id = self.catalog.sealed_for
        self.catalog.close()
        try:
            yield
        finally:
            self._catalog = self._open_catalog(wait_s)
            self._catalog.sealed_for = run_id

    @contextmanager
    def reading(self, *, wait_s: float = 600.0) -> Iterator[None]:
        """In a detached workspace: open the catalog beside other readers while the block runs.

        Raises:
            WorkspaceLocked: another process still writes after `wait_s` seconds.
        """
        self.read_only = True
        self._catalog = self._open_catalog(wait_s)
        try:
            yield
        finally:
            self._catalog.close()
            self._catalog = None

    def _open_catalog(self, wait_s: float) -> Catalog:
        memory = max(self.memory_bytes // 2, 256_000_000)
        catalog = Catalog(
            self.root / CATALOG_NAME,
            read_only=self.read_only,
            wait_s=wait_s,
            memory=f"{memory // 1_000_000}MB",
            threads=self.settings.limits.threads,
            spill=self.root / "indexes" / "spill",
        )
        if catalog.migrated:
            seal_models_of_before(self.root, catalog)
        return catalog

    @property
    def threads(self) -> int:
        """How many cores a step may use."""
        affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
        return self.settings.limits.threads or (len(affinity(0)) if affinity else os.cpu_count() or 1)

    @property
    def memory_bytes(self) -> int:
        """What a step may hold in memory."""
        return parse_bytes(self.settings.limits.memory)

    def folder(self, *parts: str) -> Path:
        """A folder of the workspace, made where it is missing: `folder("indexes", "static")`."""
        path = self.root.joinpath(*parts)
        path.mkdir(parents=True, exist_ok=True)
        return path

    @contextmanager
    def run(self, step: str, *, dataset: str | None, settings: Mapping[str, Any]) -> Iterator[Run]:
        """Record that a step runs, and how it ends: done, failed, or interrupted by Ctrl-C."""
        run: Run | None = None
        try:
            run = Run(self, runs.begin(self.catalog, step, dataset=dataset, command=_command(), settings=settings))
            seal_settings(self.root, self.catalog, run.run_id)
            yield run
            runs.end(self.catalog, run.run_id, "done", run.counts)
        except (KeyboardInterrupt, GeneratorExit):  # the latter where the interrupt came before the caller had the run
            self._record_interrupt()
            raise
        except BaseException as error:
            if run is not None:
                with suppress(Exception):  # the cause of the failure matters more than its record, which the next writer makes
                    runs.end(self.catalog, run.run_id, "failed", error=f"{type(error).__name__}: {error}"[:2000])
            raise

    def _record_interrupt(self) -> None:
        """Undo the open transaction, and record that what this process was running is interrupted."""
        if self._catalog is not None and self._catalog.is_open and not self.read_only:
            self._catalog.abandon()
            runs.interrupt_own(self._catalog)


def create_workspace(folder: Path | str) -> Path:
    """Make a workspace; an existing one is left as it is.

    The settings file is written last: it is what makes the folder a workspace.

    Returns:
        Its absolute path.

    Raises:
        InputError: the path is a file.
    """
    root = Path(folder).absolute()
    if root.exists() and not root.is_dir():
        raise InputError(f"{root} is a file, not a folder", hint="curate init NEW_FOLDER")
    root.mkdir(parents=True, exist_ok=True)
    for name in FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    Catalog(root / CATALOG_NAME).close()
    if not (root / FILE_NAME).exists():
        write_atomically(root / FILE_NAME, TEMPLATE.encode())
    return root


def find_workspace(named: Path | str | None = None) -> Path:
    """Find the workspace: the one named, else `CURATE_WORKSPACE`, else this folder or the nearest above it that is one.

    Raises:
        WorkspaceNotFound: there is none.
    """
    given = named or os.environ.get("CURATE_WORKSPACE")
    if given:
        root = Path(given).absolute()
        if not (root / FILE_NAME).is_file():
            raise WorkspaceNotFound(f"{root} is not a curate workspace", hint=f"curate init {shlex.quote(str(given))}")
        return root
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / FILE_NAME).is_file():
            return folder
    raise WorkspaceNotFound(f"no curate workspace in {here} or above it", hint="curate init . , or name one with -w FOLDER")


def open_workspace(
    folder: Path | str | None = None,
    *,
    read_only: bool = False,
    detached: bool = False,
    wait_s: float = 0.0,
    progress: Progress = SILENT,
) -> Workspace:
    """Find and open a workspace.

    Args:
        folder: the workspace; None to look for it as `find_workspace` does.
        read_only: several processes may read at a time, while none writes.
        detached: leave the catalog alone until a step asks for it; for the processes of a launch beside the first.
        wait_s: how many seconds to wait for another process that holds the catalog.

    Raises:
        WorkspaceNotFound: there is none.
        WorkspaceError: it is locked or damaged.
    """
    return Workspace(find_workspace(folder), read_only=read_only, detached=detached, wait_s=wait_s, progress=progress)


def _command() -> str:
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
