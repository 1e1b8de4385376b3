"""How laws are held: each is a function over what is checked, and a broken one is named with its words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from curate.errors import CurateError

Subject = TypeVar("Subject")
Law = Callable[[Subject], None]


def hold(laws: Sequence[Callable[[Subject], None]], subject: Subject, name: str) -> None:
    """Hold a subject to each law in turn.

    Raises:
        AssertionError: a law is broken; whatever else a plug-in raised goes through, with the law's name as a note.
    """
    for law in laws:
        try:
            law(subject)
        except Exception as error:
            error.add_note(f"{name} breaks the law: {law.__name__.lstrip('_').replace('_', ' ')}")
            raise


def require(condition: object, otherwise: str) -> None:
    """Go on only where the condition holds.

    Raises:
        AssertionError: it does not; `otherwise` says what was found instead.
    """
    if not condition:
        raise AssertionError(otherwise)


@contextmanager
def refused(kind: type[CurateError], what: str) -> Iterator[list[CurateError]]:
    """Expect an error of this kind; the list holds it afterwards.

    Raises:
        AssertionError: none came.
    """
    met: list[CurateError] = []
    try:
        yield met
    except kind as error:
        met.append(error)
    require(met, f"{what} is not refused with {kind.__name__}")
