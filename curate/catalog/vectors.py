"""Vectors: one table an embedder, one row a sample, and the embedder's row that says what made them.

A vector belongs to a content: samples with equal content hashes share it, so each content is embedded once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from curate.catalog._connection import Catalog
from curate.catalog._migrations import vectors_table_ddl
from curate.errors import InputError, SettingError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

Origin = Literal["real", "synthetic", "all"]

_COLUMNS = "sample_id, dataset_id, modality, content_hash, text, blob"
_SAMPLES: dict[Origin, str] = {
    "real": f"(SELECT {_COLUMNS}, 'real' AS origin FROM real_samples)",
    "synthetic": f"(SELECT {_COLUMNS}, 'synthetic' AS origin FROM synthetic_samples)",
}
_SAMPLES["all"] = f"({_SAMPLES['real'][1:-1]} UNION ALL {_SAMPLES['synthetic'][1:-1]})"
_READ_ROWS = 8192
_WRITTEN_BYTES = 2**24
"""So much is written to a spilled array before its pages are given back."""


class EmbedderRow(NamedTuple):
    """What made the vectors of one table."""

    slug: str
    spec: str
    fingerprint: str
    dimension: int
    description: str
    threshold: float | None


class Content(NamedTuple):
    """What an embedder is shown of one sample: its text, or the path of its blob below its origin's store."""

    sample_id: int
    origin: str
    modality: str
    text: str | None
    blob: str | None


def embedders(catalog: Catalog) -> list[EmbedderRow]:
    """Every embedder that has a table, oldest first."""
    return [
        EmbedderRow(*row)
        for row in catalog.rows(
            "SELECT slug, spec, fingerprint, dimension, description, threshold FROM embedders ORDER BY created_at, slug"
        )
    ]


def embedder(catalog: Catalog, slug: str) -> EmbedderRow:
    """Look an embedder up.

    Raises:
        InputError: nothing was embedded under that slug.
    """
    known = embedders(catalog)
    for row in known:
        if row.slug == slug:
            return row
    raise InputError(
        f"no vectors of {slug!r} are here",
        hint="one of: " + ", ".join(row.slug for row in known) if known else "curate embed DATASET",
    )


def register(catalog: Catalog, row: EmbedderRow, *, replace: bool = False) -> int:
    """Make an embedder's row and table, or find that they are there.

    Args:
        replace: where the slug's vectors have another fingerprint, delete them all, in every dataset.

    Returns:
        How many vectors of another fingerprint were deleted.

    Raises:
        SettingError: the slug's vectors have another fingerprint, and `replace` was not given.
    """
    old = next((known for known in embedders(catalog) if known.slug == row.slug), None)
    if old is not None and (old.fingerprint, old.dimension) == (row.fingerprint, row.dimension):
        return 0
    deleted = count(catalog, row.slug) if old is not None else 0
    if old is not None and not replace:
        raise SettingError(
            f"the {deleted:,} vectors of {row.slug!r} were made by another model or version "
            f"(fingerprint {old.fingerprint[:12]}, now {row.fingerprint[:12]})",
            hint="--replace deletes them, in every dataset, and embeds anew",
        )
    with catalog.transaction():
        if old is not None:
            catalog.execute(f"DROP TABLE {_table(row.slug)}")
            catalog.execute("DELETE FROM readings WHERE slug = ?", [row.slug])
            catalog.execute("DELETE FROM embedders WHERE slug = ?", [row.slug])
        catalog.execute(
            "INSERT INTO embedders (slug, spec, fingerprint, dimension, description, threshold) VALUES (?, ?, ?, ?, ?, ?)",
            list(row),
        )
        catalog.execute(vectors_table_ddl(row.slug, row.dimension))
    return deleted


def made_since(catalog: Catalog, slug: str, run_id: int) -> bool:
    """Whether an embedder's vectors were deleted and made anew after a run ended."""
    statement = "SELECT e.created_at > r.ended_at FROM embedders e, runs r WHERE e.slug = ? AND r.run_id = ?"
    return bool(catalog.scalar(statement, [slug, run_id]))


def set_threshold(catalog: Catalog, slug: str, threshold: float | None) -> None:
    """Make a cosine the one at which dedupe takes this embedder's vectors for near-duplicates unless told otherwise."""
    catalog.execute("UPDATE embedders SET threshold = ? WHERE slug = ?", [threshold, slug])


def count(catalog: Catalog, slug: str, dataset_id: int | None = None, *, origin: Origin = "all") -> int:
    """How many samples have a vector."""
    return int(
        catalog.scalar(
            f"""SELECT count(*) FROM {_SAMPLES[origin]} s SEMI JOIN {_table(slug)} v USING (sample_id)
                WHERE ? IS NULL OR s.dataset_id = ?""",
            [dataset_id, dataset_id],
        )
    )


