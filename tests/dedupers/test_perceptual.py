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
from curate.dedupers.perceptual import PLUGIN
from curate.dedupers.thumbnail_join import codes as coding
from curate.dedupers.thumbnail_join import visit as visiting
from curate.dedupers.thumbnail_join.codes import FARTHEST, JOINS, KEY, KEY_BITS, TABLES, VIEWS, WEAK, WORDS
from curate.dedupers.thumbnail_join.shortfall import CANDIDATES, candidates_note
from curate.dedupers.thumbnail_join.waves import LUMA, RESOLUTION, side_crop, tables
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
    from curate.dedupers.thumbnail_join import waves as measure

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


def oracle(vectors, order, settled, deduper):
    """What `mark` must say: every pair of near codes measured, row by row."""
    made = coding.codes(vectors, tables())
    measured = deduper.similarity(np.repeat(vectors, len(vectors), 0), np.tile(vectors, (len(vectors), 1)))
    measured = measured.reshape(len(vectors), len(vectors))
    side = vectors[:, RESOLUTION] * (FLOOR / np.hypot(vectors[:, 0], vectors[:, LUMA]))
    kept, stands_for = [], np.full(len(vectors), -1)
    for place, row in enumerate(order):
        tiny = bool(side[row] < FLOOR / 2)
        like = [k for k in kept if slowly_near(made.words[row], made.weak[row], made.words[k], tiny)]
        best = max(like, key=lambda k: measured[row, k], default=-1)  # the first of equals
        if place >= settled and best >= 0 and measured[row, best] >= deduper.threshold:
            stands_for[row] = best
        else:
            kept.append(row)
    return stands_for


@pytest.mark.parametrize("settled", [0, 12])
def test_marks_are_the_best_kept_row_of_a_slow_oracle(photos, settled):
    files = [edit(p.resize((60, 60) if i % 4 == 3 else p.size)) for i, p in enumerate(photos[:4]) for edit in EDITS.values()]
    vectors = EMBED(files)
    order = np.random.default_rng(3).permutation(len(vectors))[:50]
    found = PLUGIN().mark(vectors, order, settled=settled, options=MarkOptions(threads=1), progress=SILENT)
    expected = oracle(vectors, order, settled, PLUGIN())
    assert (found.stands_for == expected).all()
    assert (found.stands_for >= 0).sum() > 15


def blots(rows):
    """Vectors of twelve unlike pictures and of their copies with a little noise."""
    rng = np.random.default_rng(0)
    made = EMBED(
        [packed(Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).resize((96, 96)), "PNG") for _ in range(12)]
    )
    vectors = made[rng.integers(0, 12, rows)]
    vectors[:, 1:LUMA] += rng.normal(0, 0.011, (rows, LUMA - 1)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize(("block", "segment", "settled"), [(1, 5000, 0), (7, 40, 0), (64, 64, 50), (5000, 90, 50)])
def test_block_size_threads_and_memory_move_no_mark(monkeypatch, tmp_path, block, segment, settled):
    vectors, deduper = blots(160), PLUGIN()
    order = np.random.default_rng(5).permutation(160)
    expected = deduper.mark(vectors, order, settled=settled, progress=SILENT)
    assert 50 < (expected.stands_for >= 0).sum() < 150
    monkeypatch.setattr(visiting, "BLOCK", block)
    monkeypatch.setattr(visiting, "LEAST_SEGMENT", segment)
    np.save(tmp_path / "vectors.npy", vectors)
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    again = deduper.mark(mapped, order, settled=settled, options=MarkOptions(threads=3, memory_bytes=0), progress=SILENT)
    assert (again.stands_for == expected.stands_for).all() and (again.similarity == expected.similarity).all()
    assert ("indexed" in " ".join(again.notes)) == (segment < 160)


def test_a_plain_colour_is_the_same_picture_at_every_size_and_no_other_colour(photos):
    sizes = [(1, 1), (1, 400), (400, 1), (33, 2), (64, 64), (500, 300)]
    colours = list(itertools.product((0, 80, 160, 255), repeat=3))
    vectors = EMBED([packed(Image.new("RGB", size, c), "PNG") for c in colours for size in sizes])
    found = marks(vectors).stands_for
    first = np.repeat(np.arange(len(colours)) * len(sizes), len(sizes))
    assert (found == np.where(np.arange(len(vectors)) == first, -1, first)).all()


def test_flat_icons_of_one_shape_in_other_colours_are_other_pictures():
    files = []
    for colour in ("#d03030", "#3030d0", "#30a030", "#d0c030"):
        picture = Image.new("RGB", (96, 96), "#909090")
        ImageDraw.Draw(picture).ellipse((20, 20, 76, 76), fill=colour)
        files.append(packed(picture, "PNG"))
    vectors = EMBED(files + files)
    assert marks(vectors).stands_for.tolist() == [-1] * 4 + list(range(4))


@pytest.mark.parametrize("size", [(2, 900), (900, 2), (3, 1)])
def test_extremely_thin_pictures_match_their_copies_only(size):
    rng = np.random.default_rng(1)
    width, height = size
    files = [packed(Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)), "PNG") for _ in range(5)]
    assert marks(EMBED(files + files)).stands_for.tolist() == [-1] * 5 + list(range(5))


def test_wrong_settings_and_wrong_vectors_are_refused():
    for wrong in ({"threshold": 0.0}, {"threshold": 1.5}, {"invariant": "sideways"}, {"radius": 3}):
        with pytest.raises(SettingError):
            PLUGIN(**wrong)
    with pytest.raises(SettingError, match="width"):
        PLUGIN().similarity(np.ones((2, 8), np.float32), np.ones((2, 8), np.float32))


