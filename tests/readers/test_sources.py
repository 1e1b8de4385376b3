"""What `expand` lists, and what `read_file` gives out of files, compressed files and archives."""

from __future__ import annotations

import bz2
import functools
import gzip
import io
import json
import lzma
import os
import tarfile
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import InputError, SettingError
from curate.readers import ReadOptions
from curate.readers.opening import streams
from curate.readers.opening.formats import readable_suffixes
from curate.readers.opening.globs import compile_glob, path_filter
from curate.readers.opening.sources import expand, read_file
from curate.records import Record, Reject, Skip

LINES = b"".join(b'{"text": "line %d"}\n' % i for i in range(50))
PACK = {
    "gz": gzip.compress,
    "zst": zstandard.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}


def read(path: Path, **settings):
    return list(read_file(path, settings.pop("options", ReadOptions()), **settings))


def write_tar(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def write_zip(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that is written twice
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def write_tree(root: Path, names: list[str]) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")


# expand


def test_a_folder_gives_its_files_in_the_order_of_their_parts(tmp_path):
    names = ["b/2.txt", "b/10.txt", "b-c/1.txt", "a.txt", "B.txt", "b.txt", "z/y/x/deep.md"]
    write_tree(tmp_path, names)
    found = expand([tmp_path])
    assert [file.name for file in found.files] == sorted(names, key=lambda name: name.split("/"))
    assert found.skipped == []
    assert all(file.path.is_absolute() and file.root == tmp_path.resolve() and file.size_bytes == 1 for file in found.files)


def test_what_is_passed_over_in_a_folder_is_counted_with_its_reason(tmp_path):
    write_tree(tmp_path, ["a.txt", "README", "b.xyz", ".hidden.txt", ".git/config.txt", "c.TXT"])
    (tmp_path / "link.txt").symlink_to(tmp_path / "a.txt")
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.txt")
    found = expand([tmp_path])
    assert [file.name for file in found.files] == ["a.txt", "c.TXT"]
    assert {(Path(skip.path).name, skip.reason) for skip in found.skipped} == {
        ("README", "no-reader"),
        ("b.xyz", "no-reader"),
        (".hidden.txt", "hidden"),
        (".git", "hidden"),
        ("link.txt", "symlink"),
        ("loop", "symlink"),
        ("pipe.txt", "not-a-file"),
    }


def test_the_same_file_named_in_many_ways_is_read_once(tmp_path, monkeypatch):
    write_tree(tmp_path, ["data/a.txt", "data/b.txt"])
    (tmp_path / "also").symlink_to(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    named = ["data/a.txt", "data", "./data/../data/*.txt", str(tmp_path / "data" / "b.txt"), "also", "also/a.txt", "**/*.txt"]
    assert [file.path.name for file in expand(named).files] == ["a.txt", "b.txt"]


def test_a_named_link_is_followed(tmp_path):
    write_tree(tmp_path, ["data/a.txt"])
    (tmp_path / "link").symlink_to(tmp_path / "data")
    assert [file.path for file in expand([tmp_path / "link"]).files] == [(tmp_path / "data" / "a.txt").resolve()]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.txt", ["a.txt"]),
        ("**/*.txt", ["a.txt", "s/b.txt", "s/t/c.txt"]),
        ("s/**", ["s/b.txt", "s/d.md", "s/t/c.txt"]),
        ("s/*", ["s/b.txt", "s/d.md", "s/t/c.txt"]),
        ("*/*.md", ["s/d.md"]),
        ("?/[!d].txt", ["s/b.txt"]),
        ("[r-t]/t/*", ["s/t/c.txt"]),
    ],
)
def test_a_pattern_takes_what_it_covers(tmp_path, pattern, expected):
    write_tree(tmp_path, ["a.txt", "s/b.txt", "s/t/c.txt", "s/d.md", "other.bin"])
    assert [file.name for file in expand([str(tmp_path / pattern)]).files if file.root] == [
        str((tmp_path / name).relative_to(_base(tmp_path, pattern))) for name in expected
    ]


def _base(tmp_path: Path, pattern: str) -> Path:
    first = pattern.split("/")[0]
    return tmp_path if any(sign in first for sign in "*?[") else tmp_path / first


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path):
    write_tree(tmp_path, ["a[1].txt", "a1.txt"])
    assert [file.path.name for file in expand([tmp_path / "a[1].txt"]).files] == ["a[1].txt"]


