"""A table of fixed-width columns in files that only grow at their end: what a cache knows of rows that never change.

What one run added is a span. The manifest names every span with the SHA-256 of its bytes, and is written last; what a kill left
beyond it is overwritten by the next run. A span that is damaged ends the table before it: a cache can make anew what is lost.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from curate.spill import SMALL_WRITE_BYTES, in_small_pages
from curate.workspace import write_atomically

if TYPE_CHECKING:
    from numpy.typing import NDArray

MANIFEST = "manifest.json"
MOST_SPANS = 64
"""Beyond so many, they are hashed as one."""
_READ_BYTES = 2**20


@dataclass
class _Manifest:
    """What the files hold.

    Attributes:
        columns: the width and type of each.
        spans: of each the rows, the columns' SHA-256, and a note.
    """

    columns: dict[str, tuple[int, str]] = field(default_factory=dict)
    spans: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> _Manifest:
        """What is there; nothing, where that cannot be understood."""
        try:
            digest, _, text = path.read_bytes().partition(b"\n")
            if digest.decode() != hashlib.sha256(text).hexdigest():
                return cls()
            told = json.loads(text)
            columns = {str(name): (int(width), np.dtype(kind).str) for name, (width, kind) in told["columns"].items()}
            if any(Path(name).name != name for name in columns):
                return cls()
            spans = [
                {"rows": int(s["rows"]), "sha256": {n: str(s["sha256"][n]) for n in columns}, "note": dict(s["note"])}
                for s in told["spans"]
            ]
            return cls(columns, spans)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def to_bytes(self) -> bytes:
        """What `read` takes: the SHA-256 of what follows, and JSON."""
        text = json.dumps({"columns": self.columns, "spans": self.spans}, indent=1).encode()
        return hashlib.sha256(text).hexdigest().encode() + b"\n" + text

    @property
    def rows(self) -> int:
        """How many there are in all spans."""
        return sum(span["rows"] for span in self.spans)

    def row_bytes(self, column: str) -> int:
        """What a row of a column takes."""
        width, kind = self.columns[column]
        return width * np.dtype(kind).itemsize


class GrowingTable:
    """The rows that earlier runs added, each column an (n, width) memory map.

    Every file is read through and hashed before it is used: half a second a gigabyte, and no flipped bit is ever believed.

    Args:
        folder: of this table alone.

    Attributes:
        columns: by name, memory maps; empty while there is no row.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known = _Manifest.read(folder / MANIFEST)
        del self._known.spans[self._whole_spans() :]
        if not self._known.spans:
            self._known = _Manifest()
        self.columns: dict[str, NDArray[Any]] = self._mapped()

    def __len__(self) -> int:
        return self._known.rows

    @property
    def note(self) -> Mapping[str, Any]:
        """What was said with the last rows that are there."""
        return self._known.spans[-1]["note"] if self._known.spans else {}

    def read(self, column: str) -> NDArray[Any]:
        """(n, width) a column in memory, which is read faster than through its map."""
        width, kind = self._known.columns[column]
        return np.fromfile(self._folder / column, np.dtype(kind), len(self) * width).reshape(-1, width)

    def clear(self) -> None:
        """Forget every row; what is added next takes their place."""
        self._known, self.columns = _Manifest(), {}

    def _whole_spans(self) -> int:
        """How many of the first spans are there, byte for byte."""
        known = self._known
        least = len(known.spans)
        for name in known.columns:
            try:
                with (self._folder / name).open("rb") as file:
                    for number, span in enumerate(known.spans[:least]):
                        if _digest(file, span["rows"] * known.row_bytes(name)) != span["sha256"][name]:
                            least = number
                            break
            except OSError:
                return 0
        return least

    def _mapped(self) -> dict[str, NDArray[Any]]:
        rows = len(self)
        if not rows:
            return {}
        return {
            name: in_small_pages(np.memmap(self._folder / name, np.dtype(kind), "r", shape=(rows, width)))
            for name, (width, kind) in self._known.columns.items()
        }

    def extend(self, pieces: Iterable[Mapping[str, NDArray[Any]]], note: Mapping[str, Any] | None = None) -> None:
        """Add rows.

        Args:
            pieces: runs of at least one row in all, with the same columns, widths and types each time.
            note: found again as `note`, like JSON.

        Raises:
            ValueError: they have others than what is there.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        for file in self._folder.iterdir():
            if file.name != MANIFEST and file.name not in self._known.columns:
                file.unlink(missing_ok=True)
        with ExitStack() as stack:
            writer = _Writer(self._folder, self._known, stack)
            for piece in pieces:
                writer.write(piece)
            added = writer.finish(note or {})
        spans = [*self._known.spans, added.span]
        if len(spans) > MOST_SPANS:
            spans = [{**self._as_one(added.columns, sum(span["rows"] for span in spans)), "note": added.span["note"]}]
        self._known = _Manifest(added.columns, spans)
        write_atomically(self._folder / MANIFEST, self._known.to_bytes())
        self.columns = self._mapped()

    def _as_one(self, columns: dict[str, tuple[int, str]], rows: int) -> dict[str, Any]:
        digests = {}
        for name, (width, kind) in columns.items():
            with (self._folder / name).open("rb") as file:
                digests[name] = _digest(file, rows * width * np.dtype(kind).itemsize)
        return {"rows": rows, "sha256": digests}


@dataclass(frozen=True)
class _Added:
    columns: dict[str, tuple[int, str]]
    span: dict[str, Any]


class _Writer:
    """Writes one span behind the others."""

    def __init__(self, folder: Path, known: _Manifest, stack: ExitStack) -> None:
        self._folder, self._known, self._stack = folder, known, stack
        self._columns: dict[str, tuple[int, str]] = {}
        self._files: dict[str, BinaryIO] = {}
        self._digests: dict[str, Any] = {}
        self._rows = 0

    def write(self, piece: Mapping[str, NDArray[Any]]) -> None:
        """Add some rows to the span."""
        whole = {name: np.ascontiguousarray(array) for name, array in piece.items()}
        columns = {name: (array.shape[1], array.dtype.str) for name, array in whole.items()}
        if columns != (self._columns or self._known.columns or columns):
            raise ValueError(f"rows of {columns} are added to rows of {self._columns or self._known.columns}")
        if not self._files:
            self._begin(columns)
        for name, array in whole.items():
            _put(self._files[name], array)
            self._digests[name].update(array.data)
        self._rows += len(next(iter(whole.values())))

    def _begin(self, columns: dict[str, tuple[int, str]]) -> None:
        self._columns = columns
        for name in columns:
            path = self._folder / name
            path.touch()
            file = self._stack.enter_context(path.open("r+b", buffering=0))
            end = self._known.rows * self._known.row_bytes(name) if self._known.columns else 0
            file.truncate(end)
            file.seek(end)
            self._files[name], self._digests[name] = file, hashlib.sha256()

    def finish(self, note: Mapping[str, Any]) -> _Added:
        """Have the rows on the disk, and tell what they are."""
        if not self._rows:
            raise ValueError("no row is added")
        for file in self._files.values():
            os.fsync(file.fileno())
        digests = {name: digest.hexdigest() for name, digest in self._digests.items()}
        return _Added(self._columns, {"rows": self._rows, "sha256": digests, "note": dict(note)})


def _digest(file: BinaryIO, size: int) -> str:
    """The SHA-256 of the next bytes of a file, or of what is left of it."""
    digest = hashlib.sha256()
    for part in _parts(file, size):
        digest.update(part)
    return digest.hexdigest()


def _parts(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size > 0:
        part = file.read(min(size, _READ_BYTES))
        if not part:
            return
        size -= len(part)
        yield part


def _put(file: BinaryIO, array: NDArray[Any]) -> None:
    """Write an array in small pieces to a file without a buffer, which may take less than it is given."""
    left = array.reshape(-1).view(np.uint8).data
    while len(left):
        left = left[file.write(left[:SMALL_WRITE_BYTES]) :]
