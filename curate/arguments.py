"""What a person may write where a list is asked for: one item without brackets is a list of one, everywhere."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from typing import Any, TypeVar

from curate.errors import SettingError

Item = TypeVar("Item")


def as_items(value: Item | Iterable[Item]) -> tuple[Item, ...]:
    """The items of a list, or the one item that stands in its place: `"a.csv"` is one path, not five letters.

    Raises:
        SettingError: it is a mapping, of which nobody can say whether names or values are meant.
    """
    if isinstance(value, str | bytes | PurePath) or not isinstance(value, Iterable):
        one: Any = value
        return (one,)
    if isinstance(value, dict):
        raise SettingError(f"a list is expected, got the mapping {value!r}", hint="give its names or its values")
    return tuple(value)
