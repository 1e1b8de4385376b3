"""The laws of `curate.readers.Reader`, whatever bytes a reader is given."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO, Literal, cast

import numpy as np

from curate.modalities import load_modality
from curate.readers import Reader, ReadOptions
from curate.readers.opening.streams import Broken, Stream
from curate.records import Record, Reject
from curate.testing.laws import hold, require

Split = Literal["file", "paragraphs", "lines"]
SPLITS: tuple[Split, ...] = ("file", "paragraphs", "lines")
ALL_CUTS_UP_TO = 600
"""Bytes; a longer example is cut at some places only."""


def check_reader(reader: type[Reader]) -> None:
    """Hold a reader to the laws of its family.

    Raises:
        AssertionError: a law is broken.
    """
    hold(LAWS, reader, reader.__name__)


def read(reader: type[Reader], data: bytes, split_on: Split = "file", limit: int = 2**20) -> list[Record | Reject]:
    """Everything that a reader makes of some bytes, each item whole and of its own place.

    Raises:
        AssertionError: an item breaks the contract.
    """
    items = list(reader(ReadOptions(split_on=split_on, max_record_bytes=limit)).read(io.BytesIO(data)))
    locators = [item.locator for item in items]
    require(len(set(locators)) == len(locators), f"two items have one locator: {locators}")
    for item in items:
        if isinstance(item, Record):
            carried = [part for part in (item.fields, item.text, item.media) if part is not None]
            require(len(carried) == 1, f"a record must carry one of fields, text and media: {item}")
        else:
            hyphenated = item.reason and item.reason == item.reason.lower() and " " not in item.reason
            require(hyphenated, f"a reason is lower-case words joined by hyphens, got {item.reason!r}")
            require(len(item.excerpt) <= 200, "an excerpt is longer than 200 characters")
    return items


def _a_valid_file_gives_records_and_no_reject_twice_alike(reader: type[Reader]) -> None:
    items = read(reader, reader.example())
    require(items, "the example gives no record")
    stored = "rows" if reader.kind == "rows" else load_modality(reader.kind).stored
    carried = {"rows": "fields", "text": "text", "blob": "media"}[stored]
    for item in items:
        require(isinstance(item, Record), f"the example gives a reject: {item}")
        require(getattr(item, carried, None) is not None, f"a reader of kind {reader.kind!r} gave a record without {carried}")
    require(items == read(reader, reader.example()), "reading the example again gives something else")


def _it_is_chosen_by_endings_in_lower_case(reader: type[Reader]) -> None:
    require(reader.suffixes and not isinstance(reader.suffixes, str), f"suffixes must be a tuple, got {reader.suffixes!r}")
    for suffix in reader.suffixes:
        require(suffix.startswith(".") and suffix == suffix.lower(), f"a suffix is a dot and lower case, got {suffix!r}")


def _arbitrary_bytes_never_raise(reader: type[Reader]) -> None:
    rng = np.random.default_rng(0)
    awkward = [b"", b"\xff\xfea\0\n\0", b"\xff\xfea", b'[{"a": 1}, {', b'a\n"unclosed', b"[" * 300, b"\0" * 40, b"\n\r\n \t"]
    for data in [*awkward, *(rng.bytes(int(rng.integers(300))) for _ in range(60))]:
        for split_on in SPLITS:
            read(reader, data, split_on, int(rng.choice([5, 40, 2**20])))


def _damaged_bytes_never_raise(reader: type[Reader]) -> None:
    rng = np.random.default_rng(1)
    for _ in range(60):
        data = bytearray(reader.example())
        for _ in range(rng.integers(1, 5)):
            data[rng.integers(len(data))] = int(rng.integers(256))
        read(reader, bytes(data))


def _a_file_cut_anywhere_never_raises_and_invents_nothing(reader: type[Reader]) -> None:
    data = reader.example()
    whole = _contents(read(reader, data))
    for cut in range(0, len(data), 1 if len(data) < ALL_CUTS_UP_TO else 7):
        records = [item for item in read(reader, data[:cut]) if isinstance(item, Record)]
        if reader.kind == "rows":  # but for the last, which may have lost its end where the format cannot tell
            require(_contents(records[:-1]) <= whole, f"cut after {cut} bytes, it gives records that the whole file has not")


def _a_stream_that_breaks_off_never_gives_the_unfinished_record(reader: type[Reader]) -> None:
    data = reader.example()
    whole = _contents(read(reader, data))
    for cut in range(0, len(data), 1 if len(data) < ALL_CUTS_UP_TO else 29):
        taken: list[Record | Reject] = []
        with suppress(Broken):  # the stream's own end reaches the caller, who counts the file as unreadable
            taken.extend(reader(ReadOptions()).read(_breaking(data[:cut])))
        records = [item for item in taken if isinstance(item, Record)]
        require(_contents(records) <= whole, f"broken off after {cut} bytes, it gives a record that was not read whole")


def _a_byte_order_mark_changes_nothing(reader: type[Reader]) -> None:
    try:
        text = reader.example().decode()
    except UnicodeDecodeError:
        return  # no format of text
    for split_on in SPLITS:
        for encoding in ("utf-8-sig", "utf-16"):
            same = read(reader, text.encode(encoding), split_on) == read(reader, text.encode(), split_on)
            require(same, f"{encoding} with a byte order mark reads differently, split on {split_on}")


def _how_the_bytes_arrive_changes_nothing(reader: type[Reader]) -> None:
    data = reader.example()
    for split_on in SPLITS:
        for size in (1, 2, 3, 7):
            pieces = (data[i : i + size] for i in range(0, len(data), size))
            items = list(reader(ReadOptions(split_on=split_on)).read(_as_stream(pieces)))
            same = items == read(reader, data, split_on)
            require(same, f"in pieces of {size} bytes, split on {split_on}, it reads differently")


def _too_long_a_record_is_a_reject(reader: type[Reader]) -> None:
    for item in read(reader, reader.example(), limit=1):
        require(isinstance(item, Reject), f"a record longer than max_record_bytes is taken: {item}")


LAWS = (
    _it_is_chosen_by_endings_in_lower_case,
    _a_valid_file_gives_records_and_no_reject_twice_alike,
    _arbitrary_bytes_never_raise,
    _damaged_bytes_never_raise,
    _a_file_cut_anywhere_never_raises_and_invents_nothing,
    _a_stream_that_breaks_off_never_gives_the_unfinished_record,
    _a_byte_order_mark_changes_nothing,
    _how_the_bytes_arrive_changes_nothing,
    _too_long_a_record_is_a_reject,
)


def _contents(items: list[Any]) -> set[str]:
    """What the items hold, without where they stood."""
    return {repr(item[1:]) for item in items}


def _breaking(data: bytes) -> BinaryIO:
    def chunks() -> Iterator[bytes]:
        yield from (data[i : i + 16] for i in range(0, len(data), 16))
        raise Broken("truncated-archive")

    return _as_stream(chunks())


def _as_stream(pieces: Iterator[bytes]) -> BinaryIO:
    return cast(BinaryIO, Stream(pieces))
