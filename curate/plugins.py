"""Finds plug-ins: one file adds one.

A plug-in of a family is a module `curate/<family>/<name>.py` (what several plug-ins share lies in a subpackage) which
defines `PLUGIN`, the class that keeps the family's contract (`curate/<family>/__init__.py` states it). The file name, with
hyphens for underscores, is the plug-in's name. A package outside registers the same class under the entry point
group `curate.<family>`, and a notebook by `register(family, name, cls)`.

Somebody else's plug-in that cannot be used (its import fails, it lacks a part of the contract, its name is taken) is told
once, as a `PluginWarning`, and left out; asking for it by name is an error that says the same.
"""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from curate.errors import PluginWarning, SettingError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

FAMILIES = {
    "modalities": "Modality",
    "readers": "Reader",
    "writers": "Writer",
    "embedders": "Embedder",
    "dedupers": "Deduper",
    "filters": "Filter",
    "gates": "Gate",
    "indexes": "Index",
    "generators": "Generator",
    "metrics": "Metric",
    "executors": "Executor",
}
"""Each family's package, and the Protocol in it that states what a plug-in must have."""

_registered: dict[tuple[str, str], type[Any]] = {}


class UnusablePlugin(SettingError):
    """A plug-in from outside cannot be imported, or lacks a part of its family's contract."""


def register(family: str, name: str, plugin: type[Any]) -> None:
    """Add a plug-in from a notebook or a program, for as long as this process lives; a class registered again replaces itself.

    Args:
        family: "readers", "embedders", … (`FAMILIES`).
        name: what it is asked for by; lower-case letters, digits and hyphens.
        plugin: a class that keeps the family's contract; `curate.testing` checks it.

    Raises:
        SettingError: there is no such family, the name is taken by another plug-in, or the class lacks a part of the contract.
    """
    _package(family)
    if not name or name != name.lower() or not name.replace("-", "").isalnum():
        raise SettingError(
            f"a plug-in's name is of lower-case letters, digits and hyphens, got {name!r}", hint="for example: my-reader"
        )
    if name in own(family) or name in _foreign(family):
        raise SettingError(f"the {family} plug-in name {name!r} is taken", hint="register it under another name")
    _check_contract(family, name, plugin)
    _registered[family, name] = plugin
    load.cache_clear()


def unregister(family: str, name: str) -> None:
    """Take back what `register` added.

    Raises:
        SettingError: nothing was registered under that name.
    """
    if _registered.pop((family, name), None) is None:
        raise SettingError(
            f"no {family} plug-in was registered as {name!r}", hint="only what `register` added can be taken back"
        )
    load.cache_clear()


def names(family: str) -> tuple[str, ...]:
    """Name every plug-in of a family, sorted, without importing any of them."""
    return tuple(sorted(own(family) | _foreign(family).keys() | {name for kind, name in _registered if kind == family}))


def usable(family: str) -> Iterator[tuple[str, Any]]:
    """Load every plug-in of a family, by name; one from outside that cannot be used is told and left out."""
    for name in names(family):
        try:
            yield name, load(family, name)
        except UnusablePlugin as error:
            tell(str(error))


@cache
def load(family: str, name: str) -> Any:
    """Import one plug-in and return its class.

    Raises:
        SettingError: nothing of that name is registered.
        UnusablePlugin: it comes from outside and cannot be imported, or lacks a part of the contract.
    """
    if (family, name) in _registered:
        return _registered[family, name]
    if name in own(family):
        return importlib.import_module(f"curate.{family}.{name.replace('-', '_')}").PLUGIN
    if name in _foreign(family):
        return _load_foreign(family, _foreign(family)[name])
    raise SettingError(f"no {family} plug-in is called {name!r}", hint="one of: " + ", ".join(names(family)))


def _load_foreign(family: str, point: EntryPoint) -> type[Any]:
    try:
        plugin = point.load()
    except Exception as error:
        raise UnusablePlugin(
            f"the {family} plug-in {point.name!r} ({_origin(point)}) cannot be imported: {type(error).__name__}: {error}",
            hint=getattr(error, "hint", None) or "mend or uninstall the package that brings it",
        ) from error
    _check_contract(family, point.name, plugin, f" ({_origin(point)})")
    return plugin  # type: ignore[no-any-return]


def _check_contract(family: str, name: str, plugin: Any, origin: str = "") -> None:
    """Refuse what is no class, or lacks a method or a class attribute of the family's Protocol."""
    contract = getattr(_package(family), FAMILIES[family])
    missing = sorted(part for part in _parts(contract) if not hasattr(plugin, part))
    if not isinstance(plugin, type) or missing:
        lacks = f"lacks {', '.join(missing)}" if isinstance(plugin, type) else f"is {plugin!r}, not a class"
        raise UnusablePlugin(
            f"the {family} plug-in {name!r}{origin} {lacks}",
            hint=f"the contract is `{FAMILIES[family]}` in curate/{family}/__init__.py",
        )


def _parts(contract: type[Any]) -> set[str]:
    """The methods and class attributes that a Protocol asks for; `example` is for those who check a plug-in."""
    found: set[str] = set()
    for base in contract.__mro__:
        found |= {name for name, kind in vars(base).get("__annotations__", {}).items() if "ClassVar" in str(kind)}
        found |= {
            name for name, value in vars(base).items() if callable(value) or isinstance(value, classmethod | staticmethod)
        }
    return {name for name in found if not name.startswith("_") and name != "example"}


@cache
def own(family: str) -> frozenset[str]:
    """Name the plug-ins that come with `curate`; where two want the same thing, these have it."""
    modules = pkgutil.iter_modules(_package(family).__path__)
    return frozenset(m.name.replace("_", "-") for m in modules if not m.ispkg and not m.name.startswith("_"))


@cache
def _foreign(family: str) -> dict[str, EntryPoint]:
    """The plug-ins of installed packages, but for those whose name is taken: these are told and left out."""
    from importlib.metadata import entry_points  # 10 ms, and no command that only reads asks for it

    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=f"curate.{family}"):
        if point.name in own(family) or point.name in found:
            owner = "curate itself" if point.name in own(family) else _origin(found[point.name])
            tell(f"the {family} plug-in {point.name!r} of {_origin(point)} is left out: {owner} has one of that name")
        else:
            found[point.name] = point
    return found


def _origin(point: EntryPoint) -> str:
    package = f"{point.dist.name}, " if point.dist else ""
    return f"{package}{point.value}"


def _package(family: str) -> Any:
    if family not in FAMILIES:
        raise SettingError(f"there is no plug-in family {family!r}", hint="one of: " + ", ".join(FAMILIES))
    return importlib.import_module(f"curate.{family}")


@cache
def tell(message: str) -> None:
    """Say once, as a `PluginWarning`, that a plug-in is left out, or a part of it."""
    warnings.warn(message, PluginWarning, stacklevel=3)
