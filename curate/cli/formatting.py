"""How a report becomes lines for a person or JSON for a program; every command prints through this module."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from typing import Any, TextIO

from curate.reports import plain

_DRIVES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""What moves a cursor, colours, clears, turns the direction of reading, or cannot be written at all; not LF and TAB."""


def show(report: Any, as_json: bool, describe: Callable[[Any], str]) -> None:
    """Print a report for a program or for a person."""
    if as_json:
        print_json(report)
    else:
        say(describe(report))


def print_json(value: Any) -> None:
    """Print one JSON value: a report, or a list of them."""
    text = json.dumps(plain(value), ensure_ascii=False, default=str)
    print(_DRIVES.sub(lambda found: f"\\u{ord(found[0]):04x}", text), flush=True)


def say(text: str, *, to: TextIO | None = None, end: str = "\n") -> None:
    """Print for a person: whatever data is in it shows its control characters and drives no terminal."""
    print(visible(text), file=to or sys.stdout, end=end, flush=True)


def visible(text: str, *, one_line: bool = False) -> str:
    """Write the characters that would drive a terminal as escapes: "\\x1b", "\\u202e".

    Args:
        one_line: line breaks too, where a sentence has room for none.
    """
    shown = _DRIVES.sub(lambda found: f"\\x{ord(found[0]):02x}" if found[0] <= "\xff" else f"\\u{ord(found[0]):04x}", text)
    return shown.replace("\n", "\\n") if one_line else shown


def lines(*parts: str | None) -> str:
    """Join the lines that are there."""
    return "\n".join(part for part in parts if part)


def tally(counts: dict[str, int]) -> str:
    """Write counts by name: "12 ragged-row, 3 invalid-json"."""
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def seconds(value: float) -> str:
    """Write a duration as people do: "0.3 s", "4 min 10 s"."""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def rate(count: float, elapsed_s: float, unit: str) -> str:
    """Write a rate: "4,800 images/s"."""
    return f"{count / max(elapsed_s, 1e-3):,.0f} {unit}/s"
