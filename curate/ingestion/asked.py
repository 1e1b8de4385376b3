"""What an ingest was asked to read: paths or rows in memory, and all that decides what a record becomes."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from curate.arguments import as_items
from curate.catalog.sources import Source
from curate.errors import InputError
from curate.ingestion.reading_pass import Opened
from curate.ingestion.selection import Selection
from curate.ingestion.tally import Tally
from curate.readers import ReadOptions
from curate.readers.opening.memory import is_rows, memory_source, rows_in_memory
from curate.readers.opening.open import Item, read_file
from curate.readers.opening.sources import SourceFile, Sources, expand

# Part of every source's settings hash: raise it when a reader or the picking of fields changes what a record becomes.
READING_VERSION = 2


class Asked:
    """What is to be read.

    Args:
        given: a path, paths, or rows in memory.
        name: of the source that rows in memory count as.

    Attributes:
        named: what was named, for the run's record.
        settings: what decides, beside the sources, what is taken and what it becomes.
        settings_hash: of these and of the readers' version.
        files: how many sources there are.
        unit: what progress counts.

    Raises:
        InputError: a path does not exist, nothing was found, or a named file has no reader.
    """

    def __init__(
        self,
        given: Any,
        name: str,
        selection: Selection,
        options: ReadOptions,
        include: tuple[str, ...],
        exclude: tuple[str, ...],
        *,
        allow_synthetic: bool,
    ) -> None:
        self.options = options
        self._include, self._exclude = include, exclude
        self._rows = given if is_rows(given) else None
        if self._rows is not None:
            self._found = Sources([memory_source(name)], [])
            self.named = [str(self._found.files[0].path)]
        else:
            paths: tuple[str | Path, ...] = as_items(Path(given) if isinstance(given, PathLike) else given)
            self._found = _files(paths, include, exclude)
            self.named = [str(path) for path in paths]
        self.files = len(self._found.files)
        self.unit = "bytes" if self._rows is None else "rows"
        fields = {name: getattr(selection, name) for name in ("label", "id", "image", "label_from")}
        self.settings: dict[str, Any] = {
            "fields": {"text": list(selection.text), **fields},
            "options": asdict(options),
            "include": list(include),
            "exclude": list(exclude),
            "allow_synthetic": allow_synthetic,
        }
        told = json.dumps([READING_VERSION, self.settings], sort_keys=True)
        self.settings_hash = hashlib.sha256(told.encode()).hexdigest()

    def to_open(self, known: Mapping[str, Source], tally: Tally, *, all_of_them: bool) -> list[Opened]:
        """The sources that must be read; those that are as they were at the last run, and what was skipped, are counted.

        Args:
            all_of_them: read unchanged ones too.
        """
        tally.skipped.update(skip.reason for skip in self._found.skipped)
        opened = []
        for file in self._found.files:
            old = known.get(str(file.path))
            if old and self._rows is None and not all_of_them and self._is_unchanged(old, file):
                tally.add_unchanged_file(old)
            else:
                opened.append(Opened(file, self._items(file)))
        return opened

    def total(self, opened: Sequence[Opened]) -> int | None:
        """How much there is to read, in `unit`s; None where nobody can know."""
        if self._rows is None:
            return sum(each.file.size_bytes for each in opened)
        return len(self._rows) if hasattr(self._rows, "__len__") else None

    def _items(self, file: SourceFile) -> Callable[[Callable[[int], None]], Iterable[Item]]:
        if self._rows is not None:
            return partial(rows_in_memory, self._rows)
        return partial(read_file, file.path, self.options, self._include, self._exclude)

    def _is_unchanged(self, old: Source, file: SourceFile) -> bool:
        return (
            old.complete
            and old.size_bytes == file.size_bytes
            and old.modified_ns == file.modified_ns
            and old.settings_hash == self.settings_hash
        )


def _files(paths: Sequence[str | Path], include: Sequence[str], exclude: Sequence[str]) -> Sources:
    found = expand(paths, include=include, exclude=exclude)
    if not found.files:
        skipped = ", ".join(f"{n} {reason}" for reason, n in Counter(s.reason for s in found.skipped).most_common())
        raise InputError(f"nothing to read in {', '.join(map(str, paths))}" + (f" (skipped: {skipped})" if skipped else ""))
    return found
