"""Blobs: whole or absent, once each; files that are replaced as a whole."""

from __future__ import annotations

import hashlib
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.workspace import BlobStore, write_atomically


def named(data: bytes) -> tuple[str, bytes]:
    return BlobStore.name(hashlib.sha256(data).hexdigest(), ".bin"), data


@given(st.lists(st.lists(st.binary(max_size=20), max_size=6), max_size=4))
@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read_and_only_what_is_new_is_counted(tmp_path_factory, batches):
    store = BlobStore(tmp_path_factory.mktemp("blobs"))
    held: dict[str, bytes] = {}
    for batch in batches:
        blobs = [named(data) for data in batch]
        assert store.write(blobs) == len(dict(blobs).keys() - held.keys())
        held.update(blobs)
        assert sorted(store.names()) == sorted(held)
    for name, data in held.items():
        assert store.read(name) == data == store.path(name).read_bytes()


def test_a_blob_that_is_there_is_left_as_it_is(tmp_path):
    store = BlobStore(tmp_path)
    name, data = named(b"first")
    store.write([(name, data)])
    before = store.path(name).stat().st_ino
    assert store.write([(name, data)]) == 0 and store.path(name).stat().st_ino == before


def test_a_write_that_stops_before_it_is_durable_leaves_no_blob_and_can_be_repeated(tmp_path, monkeypatch):
    store = BlobStore(tmp_path)
    blobs = [named(bytes([n])) for n in range(5)]

    def stop(*_: object) -> None:
        raise OSError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr("curate.workspace._blobs._sync_file_system", stop)
        with pytest.raises(OSError, match="power"):
            store.write(blobs)
    left = list(store.names())
    assert left and all(name.endswith(".tmp") for name in left)
    assert store.write(blobs) == 5
    assert {name for name in store.names() if not name.endswith(".tmp")} == {name for name, _ in blobs}


def test_a_missing_blob_is_an_os_error(tmp_path):
    with pytest.raises(OSError, match="ab"):
        BlobStore(tmp_path).read("ab/abc.png")


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def stop(_: int) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", stop)
        with pytest.raises(OSError, match="full"):
            write_atomically(path, b"new and longer")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new" and list(tmp_path.iterdir()) == [path]
