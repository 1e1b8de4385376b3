"""Samples as a map-style torch dataset; the only module above the families that knows torch."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from torch.utils.data import Dataset

from curate.exporting.contents import read_media
from curate.workspace import BlobStore

if TYPE_CHECKING:
    import pyarrow as pa


class SampleDataset(Dataset[dict[str, Any]]):  # type: ignore[misc]
    """Samples by number; an item is {"sample_id", "label", "label_index"} and "text" or "image".

    An image is decoded to (H, W, 3) uint8 when it is taken. A sample without a label has the label "" and the index -1, so
    that torch's own collation can stack items. It can be sent to a DataLoader's workers.
    """

    def __init__(
        self, rows: pa.Table, blobs: BlobStore, labels: tuple[str, ...], transform: Callable[[Any], Any] | None
    ) -> None:
        self._rows = rows
        self._blobs = blobs
        self._transform = transform
        self._index = {label: number for number, label in enumerate(labels)}
        self.labels = labels

    def __len__(self) -> int:
        return int(self._rows.num_rows)

    def __getitem__(self, number: int) -> dict[str, Any]:
        if not -len(self) <= number < len(self):
            raise IndexError(f"sample {number} of {len(self):,}")
        row = {name: self._rows[name][number].as_py() for name in self._rows.column_names}
        kind, content = ("text", row["text"]) if row["blob"] is None else ("image", self._picture(row))
        if self._transform is not None:
            content = self._transform(content)
        label = row["label"]
        return {
            "sample_id": row["sample_id"],
            "label": "" if label is None else label,
            "label_index": self._index.get(label, -1),
            kind: content,
        }

    def _picture(self, row: dict[str, Any]) -> np.ndarray[Any, np.dtype[np.uint8]]:
        from PIL import Image

        media, _ = read_media(self._blobs, row)
        with Image.open(io.BytesIO(media or b"")) as picture:
            return np.array(picture.convert("RGB"))
