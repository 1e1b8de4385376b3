"""A batch as the Arrow tables that the catalog takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
from numpy.typing import NDArray

from curate.ingestion.batch import Batch, Refused, SourceState, Taken
from curate.ingestion.plain_values import metadata_json
from curate.workspace import BlobStore

_SOURCES = pa.schema(
    [
        ("source_id", pa.int64()),
        ("dataset_id", pa.int32()),
        ("uri", pa.string()),
        ("root", pa.string()),
        ("size_bytes", pa.int64()),
        ("modified_ns", pa.int64()),
        ("settings_hash", pa.string()),
        ("complete", pa.bool_()),
        ("read", pa.int64()),
        ("rejected", pa.int64()),
        ("skipped", pa.int64()),
        ("run_id", pa.int32()),
        ("fresh", pa.bool_()),
    ]
)
_REJECTS = pa.schema(
    [
        ("run_id", pa.int32()),
        ("source_id", pa.int64()),
        ("locator", pa.string()),
        ("reason", pa.string()),
        ("excerpt", pa.string()),
    ]
)
_SAMPLES = pa.schema(
    [
        ("sample_id", pa.int64()),
        ("dataset_id", pa.int32()),
        ("source_id", pa.int64()),
        ("locator", pa.string()),
        ("modality", pa.string()),
        ("content_hash", pa.string()),
        ("occurrence", pa.int32()),
        ("external_id", pa.string()),
        ("label", pa.string()),
        ("text", pa.large_string()),
        ("blob", pa.string()),
        ("size_bytes", pa.int64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("facts", pa.string()),
        ("metadata", pa.string()),
        ("run_id", pa.int32()),
    ]
)
_AGAIN = pa.schema(
    [
        ("source_id", pa.int64()),
        ("content_hash", pa.string()),
        ("occurrence", pa.int64()),
        ("external_id", pa.string()),
        ("label", pa.string()),
        ("metadata", pa.string()),
        ("label_told", pa.bool_()),
        ("id_told", pa.bool_()),
    ]
)


def source_table(batch: Batch, *, dataset_id: int, settings_hash: str, run_id: int) -> pa.Table:
    """The sources that a batch touches, as `sources.put` takes them."""

    def row(source: SourceState) -> dict[str, Any]:
        return {
            "source_id": source.source_id,
            "dataset_id": dataset_id,
            "uri": str(source.file.path),
            "root": str(source.file.root),
            "size_bytes": source.file.size_bytes,
            "modified_ns": source.file.modified_ns,
            "settings_hash": settings_hash,
            "complete": source.source_id in batch.complete,
            "read": source.read,
            "rejected": source.rejected,
            "skipped": source.skipped,
            "run_id": run_id,
            "fresh": source.source_id in batch.begun,
        }

    return pa.Table.from_pylist([row(source) for source in batch.sources], schema=_SOURCES)


def reject_table(rejects: Sequence[Refused], run_id: int) -> pa.Table:
    """Rejects as `sources.add_rejects` takes them."""
    columns = list(zip(*rejects, strict=True)) or [(), (), (), ()]
    return pa.table([[run_id] * len(rejects), *columns], schema=_REJECTS)


def sample_table(
    taken: Sequence[Taken], nth: NDArray[Any], sample_ids: Iterable[int], *, dataset_id: int, run_id: int
) -> pa.Table:
    """New samples, as `samples.add` takes them.

    Args:
        nth: (n,) how many equal records of its source stand before each.
    """
    picked = [record.picked for record in taken]
    facts = [record.examined.facts for record in taken]
    return pa.table(
        [
            list(sample_ids),
            [dataset_id] * len(taken),
            [record.source.source_id for record in taken],
            [record.locator for record in taken],
            [p.modality for p in picked],
            [record.examined.content_hash for record in taken],
            nth,
            [p.external_id for p in picked],
            [p.label for p in picked],
            [p.text for p in picked],
            [blob_name(record) for record in taken],
            [len(p.media) if p.media is not None else len((p.text or "").encode()) for p in picked],
            [f.width for f in facts],
            [f.height for f in facts],
            [metadata_json(f.others) if f.others else None for f in facts],
            [_metadata(record) for record in taken],
            [run_id] * len(taken),
        ],
        schema=_SAMPLES,
    )


def again_table(taken: Sequence[Taken], nth: NDArray[Any]) -> pa.Table:
    """Records that are samples already, as the functions of `changes` take them."""
    return pa.table(
        [
            [record.source.source_id for record in taken],
            [record.examined.content_hash for record in taken],
            nth,
            [record.picked.external_id for record in taken],
            [record.picked.label for record in taken],
            [_metadata(record) for record in taken],
            [record.picked.label_told for record in taken],
            [record.picked.id_told for record in taken],
        ],
        schema=_AGAIN,
    )


def blob_name(record: Taken) -> str | None:
    """The name of a record's blob; None where its content is a text."""
    if record.picked.media is None:
        return None
    return BlobStore.name(record.examined.content_hash, record.examined.facts.suffix)


def _metadata(record: Taken) -> str | None:
    return metadata_json(record.picked.metadata) if record.picked.metadata else None
