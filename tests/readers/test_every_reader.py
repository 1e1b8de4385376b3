"""Laws that hold for every registered reader, whatever bytes it is given."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curate import plugins
from curate.readers import ReadOptions
from curate.readers.opening.streams import Broken, Stream
from curate.records import Record, Reject

READERS = plugins.names("readers")
SPLITS = ("file", "paragraphs", "lines")


def make_png(size: int = 6) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.linear_gradient("L").resize((size, size)).save(out, "PNG")
    return out.getvalue()


def make_parquet() -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.table({"text": ["one", "two", "three"], "n": [1, None, 3], "media": [b"a", b"\0", None]}), out)
    return out.getvalue()


ROWS = [{"text": 'a "quoted" line', "n": 1}, {"text": "käse\nund brot", "n": 2}, {"text": "", "n": None}]
VALID: dict[str, Callable[[], bytes]] = {
    "csv": lambda: b'text,label\r\n"one, two",a\r\n"three\nfour",b\r\n',
    "image": make_png,
    "json": lambda: json.dumps(ROWS, ensure_ascii=False).encode(),
    "jsonl": lambda: "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS).encode(),
    "markdown": "# Title\n\nSome *text*, käse.\n\n- list\n".encode,
    "parquet": make_parquet,
    "text": "First paragraph,\nstill first.\n\nSecond ünd last.\n".encode,
    "tsv": lambda: b"text\tlabel\none\ta\ntwo\tb\n",
}
SELF_DELIMITING = ("json", "jsonl", "parquet")
"""Formats in which a record that was cut off cannot pass for a whole one."""


def read(name: str, data: bytes, *, split_on: Any = "file", max_record_bytes: int = 2**20) -> list[Record | Reject]:
    options = ReadOptions(split_on=split_on, max_record_bytes=max_record_bytes)
    return list(plugins.load("readers", name)(options).read(io.BytesIO(data)))


def check_items(items: list[Record | Reject]) -> None:
    locators = [item.locator for item in items]
    assert len(set(locators)) == len(locators)
    for item in items:
        if isinstance(item, Record):
            assert sum(part is not None for part in (item.fields, item.text, item.media)) == 1
        else:
            assert item.reason and item.reason == item.reason.lower() and " " not in item.reason
            assert len(item.excerpt) <= 200


@pytest.mark.parametrize("name", READERS)
def test_a_valid_file_gives_records_and_no_reject_twice_alike(name):
    items = read(name, VALID[name]())
    check_items(items)
    assert items and all(isinstance(item, Record) for item in items)
    kind = {"rows": "fields", "text": "text", "image": "media"}[plugins.load("readers", name).kind]
    assert all(getattr(item, kind) is not None for item in items)
    assert items == read(name, VALID[name]())


@pytest.mark.parametrize("name", READERS)
@settings(deadline=None, max_examples=60)
@given(data=st.binary(max_size=300), split_on=st.sampled_from(SPLITS), limit=st.sampled_from([5, 40, 2**20]))
@example(data=b"\xff\xfea\0\n\0", split_on="lines", limit=2**20)
@example(data=b"\xff\xfea", split_on="lines", limit=2**20)
@example(data=b'[{"a": 1}, {', split_on="file", limit=2**20)
@example(data=b'a\n"unclosed', split_on="file", limit=2**20)
@example(data=b"[" * 300, split_on="file", limit=2**20)
def test_arbitrary_bytes_never_raise(name, data, split_on, limit):
    check_items(read(name, data, split_on=split_on, max_record_bytes=limit))


@pytest.mark.parametrize("name", READERS)
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_damaged_valid_bytes_never_raise(name, data):
    whole = bytearray(VALID[name]())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    check_items(read(name, bytes(whole)))


@pytest.mark.parametrize("name", READERS)
def test_a_file_cut_at_any_byte_never_raises_and_invents_nothing(name):
    data = VALID[name]()
    whole = {item[1:] for item in map(_hashable, read(name, data))}
    for cut in range(0, len(data), 1 if len(data) < 600 else 7):
        items = read(name, data[:cut])
        check_items(items)
        records = [_hashable(item)[1:] for item in items if isinstance(item, Record)]
        if name in SELF_DELIMITING:
            assert set(records) <= whole
        elif plugins.load("readers", name).kind == "rows":
            assert set(records[:-1]) <= whole


@pytest.mark.parametrize("name", READERS)
def test_a_stream_that_breaks_off_never_gives_the_unfinished_record(name):
    data = VALID[name]()
    whole = {item[1:] for item in map(_hashable, read(name, data))}
    for cut in range(0, len(data), 1 if len(data) < 600 else 29):
        taken: list[Any] = []
        with pytest.raises(Broken):
            for item in plugins.load("readers", name)(ReadOptions()).read(_breaking(data[:cut])):
                taken.append(item)
            raise Broken("not-read")  # a reader that stopped by itself before the damage
        assert {_hashable(item)[1:] for item in taken if isinstance(item, Record)} <= whole


@pytest.mark.parametrize("name", ["csv", "json", "jsonl", "markdown", "text", "tsv"])
@pytest.mark.parametrize("split_on", SPLITS)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_changes_nothing(name, split_on, encoding):
    data = VALID[name]()
    assert read(name, data.decode().encode(encoding), split_on=split_on) == read(name, data, split_on=split_on)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_how_the_bytes_arrive_changes_nothing(name, size):
    data = VALID[name]()
    for split_on in SPLITS:
        reader = plugins.load("readers", name)(ReadOptions(split_on=split_on))
        pieces = (data[i : i + size] for i in range(0, len(data), size))
        assert list(reader.read(Stream(pieces))) == read(name, data, split_on=split_on)


def _breaking(data: bytes) -> Any:
    def chunks() -> Iterator[bytes]:
        yield from (data[i : i + 16] for i in range(0, len(data), 16))
        raise Broken("truncated-archive")

    return Stream(chunks())


def _hashable(item: Any) -> tuple[Any, ...]:
    return (
        item.locator,
        repr(item.fields) if isinstance(item, Record) else item.reason,
        item[2],
        item[3] if len(item) > 3 else None,
    )
