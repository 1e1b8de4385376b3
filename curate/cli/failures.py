"""From an expected failure to one sentence, a hint and an exit code."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from curate.errors import CurateError

if TYPE_CHECKING:
    pass


_DEBUG = "CURATE_DEBUG"


def debugging() -> bool:
    """Whether tracebacks of expected errors are shown."""
    return bool(os.environ.get(_DEBUG))


def set_debug() -> None:
    """Show tracebacks of expected errors, in child processes too."""
    os.environ[_DEBUG] = "1"


def report_error(error: CurateError) -> int:
    """Print an expected failure, and say with which code to exit."""
    print(f"error: {error}", file=sys.stderr)
    if error.hint:
        print(f"  try: {error.hint}", file=sys.stderr)
    return error.exit_code
