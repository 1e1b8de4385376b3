"""Images in and out: decoding to one resolution, the network's range of numbers, and PNG files.

The rules for size. The resolution is the commonest one in the part, made smaller, with its proportions kept, until the longer
side is at most `max_side`. An image of another size is scaled (Lanczos) so that it fits inside, and centred; what is left over
repeats the image's own edge. Where the network needs sides that divide by `multiple`, the array is padded at the bottom and
right in the same way, and draws are cut back: what is drawn has the training resolution.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from curate.errors import BadRecord
from curate.generators.contract.examples import Examples

if TYPE_CHECKING:
    from PIL import Image as Pillow

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")


@dataclass(frozen=True, slots=True)
class ImageShape:
    """The shape of the images that a model learns and draws.

    Attributes:
        height, width: in pixels.
        channels: 1 for grey, 3 for RGB.
    """

    height: int
    width: int
    channels: int

    def padded(self, multiple: int) -> ImageShape:
        """The least shape around it whose sides divide by `multiple`."""
        return ImageShape(self.height + -self.height % multiple, self.width + -self.width % multiple, self.channels)


def choose_shape(examples: Examples, *, max_side: int) -> ImageShape:
    """Take the commonest size, at most `max_side`, and grey only where every image is grey."""
    sizes: Counter[tuple[int, int]] = Counter()
    grey = True
    if isinstance(examples.media, np.ndarray):
        n, height, width, channels = examples.media.shape
        sizes[height, width] = n
        grey = channels == 1
    else:
        for row in range(len(examples)):
            with decode(examples, row) as image:
                sizes[image.height, image.width] += 1
                grey = grey and image.mode in ("L", "1", "I;16", "I")
    (height, width), _ = max(sizes.items(), key=lambda item: (item[1], item[0]))
    scale = min(1.0, max_side / max(height, width))
    return ImageShape(max(1, round(height * scale)), max(1, round(width * scale)), 1 if grey else 3)


def stack(examples: Examples, shape: ImageShape) -> tuple[NDArray[np.uint8], int]:
    """Bring every image to one shape.

    Returns:
        (n, H, W, C) uint8, and how many images had another size and were scaled.
    """
    scaled = 0
    out = np.empty((len(examples), shape.height, shape.width, shape.channels), dtype=np.uint8)
    for row, image in enumerate(_images(examples)):
        scaled += (image.height, image.width) != (shape.height, shape.width)
        out[row] = _fit(image, shape)
    return out, scaled


def decode(examples: Examples, row: int) -> Pillow.Image:
    """Decode one encoded image; a palette becomes RGB and transparency is laid on white.

    Raises:
        BadRecord: it cannot be decoded.
    """
    from PIL import Image, ImageOps

    assert examples.media is not None and not isinstance(examples.media, np.ndarray)
    try:
        opened = Image.open(io.BytesIO(examples.media[row]), formats=FORMATS)
        opened.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadRecord("undecodable-image", f"{examples.name(row)}: {error}") from None
    image: Image.Image = ImageOps.exif_transpose(opened)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image if image.mode in ("L", "1", "RGB") else image.convert("L" if image.mode.startswith("I") else "RGB")


def pad_to_multiple(pixels: NDArray[np.uint8], multiple: int) -> NDArray[np.uint8]:
    """(n, H, W, C) with the bottom and right edge repeated until both sides divide by `multiple`."""
    height, width = pixels.shape[1:3]
    return np.pad(pixels, ((0, 0), (0, -height % multiple), (0, -width % multiple), (0, 0)), mode="edge")


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode (H, W, C) as PNG; the same pixels give the same bytes under the same Pillow."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(out, format="PNG", compress_level=6)
    return out.getvalue()


def _images(examples: Examples) -> Iterator[Pillow.Image]:
    from PIL import Image

    if isinstance(examples.media, np.ndarray):
        for array in examples.media:
            yield Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
        return
    for row in range(len(examples)):
        yield decode(examples, row)


def _fit(image: Pillow.Image, shape: ImageShape) -> NDArray[np.uint8]:
    from PIL import Image

    image = image.convert("L" if shape.channels == 1 else "RGB")
    if image.size != (shape.width, shape.height):
        scale = min(shape.width / image.width, shape.height / image.height)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS)
    array = np.asarray(image).reshape(image.height, image.width, shape.channels)
    top, left = (shape.height - image.height) // 2, (shape.width - image.width) // 2
    edges = ((top, shape.height - image.height - top), (left, shape.width - image.width - left), (0, 0))
    return np.pad(array, edges, mode="edge")