def coverage(catalog: Catalog) -> list[tuple[str, str, str, int]]:
    """(slug, dataset, origin, vectors) for every embedder and every dataset that it was used on."""
    return [
        (row.slug, *found)
        for row in embedders(catalog)
        for found in catalog.rows(
            f"""SELECT d.name, s.origin, count(*) FROM {_SAMPLES["all"]} s SEMI JOIN {_table(row.slug)} v USING (sample_id)
                JOIN datasets d USING (dataset_id) GROUP BY ALL ORDER BY ALL"""
        )
    ]


def missing(
    catalog: Catalog, slug: str, dataset_id: int, modalities: Sequence[str], *, origin: Origin = "real"
) -> NDArray[np.int64]:
    """Name one sample, the first, of each content of a dataset that has no vector; rising."""
    found = catalog.table(
        f"""SELECT min(sample_id) AS sample_id FROM {_SAMPLES[origin]} s ANTI JOIN {_table(slug)} v USING (sample_id)
            WHERE dataset_id = ? AND modality IN (SELECT unnest(?)) GROUP BY content_hash, modality ORDER BY 1""",
        [dataset_id, list(modalities)],
    )
    result: NDArray[np.int64] = found["sample_id"].to_numpy().astype("int64")
    return result


def copy_known(catalog: Catalog, slug: str, dataset_id: int, modalities: Sequence[str], *, origin: Origin = "real") -> int:
    """Give the samples of a dataset whose content has a vector elsewhere that vector.

    Returns:
        How many samples got one.
    """
    return int(
        catalog.scalar(
            f"""INSERT INTO {_table(slug)}
                WITH lacking AS (
                    SELECT sample_id, content_hash, modality
                    FROM {_SAMPLES[origin]} s ANTI JOIN {_table(slug)} v USING (sample_id)
                    WHERE dataset_id = ? AND modality IN (SELECT unnest(?))
                ), donors AS (
                    SELECT content_hash, modality, min(sample_id) AS donor_id
                    FROM {_SAMPLES["all"]} s SEMI JOIN {_table(slug)} v USING (sample_id)
                    WHERE content_hash IN (SELECT content_hash FROM lacking) GROUP BY ALL
                )
                SELECT l.sample_id, v.vector FROM lacking l JOIN donors d USING (content_hash, modality)
                JOIN {_table(slug)} v ON v.sample_id = d.donor_id""",
            [dataset_id, list(modalities)],
        )
    )


def contents(catalog: Catalog, sample_ids: NDArray[np.int64]) -> list[Content]:
    """Fetch what an embedder is shown of some samples, in the order of their ids."""
    with catalog.given(wanted=_id_table(sample_ids)):
        return [
            Content(*row)
            for row in catalog.rows(
                f"""SELECT sample_id, origin, modality, text, blob FROM {_SAMPLES["all"]} s SEMI JOIN wanted USING (sample_id)
                    ORDER BY sample_id"""
            )
        ]


def add(catalog: Catalog, slug: str, sample_ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
    """Store new vectors.

    Args:
        sample_ids: (n,) none of which has a vector in this table.
        vectors: (n, dimension).
    """
    import numpy as np
    import pyarrow as pa

    flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
    staged = _id_table(sample_ids).append_column("vector", pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]))
    with catalog.given(staged_vectors=staged):
        catalog.execute(f"INSERT INTO {_table(slug)} SELECT sample_id, vector FROM staged_vectors")


