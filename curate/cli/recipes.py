"""`run`: recipes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.formatting import lines, print_json, say, seconds
from curate.cli.options import JsonOption, WaitOption, WorkspaceOption, opened
from curate.cli.pairs import read_words

if TYPE_CHECKING:
    from curate.steps.run import PlannedStep, RecipeReport


def register(app: typer.Typer) -> None:
    """Put the command on the app."""
    app.command(epilog="Example: curate run clean-text --set paths=train.csv --set dataset=support --dry-run")(run)


def run(
    recipe: Annotated[str | None, typer.Argument(help="A YAML file, or the name of a recipe that comes with curate.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A variable of the recipe.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the recipe and show its steps; run nothing.")] = False,
    workspace: WorkspaceOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Run the steps of a recipe in order; running it again goes on where it stopped. Without a name: list the recipes."""
    from curate.steps.run import run_recipe, shipped_recipes

    if recipe is None:
        if as_json:
            print_json(shipped_recipes())
        else:
            say("recipes that come with curate: " + ", ".join(shipped_recipes()))
        return
    variables = read_words(set_, "--set")

    def announce(step: PlannedStep) -> None:
        if not as_json:
            say(f"── {step.step} " + " ".join(f"{key}={value}" for key, value in step.arguments.items()))

    with opened(workspace, wait=wait) as ws:
        report = run_recipe(ws, recipe, variables=variables, dry_run=dry_run, on_step=announce)
    if as_json:
        print_json(report)
    else:
        say(_describe(report))


def _describe(report: RecipeReport) -> str:
    if report.dry_run:
        steps = [
            f"  {n}. {s.step} " + " ".join(f"{k}={v}" for k, v in s.arguments.items()) for n, s in enumerate(report.steps, 1)
        ]
        return lines(f"{report.recipe}: valid; it would run", *steps)
    return f"{report.recipe}: {len(report.reports)} steps done in {seconds(report.seconds)}\n  next: curate status"
