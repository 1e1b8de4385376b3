"""NAME=VALUE, as `--setting`, `--set` and `--threshold` take it: one rule for all commands.

A value is `true` or `false`, a number, a list (`[1,2]`, or whole numbers joined by commas: `96,192`), and else a word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import typer

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_LIST = re.compile(r"\[.*\]|\d+(,\d+)+", re.DOTALL)


def read_value(text: str) -> Any:
    """What a word of the command line means as a setting."""
    if text in ("true", "false"):
        return text == "true"
    if _LIST.fullmatch(text):
        try:
            return json.loads(text if text[0] == "[" else f"[{text}]")
        except ValueError:
            return text
    if re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def read_words(items: Iterable[str] | None, option: str) -> dict[str, str]:
    """NAME=VALUE, the values as they were typed.

    Raises:
        BadParameter: an item is no such pair, or a name is given twice.
    """
    found: dict[str, str] = {}
    for item in items or ():
        name, equals, value = item.partition("=")
        if not equals or not name.strip():
            raise typer.BadParameter(f"NAME=VALUE, got {item!r}", param_hint=option)
        if name.strip() in found:
            raise typer.BadParameter(f"{name.strip()} is given twice", param_hint=option)
        found[name.strip()] = value
    return found


def read_settings(items: Iterable[str] | None, option: str = "--setting") -> dict[str, Any]:
    """NAME=VALUE, the values read by the rule of this module.

    Raises:
        BadParameter: as `read_words` does.
    """
    return {name: read_value(value) for name, value in read_words(items, option).items()}


def read_thresholds(items: Iterable[str] | None, option: str = "--threshold") -> float | dict[str, float] | None:
    """One number for all methods, or METHOD=NUMBER for each; None where nothing is given.

    Raises:
        BadParameter: an item is neither, or both kinds are given.
    """
    given = list(items or ())
    if not given:
        return None
    if len(given) == 1 and "=" not in given[0]:
        return _number(given[0], given[0], option)
    if any("=" not in item for item in given):
        raise typer.BadParameter("give one number for all methods, or one by method", param_hint=option)
    return {name: _number(value, f"{name}={value}", option) for name, value in read_words(given, option).items()}


def _number(text: str, item: str, option: str) -> float:
    value = read_value(text.strip())
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise typer.BadParameter(f"a number or METHOD=NUMBER, got {item!r}", param_hint=option)
    return float(value)
