"""The lean tar reader against the standard library's, over generated and damaged archives."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.readers.opening.streams import Broken, Stream
from curate.readers.opening.tar import tar_members

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/", exclude_categories=("Cs",)), min_size=1, max_size=90)
PATHS = st.lists(NAMES.filter(lambda n: n not in (".", "..")), min_size=1, max_size=4).map("/".join)
FORMATS = st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
KINDS = st.sampled_from(
    [tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE]
)
KINDS |= st.sampled_from([tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])


@st.composite
def archives(draw):
    form = draw(FORMATS)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for path, kind, data in draw(st.lists(st.tuples(PATHS, KINDS, st.binary(max_size=1500)), max_size=5)):
            info = tarfile.TarInfo(path)
            info.type = kind
            info.linkname = path[::-1] if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            info.size = len(data) if info.isreg() else 0
            info.mtime = draw(st.sampled_from([0, 1.5, 2**33]))
            try:
                tar.addfile(info, io.BytesIO(data))
            except ValueError:  # ustar has no room for the name or the time
                continue
    return out.getvalue()


def read_lean(data: bytes, block: int = 700) -> tuple[list[tuple[str, str, bytes]], str]:
    found = []
    try:
        for member in tar_members(Stream(data[i : i + block] for i in range(0, len(data), block))):
            found.append((member.name, member.kind, member.part.read() if member.kind == "file" else b""))
    except Broken as error:
        return found, error.reason
    return found, ""


def read_with_tarfile(data: bytes) -> list[tuple[str, bytes | None]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return [(info.name, tar.extractfile(info).read() if info.isreg() else None) for info in tar]


@settings(deadline=None, max_examples=150)
@given(archives(), st.sampled_from([100, 512, 700, 10**6]))
def test_it_finds_what_tarfile_finds(data, block):
    found, reason = read_lean(data, block)
    assert reason == ""
    expected = read_with_tarfile(data)
    names = [name.removeprefix("./") if name != "./" else name for name, _ in expected]
    assert [(name.rstrip("/"), kind == "file") for name, kind, _ in found] == [
        (name.rstrip("/"), body is not None) for name, (_, body) in zip(names, expected, strict=True)
    ]
    assert [body for _, kind, body in found if kind == "file"] == [body for _, body in expected if body is not None]


@settings(deadline=None, max_examples=40)
@given(archives(), st.data())
def test_a_cut_archive_gives_a_prefix_and_then_says_so(data, draw):
    end_mark = len(data) - len(data) % 512
    while end_mark and not data[end_mark - 512 : end_mark].strip(b"\0"):
        end_mark -= 512
    cut = draw.draw(st.integers(0, end_mark))
    whole, _ = read_lean(data)
    found, reason = read_lean(data[:cut])
    assert reason == "truncated-archive"
    assert found == whole[: len(found)]


@settings(deadline=None, max_examples=150)
@given(archives(), st.data())
def test_damage_never_raises_anything_else(data, draw):
    damaged = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 6))):
        damaged[draw.draw(st.integers(0, len(damaged) - 1))] = draw.draw(st.integers(0, 255))
    read_lean(bytes(damaged))


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=2000))
def test_arbitrary_bytes_never_raise_anything_else(data):
    _, reason = read_lean(data)
    assert reason or not data.strip(b"\0")


def test_a_header_whose_checksum_is_wrong_is_refused():
    data = bytearray(tar_of({"a.txt": b"one"}))
    data[0] ^= 1
    assert read_lean(bytes(data)) == ([], "corrupt-archive")


def test_sparse_files_are_named_and_passed_over():
    data = bytearray(tar_of({"holes.txt": b"x" * 600, "after.txt": b"two"}, tarfile.GNU_FORMAT))
    data[156:157] = b"S"
    _seal(data)
    assert [(name, kind) for name, kind, _ in read_lean(bytes(data))[0]] == [
        ("holes.txt", "sparse-file"),
        ("after.txt", "file"),
    ]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("holes.txt")
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
        tar.addfile(info, io.BytesIO())
    assert read_lean(out.getvalue())[0] == [("holes.txt", "sparse-file", b"")]


def test_large_sizes_in_base_256_and_in_pax_headers_are_believed():
    data = bytearray(tar_of({"a.txt": b"one"}))
    data[124:136] = b"\x80" + (2**40).to_bytes(11, "big")
    _seal(data)
    found, reason = read_lean(bytes(data))
    assert (found, reason) == ([], "truncated-archive")


def test_a_second_archive_behind_the_end_mark_is_not_lost_in_silence():
    assert read_lean(tar_of({"a.txt": b"one"}) * 2) == ([("a.txt", "file", b"one")], "data-after-end")


@pytest.mark.parametrize("size", ["-5", "zz"])
def test_an_impossible_pax_size_is_refused(size):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("a.txt")
        info.pax_headers = {"size": size}
        tar.addfile(info, io.BytesIO())
    assert read_lean(out.getvalue()) == ([], "corrupt-archive")


def tar_of(files: dict[str, bytes], form: int = tarfile.USTAR_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def _seal(data: bytearray) -> None:
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
