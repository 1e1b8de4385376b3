"""How a report becomes lines for a person or JSON for a program; every command prints through this module."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from curate.reports import plain


def show(report: Any, as_json: bool, describe: Callable[[Any], str]) -> None:
    """Print a report for a program or for a person."""
    if as_json:
        print_json(report)
    else:
        print(describe(report))


def print_json(value: Any) -> None:
    """Print one JSON value: a report, or a list of them."""
    print(json.dumps(plain(value), ensure_ascii=False, default=str))


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
