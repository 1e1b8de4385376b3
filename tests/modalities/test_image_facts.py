"""What `inspect_image` finds, and that damage of any kind is one `BadRecord`."""

from __future__ import annotations

import io
import random
import struct
import subprocess
import sys
import threading
import warnings
import zlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from curate.errors import BadRecord
from curate.modalities.decoding.image_facts import ImageFacts, inspect_image

FORMATS = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "GIF": ".gif", "BMP": ".bmp", "TIFF": ".tif"}
MEGA = 10**6
GIF_FRAME_MARK = 397.5 / 545
"""Where, as a share of the GIF's length, its frame begins; without the mark, pixels are read as a frame's size."""


def encode(name: str, *, size: tuple[int, int] = (13, 9), mode: str = "RGB", frames: int = 1, **settings) -> bytes:
    pixels = [random.Random(i).randbytes(size[0] * size[1] * 3) for i in range(frames)]
    pictures = [Image.frombytes("RGB", size, data).convert(mode) for data in pixels]
    out = io.BytesIO()
    more = {"save_all": True, "append_images": pictures[1:]} if frames > 1 else {}
    pictures[0].save(out, name, **more, **settings)
    return out.getvalue()


@pytest.mark.parametrize("name", FORMATS)
def test_a_sound_image_is_described(name):
    facts = inspect_image(encode(name), MEGA)
    assert facts == ImageFacts(name, FORMATS[name], 13, 9, "P" if name == "GIF" else "RGB", 1) or (name == "GIF" and facts[:4])
    assert inspect_image(encode(name), 13 * 9) == facts


@pytest.mark.parametrize("name", ["GIF", "TIFF", "WEBP", "PNG"])
def test_frames_are_counted(name):
    assert inspect_image(encode(name, frames=3), MEGA).frames == 3


@pytest.mark.parametrize("name", FORMATS)
def test_too_many_pixels_are_refused(name):
    with pytest.raises(BadRecord, match="too-many-pixels"):
        inspect_image(encode(name), 13 * 9 - 1)


def test_a_huge_header_is_refused_before_anything_is_decoded():
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2**30, 2**30, 8, 2, 0, 0, 0))
    png = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    webp = b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff\xff\xff" * 2
    for data in (png, webp):
        with pytest.raises(BadRecord, match="too-many-pixels"):
            inspect_image(data, 10**8)


@pytest.mark.parametrize("name", FORMATS)
def test_an_image_cut_anywhere_is_never_taken_for_the_whole_of_its_pixels(name):
    data = encode(name, size=(40, 30))
    whole = decode(data)
    for cut in range(0, len(data) - 1, max(1, len(data) // 150)):
        try:
            inspect_image(data[:cut], MEGA)
        except BadRecord as error:
            assert error.reason in ("truncated-image", "corrupt-image", "unknown-image")
        else:
            assert decode(data[:cut]) == whole  # only an end mark was lost


def decode(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB").tobytes()


@pytest.mark.parametrize("name", FORMATS)
@settings(deadline=None, max_examples=80)
@example(changes=[(GIF_FRAME_MARK, 0)])
@given(changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=5))
def test_damage_is_always_a_bad_record_and_never_a_warning(name, changes):
    damaged = bytearray(encode(name, frames=2 if name in ("PNG", "TIFF") else 1))
    for place, byte in changes:
        damaged[int(place * len(damaged))] = byte
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            inspect_image(bytes(damaged), MEGA)
        except BadRecord as error:
            assert error.reason in ("truncated-image", "corrupt-image", "unknown-image", "too-many-pixels")
    assert caught == []


@settings(deadline=None, max_examples=80)
@given(
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"BM", b"II*\0", b"RIFF\0\0\0\0WEBP"]),
    st.binary(max_size=80),
)
def test_arbitrary_bytes_are_a_bad_record(start, rest):
    with pytest.raises(BadRecord):
        inspect_image(start + rest, MEGA)


@pytest.mark.parametrize("data", [b"", b"%!PS-Adobe-3.0 EPSF-3.0", b"<svg/>", b"\0\0\1\0ico", b"8BPS psd"])
def test_other_formats_are_unknown(data):
    with pytest.raises(BadRecord, match="unknown-image"):
        inspect_image(data, MEGA)


