"""Ctrl-C between any two lines of the record-keeping leaves a run that is interrupted or done, never one that seems to run."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import curate.catalog._connection
import curate.catalog.runs
import curate.workspace
from curate.workspace import Workspace, create_workspace, open_workspace

TRACED = {module.__file__ for module in (contextlib, curate.workspace, curate.catalog.runs, curate.catalog._connection)}


class Interrupt:
    """A trace function that raises KeyboardInterrupt at the `at`-th line or return of the traced modules."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.passed = 0

    def __call__(self, frame: FrameType, event: str, _: Any) -> Interrupt | None:
        if frame.f_code.co_filename not in TRACED:
            return None
        if event in ("line", "return"):
            self.passed += 1
            if self.passed == self.at:
                sys.settrace(None)
                raise KeyboardInterrupt
        return self


def work(workspace: Workspace) -> None:
    with workspace.run("ingest", dataset=None, settings={}) as run:
        for batch in (1, 2):
            with workspace.catalog.transaction():
                run.commit_counts({"batches": batch})


ENDS = {("interrupted", None), ("interrupted", "1"), ("interrupted", "2"), ("done", "2")}


def interrupted_at(root: Path, at: int) -> bool:
    """Do the work with an interrupt; False where it was over before."""
    before = sys.gettrace()
    try:
        with open_workspace(root) as workspace:
            workspace.catalog.execute("DELETE FROM runs")
            sys.settrace(Interrupt(at))
            work(workspace)
            sys.settrace(before)
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def test_an_interrupt_at_any_point_leaves_no_run_that_seems_to_run(tmp_path: Path) -> None:
    root = create_workspace(tmp_path / "ws")
    found: Counter[str] = Counter()
    at = 1
    while interrupted_at(root, at):
        with open_workspace(root, read_only=True) as workspace:
            rows = workspace.catalog.rows("SELECT status, counts->>'batches' FROM runs")
        assert len(rows) <= 1 and set(rows) <= {
            ("interrupted", None),
            ("interrupted", "1"),
            ("interrupted", "2"),
            ("done", "2"),
        }, at
        found.update(status for status, _ in rows)
        at += 1
    assert found["interrupted"] > 100 and found["done"] > 1  # it came everywhere: before the first batch, and after the end


def test_a_transaction_after_an_interrupt_stands_on_its_own(tmp_path: Path) -> None:
    """In a notebook the workspace stays open, and the interrupted block is collected late."""
    with open_workspace(create_workspace(tmp_path / "ws")) as workspace:
        catalog = workspace.catalog
        late = catalog.transaction()
        late.__enter__()
        catalog.abandon()
        with catalog.transaction():
            catalog.execute("INSERT INTO datasets (name) VALUES ('new')")
            late.gen.close()  # type: ignore[attr-defined]
        assert catalog.rows("SELECT name FROM datasets") == [("new",)]
