"""Making, finding and opening a workspace; how a run is recorded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from curate.errors import InputError, WorkspaceNotFound
from curate.workspace import create_workspace, find_workspace, open_workspace


@pytest.fixture(autouse=True)
def no_workspace_is_named(monkeypatch):
    monkeypatch.delenv("CURATE_WORKSPACE", raising=False)


def test_a_workspace_has_its_folders_and_making_it_again_changes_nothing(tmp_path):
    root = create_workspace(tmp_path / "a" / "ws")
    for name in ("curate.toml", "catalog.duckdb", "blobs/real", "blobs/synthetic", "indexes", "models"):
        assert (root / name).exists()
    (root / "curate.toml").write_text('[limits]\nmemory = "1GB"\n')
    with open_workspace(root) as workspace:
        workspace.catalog.execute("INSERT INTO datasets (name) VALUES ('kept')")
    assert create_workspace(root) == root
    with open_workspace(root, read_only=True) as workspace:
        assert workspace.catalog.rows("SELECT name FROM datasets") == [("kept",)]
        assert workspace.memory_bytes == 10**9


def test_it_is_found_upwards_by_name_or_by_the_environment(tmp_path, monkeypatch):
    outer, inner = create_workspace(tmp_path / "outer"), create_workspace(tmp_path / "outer" / "x" / "inner")
    (inner / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(inner / "deep" / "er")
    assert find_workspace() == inner
    monkeypatch.chdir(tmp_path / "outer" / "x")
    assert find_workspace() == outer
    assert find_workspace("inner") == inner
    monkeypatch.setenv("CURATE_WORKSPACE", str(inner))
    assert find_workspace() == inner and find_workspace(outer) == outer


def test_none_is_an_error_that_says_how_to_make_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WorkspaceNotFound, match="no curate workspace") as missing:
        find_workspace()
    assert "curate init" in (missing.value.hint or "") and missing.value.exit_code == 2
    with pytest.raises(WorkspaceNotFound, match="my folder") as named:
        find_workspace("my folder")
    assert named.value.hint == "curate init 'my folder'"
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        create_workspace(tmp_path / "file")


def test_a_folder_that_was_half_made_is_no_workspace_and_can_be_finished(tmp_path, monkeypatch):
    root = create_workspace(tmp_path / "ws")
    (root / "curate.toml").unlink()
    monkeypatch.chdir(root)
    with pytest.raises(WorkspaceNotFound):
        find_workspace()
    assert create_workspace(root) == find_workspace() == root


@pytest.mark.parametrize(
    ("failure", "status"), [(None, "done"), (KeyboardInterrupt(), "interrupted"), (ValueError("it broke"), "failed")]
)
def test_a_run_says_how_it_ended_and_keeps_the_counts_that_were_committed(tmp_path, failure, status):
    with open_workspace(create_workspace(tmp_path / "ws")) as workspace:

        def work() -> None:
            with workspace.run("embed", dataset="d", settings={"path": Path("x")}) as run:
                with workspace.catalog.transaction():
                    run.commit_counts({"embedded": 3})
                if failure is not None:
                    raise failure

        if failure is None:
            work()
        else:
            with pytest.raises(type(failure)):
                work()
        ended, counts, error = workspace.catalog.rows("SELECT status, counts, error FROM runs")[0]
        assert ended == status and json.loads(counts) == {"embedded": 3}
        assert error == ("ValueError: it broke" if status == "failed" else None)


def test_readers_share_a_workspace(tmp_path):
    root = create_workspace(tmp_path / "ws")
    with open_workspace(root, read_only=True) as one, open_workspace(root, read_only=True) as other:
        assert one.catalog.rows("SELECT count(*) FROM runs") == other.catalog.rows("SELECT count(*) FROM runs") == [(0,)]