def test_mistakes_in_what_was_named_say_what_to_do(tmp_path):
    write_tree(tmp_path, ["a.xyz", "b.txt"])
    with pytest.raises(InputError, match="nowhere"):
        expand([tmp_path / "nowhere"])
    with pytest.raises(InputError, match=r"a\.xyz") as caught:
        expand([tmp_path / "a.xyz"])
    assert ".jsonl" in (caught.value.hint or "") and ".tar" in (caught.value.hint or "")
    with pytest.raises(InputError, match="no file matches"):
        expand([tmp_path / "*.json"])
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(InputError, match="not a regular file"):
        expand([tmp_path / "pipe.txt"])
    with pytest.raises(SettingError, match="cannot be read"):
        path_filter(["[z-a]"], [])


def test_include_and_exclude_choose_below_a_folder_and_let_archives_be_asked_inside(tmp_path):
    write_tree(tmp_path, ["a.txt", "b.md", "old/c.txt", "d.zip"])
    found = expand([tmp_path], include=["*.txt"], exclude=["old"])
    assert [file.name for file in found.files] == ["a.txt", "d.zip"]
    assert sorted((Path(skip.path).name, skip.reason) for skip in found.skipped) == [
        ("b.md", "excluded"),
        ("c.txt", "excluded"),
    ]
    assert [file.name for file in expand([tmp_path / "b.md"], include=["*.txt"]).files] == ["b.md"]


PARTS = st.text("ab.", min_size=1, max_size=3).filter(lambda part: part not in (".", ".."))


@settings(deadline=None, max_examples=150)
@given(
    st.lists(PARTS, min_size=1, max_size=4),
    st.lists(st.sampled_from(["*", "**", "a*", "?", "a", "b.", "[ab]"]), min_size=1, max_size=4),
)
def test_a_pattern_covers_what_a_slow_matcher_says(path, pattern):
    from fnmatch import fnmatchcase

    def covers(left: list[str], rest: list[str]) -> bool:
        if not rest:
            return True  # the path itself, or something below a folder that was met
        if rest[0] == "**":
            if len(rest) == 1:
                return bool(left)
            return any(covers(left[i:], rest[1:]) for i in range(len(left)))
        return bool(left) and fnmatchcase(left[0], rest[0]) and covers(left[1:], rest[1:])

    assert (compile_glob("/".join(pattern)).match("/".join(path)) is not None) == covers(path, pattern)


# what files are wrapped in


@pytest.mark.parametrize("codec", PACK)
def test_a_compressed_file_reads_like_the_file(tmp_path, codec):
    (tmp_path / "a.jsonl").write_bytes(LINES)
    (tmp_path / f"a.jsonl.{codec}").write_bytes(PACK[codec](LINES))
    (tmp_path / f"b.JSONL.{codec.upper()}").write_bytes(PACK[codec](LINES[:100]) + PACK[codec](LINES[100:]))
    plain = read(tmp_path / "a.jsonl")
    assert len(plain) == 50
    assert read(tmp_path / f"a.jsonl.{codec}") == plain == read(tmp_path / f"b.JSONL.{codec.upper()}")


@pytest.mark.parametrize("codec", PACK)
def test_a_compressed_file_cut_anywhere_gives_a_prefix_and_one_reject(tmp_path, codec):
    packed = PACK[codec](LINES)
    (tmp_path / "whole.jsonl").write_bytes(LINES)
    whole = read(tmp_path / "whole.jsonl")
    for cut in range(len(packed)):
        path = tmp_path / f"cut.jsonl.{codec}"
        path.write_bytes(packed[:cut])
        *records, last = read(path)
        assert records == whole[: len(records)]
        assert isinstance(last, Reject) and last.reason in ("truncated-archive", "corrupt-archive")


