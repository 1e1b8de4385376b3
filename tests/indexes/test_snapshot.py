"""A snapshot is given back whole, or the index opens empty."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate import plugins
from curate.errors import WorkError
from curate.indexes import Entries, IndexSettings
from curate.indexes.faiss_files.base import FaissIndex
from curate.indexes.faiss_files.snapshot import MANIFEST, load_snapshot, save_snapshot

OVER_FAISS = [name for name in plugins.names("indexes") if issubclass(plugins.load("indexes", name), FaissIndex)]
OPENING = IndexSettings("set", dimension=8, threads=1)


def build(folder, name="flat", seed=0, stamp="now"):
    vectors = np.random.default_rng(seed).normal(size=(50, 8)).astype(np.float32)
    index = plugins.load("indexes", name).open(folder, OPENING)
    index.upsert(Entries(np.arange(50), vectors / np.linalg.norm(vectors, axis=1, keepdims=True)))
    index.commit(stamp)
    return index


@pytest.fixture(scope="module", params=OVER_FAISS)
def kept(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    build(folder, request.param)
    return request.param, {path.name: path.read_bytes() for path in (folder / "set").iterdir()}


def reopened(kept, folder, changed):
    (folder / "set").mkdir()
    for name, content in {**kept[1], **changed}.items():
        (folder / "set" / name).write_bytes(content)
    return plugins.load("indexes", kept[0]).open(folder, OPENING)


def test_it_comes_back_with_its_stamp(kept, tmp_path):
    index = reopened(kept, tmp_path, {})
    assert (index.stamp, index.count()) == ("now", 50)
    for other in (IndexSettings("set", dimension=9), IndexSettings("sets", dimension=8)):
        assert plugins.load("indexes", kept[0]).open(tmp_path, other).count() == 0


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_noticed_and_the_index_can_be_filled_again(kept, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damaged")
    name = data.draw(st.sampled_from(sorted(kept[1])))
    content = kept[1][name]
    kind = data.draw(st.sampled_from(["flip", "cut", "grow", "empty"]))
    at = data.draw(st.integers(0, len(content) - 1))
    flipped = content[:at] + bytes([content[at] ^ data.draw(st.integers(1, 255))]) + content[at + 1 :]
    damaged = {"flip": flipped, "cut": content[:at], "grow": content + b"\0", "empty": b""}[kind]
    index = reopened(kept, folder, {name: damaged})
    if name != MANIFEST or index.stamp is None:
        assert (index.stamp, index.count()) == (None, 0)
        build(folder, kept[0], stamp="again")
        index = plugins.load("indexes", kept[0]).open(folder, OPENING)
        assert (index.stamp, index.count()) == ("again", 50)
    else:  # white space between the words of the manifest
        assert json.loads(damaged) == json.loads(content) and index.count() == 50


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: "not json",
        lambda manifest: "[]",
        lambda manifest: json.dumps({**manifest, "format": 99}),
        lambda manifest: json.dumps({**manifest, "about": {**manifest["about"], "stamp": "later"}}),
        lambda manifest: json.dumps({**manifest, "sha256": "0" * 64}),
        lambda manifest: json.dumps({**manifest, "file": "../" + manifest["file"]}),
        lambda manifest: json.dumps({**manifest, "file": "gone.index"}),
        lambda manifest: json.dumps({key: value for key, value in manifest.items() if key != "sha256"}),
    ],
)
def test_a_manifest_that_does_not_fit_loads_nothing(kept, tmp_path, change):
    changed = change(json.loads(kept[1][MANIFEST]))
    assert reopened(kept, tmp_path, {MANIFEST: changed.encode()}).count() == 0


def test_other_options_are_another_index(tmp_path):
    plugin = plugins.load("indexes", "hnsw")
    build(tmp_path, "hnsw")
    assert plugin.open(tmp_path, OPENING).count() == 50
    assert plugin.open(tmp_path, IndexSettings("set", dimension=8, options={"links": 8})).count() == 0


def test_a_new_snapshot_replaces_the_old_and_leaves_no_other_file(tmp_path):
    build(tmp_path, seed=1, stamp="one")
    build(tmp_path, "ivf", seed=2, stamp="two")
    assert plugins.load("indexes", "flat").open(tmp_path, OPENING).stamp is None
    assert plugins.load("indexes", "ivf").open(tmp_path, OPENING).stamp == "two"
    assert len(list((tmp_path / "set").iterdir())) == 2


def test_a_failed_save_leaves_the_old_snapshot(tmp_path):
    save_snapshot(tmp_path, lambda path: path.write_bytes(b"whole"), {"n": 1})

    def broken(path):
        path.write_bytes(b"half")
        raise OSError("disk full")

    with pytest.raises(WorkError, match="disk full"):
        save_snapshot(tmp_path, broken, {"n": 2})
    assert load_snapshot(tmp_path, lambda path: path.read_bytes()) == (b"whole", {"n": 1})
    assert len(list(tmp_path.iterdir())) == 2