@settings(deadline=None, max_examples=100)
@example(left=0, top=0, width=65535, height=65535, disposal=0)  # above twice Pillow's own limit
@example(left=40_000, top=0, width=13, height=2_300, disposal=2)  # just above that limit
@example(left=0, top=0, width=14, height=9, disposal=2)
@given(*[st.integers(0, 65535)] * 4, st.integers(0, 3))
def test_a_gif_frame_larger_than_the_canvas_counts_with_all_of_its_pixels(left, top, width, height, disposal):
    data = encode("GIF")
    at = data.index(b"," + struct.pack("<4H", 0, 0, 13, 9))
    control = bytes((0x21, 0xF9, 4, disposal << 2, 0, 0, 0, 0))
    data = data[:at] + control + b"," + struct.pack("<4H", left, top, width, height) + data[at + 9 :]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        reason = reason_of(data)
    assert caught == []
    larger = left + width > 13 or top + height > 9
    assert (reason == "too-many-pixels") == larger


def reason_of(data: bytes) -> str | None:
    try:
        inspect_image(data, 13 * 9)
    except BadRecord as error:
        return error.reason
    return None


def test_the_limit_of_pixels_is_the_callers_and_not_pillows():
    out = io.BytesIO()
    Image.new("1", (9500, 9500)).save(out, "TIFF")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert inspect_image(out.getvalue(), 10**8)[2:4] == (9500, 9500)
    assert caught == []


def test_threads_do_not_disturb_each_other_or_the_warning_filters():
    before = list(warnings.filters)
    data = [encode("PNG"), encode("PNG", frames=3), encode("TIFF"), encode("JPEG"), encode("GIF")]
    wanted = [inspect_image(one, MEGA) for one in data]
    wrong: list[object] = []

    def work() -> None:
        for _ in range(50):
            if [inspect_image(one, MEGA) for one in data] != wanted:
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert warnings.filters == before


def damaged_tiffs() -> dict[str, bytes]:
    """One whose stream libtiff complains of, and one whose header Pillow logs."""
    stream = bytearray(encode("TIFF", size=(64, 64), compression="tiff_deflate"))
    stream[len(stream) // 2] ^= 255
    header = bytearray(encode("TIFF", size=(64, 64)))
    at = header.index(struct.pack("<HHI", 277, 3, 1))  # samples per pixel
    header[at + 8 : at + 10] = struct.pack("<H", 184)
    return {"stream.tif": bytes(stream), "header.tif": bytes(header)}


def test_the_words_of_libtiff_and_of_pillows_log_come_with_the_files_name_and_are_not_printed(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, data in damaged_tiffs().items():
        (folder / name).write_bytes(data)
    (folder / "sound.tif").write_bytes(encode("TIFF", size=(64, 64), compression="tiff_deflate"))

    def curate(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "curate", *words]
        return subprocess.run(command, cwd=tmp_path / "ws", capture_output=True, text=True, timeout=120)

    (tmp_path / "ws").mkdir()
    assert curate("init").returncode == 0
    done = curate("ingest", str(folder), "--dataset", "d")
    for foreign in ("ZIPDecode", "samples per pixel", "scanline", "Warning"):
        assert foreign not in done.stderr
    listed = curate("sql", "SELECT s.uri, r.excerpt FROM rejects r JOIN sources s USING (source_id)", "--json").stdout
    assert "stream.tif" in listed and "header.tif" in listed and "ZIPDecode" in listed


def test_what_pillow_warns_of_is_a_note(tmp_path):
    (tmp_path / "ws").mkdir()
    odd = encode("JPEG", size=(64, 64), exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01\x03\0")
    (tmp_path / "odd.jpg").write_bytes(odd)
    said = ""
    for words in (["init"], ["ingest", "../odd.jpg", "--dataset", "d"], ["embed", "d"]):
        command = [sys.executable, "-m", "curate", *words]
        done = subprocess.run(command, cwd=tmp_path / "ws", capture_output=True, text=True, timeout=120, check=True)
        said += done.stderr
    assert "note: Pillow says of an image: Corrupt EXIF data" in said
    assert "Warning" not in said and "TiffImagePlugin" not in said


def test_each_thread_hears_of_its_own_file_only():
    sound, damaged = encode("TIFF", size=(64, 64), compression="tiff_deflate"), damaged_tiffs()["stream.tif"]
    wrong: list[object] = []

    def work(data: bytes, fails: bool) -> None:
        for _ in range(30):
            try:
                inspect_image(data, MEGA)
            except BadRecord as error:
                if not fails or "ZIPDecode" not in str(error.detail):
                    wrong.append(error)
            else:
                if fails:
                    wrong.append(data)

    threads = [threading.Thread(target=work, args=args) for args in ((sound, False), (damaged, True)) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
