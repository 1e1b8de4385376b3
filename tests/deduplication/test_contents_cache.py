"""What is known of a dataset's contents from earlier runs is what reading all of them anew gives."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.catalog import datasets, verdicts
from curate.dedupers.rows.runs import find_keys
from curate.deduplication.contents import Contents, distinct_contents
from curate.deduplication.contents_cache import known_contents
from curate.steps.ingest import ingest
from curate.workspace import Workspace, create_workspace, open_workspace


def add(workspace: Workspace, name: str, texts: list[str], dataset: str = "d") -> None:
    file = workspace.root.parent / f"{name}.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    ingest(workspace, [file], dataset=dataset)


def assert_as_anew(workspace: Workspace, dataset: str = "d") -> Contents:
    """Compare with what is read without a cache; returns it."""
    dataset_id = datasets.find(workspace.catalog, dataset).dataset_id
    anew = distinct_contents(verdicts.rows_to_judge(workspace.catalog, dataset_id, "text", lengths=False), None, "first")
    known = known_contents(workspace, dataset_id, "text")
    for name in Contents.__dataclass_fields__:
        one, other = getattr(known, name), getattr(anew, name)
        assert one.dtype == other.dtype and one.tolist() == other.tolist(), name
    return known


@pytest.fixture
def root(tmp_path) -> Path:
    return create_workspace(tmp_path / "ws")


def test_new_samples_and_a_users_words_are_added_to_what_was_known(root):
    with open_workspace(root) as workspace:
        add(workspace, "a", ["one", "two", "one", "three"])
        assert len(assert_as_anew(workspace).keys) == 3
        add(workspace, "elsewhere", ["two", "nine"], dataset="other")
        add(workspace, "b", ["four", "two", "four", "five"])
        grown = assert_as_anew(workspace)
        assert grown.content.tolist() == [0, 1, 0, 2, 3, 1, 3, 4]
        with workspace.run("drop", dataset="d", settings={}) as run:
            for sample_id, action in zip(grown.sample_id[[1, 4, 7]].tolist(), ("drop", "restore", "drop"), strict=True):
                verdicts.judge(workspace.catalog, run.run_id, pa.table({"sample_id": [sample_id]}), action)
            verdicts.judge(workspace.catalog, run.run_id, pa.table({"sample_id": [int(grown.sample_id[7])]}), "restore")
        spoken = assert_as_anew(workspace)
        assert np.flatnonzero(spoken.user_dropped).tolist() == [1] and np.flatnonzero(spoken.user_kept).tolist() == [4, 7]
        assert len(assert_as_anew(workspace, "other").keys) == 2
    with open_workspace(root, read_only=True) as workspace:
        assert_as_anew(workspace)


def test_damage_is_read_anew(root):
    with open_workspace(root) as workspace:
        for name, texts in (("a", ["one", "two"]), ("b", ["three", "one"]), ("c", ["four", "three"])):
            add(workspace, name, texts)
            assert_as_anew(workspace)
        for column, place in (("key", 3 * 16), ("content", 4 * 8), ("sample_id", 0)):
            file = root / "indexes" / "contents" / "1-text" / column
            held = bytearray(file.read_bytes())
            held[place] ^= 1
            file.write_bytes(bytes(held))
            assert_as_anew(workspace)
            assert bytes(held) != file.read_bytes()  # healed


def test_a_reader_without_what_is_known_reads_all(root):
    with open_workspace(root) as workspace:
        add(workspace, "a", ["one", "two", "one"])
    with open_workspace(root, read_only=True) as workspace:
        assert_as_anew(workspace)
    assert not (root / "indexes" / "contents").exists()


def test_a_catalog_put_back_from_a_copy_is_read_anew(root):
    with open_workspace(root) as workspace:
        add(workspace, "a", ["one", "two"])
        assert_as_anew(workspace)
    shutil.copy(root / "catalog.duckdb", root / "kept")
    with open_workspace(root) as workspace:
        add(workspace, "b", ["three", "four"])
        assert_as_anew(workspace)
    shutil.copy(root / "kept", root / "catalog.duckdb")
    with open_workspace(root) as workspace:
        assert_as_anew(workspace)
        add(workspace, "c", ["five", "six"])  # gets the ids that "three" and "four" had
        assert_as_anew(workspace)
        add(workspace, "d", ["seven", "five"])
        assert_as_anew(workspace)


KEYS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), unique=True, max_size=60)


@given(KEYS, st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), max_size=20), st.integers(0, 400))
@settings(deadline=None)
def test_keys_are_found_where_they_lie_among_few_and_among_many(known, wanted, others):
    known = known + [(n + 100, n) for n in range(others)]
    as_keys = [np.array(keys, np.uint64).reshape(-1, 2) for keys in (known, wanted)]
    assert find_keys(*as_keys).tolist() == [known.index(key) if key in known else -1 for key in wanted]