def load(
    catalog: Catalog,
    slug: str,
    *,
    dataset_id: int | None = None,
    sample_ids: NDArray[np.int64] | None = None,
    modality: str | None = None,
    origin: Origin = "real",
    dropped: bool = True,
    memory_bytes: int | None = None,
    spill: Path | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Read vectors into one array, batch by batch.

    Args:
        dataset_id, modality, origin: which samples; None for every one.
        sample_ids: only these.
        dropped: whether real samples with a standing drop verdict are among them.
        memory_bytes: a larger array is a memory map of an unnamed file in the folder `spill`.

    Returns:
        ids (n,) rising, of the samples that have a vector; and (n, dimension) float32 in that order.

    Raises:
        InputError: nothing was embedded under that slug.
    """
    import numpy as np

    from curate.spill import give_back, roomy

    dimension = embedder(catalog, slug).dimension
    only = {} if sample_ids is None else {"wanted": _id_table(sample_ids)}
    kept = "" if dropped else "AND sample_id NOT IN (SELECT sample_id FROM current_verdicts WHERE action = 'drop')"
    with catalog.given(**only):
        found = catalog.table(
            f"""SELECT sample_id FROM {_SAMPLES[origin]} s SEMI JOIN {_table(slug)} v USING (sample_id)
                WHERE (? IS NULL OR dataset_id = ?) AND (? IS NULL OR modality = ?) {kept}
                {"AND sample_id IN (SELECT sample_id FROM wanted)" if only else ""} ORDER BY sample_id""",
            [dataset_id, dataset_id, modality, modality],
        )
    ids = found["sample_id"].to_numpy().astype("int64")
    shape = (len(ids), dimension)
    if memory_bytes is None or spill is None:
        matrix: NDArray[np.float32] = np.empty(shape, np.float32)
    else:
        matrix = roomy(shape, np.float32, memory_bytes, spill, "vectors-")
    if not len(ids):
        return ids, matrix
    written = 0
    with catalog.given(wanted=_id_table(ids)):
        statement = f"SELECT v.sample_id, v.vector FROM {_table(slug)} v SEMI JOIN wanted USING (sample_id)"
        for batch in catalog.reader(statement, batch_rows=_READ_ROWS):
            rows = np.searchsorted(ids, batch["sample_id"].to_numpy())
            matrix[rows] = batch["vector"].flatten().to_numpy().reshape(-1, dimension)
            written += matrix[:1].nbytes * len(rows)
            if written > _WRITTEN_BYTES:
                give_back(matrix)
                written = 0
    give_back(matrix)
    return ids, matrix


def in_state(
    catalog: Catalog, slug: str | None, dataset_id: int | None, *, origin: Origin, states: Sequence[str]
) -> NDArray[np.int64]:
    """Ids, rising, of the samples that have a vector, or a text where no slug is given, and are in one of these states."""
    having = f"SEMI JOIN {_table(slug)} v USING (sample_id) WHERE true" if slug is not None else "WHERE s.text IS NOT NULL"
    found = catalog.table(
        f"""SELECT sample_id FROM samples s {having}
            AND (? IS NULL OR dataset = (SELECT name FROM datasets WHERE dataset_id = ?)) AND (? = 'all' OR origin = ?)
              AND state IN (SELECT unnest(?)) ORDER BY sample_id""",
        [dataset_id, dataset_id, origin, origin, list(states)],
    )
    result: NDArray[np.int64] = found["sample_id"].to_numpy().astype("int64")
    return result


def by_content(catalog: Catalog, slug: str, fingerprint: str, hashes: Sequence[str]) -> dict[int, NDArray[np.float32]]:
    """The vectors that the catalog has of some contents, by their place in `hashes`; none where another model made them."""
    if not any(row.slug == slug and row.fingerprint == fingerprint for row in embedders(catalog)):
        return {}
    import numpy as np
    import pyarrow as pa

    wanted = pa.table({"place": pa.array(range(len(hashes)), pa.int64()), "content_hash": pa.array(hashes, pa.string())})
    with catalog.given(wanted_contents=wanted):
        found = catalog.table(
            f"""SELECT w.place, min(s.sample_id) AS sample_id FROM wanted_contents w JOIN real_samples s USING (content_hash)
                SEMI JOIN {_table(slug)} v ON v.sample_id = s.sample_id GROUP BY w.place"""
        )
    place = dict(zip(found["sample_id"].to_pylist(), found["place"].to_pylist(), strict=True))
    ids, matrix = load(catalog, slug, sample_ids=np.array(sorted(place), np.int64))
    vector = {int(i): row for i, row in zip(ids, matrix, strict=True)}
    return {n: vector[i] for i, n in place.items()}


def having(catalog: Catalog, sample_id: int) -> list[str]:
    """The slugs of the embedders that have a vector of a sample."""
    return [
        row.slug
        for row in embedders(catalog)
        if catalog.scalar(f"SELECT 1 FROM {_table(row.slug)} WHERE sample_id = ? LIMIT 1", [sample_id])
    ]


class Found(NamedTuple):
    """A sample as a hit of a search shows it; the text is its first 2,000 characters."""

    sample_id: int
    origin: str
    dataset: str
    modality: str
    label: str | None
    text: str | None
    blob: str | None
    state: str


def found(catalog: Catalog, sample_ids: NDArray[np.int64]) -> dict[int, Found]:
    """Fetch what a search shows of some samples."""
    with catalog.given(wanted=_id_table(sample_ids)):
        rows = catalog.rows(
            """SELECT sample_id, origin, dataset, modality, label, text[:2000], blob, state
               FROM samples SEMI JOIN wanted USING (sample_id)"""
        )
    return {row[0]: Found(*row) for row in rows}


def _id_table(sample_ids: NDArray[np.int64]) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    return pa.table({"sample_id": pa.array(np.asarray(sample_ids, dtype=np.int64))})


def _table(slug: str) -> str:
    """The vector table's name; the slug is checked here because it becomes part of statements."""
    if not slug.isascii() or not slug.replace("_", "").isalnum() or slug != slug.lower():
        raise SettingError(f"not an embedder's slug: {slug!r}", hint="lower-case letters, digits and underscores")
    return f"vectors_{slug}"
