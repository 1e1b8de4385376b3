"""Pairs that a user has labelled as the same or as different, read from a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.errors import InputError

COLUMNS = ("left", "right", "same")


SAME = frozenset({"1", "true", "yes", "same", "duplicate"})


DIFFERENT = frozenset({"0", "false", "no", "different"})


@dataclass(frozen=True, slots=True)
class Pairs:
    """Labelled pairs: m texts or image files on either side, and (m,) whether each pair is the same."""

    left: tuple[str, ...]
    right: tuple[str, ...]
    same: NDArray[np.bool_]


def read_pairs(path: Path) -> Pairs:
    """Read labelled pairs.

    Raises:
        InputError: the file cannot be read, a column is missing, or a label is another word; names the line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(_rows(csv.reader(file, strict=True), path))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", hint="curate calibrate PAIRS.csv") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no CSV file in UTF-8: {error}") from error
    if not rows:
        raise InputError(f"{path} holds no pair", hint="one line a pair: left,right,same")
    left, right, same = zip(*rows, strict=True)
    return Pairs(left, right, np.array(same, np.bool_))


def _rows(lines: Any, path: Path) -> Iterator[tuple[str, str, bool]]:
    names = [name.strip().lower() for name in next(lines, [])]
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise InputError(
            f"{path} has no column {missing[0]!r}; it has: {', '.join(names) or 'none'}",
            hint="the first line names the columns: left,right,same",
        )
    places = [names.index(name) for name in COLUMNS]
    for row in lines:
        if not row:
            continue
        where = f"{path}, line {lines.line_num}"
        if len(row) != len(names):
            raise InputError(
                f"{where}: {len(row)} fields under {len(names)} columns", hint="quote a field that holds commas or line feeds"
            )
        left, right, word = (row[place] for place in places)
        if word.strip().lower() not in SAME | DIFFERENT:
            raise InputError(f"{where}: same is {word!r}", hint="1 or 0, yes or no, duplicate or different")
        yield left, right, word.strip().lower() in SAME
