"""Image files, passed on as they lie; the modality `image` decodes them when they are ingested."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO, ClassVar

from curate.errors import BadRecord
from curate.readers import ReadOptions
from curate.readers.parsing.lines import read_all
from curate.records import Record, Reject


class ImageReader:
    """Reads PNG, JPEG, WebP, GIF, BMP and TIFF files."""

    suffixes: ClassVar[tuple[str, ...]] = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
    kind: ClassVar[str] = "image"

    def __init__(self, options: ReadOptions) -> None:
        self._max_bytes = options.max_record_bytes

    @classmethod
    def example(cls) -> bytes:
        """A small valid file."""
        from PIL import Image

        file = io.BytesIO()
        Image.linear_gradient("L").resize((6, 6)).save(file, "PNG")
        return file.getvalue()

    def read(self, stream: BinaryIO) -> Iterator[Record | Reject]:
        """Yield the one image, located as ""."""
        try:
            data = read_all(stream, self._max_bytes)
        except BadRecord as error:
            yield Reject("", error.reason, error.detail)
            return
        yield Record("", media=data, modality="image") if data else Reject("", "empty-file")


PLUGIN = ImageReader
