"""The command line: parses and prints, and holds no logic.

Each module beside this one holds the commands of one noun and registers them on `app` when it is imported; none of them
imports anything heavy before a command runs.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from curate import interrupts
from curate.cli import (
    asking,
    borderline,
    calibrate,
    corpus,
    datasets,
    dedupe,
    demo,
    duplicates,
    evaluation,
    explain,
    filtering,
    keeping,
    protect,
    recipes,
    reporting,
    rethreshold,
    safekeeping,
    synthesis,
    target_size,
    verdicts,
)
from curate.cli.failures import (
    check_arguments,
    debugging,
    expected,
    report_error,
    report_usage,
    set_debug,
    show_warnings_as_notes,
)


class _Interrupted(Exception):
    """A signal ended the command; Typer would end in silence on a `KeyboardInterrupt`."""


class _Commands(TyperGroup):
    """Says that a signal interrupted a command."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise _Interrupted from None


app = typer.Typer(
    name="curate",
    cls=_Commands,
    help="Clean, deduplicate, split, search and synthesise training data in one DuckDB catalog.",
    epilog="Start with: curate init ws && cd ws && curate ingest PATH --dataset NAME",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
GROUPS = (
    corpus, datasets, filtering, dedupe, rethreshold, target_size, duplicates, borderline, explain, calibrate, protect,
    verdicts, asking, keeping, safekeeping, synthesis, reporting, evaluation, recipes, demo,
)  # fmt: skip
for group in GROUPS:
    group.register(app)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        from curate import __version__

        print(f"curate {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line: expected failures become one sentence and an exit code."""
    interrupts.install()
    if "--debug" in sys.argv:
        sys.argv.remove("--debug")
        set_debug()
    show_warnings_as_notes()
    sys.exit(_outcome())


def _outcome() -> int:
    try:
        try:
            check_arguments(sys.argv[1:])
            code = app(standalone_mode=False)
        finally:
            sys.stdout.flush()  # here, where a reader that left can still be met quietly
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left, as `head` does
    except Exception as error:
        if isinstance(error, _Interrupted) or interrupts.received() is not None:
            interrupts.leave()
        if isinstance(usage := getattr(error, "exit_code", None), int) and hasattr(error, "show"):
            return report_usage(error, usage)
        known = expected(error)
        if known is None or debugging():
            raise
        return report_error(known)
    else:
        return code if isinstance(code, int) else 0
    return 0
