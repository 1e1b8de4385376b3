"""`check` is silent in a sound workspace and names exactly the law that is broken."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from curate import plugins
from curate.catalog import checks, vectors
from curate.catalog.vectors import EmbedderRow
from curate.embedding.specs import loaded
from curate.steps.check import INVARIANTS, CheckReport, check
from curate.steps.ingest import ingest
from curate.steps.protect import protect
from curate.steps.split import split
from curate.workspace import Workspace, create_workspace, open_workspace
from curate.workspace.sealed_files import seal_model

NEAR = "the quick brown fox jumps over the lazy dog and runs away into the deep dark wood at night"


def sound(root: Path) -> None:
    """A workspace with a row of every kind in which every law holds."""
    rows = [{"text": f"tale {n} of {n * n}", "label": f"l{n % 2}"} for n in range(60)]
    rows += [{"text": NEAR, "label": "l0"}, {"text": NEAR + " again", "label": "l0"}]
    (root / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + "{broken\n")
    with open_workspace(create_workspace(root / "ws")) as workspace:
        catalog = workspace.catalog
        ingest(workspace, [root / "a.jsonl"], dataset="tales", text=["text"], label="label")
        for n in range(4):
            file = io.BytesIO()
            Image.effect_noise((40, 40), 20 * n + 10).save(file, "PNG")
            (root / "photos").mkdir(exist_ok=True)
            (root / "photos" / f"{n}.png").write_bytes(file.getvalue())
        ingest(workspace, [root / "photos"], dataset="photos")
        deduper = plugins.load("dedupers", "minhash")(threshold=0.7)
        similarity = measure(deduper, NEAR, NEAR + " again")
        ids = dict(catalog.rows("SELECT text, sample_id FROM real_samples WHERE text IS NOT NULL"))
        catalog.execute(
            """INSERT INTO duplicates (run_id, sample_id, keeper_id, method, similarity, threshold, settings)
               VALUES (1, ?, ?, 'minhash', ?, 0.7, ?)""",
            [ids[NEAR + " again"], ids[NEAR], similarity, json.dumps(deduper.settings)],
        )
        catalog.execute(
            """INSERT INTO verdicts (sample_id, owner, action, reason, duplicate_id, run_id)
               VALUES (?, 'dedupe', 'drop', 'minhash', 1, 1)""",
            [ids[NEAR + " again"]],
        )
        split(workspace, "tales", seed=3)
        embed_photos(workspace)
        train(workspace)
        (root / "evals.jsonl").write_text('{"text": "something else entirely"}\n')
        ingest(workspace, [root / "evals.jsonl"], dataset="evals")
        protect(workspace, "tales", "evals", methods=["exact"])


def measure(deduper: object, left: str, right: str) -> float:
    return float(deduper.similarity(pa.array([left], pa.large_string()), pa.array([right], pa.large_string()))[0])


def embed_photos(workspace: Workspace) -> None:
    rows = workspace.catalog.rows("SELECT sample_id, blob FROM real_samples WHERE modality = 'image' ORDER BY sample_id")
    with loaded(workspace, "perceptual") as embedder:
        facts = (embedder.slug, "perceptual", embedder.fingerprint, embedder.dimension, embedder.description, None)
        vectors.register(workspace.catalog, EmbedderRow(*facts))
        made = embedder.embed_images([workspace.real.read(blob) for _, blob in rows])
    vectors.add(workspace.catalog, facts[0], np.array([row[0] for row in rows]), made)


def train(workspace: Workspace) -> None:
    weights = b"weights"
    (workspace.folder("models", "poet") / "model.safetensors").write_bytes(weights)
    workspace.catalog.execute(
        """INSERT INTO models (name, family, dataset_id, settings, folder, checkpoint_hash, depth, run_id)
           VALUES ('poet', 'markov', 1, '{}', 'poet', ?, 0, 1)""",
        [hashlib.sha256(weights).hexdigest()],
    )
    workspace.catalog.execute("INSERT INTO model_sources VALUES (1, 1, 1, 'train')")
    parent = workspace.catalog.scalar("SELECT min(sample_id) FROM parts WHERE part = 'train'")
    workspace.catalog.execute(
        """INSERT INTO synthetic_samples (dataset_id, model_id, run_id, seed, draw_index, requested_label, settings, depth,
               parents, modality, content_hash, label, text, size_bytes, status)
           VALUES (1, 1, 1, 5, 0, 'l0', '{}', 1, ?, 'text', ?, 'l0', 'drawn', 5, 'accepted')""",
        [json.dumps([parent]), hashlib.sha256(b"drawn").hexdigest()],
    )
    (workspace.root / "models" / "poet" / "config.json").write_text("{}")
    seal_model(workspace.root, workspace.catalog, 1, "poet", 1)


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("sound")
    sound(root)
    return root / "ws"


@pytest.fixture
def workspace(original: Path, tmp_path: Path):
    import shutil

    shutil.copytree(original, tmp_path / "ws")
    with open_workspace(tmp_path / "ws") as opened:
        yield opened


def laws(report: CheckReport) -> set[str]:
    return {finding.invariant for finding in report.findings}


def execute(*statements: str) -> Callable[[Workspace], None]:
    def damage(workspace: Workspace) -> None:
        for statement in statements:
            workspace.catalog.execute(statement)

    return damage


def behind(statement: str) -> Callable[[Workspace], None]:
    """Alter the catalog as another program would, past the code that seals."""
    return lambda workspace: workspace.catalog.connection.execute(statement)


def a_blob(workspace: Workspace, change: Callable[[Path], object]) -> None:
    change(workspace.real.path(workspace.catalog.scalar("SELECT min(blob) FROM real_samples")))


def cross_parts(workspace: Workspace) -> None:
    """Evidence found after the split: a trained-on sample resembles a tested one."""
    texts = workspace.catalog.rows(
        """SELECT arg_min(text, sample_id), min(sample_id) FROM parts JOIN real_samples USING (sample_id)
           GROUP BY part ORDER BY part"""
    )
    deduper = plugins.load("dedupers", "minhash")(threshold=0.0001)
    similarity = measure(deduper, texts[0][0], texts[1][0])
    workspace.catalog.execute(
        """INSERT INTO duplicates (run_id, sample_id, keeper_id, method, similarity, threshold, settings)
           VALUES (99, ?, ?, 'minhash', ?, 0, ?)""",
        [texts[0][1], texts[1][1], similarity, json.dumps(deduper.settings)],
    )


def unnormalised(workspace: Workspace) -> None:
    workspace.catalog.execute(
        """UPDATE vectors_perceptual SET vector = list_transform(vector::FLOAT[], lambda x: x * 2)
           WHERE sample_id = (SELECT max(sample_id) FROM vectors_perceptual)"""
    )


def swapped_vectors(workspace: Workspace) -> None:
    workspace.catalog.execute("UPDATE vectors_perceptual SET vector = list_transform(vector::FLOAT[], lambda x: -x)")


_TEST_ID = "(SELECT min(sample_id) FROM parts WHERE part = 'test')"
_RUN = "(step, settings, code_version, process_id, status, counts) VALUES ('ingest', '{}', '0', 1,"

DAMAGES: dict[str, tuple[str, Callable[[Workspace], None]]] = {
    "counts of a run": ("ingest counts", execute(
        f"""INSERT INTO runs {_RUN} 'done', '{{"read": 3, "added": 0, "unchanged": 1, "rejected": 1}}')""")),
    "no counts": ("ingest counts", execute(f"INSERT INTO runs {_RUN} 'done', NULL)")),
    "deleted sample": ("added samples", execute(
        """INSERT INTO runs (step, settings, code_version, process_id, status, counts)
           VALUES ('ingest', '{}', '0', 1, 'done', '{"read": 1, "added": 1, "unchanged": 0, "rejected": 0}')""")),
    "lost reject": ("rejects", execute("DELETE FROM rejects")),
    "half a source": ("sources", execute("UPDATE sources SET complete = false WHERE source_id = 1")),
    "running run": ("runs", execute("UPDATE runs SET status = 'running' WHERE run_id = 1")),
    "lost source": ("kept and dropped", execute(
        "DELETE FROM sources WHERE source_id = (SELECT max(source_id) FROM real_samples)")),
    "verdict on nobody": ("verdicts", execute(
        "INSERT INTO verdicts (sample_id, owner, action, reason, run_id) VALUES (999999, 'user', 'drop', 'user', 1)")),
    "twins": ("identity", execute(
        """UPDATE real_samples SET source_id = 1, content_hash = (SELECT content_hash FROM real_samples WHERE sample_id = 1),
               text = (SELECT text FROM real_samples WHERE sample_id = 1)
           WHERE sample_id = (SELECT max(sample_id) FROM real_samples WHERE text IS NOT NULL AND dataset_id = 1)""",
        "DELETE FROM verdicts WHERE owner <> 'protect'",
        "DELETE FROM duplicates WHERE duplicate_id NOT IN (SELECT duplicate_id FROM verdicts WHERE duplicate_id IS NOT NULL)")),
    "dropped keeper": ("keepers", execute(
        """INSERT INTO duplicates (run_id, sample_id, keeper_id, method, similarity, threshold, settings)
           SELECT 1, keeper_id, sample_id, method, similarity, threshold, settings FROM duplicates""",
        """INSERT INTO verdicts (sample_id, owner, action, reason, duplicate_id, run_id)
           SELECT sample_id, 'dedupe', 'drop', 'minhash', duplicate_id, 1 FROM duplicates WHERE duplicate_id = 2""")),
    "evidence of another": ("keepers", execute("INSERT INTO verdicts (sample_id, owner, action, reason, duplicate_id, run_id) "
        "VALUES (1, 'dedupe', 'drop', 'minhash', 1, 1)")),
    "too high a similarity": ("evidence", execute("UPDATE duplicates SET similarity = 0.99")),
    "under the threshold": ("evidence", execute("UPDATE duplicates SET threshold = 0.999")),
    "settings nobody knows": ("evidence", execute("""UPDATE duplicates SET settings = '{"colour": 3}'""")),
    "vectors gone": ("evidence", execute(
        """UPDATE duplicates SET method = 'semantic', settings = '{"threshold": 0.7, "slug": "no"}'""")),
    "changed text": ("content hashes", execute("UPDATE real_samples SET text = 'forged' WHERE sample_id = 1")),
    "changed drawn text": ("content hashes", execute("UPDATE synthetic_samples SET text = 'forged'")),
    "synthetic member": ("origins", execute(
        "INSERT INTO split_members SELECT 1, sample_id, 'test', 'x' FROM synthetic_samples")),
    "unknown member": ("split members", execute("INSERT INTO split_members VALUES (1, 999999, 'test', 'x')")),
    "moved group": ("split groups", execute(
        f"""UPDATE split_members SET group_key = (SELECT min(group_key) FROM split_members WHERE part = 'train')
            WHERE sample_id = {_TEST_ID}""")),
    "late evidence": ("split groups", cross_parts),
    "moved member": ("split hashes", execute(f"UPDATE split_members SET part = 'train' WHERE sample_id = {_TEST_ID}")),
    "lost member": ("split hashes", execute(f"DELETE FROM split_members WHERE sample_id = {_TEST_ID}")),
    "forged hash": ("split hashes", execute("UPDATE splits SET members_hash = 'x'")),
    "held-out parent": ("split parents", execute(f"UPDATE synthetic_samples SET parents = '[' || {_TEST_ID} || ']'")),
    "unknown parent": ("provenance", execute("UPDATE synthetic_samples SET parents = '[999999]'")),
    "no checkpoint": ("provenance", execute("UPDATE models SET checkpoint_hash = NULL")),
    "no run": ("provenance", execute("UPDATE synthetic_samples SET run_id = 999")),
    "wrong depth": ("provenance", execute("UPDATE models SET depth = 1")),
    "nearest to nobody": ("provenance", execute("UPDATE synthetic_samples SET nearest_id = 999999")),
    "lost blob": ("blobs", lambda w: a_blob(w, Path.unlink)),
    "cut blob": ("blobs", lambda w: a_blob(w, lambda path: path.write_bytes(path.read_bytes()[:-1]))),
    "changed blob": ("blobs", lambda w: a_blob(w, lambda path: path.write_bytes(path.read_bytes()[:-1] + b"x"))),
    "vector of nobody": ("vectors", execute(
        "INSERT INTO vectors_perceptual SELECT 999999, vector FROM vectors_perceptual LIMIT 1")),
    "a kept sample is a protected one": ("protections", execute("UPDATE real_samples SET text = 'tale 1 of 1', "
        "content_hash = sha256('tale 1 of 1') WHERE text = 'something else entirely'")),
    "two vectors": ("vectors", execute("INSERT INTO vectors_perceptual SELECT * FROM vectors_perceptual LIMIT 1")),
    "dimension": ("vectors", execute("UPDATE embedders SET dimension = 7")),
    "unknown table": ("vectors", execute("CREATE TABLE vectors_mystery (sample_id BIGINT, vector FLOAT[3])")),
    "other vectors": ("embedders", swapped_vectors),
    "fingerprint": ("embedders", execute("UPDATE embedders SET fingerprint = 'other'")),
    "labels altered behind our back": ("seals", behind("UPDATE real_samples SET label = 'l1' WHERE sample_id = 1")),
    "another view": ("schema", behind("CREATE OR REPLACE VIEW accepted AS SELECT * FROM samples")),
    "changed configuration": ("models", lambda w: (w.root / "models" / "poet" / "config.json").write_text('{"a": 1}')),
    "lost configuration": ("models", lambda w: (w.root / "models" / "poet" / "config.json").unlink()),
    "unknown file": ("models", lambda w: (w.root / "models" / "poet" / "code.py").write_text("1")),
    "changed weights": ("models", lambda w: (w.root / "models" / "poet" / "model.safetensors").write_bytes(b"x")),
    "lost weights": ("models", lambda w: (w.root / "models" / "poet" / "model.safetensors").unlink()),
}  # fmt: skip


ELSEWHERE = {"guards"}
"""Invariants that need vectors of texts, which this workspace lacks; no test breaks them yet."""


def test_a_sound_workspace_is_silent_and_every_law_was_held_against_something(workspace):
    report = check(workspace)
    assert report.findings == () and report.notes == ()
    assert all(count for name, count in report.checked.items() if name not in ELSEWHERE), report.checked
    assert report.checked["evidence"] == 1 and report.checked["blobs"] == report.checked["embedders"] == 4


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_broken_is_named(workspace, name):
    law, damage = DAMAGES[name]
    damage(workspace)
    report = check(workspace)
    assert laws(report) == {law}, report.findings
    assert all(finding.hint and finding.count >= 1 for finding in report.findings)


def test_vectors_must_be_of_length_one(workspace):
    unnormalised(workspace)
    found = {finding.invariant: finding for finding in check(workspace, fast=True).findings}
    assert found.keys() == {"vectors"}
    assert found["vectors"].ids == (workspace.catalog.scalar("SELECT max(sample_id) FROM vectors_perceptual"),)


def test_every_law_has_a_damage_that_breaks_it():
    known = {rule.invariant for rule in checks.RULES} | {law for law, _ in INVARIANTS}
    assert {law for law, _ in DAMAGES.values()} == known - ELSEWHERE


def test_a_user_may_drop_a_keeper(workspace):
    keeper = workspace.catalog.scalar("SELECT keeper_id FROM duplicates")
    workspace.catalog.execute(
        "INSERT INTO verdicts (sample_id, owner, action, reason, run_id) VALUES (?, 'user', 'drop', 'user', 1)", [keeper]
    )
    assert check(workspace).findings == ()


def test_fast_looks_at_sizes_and_says_what_it_left_out(workspace):
    a_blob(workspace, lambda path: path.write_bytes(path.read_bytes()[:-1] + b"x"))
    report = check(workspace, fast=True)
    assert report.findings == () and any("--fast" in note for note in report.notes)
    a_blob(workspace, lambda path: path.write_bytes(b"x"))
    assert laws(check(workspace, fast=True)) == {"blobs"}


def test_orphans_and_leftovers_are_notes_and_clean_removes_leftovers_only(workspace):
    folder = workspace.folder("blobs", "real", "ab")
    orphan, leftover = folder / ("ab" + "0" * 62 + ".png"), folder / ("ab" + "1" * 62 + ".png.0123abcd.tmp")
    orphan.write_bytes(b"x")
    leftover.write_bytes(b"x")
    report = check(workspace)
    assert report.findings == () and report.removed == 0 and leftover.exists()
    assert sum("1 files below blobs/real" in note or "1 leftovers" in note for note in report.notes) == 2
    assert check(workspace, clean=True).removed == 1
    assert orphan.exists() and not leftover.exists()


def test_an_embedder_that_is_not_here_is_a_note(workspace):
    workspace.catalog.execute("UPDATE embedders SET spec = 'sentence-transformers:./nowhere'")
    report = check(workspace)
    assert report.findings == () and any("cannot be loaded" in note for note in report.notes)


def test_superseded_versions_are_held_to_what_was_known_then(workspace):
    cross_parts(workspace)
    split(workspace, "tales", seed=3)
    assert check(workspace).findings == ()
    workspace.catalog.execute("UPDATE duplicates SET run_id = 1")
    assert laws(check(workspace)) == {"split groups"}


def test_ids_named_are_few_and_counted_all(workspace):
    workspace.catalog.execute("UPDATE real_samples SET text = text || '!' WHERE text IS NOT NULL")
    texts = workspace.catalog.scalar("SELECT count(*) FROM real_samples WHERE text IS NOT NULL")
    found = {finding.invariant: finding for finding in check(workspace).findings}
    assert found["content hashes"].count == texts > 60 and len(found["content hashes"].ids) == checks.SHOWN


def test_check_changes_nothing_and_runs_read_only(workspace):
    tables = [row[0] for row in workspace.catalog.rows("SELECT table_name FROM duckdb_tables() ORDER BY 1")]

    def contents() -> list:
        return [workspace.catalog.rows(f"SELECT * FROM {table} ORDER BY ALL") for table in tables]

    before = contents()
    check(workspace)
    assert contents() == before
    root = workspace.root
    workspace.close()
    with open_workspace(root, read_only=True) as reader:
        assert check(reader).findings == ()


def run_cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from curate.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_the_command_exits_with_1_and_says_what_to_do(workspace):
    a_blob(workspace, Path.unlink)
    workspace.close()
    root = str(workspace.root)
    told = run_cli("check", "--fast", "-w", root)
    assert told.returncode == 1 and "broken: blobs" in told.stdout and "try:" in told.stdout
    report = json.loads(run_cli("check", "--fast", "--json", "-w", root).stdout)
    assert [finding["invariant"] for finding in report["findings"]] == ["blobs"] and report["checked"]["identity"] > 0
    assert run_cli("split", "tales", "--seed", "3", "-w", root).returncode == 0
    refused = run_cli("split", "tales", "--seed", "4", "-w", root)
    assert refused.returncode == 2 and "--name" in refused.stderr and "Traceback" not in refused.stderr
