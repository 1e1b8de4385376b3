"""A snapshot is given back whole and fitting, or not at all."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate import plugins
from curate.errors import WorkError
from curate.indexes.snapshots.snapshot import MANIFEST, load_snapshot, save_snapshot

ABOUT = {"embedder": "abc", "samples": 50, "state": [1, 2]}


def build(name="flat", seed=0):
    vectors = np.random.default_rng(seed).normal(size=(50, 8)).astype(np.float32)
    return plugins.load("indexes", name).build(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.arange(50))


@pytest.fixture(scope="module", params=plugins.names("indexes"))
def kept(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    save_snapshot(build(request.param), request.param, folder, ABOUT)
    return folder


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_comes_back_with_its_manifest_only(kept):
    query = np.eye(8, dtype=np.float32)
    loaded = load_snapshot(kept, ABOUT)
    assert loaded is not None and loaded.search(query, 1)[0].shape == (8, 1)
    for other in ({**ABOUT, "samples": 51}, {}, {**ABOUT, "more": None}):
        assert load_snapshot(kept, other) is None


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_index_file_never_loads(kept, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damaged")
    for name, content in files(kept).items():
        if name != MANIFEST:
            kind = data.draw(st.sampled_from(["flip", "cut", "grow", "empty"]))
            at = data.draw(st.integers(0, len(content) - 1))
            flipped = content[:at] + bytes([content[at] ^ data.draw(st.integers(1, 255))]) + content[at + 1 :]
            damaged = {"flip": flipped, "cut": content[:at], "grow": content + b"\0", "empty": b""}[kind]
        (folder / name).write_bytes(content if name == MANIFEST else damaged)
    assert load_snapshot(folder, ABOUT) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda about: "not json",
        lambda about: "[]",
        lambda about: json.dumps({**about, "format": 99}),
        lambda about: json.dumps({**about, "plugin": "gone"}),
        lambda about: json.dumps({**about, "sha256": "0" * 64}),
        lambda about: json.dumps({**about, "file": "../" + about["file"]}),
        lambda about: json.dumps({**about, "file": "gone.index"}),
        lambda about: json.dumps({key: value for key, value in about.items() if key != "sha256"}),
    ],
)
def test_a_manifest_that_does_not_fit_loads_nothing(kept, tmp_path, change):
    for name, content in files(kept).items():
        (tmp_path / name).write_bytes(content)
    about = json.loads((kept / MANIFEST).read_text())
    (tmp_path / MANIFEST).write_text(change(about))
    assert load_snapshot(tmp_path, ABOUT) is None


def test_a_missing_folder_holds_no_snapshot(tmp_path):
    assert load_snapshot(tmp_path / "gone", ABOUT) is None


def test_a_new_snapshot_replaces_the_old_and_leaves_no_other_file(tmp_path):
    save_snapshot(build(seed=1), "flat", tmp_path, {"n": 1})
    save_snapshot(build("ivf", seed=2), "ivf", tmp_path, {"n": 2})
    assert load_snapshot(tmp_path, {"n": 1}) is None
    loaded = load_snapshot(tmp_path, {"n": 2})
    assert loaded is not None and not loaded.exact
    assert len(list(tmp_path.iterdir())) == 2


def test_a_failed_save_leaves_the_old_snapshot(tmp_path):
    save_snapshot(build(seed=1), "flat", tmp_path, {"n": 1})

    class Broken:
        def save(self, path):
            path.write_bytes(b"half")
            raise OSError("disk full")

    with pytest.raises(WorkError, match="disk full"):
        save_snapshot(Broken(), "flat", tmp_path, {"n": 2})  # type: ignore[arg-type]
    assert load_snapshot(tmp_path, {"n": 1}) is not None and len(list(tmp_path.iterdir())) == 2
