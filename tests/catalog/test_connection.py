"""Opening the catalog: one writer or many readers, whole transactions, and damage that is named."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from curate.catalog import Catalog
from curate.errors import WorkError, WorkspaceDamaged, WorkspaceError, WorkspaceLocked

HOLD = """
import sys
from pathlib import Path
from curate.catalog import Catalog
with Catalog(Path(sys.argv[1]), read_only=sys.argv[2] == "read"):
    print("open", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    Catalog(tmp_path / "catalog.duckdb").close()
    return tmp_path / "catalog.duckdb"


class Holder:
    """Another process that has the catalog open until it is told to let go."""

    def __init__(self, path: Path, how: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(path), how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout and self.process.stdout.readline() == "open\n"

    def __enter__(self) -> Holder:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate("\n")
        assert self.process.returncode == 0


def test_a_second_process_is_told_in_one_sentence_who_holds_the_catalog(path):
    with Holder(path, "write") as holder:
        for read_only in (False, True):
            with pytest.raises(WorkspaceLocked) as locked:
                Catalog(path, read_only=read_only)
            assert str(locked.value) == f"process {holder.process.pid} is working on {path.parent}"
            assert "--wait" in (locked.value.hint or "") and locked.value.exit_code == 4
    Catalog(path).close()


def test_many_read_together_and_none_writes_meanwhile(path):
    with Holder(path, "read") as holder, Catalog(path, read_only=True) as here:
        assert here.scalar("SELECT count(*) FROM datasets") == 0
        here.close()
        with pytest.raises(WorkspaceLocked, match=str(holder.process.pid)):
            Catalog(path)


def test_waiting_gets_the_catalog_once_the_other_lets_go(path):
    with Holder(path, "write") as holder:
        started = time.monotonic()
        with pytest.raises(WorkspaceLocked):
            Catalog(path, wait_s=0.3)
        assert time.monotonic() - started >= 0.3
        assert holder.process.stdin is not None
        holder.process.stdin.write("\n")
        holder.process.stdin.flush()
        Catalog(path, wait_s=60).close()


def test_a_transaction_is_whole_and_an_inner_one_joins_it(path):
    with Catalog(path) as catalog:
        with pytest.raises(RuntimeError, match="half-way"), catalog.transaction():
            catalog.execute("INSERT INTO datasets (name) VALUES ('a')")
            with catalog.transaction():
                catalog.execute("INSERT INTO datasets (name) VALUES ('b')")
            raise RuntimeError("half-way")
        assert catalog.rows("SELECT name FROM datasets") == []
        with catalog.transaction():
            catalog.execute("INSERT INTO datasets (name) VALUES ('a')")
            with pytest.raises(ValueError, match="within"), catalog.transaction():
                raise ValueError("within")
            catalog.execute("INSERT INTO datasets (name) VALUES ('b')")
        assert catalog.rows("SELECT name FROM datasets ORDER BY name") == [("a",), ("b",)]


def test_a_reader_cannot_write(path):
    with Catalog(path, read_only=True) as catalog, pytest.raises(Exception, match="read-only"):
        catalog.execute("INSERT INTO datasets (name) VALUES ('a')")


def test_a_forked_child_is_refused_rather_than_ignored(path):
    with Catalog(path) as catalog:
        child = os.fork()
        if child == 0:
            try:
                catalog.execute("INSERT INTO datasets (name) VALUES ('lost')")
            except WorkError:
                os._exit(17)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 17
        catalog.execute("INSERT INTO datasets (name) VALUES ('kept')")
        assert catalog.rows("SELECT name FROM datasets") == [("kept",)]


def test_a_run_that_a_kill_left_running_is_marked_by_the_next_writer_and_not_by_a_reader(path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    with Catalog(path) as catalog:
        catalog.execute(
            "INSERT INTO runs (step, settings, code_version, process_id, status) VALUES ('embed', '{}', '0', ?, 'running')",
            [dead.pid],
        )
    with Catalog(path, read_only=True) as catalog:
        assert catalog.rows("SELECT status FROM runs") == [("running",)]
    with Catalog(path) as catalog:
        assert catalog.rows("SELECT status, ended_at IS NOT NULL FROM runs") == [("interrupted", True)]


# ── damage ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("content", [b"", b"not a catalog at all", b"\0" * 20_000], ids=["empty", "text", "zeros"])
def test_a_file_that_is_no_catalog_is_named_as_damaged(tmp_path, content, read_only):
    path = tmp_path / "catalog.duckdb"
    path.write_bytes(content)
    with pytest.raises(WorkspaceDamaged) as damaged:
        Catalog(path, read_only=read_only)
    assert str(path) in str(damaged.value) and damaged.value.exit_code == 4


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_a_catalog_that_was_cut_or_overwritten_is_damaged_or_whole_but_never_a_riddle(path, share):
    with Catalog(path) as catalog:
        catalog.execute("INSERT INTO datasets (name) SELECT 'n' || range FROM range(20000)")
        letters = catalog.scalar("SELECT sum(length(name)) FROM datasets")
    whole = path.read_bytes()
    at = int(len(whole) * share)
    for content in (
        whole[:at],
        whole[:at] + bytes(4096) + whole[at + 4096 :],
        whole[:at] + b"\xff" * 9000 + whole[at + 9000 :],
    ):
        path.write_bytes(content)
        path.with_name(path.name + ".wal").unlink(missing_ok=True)
        for read_only in (True, False):
            try:
                with Catalog(path, read_only=read_only) as catalog:
                    assert catalog.scalar("SELECT sum(length(name)) FROM datasets") == letters
            except WorkspaceError as error:
                assert str(path) in str(error) and "\n" not in str(error)


def test_a_missing_catalog_is_damage_to_a_reader(tmp_path):
    with pytest.raises(WorkspaceDamaged, match=r"catalog\.duckdb"):
        Catalog(tmp_path / "catalog.duckdb", read_only=True)
