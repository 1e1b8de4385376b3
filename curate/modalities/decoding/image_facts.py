"""What an encoded image is, found by decoding all of it.

Pillow's own opening is passed by: it tries formats by turns, compares the size with a process-wide limit and warns. Here the
first bytes choose one decoder, the size is compared with the caller's limit before a pixel is decoded, and everything that
Pillow would only warn of is an error.
"""

from __future__ import annotations

import io
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from curate.errors import BadRecord
from curate.modalities.decoding.libtiff import listening

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    AssertionError,
    struct.error,
    zlib.error,
    UserWarning,
)
_STRICT = threading.Lock()
_PILLOW_LIMIT = 2**30 // 4 // 3
"""Pixels above which Pillow warns, unless a caller moved its limit."""


class ImageFacts(NamedTuple):
    """Attributes of a decoded image.

    Attributes:
        format: "PNG", "JPEG", "WEBP", "GIF", "BMP" or "TIFF".
        suffix: the usual one for the format, with the dot.
        width, height: in pixels, of the first frame.
        mode: Pillow's: "L", "RGB", "P", …
        frames: 1 unless it moves or has pages; only the first frame is decoded.
    """

    format: str
    suffix: str
    width: int
    height: int
    mode: str
    frames: int


def inspect_image(data: bytes, max_pixels: int) -> ImageFacts:
    """Decode an image and say what it is. May be called from several threads.

    Raises:
        BadRecord: `unknown-image` (none of the six formats), `too-many-pixels`, `truncated-image` or `corrupt-image`.
    """
    name = image_format(data)
    suffix = _formats()[name][1]
    if name == "WEBP":
        _check_webp_canvas(data, max_pixels)
    try:
        if name == "TIFF":
            return _decode_tiff(data, max_pixels, suffix)
        if name == "PNG" and b"acTL" in data:
            with _strictly():
                return _finish(_open(name, data, max_pixels), name, suffix)
        if name == "GIF":
            return _decode_gif(data, max_pixels, suffix)
        return _finish(_open(name, data, max_pixels), name, suffix)
    except _DAMAGE as error:
        detail = str(error)
        cut = isinstance(error, EOFError) or "truncated" in detail.lower() or "not enough" in detail.lower()
        raise BadRecord("truncated-image" if cut else "corrupt-image", detail[:200]) from None
    except MemoryError:
        raise BadRecord("corrupt-image", "its header asks for more memory than there is") from None
    except _bomb_error() as error:
        raise BadRecord("too-many-pixels", str(error)[:200]) from None


def image_format(data: bytes) -> str:
    """Tell the format by the first bytes.

    Raises:
        BadRecord: `unknown-image`.
    """
    start = data[:4]
    if start == b"\x89PNG":
        return "PNG"
    if start[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if start == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if start == b"GIF8":
        return "GIF"
    if start in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    if start[:2] == b"BM":
        return "BMP"
    raise BadRecord("unknown-image", f"begins with {data[:16]!r}")


def _open(name: str, data: bytes, max_pixels: int) -> ImageFile:
    image: ImageFile = _formats()[name][0](io.BytesIO(data), "")
    width, height = image.size
    if width * height > max_pixels:
        raise BadRecord("too-many-pixels", f"{width} × {height}, more than {max_pixels}")
    return image


def _finish(image: ImageFile, name: str, suffix: str) -> ImageFacts:
    width, height = image.size
    image.load()
    frames = 1 if name in ("JPEG", "BMP") else getattr(image, "n_frames", 1)
    return ImageFacts(name, suffix, width, height, image.mode, frames)


def _decode_tiff(data: bytes, max_pixels: int, suffix: str) -> ImageFacts:
    """Whatever libtiff reports is an error, with its words: it reports some damage that Pillow decodes past."""
    with _strictly(), listening() as words:
        try:
            found = _finish(_open("TIFF", data, max_pixels), "TIFF", suffix)
        except _DAMAGE as error:
            if words:
                raise OSError(f"{error}: {words[0]}") from None
            raise
    if words:
        raise OSError(words[0])
    return found


def _decode_gif(data: bytes, max_pixels: int, suffix: str) -> ImageFacts:
    """A frame may be larger than the canvas, and Pillow compares it with its own limit while it opens the file."""
    with _strictly():
        image = _open("GIF", data, max_pixels)
        if image.width * image.height > _PILLOW_LIMIT:  # counting the frames would warn again
            return _finish(image, "GIF", suffix)
    return _finish(image, "GIF", suffix)


@contextmanager
def _strictly() -> Iterator[None]:
    """Make Pillow's warnings errors; only TIFF, moving PNG and GIF need it. Another thread's warnings stay warnings.

    Not that of many pixels: the caller's limit is the one that counts.
    """
    from PIL.Image import DecompressionBombWarning

    with _STRICT, warnings.catch_warnings():
        warnings.filterwarnings("error", module=r"PIL\.")
        warnings.filterwarnings("ignore", category=DecompressionBombWarning, module=r"PIL\.")
        yield


def _check_webp_canvas(data: bytes, max_pixels: int) -> None:
    """Refuse an extended WebP's canvas here, because its decoder allocates it when it is opened."""
    if data[12:16] == b"VP8X" and len(data) >= 30:
        width = 1 + int.from_bytes(data[24:27], "little")
        height = 1 + int.from_bytes(data[27:30], "little")
        if width * height > max_pixels:
            raise BadRecord("too-many-pixels", f"{width} × {height}, more than {max_pixels}")


@cache
def _bomb_error() -> type[Exception]:
    """What Pillow raises above twice its own limit, which a caller's larger one does not lift."""
    from PIL.Image import DecompressionBombError

    return DecompressionBombError


@cache
def _formats() -> dict[str, tuple[Any, str]]:
    from PIL import BmpImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

    return {
        "PNG": (PngImagePlugin.PngImageFile, ".png"),
        "JPEG": (JpegImagePlugin.JpegImageFile, ".jpg"),
        "WEBP": (WebPImagePlugin.WebPImageFile, ".webp"),
        "GIF": (GifImagePlugin.GifImageFile, ".gif"),
        "BMP": (BmpImagePlugin.BmpImageFile, ".bmp"),
        "TIFF": (TiffImagePlugin.TiffImageFile, ".tif"),
    }
