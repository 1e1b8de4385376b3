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

from curate.steps import HOMES

__version__ = "0.1.0"

# Where each public name lives. They are imported when they are first asked for, so that `import curate` stays light;
# `__init__.pyi` tells type checkers and editors the same.
_HOMES = {
    "CurateError": "curate.errors",
    "Workspace": "curate.workspace",
    "create_workspace": "curate.workspace",
    "find_workspace": "curate.workspace",
    "open_workspace": "curate.workspace",
    **HOMES,
}

__all__ = sorted([*_HOMES, "__version__"])  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'curate' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
