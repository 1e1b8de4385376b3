"""`check` names the damage that it meets, and never dies of it; what can be mended without loss is."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest

from curate import check, dedupe, open_workspace
from curate.errors import WorkspaceError

FIXTURE = Path(__file__).parents[1] / "fixtures" / "workspace-0.1.0.tar.gz"


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("damage")
    with tarfile.open(FIXTURE) as tar:
        tar.extractall(place, filter="data")
    open_workspace(place / "ws").close()
    return place / "ws"


@pytest.mark.parametrize("at", [n / 10 + 0.03 for n in range(10)])
def test_a_damaged_block_is_an_error_in_one_sentence_or_a_finding_or_harms_nothing(original, tmp_path, at):
    root = Path(shutil.copytree(original, tmp_path / "ws"))
    path = root / "catalog.duckdb"
    whole = path.read_bytes()
    place = int(len(whole) * at)
    path.write_bytes(whole[:place] + bytes(b ^ 0x55 for b in whole[place : place + 64]) + whole[place + 64 :])
    try:
        with open_workspace(root, read_only=True) as workspace:
            found = check(workspace, fast=True).findings
    except WorkspaceError as error:
        assert "\n" not in str(error) and error.hint
    else:
        assert all(finding.message and finding.hint for finding in found)


def test_repair_removes_leftovers_and_caches_and_says_so(original, tmp_path):
    root = Path(shutil.copytree(original, tmp_path / "ws"))
    leftover = root / "models" / ".config.json.0123.tmp"
    leftover.write_text("x")
    with open_workspace(root) as workspace:
        dedupe(workspace, "digits", methods=["exact"])
        assert (root / "indexes" / "contents").is_dir()
        report = check(workspace, fast=True, repair=True)
        assert report.removed == 1 and not leftover.exists() and not (root / "indexes" / "contents").exists()
        assert sum(note.startswith("repaired: ") for note in report.notes) == 2 and report.findings == ()
        dedupe(workspace, "digits", methods=["exact"])
        assert check(workspace, fast=True).findings == ()


def test_no_flipped_byte_of_a_cache_stops_a_later_dedupe(original, tmp_path):
    root = Path(shutil.copytree(original, tmp_path / "ws"))
    with open_workspace(root) as workspace:
        wanted = dedupe(workspace, "questions", methods=["exact", "minhash"]).kept
        caches = [p for p in sorted((root / "indexes").rglob("*")) if p.is_file() and "spill" not in p.parts]
        assert len(caches) > 3
        for path in caches:
            whole = bytearray(path.read_bytes() if path.exists() else b"")
            for at in {0, len(whole) // 2, len(whole) - 1} if whole else ():
                damaged = bytearray(whole)
                damaged[at] ^= 0x10
                path.write_bytes(damaged)
                assert dedupe(workspace, "questions", methods=["exact", "minhash"]).kept == wanted, (path, at)
