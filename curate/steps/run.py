"""`run`: runs the steps of a recipe in order."""

from __future__ import annotations

import difflib
import importlib
import inspect
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import yaml
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter, ValidationError

from curate import STEP_HOMES
from curate.errors import InputError, SettingError
from curate.reports import Report
from curate.resources import resource_folder
from curate.workspace import Workspace


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step of a recipe with its arguments, variables filled in."""

    step: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True, repr=False)
class RecipeReport(Report):
    """What ran, with each step's own report; `reports` is empty after a dry run."""

    recipe: str
    steps: tuple[PlannedStep, ...]
    reports: tuple[Any, ...]
    dry_run: bool
    seconds: float


def run_recipe(
    workspace: Workspace,
    recipe: str | Path,
    *,
    variables: Mapping[str, str] | None = None,
    dry_run: bool = False,
    on_step: Callable[[PlannedStep], None] | None = None,
) -> RecipeReport:
    """Run a recipe; every step goes on where it stopped, so running the recipe again finishes an interrupted one.

    Args:
        recipe: a YAML file, or the name of one that comes with curate.
        variables: values for the recipe's variables.
        dry_run: check everything that can be checked without data, and run nothing.
        on_step: told of each step before it runs.

    Raises:
        InputError: there is no such recipe.
        SettingError: it is not valid, a variable is missing or unknown, or a step has no such argument.
    """
    started = time.monotonic()
    planned = plan(recipe, variables or {})
    reports = []
    for item in () if dry_run else planned:
        if on_step:
            on_step(item)
        reports.append(_function(item.step)(workspace, **item.arguments))
    return RecipeReport(str(recipe), tuple(planned), tuple(reports), dry_run, round(time.monotonic() - started, 3))


def plan(recipe: str | Path, variables: Mapping[str, str]) -> list[PlannedStep]:
    """Read and check a recipe; see `run_recipe`."""
    document = _read(recipe)
    values = _values(document, variables)
    steps = []
    for item in document["steps"]:
        ((step, arguments),) = item.items()
        steps.append(PlannedStep(step, _checked(step, _filled(arguments or {}, values))))
    return steps


def shipped_recipes() -> list[str]:
    """The names of the recipes that come with curate."""
    return sorted(file.stem for file in resource_folder("pipelines").glob("*.yaml"))


def _read(recipe: str | Path) -> dict[str, Any]:
    file = Path(recipe)
    if not file.is_file():
        file = resource_folder("pipelines") / f"{recipe}.yaml"
    if not file.is_file():
        raise InputError(
            f"no recipe file {recipe}, and none of that name comes with curate", hint="one of: " + ", ".join(shipped_recipes())
        )
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingError(f"{file} is not valid YAML: {' '.join(str(error).split())}") from error
    schema = json.loads((resource_folder("schemas") / "json" / "recipe.schema.json").read_text(encoding="utf-8"))
    wrong = next(iter(sorted(Draft202012Validator(schema).iter_errors(document), key=lambda e: list(map(str, e.path)))), None)
    if wrong is not None:
        where = "/".join(str(part) for part in wrong.path) or "the document"
        raise SettingError(f"{file}: {where}: {wrong.message}")
    return dict(document)


def _values(document: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    declared = dict(document.get("variables") or {})
    for name in given:
        if name not in declared:
            raise SettingError(f"the recipe has no variable {name!r}", hint="one of: " + ", ".join(declared))
    values = {**declared, **given}
    missing = [name for name, value in values.items() if value is None]
    if missing:
        raise SettingError(f"the recipe needs {', '.join(missing)}", hint=" ".join(f"--set {name}=VALUE" for name in missing))
    return values


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, values) for item in value]
    if not isinstance(value, str):
        return value
    whole = re.fullmatch(r"\$\{(\w+)\}", value)
    if whole:
        return _value(whole[1], values)
    return re.sub(r"\$\{(\w+)\}", lambda found: str(_value(found[1], values)), value)


def _value(name: str, values: Mapping[str, Any]) -> Any:
    if name not in values:
        raise SettingError(f"a step uses ${{{name}}}, which the recipe does not declare", hint="declare it under variables")
    return values[name]


def _checked(step: str, arguments: dict[str, Any]) -> dict[str, Any]:
    parameters = inspect.signature(_function(step)).parameters
    names: Sequence[str] = [name for name in parameters if name != "workspace"]
    for name in arguments:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            raise SettingError(
                f"the step {step} has no argument {name!r}", hint=f"{near[0]}" if near else "one of: " + ", ".join(names)
            )
    missing = [n for n in names if parameters[n].default is inspect.Parameter.empty and n not in arguments]
    if missing:
        raise SettingError(f"the step {step} needs {', '.join(missing)}")
    types = get_type_hints(_function(step))
    return {name: _of_type(step, name, value, types[name]) for name, value in arguments.items()}


def _of_type(step: str, name: str, value: Any, kind: Any) -> Any:
    """A recipe's value as the step's own type: "7" from `--set` becomes 7 where a number is asked for."""
    try:
        return TypeAdapter(_that_yaml_can_say(kind)).validate_python(value)
    except ValidationError as error:
        asked = inspect.formatannotation(kind).replace("collections.abc.", "").replace("pathlib.", "")
        raise SettingError(
            f"the step {step}: {name} takes {asked}, got {value!r}", hint=error.errors(include_url=False)[0]["msg"]
        ) from None


def _that_yaml_can_say(kind: Any) -> Any:
    """A type without the members of a union that only a program can give: iterables of rows, data frames."""
    if get_origin(kind) not in (Union, UnionType):
        return kind
    members = [k for k in get_args(kind) if get_origin(k) is not Iterable and not getattr(k, "_is_protocol", False)]
    return Union[tuple(members)]  # noqa: UP007 (its members are known at run time only)


def steps_of_recipes() -> tuple[str, ...]:
    """Every step that a recipe may hold: those of the library but for the ones that answer with an open cursor or a recipe."""
    return tuple(name for name in STEP_HOMES if name not in ("run_recipe", "sql", "open_dataset", "restore_backup"))


def _function(step: str) -> Callable[..., Any]:
    name = step.replace("-", "_")
    if name not in steps_of_recipes():
        near = difflib.get_close_matches(name, steps_of_recipes(), n=1) or steps_of_recipes()
        raise SettingError(f"a recipe has no step {step!r}", hint="one of: " + ", ".join(near))
    return getattr(importlib.import_module(STEP_HOMES[name]), name)  # type: ignore[no-any-return]