@pytest.mark.parametrize("codec", PACK)
@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_a_damaged_compressed_file_never_raises(tmp_path_factory, codec, data):
    packed = bytearray(PACK[codec](LINES))
    for _ in range(data.draw(st.integers(1, 4))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / f"a.jsonl.{codec}"
    path.write_bytes(packed)
    items = read(path)
    assert len({item.locator for item in items}) == len(items)
    assert sum(isinstance(item, Reject) and item.locator == "" for item in items) <= 1


def test_random_text_survives_zstd_frames_of_every_kind(tmp_path):
    body = os.urandom(300_000).hex().encode() + b"0" * 500_000
    frames = [
        zstandard.ZstdCompressor(write_checksum=True).compress(body),
        zstandard.ZstdCompressor(write_content_size=False).compressobj().flush(),
        b"\x50\x2a\x4d\x18\x05\x00\x00\x00skip!",
        zstandard.ZstdCompressor(level=19).compress(body),
    ]
    (tmp_path / "a.txt.zst").write_bytes(b"".join(frames))
    assert read(tmp_path / "a.txt.zst") == [Record("", text=(body * 2).decode())]


MEMBERS = {
    "rows/a.jsonl": b'{"text": "one"}\nbroken\n{"text": "two"}\n',
    "./b.csv": b"text,label\nthree,x\n",
    "deep/er/c.txt": b"four",
    "/absolute/../d.md": b"five",
    "packed.jsonl.gz": gzip.compress(b'{"text": "six"}'),
    "notes.xyz": b"seven",
    "inner.zip": b"PK",
    "old.tar.gz": b"",
    "._c.txt": b"apple",
}
EXPECTED = [
    ("rows/a.jsonl line 1", "rows/a.jsonl"),
    ("rows/a.jsonl line 2", "invalid-json"),
    ("rows/a.jsonl line 3", "rows/a.jsonl"),
    ("b.csv row 1", "b.csv"),
    ("deep/er/c.txt", "deep/er/c.txt"),
    ("/absolute/../d.md", "/absolute/../d.md"),
    ("packed.jsonl.gz line 1", "packed.jsonl.gz"),
    ("notes.xyz", "no-reader"),
    ("inner.zip", "nested-archive"),
    ("old.tar.gz", "nested-archive"),
    ("._c.txt", "apple-metadata"),
]


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tgz", "tar.zst", "tar.bz2", "tar.xz", "TAR.GZ", "zip"])
def test_an_archive_gives_its_members_and_says_what_it_passes_over(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    if ending == "zip":
        write_zip(path, MEMBERS)
    else:
        write_tar(tmp_path / "plain.tar", MEMBERS)
        codec = "gz" if ending == "tgz" else ending.lower().removeprefix("tar").lstrip(".")
        path.write_bytes(PACK.get(codec, bytes)((tmp_path / "plain.tar").read_bytes()))
    items = read(path)
    assert [(item[0], item.path if isinstance(item, Record) else item.reason) for item in items] == EXPECTED
    assert read(path) == items
    assert not any(Path(name).exists() for name in ("/absolute", "d.md"))


def test_links_devices_and_folders_in_archives_are_not_followed(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        for name, kind in (
            ("dir", tarfile.DIRTYPE),
            ("s.txt", tarfile.SYMTYPE),
            ("h.txt", tarfile.LNKTYPE),
            ("d.txt", tarfile.CHRTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
    assert read(path) == [Skip("s.txt", "symlink"), Skip("h.txt", "hard-link"), Skip("d.txt", "device")]
    link = zipfile.ZipInfo("s.txt")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    assert read(tmp_path / "a.zip") == [Skip("s.txt", "symlink")]


def test_members_of_one_name_have_locators_of_their_own(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        for name, data in (("a.txt", b"1"), ("a.txt #2", b"2"), ("a.txt", b"3"), ("./a.txt", b"4")):
            info = tarfile.TarInfo(name)
            info.size = 1
            tar.addfile(info, io.BytesIO(data))
    # a suffix behind "#2" belongs to no reader, so that only the three equal names are read
    assert [(item.locator, item.text) for item in read(path) if isinstance(item, Record)] == [
        ("a.txt", "1"),
        ("a.txt #2", "3"),
        ("a.txt #3", "4"),
    ]


def test_include_and_exclude_hold_for_members(tmp_path):
    path = write_tar(tmp_path / "a.tar", {"x/a.txt": b"1", "y/b.txt": b"2", "y/c.md": b"3"})
    items = read(path, include=["*.txt"], exclude=["x/**"])
    assert items == [Skip("x/a.txt", "excluded"), Record("y/b.txt", text="2", path="y/b.txt"), Skip("y/c.md", "excluded")]


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "zip"])
def test_an_archive_cut_anywhere_gives_a_prefix_and_a_reject(tmp_path, ending):
    files = {f"{i}.txt": f"text {i} ".encode() * 40 for i in range(3)} | {"r.jsonl": LINES}
    whole_path = tmp_path / f"whole.{ending}"
    write_zip(whole_path, files) if ending == "zip" else write_tar(whole_path, files, "w:gz" if ending == "tar.gz" else "w")
    data = whole_path.read_bytes()
    whole = read(whole_path)
    assert all(isinstance(item, Record) for item in whole)
    end = len(data.rstrip(b"\0")) if ending == "tar" else len(data)
    path = tmp_path / f"cut.{ending}"
    for cut in range(0, end, 13):
        path.write_bytes(data[:cut])
        *records, last = read(path)
        assert records == whole[: len(records)]
        assert isinstance(last, Reject) and last.reason in ("truncated-archive", "corrupt-archive")


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "zip"])
@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_a_damaged_archive_never_raises(tmp_path_factory, ending, data):
    folder = tmp_path_factory.mktemp("damaged")
    path = folder / f"a.{ending}"
    files = {"a.txt": b"one", "b.jsonl": LINES, "c.csv": b"a,b\n1,2\n"}
    write_zip(path, files) if ending == "zip" else write_tar(path, files, "w:gz" if ending == "tar.gz" else "w")
    damaged = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged)
    read(path)


def test_one_broken_member_does_not_take_the_others_with_it(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"a.txt": b"alpha" * 9, "b.txt": b"beta" * 9}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"alphaalpha", b"alphaAlpha", 1))
    assert [(item[0], type(item)) for item in read(path)] == [("a.txt", Reject), ("b.txt", Record)]
    files = {"a.jsonl.gz": gzip.compress(LINES)[:-9], "b.txt": b"beta"}
    *records, broken, good = read(write_tar(tmp_path / "a.tar", files))
    assert len(records) <= 50 and (broken[:2], good.text) == (("a.jsonl.gz", "truncated-archive"), "beta")


