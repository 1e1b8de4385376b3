"""Executors: where the work on windows of samples is done, while one place commits what came of it, in order.

An executor plug-in (`curate/executors/<name>.py`, `PLUGIN = TheClass`) keeps the `Executor` contract. The caller owns
the catalog: it hands out windows, and takes each result in the order of the windows, so that what a run commits does not depend
on who was faster. A function must not touch the catalog, and depends on its window alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, ClassVar, Protocol, TypeVar, cast

from curate import plugins

Window = TypeVar("Window")
Result = TypeVar("Result")


class Executor(Protocol):
    """A place to work; a context manager, which gives its workers back."""

    ships: ClassVar[bool]
    """Whether functions, windows and results travel to other processes: then they are pickled, and a function has a name of
    its own at the top of a module."""

    def __init__(self, workers: int) -> None:
        """Get ready to work on so many windows at a time, at least 1."""
        ...

    def __enter__(self) -> Executor: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Drop what was not begun, wait for the rest, and give the workers back."""
        ...

    def map(self, function: Callable[[Window], Result], windows: Iterable[Window]) -> Iterator[Result]:
        """Yield `function(window)` for each window, in order.

        Windows are drawn from the iterable in the caller's thread, at most `workers` + 1 of them ahead of the result that the
        caller holds, so that what is in memory is bounded. What a function raises is raised where its result would have come.
        """
        ...


def executor(name: str, workers: int) -> Executor:
    """An executor by name, ready to work.

    Raises:
        SettingError: nothing is registered under that name.
    """
    return cast(Executor, cast(Any, plugins.load("executors", name))(max(1, workers)))
