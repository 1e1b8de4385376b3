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
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what `_HOMES` says, for type checkers and editors; a test keeps the two alike
    from curate.errors import CurateError as CurateError
    from curate.steps.borderline import borderline as borderline
    from curate.steps.calibrate import calibrate as calibrate
    from curate.steps.calibrate import reset_threshold as reset_threshold
    from curate.steps.check import check as check
    from curate.steps.dedupe import dedupe as dedupe
    from curate.steps.drop import drop as drop
    from curate.steps.duplicates import duplicates as duplicates
    from curate.steps.duplicates import explain as explain
    from curate.steps.embed import embed as embed
    from curate.steps.evaluate import evaluate as evaluate
    from curate.steps.export import export as export
    from curate.steps.generate import generate as generate
    from curate.steps.ingest import ingest as ingest
    from curate.steps.models import models as models
    from curate.steps.open_dataset import open_dataset as open_dataset
    from curate.steps.report import report as report
    from curate.steps.reproduce import reproduce as reproduce
    from curate.steps.restore import restore as restore
    from curate.steps.rethreshold import rethreshold as rethreshold
    from curate.steps.run import run_recipe as run_recipe
    from curate.steps.search import search as search
    from curate.steps.split import split as split
    from curate.steps.sql import sql as sql
    from curate.steps.status import status as status
    from curate.steps.take_back import take_back as take_back
    from curate.steps.target import dedupe_to_size as dedupe_to_size
    from curate.steps.train import train as train
    from curate.workspace import Workspace as Workspace
    from curate.workspace import create_workspace as create_workspace
    from curate.workspace import find_workspace as find_workspace
    from curate.workspace import open_workspace as open_workspace

__version__ = "0.1.0"

# Where each public name lives. They are imported when they are first asked for, so that `import curate` stays light.
_HOMES = {
    "CurateError": "curate.errors",
    "Workspace": "curate.workspace",
    "borderline": "curate.steps.borderline",
    "calibrate": "curate.steps.calibrate",
    "check": "curate.steps.check",
    "create_workspace": "curate.workspace",
    "dedupe": "curate.steps.dedupe",
    "dedupe_to_size": "curate.steps.target",
    "drop": "curate.steps.drop",
    "duplicates": "curate.steps.duplicates",
    "embed": "curate.steps.embed",
    "explain": "curate.steps.duplicates",
    "export": "curate.steps.export",
    "evaluate": "curate.steps.evaluate",
    "find_workspace": "curate.workspace",
    "generate": "curate.steps.generate",
    "ingest": "curate.steps.ingest",
    "models": "curate.steps.models",
    "open_dataset": "curate.steps.open_dataset",
    "open_workspace": "curate.workspace",
    "report": "curate.steps.report",
    "reproduce": "curate.steps.reproduce",
    "reset_threshold": "curate.steps.calibrate",
    "restore": "curate.steps.restore",
    "rethreshold": "curate.steps.rethreshold",
    "run_recipe": "curate.steps.run",
    "search": "curate.steps.search",
    "split": "curate.steps.split",
    "sql": "curate.steps.sql",
    "status": "curate.steps.status",
    "take_back": "curate.steps.take_back",
    "train": "curate.steps.train",
}

__all__ = sorted([*_HOMES, "__version__"])  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'curate' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
