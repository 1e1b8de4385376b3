"""Images: PNG, JPEG, WebP, GIF, BMP and TIFF files in the blob store."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from curate.errors import BadRecord
from curate.modalities import Content, Facts, Limits, Preview
from curate.modalities.decoding.image_facts import image_format, inspect_image
from curate.records import MediaColumn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

_PIXEL_ART = 64
"""An image whose longer side is no longer is shown as it is."""


class ImageModality:
    """An encoded image that decodes from its first byte to its last."""

    stored: ClassVar[Literal["text", "blob"]] = "blob"
    plural: ClassVar[str] = "images"
    column: ClassVar[MediaColumn | None] = MediaColumn("image", "images", "The image file.", "Image", "sc:ImageObject")
    embedder: ClassVar[str] = "perceptual"
    dedupe_methods: ClassVar[tuple[str, ...]] = ("exact", "perceptual")
    tuned_method: ClassVar[str] = "perceptual"
    window: ClassVar[int] = 512
    pictured: ClassVar[bool] = True
    features: ClassVar[Literal["words", "pixels", "vectors"]] = "pixels"

    def recognises(self, data: bytes) -> bool:
        """By the first bytes of the six formats."""
        try:
            image_format(data)
        except BadRecord:
            return False
        return True

    def inspect(self, content: Content, limits: Limits) -> Facts:
        """Decode an image; see `inspect_image` for the reasons that it is refused for."""
        found = inspect_image(_bytes(content), limits.max_pixels)
        return Facts(
            found.suffix,
            found.width,
            found.height,
            {"format": found.format, "mode": found.mode, "frames": found.frames},
        )

    def embed(
        self, embedder: Any, contents: Sequence[Content], advance: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Embed images; see `Modality.embed`."""
        made: NDArray[np.float32] = embedder.embed_images(contents, advance)
        return made

    def is_blank(self, content: Content) -> bool:
        """One grey level from edge to edge."""
        from PIL import Image

        with Image.open(io.BytesIO(_bytes(content))) as file:
            image: Any = file
            if image.mode == "P" and image.has_transparency_data:  # Pillow warns of a palette's alpha on the straight way
                image = image.convert("RGBA")
            lowest, highest = image.convert("L").getextrema()
        return bool(lowest == highest)

    def preview(self, data: bytes, side: int) -> Preview | None:
        """Encode anew, so that no metadata travels; a large JPEG is decoded at the scale that is needed."""
        from PIL import Image

        try:
            with Image.open(io.BytesIO(data)) as image:
                size = image.size
                image.draft("RGB", (side, side))
                picture = _eight_bit(image)
        except (SyntaxError, Image.DecompressionBombError) as error:
            raise ValueError(str(error)) from error
        is_tiny = max(size) <= _PIXEL_ART
        picture.thumbnail((side, side))
        out = io.BytesIO()
        picture.save(out, "PNG", optimize=True) if is_tiny else picture.save(out, "WEBP", quality=72)
        return Preview(out.getvalue(), "image/png" if is_tiny else "image/webp", *size, is_tiny)

    def examples(self) -> Sequence[Content]:
        """Three PNG files of 24 × 16 pixels: two gradients and a checkerboard."""
        from PIL import Image

        shades = [
            [x * 10 for _ in range(16) for x in range(24)],
            [y * 15 for y in range(16) for _ in range(24)],
            [255 * ((x // 4 + y // 4) % 2) for y in range(16) for x in range(24)],
        ]
        files = []
        for shade in shades:
            image = Image.frombytes("L", (24, 16), bytes(shade))
            out = io.BytesIO()
            image.save(out, "PNG")
            files.append(out.getvalue())
        return files


def _bytes(content: Content) -> bytes:
    if isinstance(content, str):
        raise BadRecord("unknown-image", "it is a text")
    return content


def _eight_bit(image: Image) -> Image:
    if image.mode.startswith("I"):
        return image.convert("I").point(lambda value: value / 256).convert("L")
    if image.mode in ("1", "L"):
        return image.convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


PLUGIN = ImageModality
