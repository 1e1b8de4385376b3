"""Pictures whose detail decides: other texts and frames are kept, honest copies of screens are still found."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from curate.dedupers import MarkOptions
from curate.dedupers.perceptual import PLUGIN
from curate.dedupers.thumbnail_join import waves
from curate.embedders import EmbedderOptions
from curate.embedders.perceptual import PLUGIN as EMBEDDER
from curate.embedders.thumbnails import detail, kernels
from curate.records import SILENT
from tests.dedupers.rendered import COPIES, KINDS, animation, frames, packed

EMBED = EMBEDDER(EmbedderOptions(threads=2)).embed_images


def marks(files, invariant=""):
    vectors = EMBED(files)
    options = MarkOptions(threads=2)
    return PLUGIN(invariant=invariant).mark(vectors, np.arange(len(vectors)), options=options, progress=SILENT).stands_for


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("copy", ["packed anew", "JPEG 90"])
def test_pictures_of_one_layout_with_other_contents_are_not_duplicates(kind, copy):
    pictures = [KINDS[kind](seed) for seed in range(8)]
    assert (marks([packed(p) if n % 2 else COPIES[copy](p) for n, p in enumerate(pictures)], "flip") == -1).all()


@pytest.mark.parametrize("kind", KINDS)
def test_copies_of_rendered_pictures_are_found(kind):
    pictures = [KINDS[kind](seed) for seed in range(4)]
    originals = EMBED([packed(p) for p in pictures])
    likeness = [PLUGIN().similarity(originals, EMBED([copy(p) for p in pictures])) for copy in COPIES.values()]
    assert (np.array(likeness) >= PLUGIN().threshold).mean() >= 0.6


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize(("count", "shared"), [(2, 0), (3, 1), (8, 0)])
def test_animations_that_share_a_frame_are_others_and_their_copies_are_found(kind, count, shared):
    options = {"WEBP": {"lossless": True}}.get(kind, {})
    made = [animation(frames(seed, count, shared), kind, **options) for seed in range(4)]
    again = [animation(frames(seed, count, shared), "PNG") for seed in range(4)]
    still = packed(frames(0, count, shared)[0])
    assert marks([*made, still, *again]).tolist() == [-1] * 5 + [0, 1, 2, 3]


def test_one_other_frame_of_many_is_seen_and_frames_that_repeat_count_once():
    film = frames(5, 24, 0)
    other = [*film[:13], frames(99, 2, -1)[0], *film[14:]]
    assert marks([animation(film, "PNG"), animation(other, "PNG")]).tolist() == [-1, -1]
    slow = [frame for frame in film for _ in range(2)]
    assert marks([animation(film, "PNG"), animation(slow, "TIFF")]).tolist() == [-1, 0]
    assert marks([packed(film[0]), animation([film[0]] * 3, "TIFF")]).tolist() == [-1, 0]


@pytest.mark.corpora
@pytest.mark.parametrize("folder", ["img_screens", "img_gif"])
def test_the_reported_cases_are_kept(corpora, folder):
    files = sorted((corpora.parent / "cases" / "core" / folder).iterdir())
    assert len(files) >= 3
    assert (marks([file.read_bytes() for file in files]) == -1).all()


def test_the_layout_of_the_detail_is_the_embedders():
    assert (waves.DETAIL, waves.RESOLUTION, waves.WIDTH) == (kernels.DETAIL, kernels.RESOLUTION, kernels.DIMENSION)
    assert (waves.CELLS, waves.SHARP) == (detail.CELLS, detail.SHARP)
    patterns = detail.patterns(3)
    np.testing.assert_allclose(patterns.sum((2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose((patterns**2).sum((2, 3)), 1, atol=1e-5)


def test_the_map_is_turned_as_exif_says():
    picture = KINDS["chart"](0).resize((200, 200))
    told = []
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = packed(picture, exif=exif)
        upright = packed(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
        told.append(PLUGIN().similarity(EMBED([data]), EMBED([upright]))[0])
    assert min(told) > 0.9
