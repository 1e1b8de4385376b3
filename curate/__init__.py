"""`curate`: data curation and synthesis over one DuckDB catalog.

The library is the command line without the terminal: a step is one function that takes an open workspace and returns a
frozen report.

    from curate import create_workspace, dedupe, ingest, open_workspace

    create_workspace("ws")
    with open_workspace("ws") as workspace:
        ingest(workspace, ["train.csv"], dataset="support", text=["text"], label="category")
        print(dedupe(workspace, "support").dropped)
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

STEP_HOMES = {
    "backup": "curate.steps.backup",
    "borderline": "curate.steps.borderline",
    "calibrate": "curate.steps.calibrate",
    "check": "curate.steps.check",
    "dedupe": "curate.steps.dedupe",
    "drop": "curate.steps.drop",
    "duplicates": "curate.steps.duplicates",
    "embed": "curate.steps.embed",
    "evaluate": "curate.steps.evaluate",
    "explain": "curate.steps.explain",
    "export": "curate.steps.export",
    "filter": "curate.steps.filter",
    "generate": "curate.steps.generate",
    "ingest": "curate.steps.ingest",
    "models": "curate.steps.models",
    "open_dataset": "curate.steps.open_dataset",
    "protect": "curate.steps.protect",
    "protections_of": "curate.steps.protect",
    "remove": "curate.steps.remove",
    "rename": "curate.steps.rename",
    "report": "curate.steps.report",
    "reproduce": "curate.steps.reproduce",
    "reset_threshold": "curate.steps.calibrate",
    "restore": "curate.steps.restore",
    "restore_backup": "curate.steps.restore_backup",
    "revert": "curate.steps.revert",
    "rethreshold": "curate.steps.rethreshold",
    "run_recipe": "curate.steps.run",
    "search": "curate.steps.search",
    "split": "curate.steps.split",
    "sql": "curate.steps.sql",
    "status": "curate.steps.status",
    "take_back": "curate.steps.take_back",
    "target_size": "curate.steps.target_size",
    "train": "curate.steps.train",
    "unprotect": "curate.steps.protect",
}
"""Every step, and the module that holds it."""

# Where each public name lives. They are imported when they are first asked for, so that `import curate` stays light;
# `__init__.pyi` tells type checkers and editors the same.
_HOMES = {
    "CurateError": "curate.errors",
    "Workspace": "curate.workspace",
    "create_workspace": "curate.workspace",
    "find_workspace": "curate.workspace",
    "open_workspace": "curate.workspace",
    "restore_backup": "curate.steps.restore_backup",
    **STEP_HOMES,
}

__all__ = sorted([*_HOMES, "__version__"])  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'curate' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
