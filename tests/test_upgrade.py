"""A workspace of an earlier release opens, migrates, keeps every row and passes `check`.

`tests/fixtures/make_workspace.py` made it, run with the release that its name tells.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import duckdb
import pytest

from curate import check, dedupe, embed, models, open_workspace, reproduce, train
from curate.errors import SettingError

FIXTURE = Path(__file__).parent / "fixtures" / "workspace-0.1.0.tar.gz"
COUNTED = (
    "real_samples",
    "synthetic_samples",
    "rejects",
    "runs",
    "verdicts",
    "duplicates",
    "split_members",
    "models",
    "sources",
)
LINEAGE = "sample_id, model, checkpoint_hash, trained_on, split, split_version, members_hash, part, seed, draw_index, settings"
STATES = "SELECT dataset, origin, state, count(*), sum(sample_id) FROM samples GROUP BY ALL ORDER BY ALL"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    with tarfile.open(FIXTURE) as tar:
        tar.extractall(tmp_path, filter="data")
    return tmp_path / "ws"


def asked(path: Path) -> dict[str, object]:
    with duckdb.connect(str(path), read_only=True) as catalog:
        counts = {name: catalog.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0] for name in COUNTED}
        return {**counts, "states": catalog.execute(STATES).fetchall()}


def test_an_old_workspace_keeps_every_row_and_every_verdict_and_passes_check(old: Path):
    before = asked(old / "catalog.duckdb")
    assert before["models"] == 2 and before["verdicts"] > 10 and before["rejects"] == 2
    with open_workspace(old) as workspace:
        report = check(workspace)
    assert report.findings == ()
    assert any("vectors of perceptual are of an earlier version" in note for note in report.notes)
    assert asked(old / "catalog.duckdb") == before


def test_an_old_workspace_embeds_its_images_anew_when_asked_and_is_whole_after(old: Path):
    with open_workspace(old) as workspace:
        with pytest.raises(SettingError, match="perceptual"):
            embed(workspace, "digits")
        assert embed(workspace, "digits", replace=True).embedded > 0
        dedupe(workspace, "digits", yes=True)
        report = check(workspace)
    assert report.findings == ()
    assert not any("earlier version" in note for note in report.notes)


@pytest.mark.parametrize("model", ["pictures", "words"])
def test_a_model_of_an_old_workspace_draws_its_samples_again_bit_for_bit(old: Path, model: str):
    with open_workspace(old) as workspace:
        again = reproduce(workspace, model=model)
    assert again.samples > 5 and (again.different, again.notes) == ((), ())


def test_a_training_of_an_old_workspace_is_known_again_by_its_command(old: Path):
    with open_workspace(old) as workspace:
        tiny = {"steps": 4, "widths": [24], "layers": 1}
        report = train(workspace, "diffusion", "digits/train", preset="tiny", settings=tiny, name="pictures")
        assert (report.already, report.model, report.steps) == (True, "pictures", 4)
        other = train(workspace, "diffusion", "digits/train", preset="tiny", settings={**tiny, "objective": "epsilon"})
        assert not other.already


KILLED = """
import os, sys, duckdb
from curate.catalog._migrations import migrate

class KilledBeforeItsCheckpoint:
    def __init__(self, connection):
        self.connection = connection

    def __getattr__(self, name):
        return getattr(self.connection, name)

    def execute(self, statement, *parameters):
        if statement == "CHECKPOINT":
            os._exit(9)
        return self.connection.execute(statement, *parameters)

migrate(KilledBeforeItsCheckpoint(duckdb.connect(sys.argv[1], config={"checkpoint_threshold": "1GB"})))
"""


def test_an_upgrade_that_is_killed_after_its_migrations_is_replayed_by_the_next_open(old: Path):
    before = asked(old / "catalog.duckdb")
    child = subprocess.run([sys.executable, "-c", KILLED, str(old / "catalog.duckdb")])
    assert child.returncode == 9 and (old / "catalog.duckdb.wal").exists()
    with open_workspace(old) as workspace:
        assert check(workspace, fast=True).findings == ()
    assert asked(old / "catalog.duckdb") == before


def test_an_old_workspace_takes_modalities_that_its_release_did_not_know(old: Path):
    with open_workspace(old) as workspace:
        catalog = workspace.catalog
        indexes = {row[0] for row in catalog.rows("SELECT index_name FROM duckdb_indexes()")}
        assert {"synthetic_by_draw", "sources_by_uri", "splits_by_name"} <= indexes
        assert catalog.scalar("SELECT count(*) FROM real_samples WHERE facts IS NOT NULL") == 0
        highest = catalog.scalar("SELECT max(sample_id) FROM samples")
        catalog.execute(
            """INSERT INTO real_samples
                   (dataset_id, source_id, locator, modality, content_hash, occurrence, blob, size_bytes, run_id)
               VALUES (1, 1, '', 'tune', 'x', 0, 'ab/x.tune', 1, 1)"""
        )
        assert catalog.scalar("SELECT sample_id FROM real_samples WHERE modality = 'tune'") > highest
        with pytest.raises(duckdb.ConstraintException):  # a sample has a content somewhere
            catalog.execute(
                """INSERT INTO real_samples (dataset_id, source_id, locator, modality, content_hash, occurrence, size_bytes,
                                             run_id)
                   VALUES (1, 1, '', 'tune', 'y', 0, 1, 1)"""
            )


def test_the_models_of_an_old_workspace_keep_what_they_learned_from_and_get_an_objective(old: Path):
    with duckdb.connect(str(old / "catalog.duckdb"), read_only=True) as catalog:
        before = catalog.execute(f"SELECT {LINEAGE} FROM lineage ORDER BY sample_id").fetchall()
        learned = catalog.execute("SELECT model_id, dataset_id, split_id, part FROM models ORDER BY model_id").fetchall()
    with open_workspace(old) as workspace:
        rows = workspace.catalog.rows
        assert rows(f"SELECT {LINEAGE} FROM lineage ORDER BY sample_id") == before
        assert rows("SELECT model_id, dataset_id, split_id, part FROM model_sources ORDER BY model_id") == learned
        assert rows("SELECT name, objective, parent_id FROM models ORDER BY name") == [
            ("pictures", "flow_matching", None),
            ("words", "next_token", None),
        ]
        assert [(m.name, m.objective, m.trained_on) for m in models(workspace)] == [
            ("pictures", "flow_matching", "digits@default:1/train"),
            ("words", "next_token", "questions@default:1/train"),
        ]
