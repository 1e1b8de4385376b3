"""What the perceptual embedder sees: every kind of file, upright, on a ground, and the same however it was packed."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageOps
from sklearn.datasets import load_sample_images

from curate.dedupers.perceptual import PLUGIN as PERCEPTUAL
from curate.embedders import EmbedderOptions
from curate.embedders.perceptual import PLUGIN
from curate.embedders.thumbnails import kernels, thumbnail
from curate.embedders.thumbnails.levels import levels


@pytest.fixture(scope="module")
def photos():
    return [Image.fromarray(array) for array in load_sample_images().images]


@pytest.fixture(scope="module")
def embed():
    embedder = PLUGIN(EmbedderOptions(threads=2))
    return lambda *files: embedder.embed_images(list(files))


def packed(picture, kind="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def test_the_packing_of_a_photo_hardly_moves_its_vector(embed, photos):
    for photo in photos:
        plain = packed(photo)
        others = [
            packed(photo, "JPEG", quality=40),
            packed(photo.convert("CMYK"), "JPEG", quality=90),
            packed(photo, "WEBP", quality=70),
            packed(photo.convert("P", palette=Image.Palette.ADAPTIVE), "GIF"),
            packed(photo.convert("RGBA")),
            packed(photo.resize((300, 300))),
            packed(photo.convert("L")),
        ]
        vectors = embed(plain, *others)
        assert (vectors[1:] @ vectors[0] > PLUGIN.default_threshold).all()
    first, second = embed(*map(packed, photos))
    assert first @ second < 0.3


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(embed, photos, orientation, kind):
    photo = photos[0].crop((0, 0, 400, 400))
    exif = Image.Exif()
    exif[0x0112] = orientation
    told = packed(photo, kind, exif=exif)
    upright = packed(ImageOps.exif_transpose(Image.open(io.BytesIO(told))))
    a, b = embed(told, upright)
    assert a @ b > 0.98


def test_the_further_frames_of_an_animation_are_told_and_its_waves_are_those_of_the_first(embed, photos):
    one, two = (photo.resize((200, 150)).convert("P", palette=Image.Palette.ADAPTIVE) for photo in photos)
    animated, still = embed(packed(one, "GIF", save_all=True, append_images=[two]), packed(one, "GIF"))
    end = kernels.DETAIL
    assert animated[:end] @ still[:end] / np.linalg.norm(animated[:end]) / np.linalg.norm(still[:end]) > 0.999
    assert animated[-1] > 0 and still[-1] == 0 and abs(animated[end:-1]).max() > 0


@pytest.mark.parametrize("ink", ["black", "white", "red"])
def test_a_drawing_on_nothing_is_seen_whatever_its_ink(embed, ink):
    vectors = []
    for shape in ("ellipse", "rectangle"):
        picture = Image.new("RGBA", (100, 100), (0, 0, 0, 0))
        getattr(ImageDraw.Draw(picture), shape)((20, 20, 80, 80), fill=ink)
        vectors.append(packed(picture))
    a, b = embed(*vectors)
    assert a @ b < 0.95


def test_sixteen_bit_greys_are_scaled_and_not_clipped(embed, photos):
    eight = photos[0].convert("L")
    deep = Image.fromarray(np.asarray(eight).astype(np.uint16) * 257)
    a, b = embed(packed(eight), packed(deep))
    assert a @ b > 0.999


def deepened(photo, kind):
    """The grey photograph in a depth that Pillow's own conversion would flatten."""
    grey = np.asarray(photo.convert("L")).astype(np.float64)
    if kind == "fractions":
        return packed(Image.fromarray((grey / 255).astype(np.float32)), "TIFF")
    if kind == "fractions with holes":
        grey[3, 4] = np.nan
        return packed(Image.fromarray((grey / 255).astype(np.float32)), "TIFF")
    if kind == "below zero":
        return packed(Image.fromarray((grey / 25 - 7).astype(np.float32)), "TIFF")
    if kind == "narrow":
        return packed(Image.fromarray((30_000 + grey).astype(np.uint16)))
    if kind == "narrow with dead pixels":
        deep = (30_000 + grey).astype(np.uint16)
        deep[:2, :2] = [[0, 65535], [65535, 0]]
        return packed(Image.fromarray(deep))
    if kind == "32 bits":
        return packed(Image.fromarray((grey * 8_000_000).astype(np.int32)), "TIFF")
    layers = Image.merge("RGBA", [*photo.convert("RGB").split(), Image.new("L", photo.size, 1 if kind == "faint" else 0)])
    return packed(layers, "WEBP" if kind == "webp" else "PNG", **({"lossless": True, "exact": True} if kind == "webp" else {}))


