"""From an expected failure to one sentence, a hint and an exit code."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

from curate.errors import CurateError, PluginWarning

_DEBUG = "CURATE_DEBUG"


def debugging() -> bool:
    """Whether tracebacks of expected errors are shown."""
    return bool(os.environ.get(_DEBUG))


def set_debug() -> None:
    """Show tracebacks of expected errors, in child processes too."""
    os.environ[_DEBUG] = "1"


def show_warnings_as_notes() -> None:
    """Print a `PluginWarning` as one line for a person; other warnings stay Python's own business."""
    shown = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *where: Any, **rest: Any) -> None:
        if issubclass(category, PluginWarning):
            print(f"note: {message}", file=sys.stderr)
        else:
            shown(message, category, *where, **rest)

    warnings.showwarning = show


def report_error(error: CurateError) -> int:
    """Print an expected failure, and say with which code to exit."""
    print(f"error: {error}", file=sys.stderr)
    if error.hint:
        print(f"  try: {error.hint}", file=sys.stderr)
    return error.exit_code
