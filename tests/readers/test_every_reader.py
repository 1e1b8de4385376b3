"""Every registered reader keeps the laws of its family, and draws of arbitrary and damaged bytes never make one raise."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curate import plugins
from curate.records import Record
from curate.testing import check_reader
from curate.testing.readers import SPLITS, read

each = pytest.mark.parametrize("name", plugins.names("readers"))


@each
def test_it_keeps_the_laws_of_its_family(name):
    check_reader(plugins.load("readers", name))


@each
@settings(max_examples=60)
@given(data=st.binary(max_size=300), split_on=st.sampled_from(SPLITS), limit=st.sampled_from([5, 40, 2**20]))
@example(data=b"\xff\xfea\0\n\0", split_on="lines", limit=2**20)
@example(data=b'[{"a": 1}, {', split_on="file", limit=2**20)
@example(data=b"[" * 300, split_on="file", limit=2**20)
def test_arbitrary_bytes_never_raise(name, data, split_on, limit):
    read(plugins.load("readers", name), data, split_on, limit)


@each
@settings(max_examples=40)
@given(data=st.data())
def test_damaged_valid_bytes_never_raise(name, data):
    reader = plugins.load("readers", name)
    whole = bytearray(reader.example())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    read(reader, bytes(whole))


@pytest.mark.parametrize("name", ["json", "jsonl", "parquet"])
def test_where_the_format_tells_the_end_of_a_record_a_cut_one_never_passes_for_a_whole_one(name):
    reader = plugins.load("readers", name)
    data = reader.example()
    whole = {repr(item[1:]) for item in read(reader, data)}
    for cut in range(len(data)):
        assert {repr(item[1:]) for item in read(reader, data[:cut]) if isinstance(item, Record)} <= whole
