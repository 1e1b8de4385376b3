"""From an expected failure to one sentence, a hint and an exit code."""

from __future__ import annotations

import errno
import os
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from curate.cli.formatting import print_json, say, visible
from curate.errors import CurateError, InputError, PluginWarning, SettingError, WorkError, WorkspaceDamaged

_DEBUG = "CURATE_DEBUG"


def debugging() -> bool:
    """Whether tracebacks of expected errors are shown."""
    return bool(os.environ.get(_DEBUG))


def set_debug() -> None:
    """Show tracebacks of expected errors, in child processes too."""
    os.environ[_DEBUG] = "1"


def show_warnings_as_notes() -> None:
    """Print a `PluginWarning`, and what Pillow warns of, as one line for a person; other warnings stay Python's own business.

    Pillow's warning of many pixels is left out: `max_pixels` is the limit that was compared.
    """
    shown = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], filename: str, *where: Any, **rest: Any) -> None:
        if issubclass(category, PluginWarning):
            say("note: " + visible(str(message), one_line=True), to=sys.stderr)
        elif Path(filename).parent.name != "PIL":
            shown(message, category, filename, *where, **rest)
        elif category.__name__ != "DecompressionBombWarning":
            said = visible(str(message).strip(), one_line=True)
            say(f"note: Pillow says of an image: {said}", to=sys.stderr)

    warnings.showwarning = show


def report_error(error: CurateError) -> int:
    """Print an expected failure, and say with which code to exit; under `--json` stdout gets it as an object."""
    if "--json" in sys.argv:
        told = {"error": str(error), "hint": error.hint, "kind": type(error).__name__, "exit_code": error.exit_code}
        with suppress(OSError):  # a full disk, or a reader that left: stderr still tells
            print_json(told)
    say("error: " + visible(str(error), one_line=True), to=sys.stderr)
    if error.hint:
        say("  try: " + visible(error.hint, one_line=True), to=sys.stderr)
    return error.exit_code


def report_usage(error: Any, exit_code: int) -> int:
    """Print what Typer says about wrong usage; under `--json` stdout gets it as an object."""
    if "--json" in sys.argv:
        print_json({"error": error.format_message(), "hint": "--help", "kind": "Usage", "exit_code": exit_code})
    error.show()
    return exit_code


def expected(error: Exception) -> CurateError | None:
    """The expected failure that an exception of a library stands for; None for a defect of ours, which keeps its traceback."""
    if isinstance(error, CurateError):
        return error
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        return InputError(f"a name is not valid UTF-8: {error.object!r}", hint="rename the file or folder")
    if isinstance(error, MemoryError):
        return WorkError("the memory of this machine is used up", hint="a smaller [limits] memory in curate.toml, or --memory")
    if isinstance(error, OSError):
        return WorkError(_of_the_system(error), hint="mend that, and run the same command again")
    family = type(error).__module__.partition(".")[0]
    if family in ("duckdb", "_duckdb", "pyarrow"):
        first = (str(error).splitlines() or [type(error).__name__])[0]
        return WorkspaceDamaged(f"the workspace cannot be read or written: {first}", hint="curate check")
    return None


def check_arguments(arguments: list[str]) -> None:
    """Refuse what no catalog, no JSON and no terminal can hold.

    Args:
        arguments: of the command line; the environment's CURATE_WORKSPACE is looked at as well.

    Raises:
        SettingError: an argument is not valid UTF-8.
    """
    for argument in (*arguments, os.environ.get("CURATE_WORKSPACE", "")):
        try:
            argument.encode()
        except UnicodeEncodeError:
            shown = argument.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            raise SettingError(f"this argument is not valid UTF-8: {shown}", hint="rename the file or folder") from None


def _of_the_system(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "the disk is full" + (f": {error.filename}" if error.filename else "")
    return str(error)
