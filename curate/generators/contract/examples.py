"""What a generator learns from: rows whose contents have roles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

from curate.errors import SettingError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ROLES = ("text", "label", "prompt", "response", "chosen", "rejected", "media", "columns")
"""What a content can be to a generator, in the order of the `Examples`' fields."""


class Lazy(Sequence[bytes]):
    """Contents that are read when they are asked for.

    Args:
        count: how many there are.
        read: gives the content of a row.
    """

    def __init__(self, count: int, read: Callable[[int], bytes]) -> None:
        self._count, self._read = count, read

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, row: int) -> bytes: ...
    @overload
    def __getitem__(self, row: slice) -> Lazy: ...
    def __getitem__(self, row: int | slice) -> bytes | Lazy:
        if isinstance(row, slice):
            rows = range(self._count)[row]
            return Lazy(len(rows), lambda place: self._read(rows[place]))
        return self._read(range(self._count)[row])


@dataclass(frozen=True, kw_only=True, eq=False)
class Examples:
    """Rows to learn from; each role is one value a row, or None where these examples do not have it.

    Attributes:
        text: a text to learn.
        label: what the row is an example of; None in a row that has no label.
        prompt, response: an instruction and its answer.
        chosen, rejected: the better and the worse answer to a prompt.
        media: encoded images, which may be `Lazy`, or decoded ones, (n, H, W, C) uint8 with C 1 or 3.
        columns: the fields of a table's row.
        ids: the samples' ids, for messages; empty means row numbers.

    Raises:
        SettingError: there is no role at all, or the roles differ in length.
    """

    text: Sequence[str] | None = None
    label: Sequence[str | None] | None = None
    prompt: Sequence[str] | None = None
    response: Sequence[str] | None = None
    chosen: Sequence[str] | None = None
    rejected: Sequence[str] | None = None
    media: Sequence[bytes] | NDArray[np.uint8] | None = None
    columns: Sequence[Mapping[str, Any]] | None = None
    ids: Sequence[int] = ()

    def __post_init__(self) -> None:
        sizes = {role: len(getattr(self, role)) for role in self.roles} | ({"ids": len(self.ids)} if self.ids else {})
        if not self.roles:
            raise SettingError("Examples need at least one role", hint="one of: " + ", ".join(ROLES))
        if len(set(sizes.values())) > 1:
            raise SettingError(
                "the roles of Examples differ in length: " + ", ".join(f"{n} {what}" for what, n in sizes.items())
            )

    def __len__(self) -> int:
        return len(getattr(self, self.roles[0]))

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that these examples have."""
        return tuple(role for role in ROLES if getattr(self, role) is not None)

    @property
    def labels(self) -> Sequence[str | None]:
        """A label a row; None everywhere where these examples have no labels."""
        return [None] * len(self) if self.label is None else self.label

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The distinct labels, sorted; None is not among them."""
        return tuple(sorted({label for label in self.labels if label is not None}))

    def require(self, roles: Sequence[str], *, by: str) -> None:
        """Raise SettingError unless these examples have the roles that a generator learns from.

        Args:
            by: the generator's name, for the message.
        """
        missing = [role for role in roles if role not in self.roles]
        if missing:
            raise SettingError(
                f"{by} learns from {' and '.join(roles)}, and these examples have {' and '.join(self.roles)}",
                hint="a generator of the other modality",
            )

    def name(self, row: int) -> str:
        """Say which sample a row is, for a message."""
        return f"sample {self.ids[row]}" if self.ids else f"row {row}"

    def take(self, rows: Sequence[int]) -> Examples:
        """Some of the rows, in this order."""
        taken = {role: _take(getattr(self, role), rows) for role in self.roles}
        return Examples(**taken, ids=[self.ids[row] for row in rows] if self.ids else ())

    def spread(self, limit: int) -> Examples:
        """At most `limit` rows, evenly spaced; all of them where it is 0."""
        if not limit or limit >= len(self):
            return self
        return self.take([i * len(self) // limit for i in range(limit)])


def _take(values: Any, rows: Sequence[int]) -> Any:
    if isinstance(values, Lazy):
        return Lazy(len(rows), lambda place: values[rows[place]])
    return values[list(rows)] if hasattr(values, "dtype") else [values[row] for row in rows]
