"""The eighth of a JPEG beside libjpeg's own, and what becomes of files that are damaged or out of the ordinary."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_sample_images

from curate.embedders.thumbnails import jpeg as jpeg
from curate.embedders.thumbnails import thumbnail as thumbnail

PHOTO = Image.fromarray(load_sample_images().images[0])


def packed(picture, **options):
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def ours(data):
    """What the decoder makes of a file, or None where it leaves it to Pillow."""
    found = jpeg.head(data)
    return None if found is None else jpeg.block_means(data, found)


def libjpegs(data):
    """The same by libjpeg: Pillow's draft at an eighth."""
    with Image.open(io.BytesIO(data)) as file:
        file.draft("YCbCr" if file.mode == "RGB" else "L", (1, 1))
        return np.asarray(file.convert("YCbCr"))


def noisy(seed, size):
    """Smooth here and rough there, so that codes of every length come about."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (1 + size[1] // 16, 1 + size[0] // 16, 3), np.uint8)
    picture = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)).astype(np.int64)
    rough = rng.integers(-255, 256, picture.shape) * (rng.random((1, size[0], 1)) < 0.3)
    return Image.fromarray((picture + rough).clip(0, 255).astype(np.uint8))


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(8, 90), st.integers(8, 90)),
    st.integers(1, 100),
    st.sampled_from(["4:4:4", "4:2:2", "4:2:0"]),
    st.booleans(),
    st.integers(0, 5),
    st.booleans(),
)
@example(0, (64, 64), 100, "4:2:0", False, 1, False)
@example(1, (8, 8), 95, "4:4:4", True, 0, True)
def test_every_pixel_is_libjpegs(seed, size, quality, sampling, optimised, interval, grey):
    picture = noisy(seed, size)
    wanted = {"quality": quality, "optimize": optimised, "restart_marker_blocks": interval}
    data = packed(picture.convert("L"), **wanted) if grey else packed(picture, subsampling=sampling, **wanted)
    np.testing.assert_array_equal(ours(data), libjpegs(data))


@pytest.mark.parametrize("quality", [5, 50, 75, 95, 100])
def test_a_photographs_eighth_is_libjpegs(quality):
    data = packed(PHOTO, quality=quality)
    np.testing.assert_array_equal(ours(data), libjpegs(data))


def test_what_is_no_ordinary_jpeg_is_left_to_pillow():
    grey, out_of_order = PHOTO.convert("L"), packed(PHOTO)
    others = [packed(PHOTO, progressive=True), packed(PHOTO.convert("CMYK")), packed(PHOTO, keep_rgb=True)]
    others += [b"", b"\xff\xd8", b"\xff\xd8\xff", b"GIF89a", out_of_order[:300], packed(grey)[: len(packed(grey)) // 2]]
    assert [ours(data) is None for data in others] == [True] * len(others)


def test_quantisers_that_end_within_a_number_are_damage():
    data = packed(PHOTO)
    table = data.index(b"\xff\xdb")
    wide = b"\xff\xdb" + (2 + 1 + 127).to_bytes(2) + b"\x10" + bytes(127)  # of 16 bits, and a byte too short
    assert ours(data[:table] + wide + data[table:]) is None


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["4:4:4", "4:2:0"]), st.integers(0, 2), st.booleans())
def test_damage_never_crashes_and_is_not_decoded_past_the_end(seed, sampling, interval, in_the_head):
    rng = np.random.default_rng(seed)
    data = bytearray(packed(noisy(seed, (70, 50)), quality=80, subsampling=sampling, restart_marker_blocks=interval))
    head = jpeg.head(bytes(data))
    low, high = (2, head.start) if in_the_head else (head.start, len(data))
    for place in rng.integers(low, high, rng.integers(1, 6)):
        data[place] = rng.integers(256)
    if rng.random() < 0.3:
        del data[rng.integers(low, high) :]
    found = ours(bytes(data))
    assert found is None or found.dtype == np.uint8


@pytest.mark.parametrize("cut", [3, 40, 2000])
def test_a_truncated_file_is_left_to_pillow_which_refuses_it(cut):
    data = packed(PHOTO.resize((400, 400)))[:-cut]
    assert ours(data) is None
    with pytest.raises(OSError, match="truncated"):
        thumbnail.decode(data)


@pytest.mark.parametrize("orientation", [None, 1, 6])
@pytest.mark.parametrize("size", [(384, 384), (383, 500), (640, 427), (3200, 3120)])
def test_both_ways_of_decoding_agree(monkeypatch, size, orientation):
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    data = packed(PHOTO.resize(size), exif=exif)
    quick = thumbnail.decode(data)
    monkeypatch.setattr(thumbnail, "_eighth", lambda data: None)
    slow = thumbnail.decode(data)
    np.testing.assert_array_equal(quick.pixels, slow.pixels)
    assert quick[1:] == slow[1:] and quick.orientation == (orientation or 1)


def test_which_files_are_decoded_without_pillow(monkeypatch):
    monkeypatch.setattr(thumbnail, "_opened", lambda data: pytest.fail("was left to Pillow"))
    assert thumbnail.decode(packed(PHOTO.resize((400, 384)))).pixels.shape == (48, 50, 3)
    with pytest.raises(pytest.fail.Exception):
        thumbnail.decode(packed(PHOTO.resize((400, 383))))
