"""What the perceptual deduper takes for the same picture, and what it does not."""

from __future__ import annotations

import io
import itertools
import random
import tarfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageEnhance, ImageOps
from sklearn.datasets import load_sample_images

from curate.dedupers import MarkOptions
from curate.dedupers._perceptual_codes import JOINS, VIEWS, candidates, distance, index, masks, near, reach
from curate.dedupers.perceptual import PLUGIN
from curate.embedders import EmbedderOptions
from curate.embedders.perceptual import CHROMA, FLOOR, WAVES, whitening
from curate.embedders.perceptual import PLUGIN as EMBEDDER
from curate.errors import SettingError
from curate.records import SILENT

EMBED = EMBEDDER(EmbedderOptions(threads=2)).embed_images


def packed(picture, kind="JPEG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def marks(vectors, *, settled=0, invariant=""):
    options = MarkOptions(threads=2)
    return PLUGIN(invariant=invariant).mark(vectors, np.arange(len(vectors)), settled=settled, options=options, progress=SILENT)


@pytest.fixture(scope="module")
def photos():
    """Twelve patches of two photographs, 200×200, none overlapping."""
    whole = [Image.fromarray(array) for array in load_sample_images().images]
    return [photo.crop((x, y, x + 200, y + 200)) for photo in whole for x in (0, 210, 420) for y in (0, 210)]


def cropped(picture, left, top, right, bottom):
    w, h = picture.size
    return picture.crop((round(w * left), round(h * top), round(w * (1 - right)), round(h * (1 - bottom))))


def watermarked(picture):
    edited = picture.copy()
    box = (picture.width * 0.6, picture.height * 0.85, picture.width * 0.9, picture.height * 0.93)
    ImageDraw.Draw(edited).rectangle(box, fill="white")
    return edited


EDITS = {
    "resized": lambda p: packed(p.resize((90, 90), Image.Resampling.LANCZOS)),
    "squashed": lambda p: packed(p.resize((300, 150))),
    "recompressed": lambda p: packed(p, quality=20),
    "format": lambda p: packed(p, "WEBP", quality=60),
    "palette": lambda p: packed(p.quantize(64), "GIF"),
    "cropped": lambda p: packed(cropped(p, 0.04, 0.04, 0.04, 0.04)),
    "cropped at a side": lambda p: packed(cropped(p, 0.05, 0.02, 0.01, 0.03)),
    "bordered": lambda p: packed(ImageOps.expand(p, border=12, fill="black")),
    "letterboxed": lambda p: packed(ImageOps.expand(p, border=(0, 20), fill="white")),
    "brighter": lambda p: packed(ImageEnhance.Brightness(p).enhance(1.25)),
    "darker": lambda p: packed(ImageEnhance.Brightness(p).enhance(0.6)),
    "contrast": lambda p: packed(ImageEnhance.Contrast(p).enhance(1.4)),
    "gamma": lambda p: packed(p.point([round(255 * (i / 255) ** 1.5) for i in range(256)] * 3)),
    "grey": lambda p: packed(p.convert("L")),
    "watermark": lambda p: packed(watermarked(p)),
}
TURNS = {"mirrored": ImageOps.mirror, **{f"turned {a}": (lambda p, a=a: p.rotate(a, expand=True)) for a in (90, 180, 270)}}


@pytest.mark.parametrize("edit", EDITS)
def test_edits_of_photographs_are_found_and_the_keeper_is_the_original(photos, edit):
    originals, edits = EMBED([packed(p, quality=95) for p in photos]), EMBED([EDITS[edit](p) for p in photos])
    found = marks(np.concatenate([originals, edits]), settled=len(photos))
    assert (found.stands_for[len(photos) :] == np.arange(len(photos))).sum() >= len(photos) - 1
    assert (found.stands_for[: len(photos)] == -1).all()


@pytest.mark.parametrize("turn", TURNS)
def test_mirrored_and_turned_copies_are_found_only_when_asked_for(photos, turn):
    originals = EMBED([packed(p, quality=95) for p in photos])
    both = np.concatenate([originals, EMBED([packed(TURNS[turn](p), quality=90) for p in photos])])
    assert (marks(both).stands_for == -1).all()
    found = marks(both, invariant="flip" if turn == "mirrored" else "rotate")
    assert (found.stands_for[len(photos) :] == np.arange(len(photos))).all()
    mixed = marks(both, invariant="flip,rotate")
    assert (mixed.stands_for == found.stands_for).all()


def test_different_patches_drawings_and_icons_are_not_found(photos):
    drawn = []
    for seed in range(40):
        rng = random.Random(seed)
        picture = Image.new("RGB", (120, 120), "white")
        pen = ImageDraw.Draw(picture)
        if seed % 2:
            pen.line([(rng.randint(0, 120), rng.randint(0, 120)) for _ in range(9)], fill="black", width=2)
        else:
            for _ in range(2):
                x, y, w, h = (rng.randint(0, 60) for _ in range(4))
                getattr(pen, rng.choice(["ellipse", "rectangle"]))(
                    (x, y, x + w + 15, y + h + 15), fill=rng.choice(["red", "navy"])
                )
        drawn.append(packed(picture, "PNG"))
    found = marks(EMBED([packed(p) for p in photos] + drawn))
    assert (found.stands_for == -1).all()


def test_flat_pictures_match_only_their_own_grey_and_colour():
    colours = ["black", "white", "#808080", "#818181", "red", "blue", "black"]
    found = marks(EMBED([packed(Image.new("RGB", size, c), "PNG") for c, size in zip(colours, itertools.repeat((80, 80)))]))
    assert found.stands_for.tolist() == [-1, -1, -1, 2, -1, -1, 0]


def test_one_pixel_pictures_are_compared_by_colour():
    found = marks(EMBED([packed(Image.new("RGB", (1, 1), c), "PNG") for c in ("black", "white", "black", "#fefefe")]))
    assert found.stands_for.tolist() == [-1, -1, 0, 1]


def test_the_same_shape_in_another_colour_is_another_picture():
    files = []
    for hue in ((200, 40, 40), (40, 60, 200)):
        noise = np.random.default_rng(7).integers(0, 60, (20, 20, 1)) + np.array(hue) - 30
        files.append(packed(Image.fromarray(noise.clip(0, 255).astype(np.uint8)).resize((200, 200), Image.Resampling.BICUBIC)))
    assert PLUGIN().similarity(EMBED(files[:1]), EMBED(files[1:]))[0] < 0.8


def test_the_layout_and_the_weights_are_the_embedders():
    from curate.dedupers import _perceptual_measure as measure

    assert (WAVES, FLOOR, len(CHROMA)) == (measure.WAVES, measure.FLOOR, measure.CHROMA)
    assert EMBEDDER.dimension == measure.WIDTH
    np.testing.assert_allclose(measure.tables().weight, whitening(), rtol=1e-6)


def test_similarity_proves_every_mark_and_is_symmetric(photos):
    vectors = EMBED([edit(p) for p in photos[:4] for edit in EDITS.values()])
    found = marks(vectors)
    rows = np.flatnonzero(found.stands_for >= 0)
    assert len(rows) > 40
    deduper = PLUGIN()
    again = deduper.similarity(vectors[rows], vectors[found.stands_for[rows]])
    assert (again == found.similarity[rows]).all() and (again >= deduper.threshold).all()
    np.testing.assert_allclose(deduper.similarity(vectors[found.stands_for[rows]], vectors[rows]), again, atol=1e-5)


def test_read_only_and_mapped_vectors_are_taken(photos, tmp_path):
    vectors = EMBED([packed(p) for p in photos[:3]] * 2)
    np.save(tmp_path / "vectors.npy", vectors)
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    assert marks(mapped).stands_for.tolist() == marks(vectors).stands_for.tolist() == [-1, -1, -1, 0, 1, 2]


def test_wrong_settings_and_wrong_vectors_are_refused():
    for wrong in ({"threshold": 0.0}, {"threshold": 1.5}, {"invariant": "sideways"}, {"radius": 3}):
        with pytest.raises(SettingError):
            PLUGIN(**wrong)
    with pytest.raises(SettingError, match="width"):
        PLUGIN().similarity(np.ones((2, 8), np.float32), np.ones((2, 8), np.float32))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
def test_the_index_finds_exactly_the_pairs_within_reach(seed, rows):
    rng = np.random.default_rng(seed)
    joins = np.array(JOINS)
    own = rng.integers(0, 2**64, (rows, len(VIEWS)), np.uint64)
    new = own[rng.integers(rows)].copy()
    for view in range(len(VIEWS)):  # between none and sixteen bits are turned in each view
        for bit in rng.integers(0, 64, rng.integers(0, 17)):
            new[view] ^= np.uint64(1) << np.uint64(bit)
    built = index(own, np.arange(rows))
    seen, found = np.full(rows, -1, np.int32), np.empty(rows, np.int32)
    count = candidates(new, own, joins, masks(), built.starts, built.rows, seen, 0, found)
    slow = [
        row for row in range(rows) if any((int(new[a]) ^ int(own[row, b])).bit_count() <= reach(bits) for a, b, bits in JOINS)
    ]
    assert sorted(found[:count]) == slow == [row for row in range(rows) if near(new, own[row], joins)]
    assert distance(new[0], own[0, 0]) == (int(new[0]) ^ int(own[0, 0])).bit_count()


@pytest.mark.corpora
def test_photographs_of_like_garments_are_not_found_but_their_edits_are(corpora):
    with tarfile.open(corpora / "clothing_small.tar") as tar:
        files = [tar.extractfile(m).read() for m in itertools.islice((m for m in tar if m.name.endswith(".jpg")), 400)]
    originals = EMBED(files)
    assert (marks(originals).stands_for >= 0).sum() <= 4
    pictures = [Image.open(io.BytesIO(data)).convert("RGB") for data in files[::10]]
    edits = EMBED([edit(p) for p in pictures for edit in EDITS.values()])
    found = marks(np.concatenate([originals, edits]), settled=len(files)).stands_for[len(files) :]
    truth = np.repeat(np.arange(0, len(files), 10), len(EDITS))
    assert (found == truth).mean() >= 0.97
    assert ((found >= 0) & (found != truth)).sum() <= 2