def test_an_encrypted_zip_member_is_a_reject(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"a.txt": b"alpha", "b.txt": b"beta"}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert [(item[0], item[1]) for item in read(path)] == [("a.txt", "encrypted-member"), ("b.txt", None)]


def test_a_member_limit_stops_with_one_reject(tmp_path):
    files = {f"{i}.txt": b"x" for i in range(5)}
    for path in (write_tar(tmp_path / "a.tar", files), write_zip(tmp_path / "a.zip", files)):
        items = read(path, options=ReadOptions(max_members=3))
        assert [type(item) for item in items] == [Record, Record, Record, Reject]
        assert items[-1].reason == "too-many-members"


OPENERS = {
    "gz": functools.partial(gzip.open, mode="wb", compresslevel=1),
    "bz2": functools.partial(bz2.open, mode="wb"),
    "xz": functools.partial(lzma.open, mode="wb", preset=0),
    "zst": functools.partial(zstandard.open, mode="wb"),
}


def write_bomb(path: Path, kind: str, size: int) -> None:
    blocks = (b" " * 2**20 for _ in range(size // 2**20))
    if kind.startswith("zip"):
        method = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        with method as archive, archive.open("a.jsonl.gz" if kind == "zip of gz" else "a.jsonl", "w") as out:
            if kind == "zip of gz":
                out.write(gzip.compress(bytes(size), 1))
            else:
                out.writelines(blocks)
        return
    with OPENERS[kind.rsplit(".", 1)[-1]](path) as out:
        if kind == "tar.gz":
            info = tarfile.TarInfo("a.jsonl")
            info.size = size
            out.write(info.tobuf())
        for block in blocks:
            out.write(block)


@pytest.mark.parametrize("kind", ["jsonl.gz", "zip", "tar.gz", "txt.gz", "jsonl.zst", "jsonl.bz2", "jsonl.xz", "zip of gz"])
def test_a_bomb_stops_by_its_ratio_and_is_never_held(tmp_path, monkeypatch, kind):
    size = 300 * 2**20
    if kind not in ("jsonl.gz", "zip"):  # the same law at a smaller scale, for the test's sake
        monkeypatch.setattr(streams, "RATIO_FLOOR", 40 * 2**20)
        size = 48 * 2**20
    path = tmp_path / f"bomb.{kind.removesuffix(' of gz')}"
    write_bomb(path, kind, size)
    assert path.stat().st_size < size // 100
    options = ReadOptions(max_record_bytes=2**22, max_unpacked_ratio=2.0)
    tracemalloc.start()
    try:
        items = read(path, options=options)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [item.reason for item in items] == ["too-large" if kind == "txt.gz" else "unpacks-too-large"]
    assert peak < 24 * 2**20


def test_every_byte_of_a_file_is_told(tmp_path):
    plain = tmp_path / "a.jsonl"
    plain.write_bytes(LINES * 100)
    packed = tmp_path / "a.jsonl.gz"
    packed.write_bytes(gzip.compress(LINES * 100))
    for path in (
        plain,
        packed,
        write_tar(tmp_path / "a.tar", {"a.txt": b"x"}),
        write_tar(tmp_path / "b.tgz", {"a.txt": b"x"}, "w:gz"),
    ):
        told: list[int] = []
        read(path, on_bytes=told.append)
        assert sum(told) == path.stat().st_size


def test_a_file_that_cannot_be_opened_is_a_reject(tmp_path):
    assert [item.reason for item in read(tmp_path / "gone.txt")] == ["unreadable-file"]


def test_every_readable_suffix_is_read(tmp_path):
    for suffix in readable_suffixes():
        (tmp_path / f"a{suffix}").write_bytes(b"x")
        assert not any(isinstance(item, Skip) for item in read(tmp_path / f"a{suffix}"))


def test_parquet_inside_an_archive_is_read(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.table({"text": [str(i) for i in range(1000)]}), out)
    path = write_tar(tmp_path / "a.tar.gz", {"t.parquet": out.getvalue()}, "w:gz")
    assert [item.fields["text"] for item in read(path)] == [str(i) for i in range(1000)]


# real corpora


@pytest.mark.corpora
def test_the_json_test_suite_is_taken_and_refused_as_its_names_say(corpora):
    by_file: dict[str, list[object]] = {}
    path = corpora / "json_testsuite" / "json_testsuite.tar.gz"
    with tarfile.open(path) as tar:
        names = [info.name.removeprefix("./") for info in tar if info.isfile() and info.name.endswith(".json")]
    for item in read(path):
        if not isinstance(item, Skip):
            by_file.setdefault(item.locator.split(".json")[0] + ".json", []).append(item)
    assert len(names) == 340
    for name in names:
        reasons = {item.reason for item in by_file.get(name, []) if isinstance(item, Reject)}
        kind = name.rsplit("/", 1)[-1][:2]
        if kind == "y_":
            assert reasons <= {"not-an-object"}, name
        elif kind == "n_":
            assert reasons & {"invalid-json", "invalid-utf8", "invalid-utf16"}, (name, reasons)


@pytest.mark.corpora
@pytest.mark.parametrize(
    ("name", "records"),
    [
        ("banking77/train.csv", 10_003),
        ("banking77/test.csv", 3_080),
        ("gsm8k/train.jsonl", 7_473),
        ("gsm8k/test.jsonl", 1_319),
        ("tldr_pages.tar.gz", 38_405),
        ("fashion_mnist.tar.gz", 70_000),
        ("clothing_small.tar", 1_713),
        ("tinyshakespeare.txt", 1),
    ],
)
def test_a_real_corpus_has_as_many_records_as_its_readme_says(corpora, name, records):
    locators = set()
    for item in read_file(corpora / name, ReadOptions()):
        assert not isinstance(item, Reject)
        if isinstance(item, Record):
            locators.add(item.locator)
    assert len(locators) == records


def test_json_written_by_json_dump_is_read_whole(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([{"text": "x"}] * 3, indent=2))
    assert len(read(tmp_path / "a.json")) == 3
