"""A mark changes no pixel, and can be read again by our own code and by Pillow."""

from __future__ import annotations

import contextlib
import io
from xml.dom import minidom

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from curate.errors import SettingError, WorkError
from curate.writers.marking.iptc import MARKABLE, SOURCE_TYPE, mark_synthetic, read_mark

CASES = [("PNG", ".png", mode, {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")] + [
    ("JPEG", ".jpg", "L", {}),
    ("JPEG", ".jpeg", "RGB", {"quality": 80}),
    ("JPEG", ".JPG", "CMYK", {}),
    ("JPEG", ".jpg", "RGB", {"comment": b"c", "progressive": True}),
    ("WEBP", ".webp", "RGB", {"lossless": True}),
    ("WEBP", ".webp", "RGBA", {"lossless": True}),
    ("WEBP", ".webp", "RGB", {"quality": 70}),
    ("WEBP", ".webp", "RGBA", {"quality": 70}),
    ("TIFF", ".tif", "L", {}),
    ("TIFF", ".tiff", "RGB", {"compression": "tiff_lzw"}),
    ("TIFF", ".tiff", "RGBA", {"compression": "tiff_deflate"}),
    ("TIFF", ".tiff", "I;16", {}),
]
FOREIGN = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="kept"'
    b' xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" e:DigitalSourceType="http://example.org/digitalCapture"/>'
    b"</rdf:RDF></x:xmpmeta>"
)


def encoded(format_: str, mode: str, size: tuple[int, int] = (33, 21), **options: object) -> bytes:
    noise = np.random.default_rng(len(mode)).integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    image = Image.fromarray(noise, "RGBA")
    image = (
        Image.fromarray(noise[..., 0].astype(np.uint16) * 257)
        if mode == "I;16"
        else image.convert("RGB").convert(mode)
        if mode in ("P", "CMYK", "1")
        else image.convert(mode)
    )
    file = io.BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


def pixels(data: bytes) -> tuple[str, tuple[int, int], bytes]:
    with Image.open(io.BytesIO(data)) as image:
        return image.mode, image.size, image.tobytes()


def pillow_xmp(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        found = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
        if found is None and hasattr(image, "tag_v2"):
            found = image.tag_v2[700]
    assert found is not None
    return found.encode() if isinstance(found, str) else bytes(found)


@pytest.mark.parametrize(("format_", "suffix", "mode", "options"), CASES)
def test_a_mark_is_read_again_and_no_pixel_changes(format_: str, suffix: str, mode: str, options: dict[str, object]) -> None:
    plain = encoded(format_, mode, **options)
    assert read_mark(plain) is None
    marked = mark_synthetic(plain, suffix, model="digits-diffusion-1", seed=2**60)
    assert read_mark(marked) == {"digital_source_type": SOURCE_TYPE, "model": "digits-diffusion-1", "seed": 2**60}
    assert pixels(marked) == pixels(plain)
    document = minidom.parseString(pillow_xmp(marked))
    (description,) = document.getElementsByTagName("rdf:Description")
    assert description.getAttribute("Iptc4xmpExt:DigitalSourceType") == SOURCE_TYPE
    assert description.getAttribute("Iptc4xmpExt:AISystemUsed") == "digits-diffusion-1"
    assert mark_synthetic(marked, suffix, model="digits-diffusion-1", seed=2**60) == marked


@settings(deadline=None, max_examples=40)
@given(
    model=st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), max_size=20)
    | st.sampled_from(['a"b', "<a>&amp;", "x\ny", "]]>", "'"]),
    seed=st.integers(0, 2**63 - 1),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    case=st.sampled_from([("PNG", ".png"), ("JPEG", ".jpg"), ("WEBP", ".webp"), ("TIFF", ".tif")]),
)
def test_any_model_name_and_size_survive(model: str, seed: int, size: tuple[int, int], case: tuple[str, str]) -> None:
    plain = encoded(case[0], "RGB", size)
    marked = mark_synthetic(plain, case[1], model=model, seed=seed)
    assert read_mark(marked) == {"digital_source_type": SOURCE_TYPE, "model": model, "seed": seed}
    assert pixels(marked) == pixels(plain)


