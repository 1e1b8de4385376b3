"""Finds plug-ins: one file adds one.

A plug-in of a family is a module `curate/<family>/<name>.py` (what several plug-ins share lies in a subpackage) which
defines `PLUGIN`, the class that keeps the family's contract (`curate/<family>/__init__.py` states it). The file name, with
hyphens for underscores, is the plug-in's name. A package outside registers the same class under the entry point
group `curate.<family>`; a name that is taken already is an error, not an override.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from curate.errors import SettingError

FAMILIES = ("readers", "writers", "embedders", "dedupers", "indexes", "generators", "metrics")


@cache
def names(family: str) -> tuple[str, ...]:
    """Name every plug-in of a family, sorted, without importing any of them."""
    package = importlib.import_module(f"curate.{family}")
    own = {
        m.name.replace("_", "-") for m in pkgutil.iter_modules(package.__path__) if not m.ispkg and not m.name.startswith("_")
    }
    foreign = _foreign(family)
    clash = own & foreign.keys()
    if clash:
        point = foreign[min(clash)]
        raise SettingError(
            f"the {family} plug-in name {point.name!r} is taken by curate itself (registered by {point.value})",
            hint="uninstall the package that registers it, or ask its author for another name",
        )
    return tuple(sorted(own | foreign.keys()))


@cache
def load(family: str, name: str) -> Any:
    """Import one plug-in and return its class.

    Raises:
        SettingError: nothing of that name is registered.
    """
    if name not in names(family):
        raise SettingError(f"no {family} plug-in is called {name!r}", hint="one of: " + ", ".join(names(family)))
    foreign = _foreign(family)
    if name in foreign:
        return foreign[name].load()
    return importlib.import_module(f"curate.{family}.{name.replace('-', '_')}").PLUGIN


@cache
def _foreign(family: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=f"curate.{family}")}
