"""A dataset or a part of a split, opened to be read in place: as Arrow batches, or as a torch dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from curate.catalog import exports
from curate.catalog.splits import Resolved
from curate.errors import InputError
from curate.exporting.contents import name_of, read_media
from curate.workspace import Workspace

if TYPE_CHECKING:
    from curate.exporting.torch_dataset import SampleDataset

SCHEMA = pa.schema(
    [
        ("sample_id", pa.int64()),
        ("part", pa.string()),
        ("label", pa.string()),
        ("text", pa.large_string()),
        ("media", pa.large_binary()),
        ("content_hash", pa.string()),
        ("external_id", pa.string()),
        ("metadata", pa.string()),
    ]
)
"""What `to_arrow` gives: `media` is an encoded image, `metadata` a JSON object; both null where there is none."""
_HASHED = ("sample_id", "label", "text", "blob", "content_hash")


class OpenDataset:
    """Real samples in the order of their ids: all the curated ones of a dataset, or the frozen members of a split or part.

    Attributes:
        name: what was opened, exactly: "support", "support@default:1/train".
        labels: the labels in it, sorted; their position is the class index.
    """

    def __init__(self, workspace: Workspace, what: Resolved) -> None:
        self._workspace = workspace
        self._what = what
        self.name = name_of(what)
        counted = exports.real_counts(workspace.catalog, what)
        if not counted:
            raise InputError(f"{self.name} has no sample", hint="curate status")
        self._count = sum(count for *_, count in counted)
        self.labels = tuple(sorted({label for _, _, label, _ in counted if label is not None}))

    def __len__(self) -> int:
        return self._count

    def __repr__(self) -> str:
        return f"OpenDataset({self.name!r}, {self._count:,} samples, {len(self.labels):,} labels)"

    def to_arrow(self, *, batch_rows: int = 1024) -> pa.RecordBatchReader:
        """Stream every sample in batches of `SCHEMA`; images are read as the batches are.

        The workspace must stay open until all is read. `.read_all()` of what comes back is one table.
        """
        return pa.RecordBatchReader.from_batches(SCHEMA, self._batches(batch_rows))

    def to_torch(self, *, transform: Callable[[Any], Any] | None = None) -> SampleDataset:
        """A map-style torch dataset over the samples as they are now; it does not need the workspace to stay open.

        Args:
            transform: what becomes of each text (str) or image ((H, W, 3) uint8 array) when it is taken.
        """
        from curate.exporting.torch_dataset import SampleDataset

        batches = [
            pa.RecordBatch.from_arrays([batch.column(name) for name in _HASHED], list(_HASHED))
            for batch in exports.real_rows(self._workspace.catalog, self._what)
        ]
        return SampleDataset(pa.Table.from_batches(batches), self._workspace.real, self.labels, transform)

    def _batches(self, batch_rows: int) -> Iterator[pa.RecordBatch]:
        for batch in exports.real_rows(self._workspace.catalog, self._what, batch_rows=batch_rows):
            media = [read_media(self._workspace.real, row)[0] for row in batch.select(_HASHED).to_pylist()]
            columns = {name: batch.column(name) for name in SCHEMA.names if name != "media"}
            columns["media"] = pa.array(media, pa.large_binary())
            yield pa.RecordBatch.from_arrays([columns[f.name].cast(f.type) for f in SCHEMA], schema=SCHEMA)