DEPTHS = [
    "fractions",
    "fractions with holes",
    "below zero",
    "narrow",
    "narrow with dead pixels",
    "32 bits",
    "hidden",
    "faint",
    "webp",
]


@pytest.mark.parametrize("kind", DEPTHS)
def test_photographs_of_unusual_depth_are_told_apart_and_equal_their_ordinary_copies(embed, photos, kind):
    patches = [photo.crop((x, y, x + 200, y + 200)) for photo in photos for x in (0, 210, 420) for y in (0, 210)]
    plain, deep = embed(*map(packed, patches)), embed(*(deepened(patch, kind) for patch in patches))
    likeness = PERCEPTUAL().similarity(np.repeat(deep, len(deep), 0), np.tile(deep, (len(deep), 1))).reshape(len(deep), -1)
    assert (likeness[~np.eye(len(deep), dtype=bool)] < 0.5).all()
    assert (PERCEPTUAL().similarity(plain, deep) > 0.85).all()


@given(st.lists(st.floats(width=32), min_size=1, max_size=40))
def test_levels_take_any_numbers_and_keep_their_order(values):
    made = levels(np.array([values], np.float32))
    assert made.dtype == np.uint8
    finite = [(v, int(level)) for v, level in zip(values, made[0], strict=True) if np.isfinite(v)]
    assert all(a[1] <= b[1] for a, b in itertools.pairwise(sorted(finite)))


def test_levels_of_a_known_depth_are_its_nominal_ones():
    ramp = np.arange(256)
    for factor, kind in ((1 / 255, np.float32), (1, np.uint16), (257, np.uint16), (1, np.float64)):
        assert (levels((ramp * factor).astype(kind)) == ramp).all()
    assert levels(np.full((2, 2), 65535, np.uint16)).tolist() == [[255, 255]] * 2
    assert levels(np.zeros((1, 2), np.float32)).tolist() == [[0, 0]]


@pytest.mark.parametrize("options", [{"progressive": True}, {"subsampling": 0}, {"restart_marker_blocks": 3}, {"quality": 8}])
def test_a_jpeg_is_read_as_pillow_reads_it_at_every_reduction(embed, photos, options):
    for photo, side in itertools.product((photos[0], photos[1].convert("L")), (20, 49, 97, 131, 250, 420)):
        data = packed(photo.resize((side + 31, side)), "JPEG", **options)
        read, whole = thumbnail._jpeg(data), Image.open(io.BytesIO(data))
        assert read.size == whole.size and min(read.pixels.shape[:2]) >= min(48, side)
        a, b = embed(data, packed(whole))
        assert a @ b > 0.99


def test_what_is_no_ordinary_jpeg_is_left_to_pillow(photos):
    whole = packed(photos[0], "JPEG")
    for data in (packed(photos[0]), packed(photos[0].convert("CMYK"), "JPEG"), whole[: len(whole) // 2], b"\xff\xd8\xff"):
        assert thumbnail._jpeg(data) is None


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F", "YCbCr"])
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (7, 5)])
def test_every_mode_and_the_smallest_sizes_have_unit_vectors(embed, mode, size):
    picture = Image.new(mode, size)
    kind = "TIFF" if mode in ("CMYK", "F", "YCbCr", "I") else "PNG"
    (vector,) = embed(packed(picture, kind))
    assert vector.dtype == np.float32 and np.isfinite(vector).all() and abs(np.linalg.norm(vector) - 1) < 1e-5


def test_flat_pictures_are_told_apart_by_their_grey_and_colour(embed):
    black, white, grey, nearly_grey, red = embed(
        *(packed(Image.new("RGB", (90, 90), colour)) for colour in ("black", "white", "#808080", "#828282", "red"))
    )
    assert grey @ nearly_grey > 0.99
    assert max(black @ white, black @ grey, white @ grey, grey @ red) < 0.8


