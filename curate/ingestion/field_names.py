"""Which of the named fields the rows have: a name that no row has is a slip of the pen, and is told with what is near it."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from curate.errors import SettingError

ABSENT: Any = object()
"""What a field that is not there holds."""
_DEEPEST = 4
_MOST_NAMES = 12


def value_at(fields: Mapping[str, Any], path: str) -> Any:
    """The value of a field; a dotted path reaches into objects and lists; `ABSENT` where there is none."""
    value = fields.get(path, ABSENT)
    if value is not ABSENT or "." not in path:
        return value
    value = fields
    for part in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(part, ABSENT)
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return ABSENT
    return value


class FieldWatch:
    """Counts for each named field the rows that have it and those that lack it.

    Args:
        options: name → the option that named it, "--label".
    """

    def __init__(self, options: Mapping[str, str]) -> None:
        self._options = options
        self._seen: set[str] = set()
        self._lacking: Counter[str] = Counter()
        self._example: Mapping[str, Any] = {}

    def trust(self) -> None:
        """Rows were taken with these names before, so a row without one of them is bad data and no mistake."""
        self._seen.update(self._options)

    def get(self, fields: Mapping[str, Any], name: str) -> Any:
        """The value of a named field, `ABSENT` where the row has none, and remember which it was."""
        value = value_at(fields, name)
        if value is not ABSENT:
            self._seen.add(name)
        else:
            self._lacking[name] += 1
            self._example = fields
        return value

    def check(self, name: str | None = None) -> None:
        """Refuse a name that rows lack and none has had so far.

        Args:
            name: only this one.

        Raises:
            SettingError: it names the option, and the fields that are near it.
        """
        for lacking, rows in self._lacking.items():
            if lacking not in self._seen and name in (None, lacking):
                raise self._mistaken(lacking, rows)

    def notes(self) -> list[str]:
        """What is said of fields that some rows lack: the rows without a text or an image are rejects, told elsewhere."""
        return [
            f"the field {name!r} ({self._options[name]}) is missing in {rows:,} rows"
            for name, rows in sorted(self._lacking.items())
            if name in self._seen and self._options.get(name) in ("--label", "--id")
        ]

    def _mistaken(self, name: str, rows: int) -> SettingError:
        known = list(dict.fromkeys(_paths(self._example)))
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.6) or _by_letters(name, known)
        who = "the row has no" if rows == 1 else f"none of the first {rows:,} rows has a"
        option = self._options.get(name, "--text")
        shown = known[:_MOST_NAMES]
        fields = ", ".join(shown) + (f" and {len(known) - len(shown):,} more" if len(known) > len(shown) else "")
        hint = f"{option} {near[0]}" if near else f"the fields are {fields or 'none'}"
        if near:
            hint += f"  (near it: {', '.join(near)}; the fields are {fields})"
        return SettingError(f"{who} field {name!r}, which {option} names", hint=hint)


def _by_letters(name: str, known: Iterable[str]) -> list[str]:
    folded = name.casefold()
    return [other for other in known if other.casefold() == folded or folded in other.casefold().split(".")][:3]


def _paths(fields: Mapping[str, Any], before: str = "", depth: int = 1) -> Iterable[str]:
    """The names of fields, and the dotted paths below those that hold objects or lists of objects."""
    for key, value in fields.items():
        name = f"{before}{key}"
        yield name
        held = {"0": value[0]} if isinstance(value, list) and value else value
        if isinstance(held, Mapping) and depth < _DEEPEST:
            yield from _paths(held, f"{name}.", depth + 1)