def turned_codes(seed, rows):
    """Codes with a few bits, mostly weak ones, turned from those of the last: (rows + 1, views, WORDS), words and weak."""
    rng = np.random.default_rng(seed)
    words = rng.integers(0, 2**64, (rows + 1, len(VIEWS), WORDS), np.uint64)
    weak = np.zeros(words.shape, np.uint32)
    for place in np.ndindex(weak.shape):
        for bit in rng.choice(KEY_BITS, WEAK[place[1]], replace=False):
            weak[place] |= np.uint32(1) << np.uint32(bit)
    for row, view, word in np.ndindex(rows, len(VIEWS), WORDS):
        near_to = words[-1, view, word]
        if rng.random() < 0.9:
            turned = [b for b in range(64) if rng.random() < (0.2 if weak[-1, view, word] >> b & 1 or b >= KEY_BITS else 0.02)]
            words[row, view, word] = near_to ^ np.uint64(sum(1 << b for b in turned))
    return words, weak


def slowly_near(words, weak, kept, tiny):
    """`near`, from what its module says, in Python's integers."""
    for view, table in JOINS[: 3 if tiny else None]:
        for other in TABLES[table]:
            differ = [int(words[view, w]) ^ int(kept[other, w]) for w in range(WORDS)]
            keys_meet = any(differ[w] & KEY & ~int(weak[view, w]) == 0 for w in range(WORDS))
            if keys_meet and sum(d.bit_count() for d in differ) <= FARTHEST[tiny]:
                return True
    return False


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.booleans())
def test_the_index_finds_exactly_the_near_pictures(seed, rows, tiny):
    words, weak = turned_codes(seed, rows)
    index = coding.empty_index(rows)
    for row in range(rows):
        coding.insert(index, row, words[row])
    seen, found = np.full(rows, -1, np.int64), np.empty(rows, np.int32)
    count = coding.candidates(words[-1], weak[-1], index, tiny, seen, 0, found)
    slow = [row for row in range(rows) if slowly_near(words[-1], weak[-1], words[row], tiny)]
    assert sorted(found[:count]) == slow
    assert slow == [row for row in range(rows) if coding.near(words[-1], weak[-1], words[row], index, tiny)]


def test_codes_are_the_signs_of_the_lowest_waves_and_weak_bits_the_faintest(photos):
    vectors = EMBED([packed(p) for p in photos])
    made, order = coding.codes(vectors, tables()), coding.wave_order()
    for row, view in itertools.product(range(len(photos)), range(len(VIEWS))):
        luma = vectors[row, :LUMA].reshape(WAVES, WAVES) * tables().unweight
        luma = luma * (FLOOR / np.hypot(vectors[row, 0], vectors[row, LUMA]))
        left, right, top, bottom = VIEWS[view]
        waves = (side_crop(top, bottom)[:16] @ luma @ side_crop(left, right)[:16].T).ravel()
        for word in range(WORDS):
            told = [bool(int(made.words[row, view, word]) >> bit & 1) for bit in range(64)]
            clear = np.abs(waves[order[word]] - 0.05) > 1e-3
            assert (np.array(told) == (waves[order[word]] > 0.05))[clear].all()
            weak = [bit for bit in range(KEY_BITS) if int(made.weak[row, view, word]) >> bit & 1]
            strength = np.abs(waves[order[word][:KEY_BITS]])
            assert len(weak) == WEAK[view]
            assert strength[weak].max() <= np.delete(strength, weak).min() + 1e-3


def test_the_note_says_which_share_of_pairs_is_looked_at_down_to_the_threshold_asked():
    told = [candidates_note(threshold) for threshold in (0.97, 0.85, 0.6, 0.5, 0.21)]
    assert told[0].endswith(", 0.90 at 0.97 to 1")
    assert told[1].endswith(", 0.90 at 0.95 to 1, 0.78 at 0.85 to 0.95")
    assert told[2].endswith("0.58 at 0.7 to 0.85, 0.27 at 0.6 to 0.7")
    assert told[3].endswith("0.27 at 0.5 to 0.7")
    assert told[4].endswith("0.27 at 0.5 to 0.7, 0.16 at 0.21 to 0.5")


def test_pictures_that_are_tiny_are_counted_in_the_notes(photos):
    files = [packed(p.resize((side, 2 * side)), "PNG") for p, side in zip(photos, (20, 32, 47, 48, 64), strict=False)]
    vectors = EMBED(files)
    assert any(note.startswith("3 of 5 pictures have a side under 48 pixels") for note in marks(vectors).notes)
    assert len(marks(vectors[3:]).notes) == 1


def test_heavy_edits_are_looked_at_about_as_often_as_the_note_says(photos):
    """The bands come from other photographs, and so few patches tell a share within a quarter only."""
    originals = EMBED([packed(p) for p in photos])
    edits = [
        *(lambda p, c=c: cropped(p, c, c, c, c) for c in (0.07, 0.08, 0.09, 0.1, 0.12)),
        *(lambda p, a=a: p.rotate(a, Image.Resampling.BICUBIC) for a in (1, 2, 3, 5, -2, -4)),
    ]
    table, empty = tables(), coding.empty_index(1)
    whole, measured, looked_at = coding.codes(originals, table), [], []
    for edit in edits:
        vectors = EMBED([packed(edit(p)) for p in photos])
        made = coding.codes(vectors, table)
        measured += list(PLUGIN().similarity(vectors, originals))
        looked_at += [coding.near(made.words[i], made.weak[i], whole.words[i], empty, False) for i in range(len(photos))]
    strong = np.array(measured) >= 0.95
    shares = dict(CANDIDATES)
    assert abs(np.mean(np.array(looked_at)[strong]) - shares[0.95]) < 0.25
    assert np.mean(np.array(looked_at)[~strong]) < shares[0.85]


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
