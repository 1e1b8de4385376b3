"""Every similarity that a verdict rests on is measured again, from the contents."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from curate import plugins
from curate.catalog import checks, vectors
from curate.checking.look import JUDGE_ANEW, Look, Some
from curate.checking.vectors import older_version
from curate.embedding.specs import is_superseded
from curate.errors import SettingError

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

_SIMILARITY_TOLERANCE = 1e-4
_THRESHOLD_TOLERANCE = 1e-6  # a float32 similarity of exactly 0.7 is stored as 0.69999999


def evidence_is_true(look: Look) -> int:
    """Measure every similarity again, from the contents."""
    measured = 0
    tables = checks.vector_tables(look.catalog)
    older = {row.slug: row for row in vectors.embedders(look.catalog) if is_superseded(row)}
    for method, settings, rows in checks.evidence_kinds(look.catalog):
        if method not in plugins.names("dedupers"):
            look.notes.append(f"{rows:,} rows of evidence by {method} were not measured again: no such deduper is installed")
            continue
        chosen = json.loads(settings)
        slug = chosen.pop("slug", None)
        try:
            deduper = plugins.load("dedupers", method)(**chosen)
        except SettingError as error:
            look.broken(f"{rows:,} rows of evidence by {method} have settings it refuses: {error}", count=rows, hint=JUDGE_ANEW)
            continue
        if deduper.consumes == "vectors" and slug not in tables:
            look.broken(
                f"{rows:,} rows of evidence by {method} rest on vectors of {slug!r}, which are gone",
                count=rows,
                hint=JUDGE_ANEW,
            )
            continue
        if slug in older:
            look.notes.append(f"{rows:,} rows of evidence by {method} were not measured again: {older_version(older[slug])}")
            continue
        seen = _measure_again(look, method, settings, deduper, slug)
        if seen < rows:
            look.notes.append(f"{rows - seen:,} superseded rows of evidence by {method} were not measured again")
        measured += seen
    return measured


def _measure_again(look: Look, method: str, settings: str, deduper: Any, slug: str | None) -> int:
    seen, lost, false = 0, Some(), Some()
    for batch in checks.evidence_pairs(look.catalog, method, settings, deduper.consumes, slug):
        seen += batch.num_rows
        ids = batch["duplicate_id"].to_numpy()
        there = np.asarray(batch["a"].is_valid()) & np.asarray(batch["b"].is_valid())
        lost.extend(ids[~there])
        if not there.any():
            continue
        present = batch.filter(_mask(there))
        now = deduper.similarity(*(_content(present[side], deduper.consumes) for side in ("a", "b"))).astype(np.float64)
        stored, threshold = present["similarity"].to_numpy(), present["threshold"].to_numpy()
        wrong = (np.abs(now - stored) > _SIMILARITY_TOLERANCE) | (stored < threshold - _THRESHOLD_TOLERANCE)
        false.extend(ids[there][wrong])
    if lost.count:
        message = f"{lost.count:,} rows of evidence by {method} name samples whose content is not there"
        look.broken(message, ids=lost.ids, count=lost.count, hint=JUDGE_ANEW)
    if false.count:
        message = f"{false.count:,} rows of evidence by {method} are not as similar as they say (ids of `duplicates`)"
        look.broken(message, ids=false.ids, count=false.count, hint=JUDGE_ANEW)
    return seen


def _content(column: pa.Array, consumes: str) -> Any:
    """A column of evidence in the form in which dedupers compare it."""
    import pyarrow as pa

    if consumes == "text":
        return column.cast(pa.large_string())
    if consumes == "hash":
        digests = bytes.fromhex("".join(value[:32] for value in column.to_pylist()))
        return np.frombuffer(digests, np.uint8).reshape(-1, 16)
    return _matrix(column)


def _mask(there: NDArray[np.bool_]) -> pa.Array:
    import pyarrow as pa

    return pa.array(there)


def _matrix(column: pa.Array) -> NDArray[np.float32]:
    """(n, d) from a column of fixed-size lists without NULLs."""
    found: NDArray[np.float32] = column.flatten().to_numpy().reshape(len(column), -1)
    return found
