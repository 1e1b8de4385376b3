"""How the report writes numbers, shares, times, names and settings."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from curate.differences import excerpt, visible
from curate.reporting import facts as facts


def number(value: int) -> str:
    """A count with separators."""
    return f"{value:,}"


def figure(value: float | None) -> str:
    """A measured figure in four digits; – where there is none."""
    return "–" if value is None else f"{value:,.4g}"


def share(value: float, whole: float) -> str:
    """A share in percent; – of nothing."""
    return "–" if not whole else f"{100 * value / whole:.1f} %"


def took(seconds: float | None) -> str:
    """A duration as people write it."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def when(moment: datetime | None) -> str:
    """A moment, in UTC."""
    return "–" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def shown(value: object) -> str:
    """Anything as text, control characters made visible."""
    return visible(str(value))


def named(value: object) -> str:
    """A label or a name, cut where it is long."""
    return excerpt(str(value), 120)


def settings(value: dict[str, Any]) -> str:
    """A JSON object in words; numbers have separators, but seeds are names."""
    return visible(", ".join(f"{name} {_plain(inner, 'seed' in name)}" for name, inner in value.items()))


def _plain(value: Any, is_name: bool) -> str:
    if isinstance(value, dict):
        return f"({settings(value)})"
    if value is None:
        return "none"
    if isinstance(value, int) and not isinstance(value, bool) and not is_name:
        return f"{value:,}"
    return str(value)