def test_an_added_border_is_cut_off_and_a_margin_of_the_picture_is_not(embed, photos):
    photo = photos[0]
    framed = ImageOps.expand(photo, border=30, fill="black")
    plain, bordered = embed(packed(photo), packed(framed))
    assert plain @ bordered > 0.6
    product = Image.new("RGB", (400, 400), "white")
    ImageDraw.Draw(product).ellipse((60, 60, 340, 340), fill="navy")
    tight = product.crop((60, 60, 341, 341))
    a, b = embed(packed(product), packed(tight))
    assert a @ b < 0.6


def test_threads_change_nothing_and_the_fingerprint_is_the_same(photos):
    files = [packed(photo.crop((x, x, x + 200, x + 200))) for photo in photos for x in range(0, 200, 20)]
    one, two = PLUGIN(EmbedderOptions(threads=1)), PLUGIN(EmbedderOptions(threads=2))
    assert one.fingerprint == two.fingerprint
    told: list[int] = []
    many = one.embed_images(files * 9, told.append)
    assert sum(told) == len(many) == 9 * len(files)
    assert (many == np.tile(two.embed_images(files), (9, 1))).all()
    assert (one.embed_images(files[3:4]) == many[3:4]).all()
    assert one.embed_images([]).shape == (0, PLUGIN.dimension)


def slow_vector(picture, orientation=1):
    """The stated layout, from Pillow's own thumbnail and a matrix of cosines."""
    fine = min(picture.size) // 192
    planes = picture.convert("YCbCr")
    planes = planes.reduce(fine) if fine > 1 else planes
    box = (0, 0, min(picture.width / max(fine, 1), planes.width), min(picture.height / max(fine, 1), planes.height))
    bands = [band.convert("F").resize((48, 48), Image.Resampling.BILINEAR, box=box) for band in planes.split()]
    for band in bands:
        band.getexif()[0x0112] = orientation
    pixels = np.stack([np.asarray(ImageOps.exif_transpose(band), np.float64) for band in bands], axis=-1)
    angles = np.pi * np.arange(24)[:, None] * (np.arange(48) + 0.5) / 48
    basis = np.cos(angles) * np.where(np.arange(24), np.sqrt(2), 1)[:, None] / 48
    luma, blue, red = (basis @ (pixels[..., band] - (128 if band else 0)) @ basis.T for band in range(3))
    mean = np.pi * luma[0, 0] / 255
    luma *= 1 + np.hypot(np.arange(24)[:, None], np.arange(24))
    luma[0, 0] = 10 * np.cos(mean)
    corner = [(y, x) for y in range(4) for x in range(4 - y)]
    few = [plane[place] for plane in (blue, red) for place in corner]
    vector = np.array([*luma.ravel(), 10 * np.sin(mean), *few, 10 * min(min(picture.size) / 96, 1)])
    vector = np.concatenate([vector, np.zeros(kernels.DIMENSION - len(vector))])  # no detail: it is a photograph
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize("size", [(48, 48), (31, 70), (200, 150), (151, 90), (420, 391), (640, 410)])
def test_a_vector_is_the_whitened_cosine_transform_of_pillows_thumbnail(embed, photos, size):
    picture = photos[1].crop((0, 0, *size))
    np.testing.assert_allclose(embed(packed(picture))[0], slow_vector(picture), atol=2e-5)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_the_waves_turns_the_picture(embed, photos, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = photos[1].crop((40, 10, 190, 100))
    np.testing.assert_allclose(embed(packed(picture, exif=exif))[0], slow_vector(picture, orientation), atol=2e-5)


@pytest.mark.parametrize("shade", [0, 90, 255])
@pytest.mark.parametrize("wide", [1, 3, 8])
@pytest.mark.parametrize("side", range(4))
def test_a_border_is_measured_to_the_line_and_none_is_seen_where_there_is_none(photos, shade, wide, side):
    inside = np.asarray(photos[0].convert("YCbCr").crop((100, 100, 200, 180)))
    inside = np.ascontiguousarray(np.clip(inside, 130, 200) if shade != 90 else np.clip(inside, 0, 60))
    pads = [[(0, 0), (wide, 0), (0, 0)], [(wide, 0), (0, 0), (0, 0)], [(0, 0), (0, wide), (0, 0)], [(0, wide), (0, 0), (0, 0)]]
    framed = np.pad(inside, pads[side], constant_values=shade)
    framed.flags.writeable = False
    lines = framed.shape[1 - side % 2]
    found = [kernels.border_share(framed, number) * lines for number in range(4)]
    assert found[side] == pytest.approx(wide, abs=0.5)
    assert [share for number, share in enumerate(found) if number != side and share > 0] == []
