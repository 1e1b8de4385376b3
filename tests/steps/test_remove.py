"""A removed dataset takes all that hangs on it along, and nothing else; a renamed one keeps everything."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from curate.errors import InputError, NeedsConfirmation, SettingError
from curate.steps.check import check
from curate.steps.dedupe import dedupe
from curate.steps.export import export
from curate.steps.ingest import ingest
from curate.steps.protect import protect, protections_of
from curate.steps.remove import remove
from curate.steps.rename import rename
from curate.steps.split import split
from curate.workspace import Workspace, create_workspace, open_workspace

FIXTURE = Path(__file__).parents[1] / "fixtures" / "workspace-0.1.0.tar.gz"


@pytest.fixture
def full(tmp_path: Path):
    """Two datasets with verdicts, splits, models and drawn samples."""
    with tarfile.open(FIXTURE) as tar:
        tar.extractall(tmp_path, filter="data")
    with open_workspace(tmp_path / "ws") as workspace:
        yield workspace


@pytest.fixture
def workspace(tmp_path: Path):
    with open_workspace(create_workspace(tmp_path / "ws")) as opened:
        yield opened


def put(workspace: Workspace, dataset: str, texts: list[str]) -> None:
    path = workspace.root.parent / f"{dataset}.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    ingest(workspace, [path], dataset=dataset)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def left_of(workspace: Workspace, dataset: str) -> list[tuple]:
    return workspace.catalog.rows("SELECT * FROM samples WHERE dataset = ? ORDER BY sample_id", [dataset])


@pytest.mark.parametrize(("gone", "stays"), [("digits", "questions"), ("questions", "digits")])
def test_a_dataset_goes_with_all_that_hangs_on_it_and_nothing_else(full, gone, stays):
    before, media = left_of(full, stays), files(full.root / "blobs")
    shown = remove(full, gone, dry_run=True)
    with pytest.raises(NeedsConfirmation, match="real_samples"):
        remove(full, gone)
    assert left_of(full, gone) and files(full.root / "blobs") == media
    report = remove(full, gone, yes=True)
    assert (report.rows, report.models) == (shown.rows, shown.models) and report.rows["real_samples"] > 50
    assert left_of(full, gone) == [] and left_of(full, stays) == before
    assert check(full).findings == ()
    assert {path.split("/")[0] for path in files(full.root / "models")} == {
        row[0] for row in full.catalog.rows("SELECT folder FROM models")
    }
    named = {f"{kind}/{row[0]}" for kind in ("real", "synthetic") for row in full.catalog.rows(
        f"SELECT DISTINCT blob FROM {kind}_samples WHERE blob IS NOT NULL"
    )}  # fmt: skip
    assert files(full.root / "blobs") == named
    with pytest.raises(InputError, match="no dataset"):
        remove(full, gone, yes=True)


def test_samples_of_others_that_a_removed_one_stood_for_are_kept_again(workspace):
    put(workspace, "old", ["one text", "another text"])
    put(workspace, "new", ["one text", "a third text"])
    assert dedupe(workspace, "new", methods=["exact"], against="old").dropped == 1
    report = remove(workspace, "old", yes=True)
    assert report.orphaned == 1
    assert workspace.catalog.scalar("SELECT count(*) FROM curated WHERE dataset = 'new'") == 2
    assert check(workspace).findings == ()


def test_a_rule_goes_with_the_set_that_it_protected_and_what_it_dropped_is_kept_again(workspace):
    put(workspace, "evals", ["one text", "another text"])
    put(workspace, "own", ["one text", "a third text"])
    assert protect(workspace, "own", "evals", methods=["exact"]).matched == 1
    assert remove(workspace, "evals", yes=True).orphaned == 1
    assert protections_of(workspace) == []
    for table in ("protections", "protection_ends", "protection_sweeps"):
        assert workspace.catalog.scalar(f"SELECT count(*) FROM {table}") == 0
    assert dedupe(workspace, "own", methods=["exact"]).kept == 2 and check(workspace).findings == ()


def test_a_name_that_was_removed_can_be_used_again(workspace):
    put(workspace, "d", ["one", "two"])
    remove(workspace, "d", yes=True)
    put(workspace, "d", ["one", "two", "three"])
    assert workspace.catalog.scalar("SELECT count(*) FROM curated") == 3 and check(workspace).findings == ()


def test_a_renamed_dataset_keeps_its_samples_splits_and_rules(full, tmp_path):
    before = full.catalog.rows("SELECT sample_id, state FROM samples WHERE dataset = 'questions' ORDER BY 1")
    rename(full, "questions", "helpdesk")
    assert full.catalog.rows("SELECT sample_id, state FROM samples WHERE dataset = 'helpdesk' ORDER BY 1") == before
    assert export(full, "helpdesk/train", format="jsonl", out=tmp_path / "out").real > 50
    assert not split(full, "helpdesk", stratify="label", seed=7, near=True).moved
    assert check(full).findings == ()
    for name, error in (("digits", InputError), ("no good", SettingError)):
        with pytest.raises(error):
            rename(full, "helpdesk", name)