@pytest.mark.parametrize(("format_", "suffix"), [("PNG", ".png"), ("JPEG", ".jpg"), ("WEBP", ".webp"), ("TIFF", ".tif")])
def test_a_new_mark_replaces_the_old_one(format_: str, suffix: str) -> None:
    once = mark_synthetic(encoded(format_, "RGB"), suffix, model="first", seed=1)
    twice = mark_synthetic(once, suffix, model="second", seed=2)
    assert read_mark(twice) == {"digital_source_type": SOURCE_TYPE, "model": "second", "seed": 2}
    assert b"first" not in pillow_xmp(twice)
    assert pixels(twice) == pixels(once)


@pytest.mark.parametrize(("format_", "suffix"), [("JPEG", ".jpg"), ("WEBP", ".webp"), ("TIFF", ".tif"), ("PNG", ".png")])
def test_the_files_own_xmp_stays_but_for_its_source_type(format_: str, suffix: str) -> None:
    options: dict[str, object] = {"xmp": FOREIGN}
    if format_ == "PNG":
        from PIL.PngImagePlugin import PngInfo

        chunks = PngInfo()
        chunks.add_itxt("XML:com.adobe.xmp", FOREIGN.decode())
        options = {"pnginfo": chunks}
    if format_ == "TIFF":
        options = {"tiffinfo": {700: FOREIGN}}
    plain = encoded(format_, "RGB", **options)
    assert read_mark(plain) == {"digital_source_type": "http://example.org/digitalCapture"}
    marked = mark_synthetic(plain, suffix, model="m", seed=3)
    assert read_mark(marked) == {"digital_source_type": SOURCE_TYPE, "model": "m", "seed": 3}
    packet = pillow_xmp(marked)
    assert b'dc:format="kept"' in packet and b"digitalCapture" not in packet
    assert len(minidom.parseString(packet).getElementsByTagName("rdf:Description")) == 2


def test_exif_stays_first_and_whole_in_a_jpeg() -> None:
    exif = Image.Exif()
    exif[271] = "maker"
    marked = mark_synthetic(encoded("JPEG", "RGB", exif=exif), ".jpg", model="m", seed=1)
    with Image.open(io.BytesIO(marked)) as image:
        assert image.getexif()[271] == "maker"


def test_every_page_of_a_tiff_and_every_frame_of_a_webp_stay() -> None:
    frames = [Image.new("RGB", (8, 8), (n * 60, 0, 0)) for n in range(3)]
    for format_, suffix in [("TIFF", ".tif"), ("WEBP", ".webp")]:
        file = io.BytesIO()
        frames[0].save(
            file, format_, save_all=True, append_images=frames[1:], **({"lossless": True} if format_ == "WEBP" else {})
        )
        with Image.open(io.BytesIO(mark_synthetic(file.getvalue(), suffix, model="m", seed=1))) as image:
            assert image.n_frames == 3
            image.seek(2)
            assert image.convert("RGB").getpixel((0, 0)) == (120, 0, 0)


@pytest.mark.parametrize("suffix", [".gif", ".bmp", "", ".txt"])
def test_a_kind_that_cannot_carry_a_mark_is_refused(suffix: str) -> None:
    assert suffix not in MARKABLE
    with pytest.raises(SettingError, match="cannot carry"):
        mark_synthetic(b"GIF89a", suffix, model="m", seed=1)


@pytest.mark.parametrize("data", [b"", b"nothing", b"GIF89a"])
def test_a_file_of_another_kind_is_refused(data: bytes) -> None:
    with pytest.raises(WorkError, match="no PNG"):
        mark_synthetic(data, ".png", model="m", seed=1)


@settings(deadline=None, max_examples=80)
@given(case=st.sampled_from([("PNG", ".png"), ("JPEG", ".jpg"), ("WEBP", ".webp"), ("TIFF", ".tif")]), data=st.data())
def test_a_cut_or_altered_file_never_ends_in_another_error(case: tuple[str, str], data: st.DataObject) -> None:
    plain = bytearray(encoded(case[0], "RGB", (5, 5)))
    cut = data.draw(st.integers(0, len(plain)))
    broken = plain[:cut]
    for at in data.draw(st.lists(st.integers(0, max(cut - 1, 0)), max_size=3)):
        if at < len(broken):
            broken[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(WorkError):
        mark_synthetic(bytes(broken), case[1], model="m", seed=1)
    read_mark(bytes(broken))
