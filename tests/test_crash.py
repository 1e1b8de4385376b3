"""kill -9 at a commit, a blob or a folder of a command, then the same command again: the same end as if nothing had happened.

`CURATE_FAULT` (see `curate.catalog.faults`) kills the process at the n-th passing of a point, so that no clock decides what is
tested.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate.workspace import open_workspace

CURATE = Path(sys.prefix) / "bin" / "curate"
PICTURES = 240
RECORDS = 9_000  # more than a batch

INGEST = ["ingest", "corpus", "--dataset", "all", "--text", "text", "--label", "label"]
EMBED = ["embed", "all", "--embedder", "perceptual"]
DEDUPE = ["dedupe", "all", "--method", "exact", "--method", "minhash", "--method", "perceptual", "--yes"]
SPLIT = ["split", "all", "--stratify", "label"]
EXPORT = ["export", "all/train", "--format", "jsonl", "-o", "out"]


@dataclass(frozen=True)
class Case:
    """A command, what runs before it, and the points at which it is killed, of which it passes the first at least."""

    command: list[str]
    before: tuple[list[str], ...]
    kills: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.command[0]


CASES = [
    Case(INGEST, (), ("blob:1", "commit:3", "done:3", "commit:4", "done:4", "commit:5")),
    Case(EMBED, (INGEST,), ("commit:3", "commit:1", "done:3")),
    Case(DEDUPE, (INGEST, EMBED), ("commit:3", "done:1", "done:3")),
    Case(SPLIT, (INGEST, EMBED, DEDUPE), ("commit:2", "done:2", "commit:3")),
    Case(EXPORT, (INGEST, EMBED, DEDUPE, SPLIT), ("folder:1", "commit:2", "done:2")),
]


# ── what is read ────────────────────────────────────────────────────────────────────────────────────────────────────


def write_corpus(folder: Path) -> None:
    """A long JSONL with copies, edits and broken lines; several hundred pictures with copies; one that is cut."""
    rng = random.Random(0)
    words = [f"word{n}" for n in range(400)]
    with (folder / "long.jsonl").open("w") as stream:
        base: list[str] = []
        for n in range(RECORDS):
            if n % 997 == 0:
                stream.write('{"text": "cut\n')
            text = " ".join(rng.choices(words, k=12)) if n % 10 or not base else base[-1] + (" tail" if n % 20 else "")
            base = [*base[-20:], text]
            stream.write(json.dumps({"text": text, "label": f"l{n % 3}", "n": n}) + "\n")
    pictures = folder / "pictures"
    pictures.mkdir()
    for n in range(PICTURES):
        blots = np.random.default_rng(n - n % 3 if n % 9 else n).integers(0, 256, (6, 6, 3), np.uint8)
        out = io.BytesIO()
        Image.fromarray(blots).resize((64, 64), Image.Resampling.BICUBIC).save(out, "PNG", compress_level=1 + n % 2)
        data = out.getvalue()
        (pictures / f"{n:04}.png").write_bytes(data[: len(data) // 2] if n == 100 else data)


# ── what is compared ────────────────────────────────────────────────────────────────────────────────────────────────


def digest(rows: Any) -> str:
    """Of rows without their order, so that a difference is told by name and not by 20,000 lines."""
    return f"{len(rows)} rows {hashlib.sha256(repr(sorted(rows, key=repr)).encode()).hexdigest()[:16]}"


QUERIES = {
    "samples": """SELECT d.name, o.uri, s.locator, s.modality, s.content_hash, s.occurrence, s.label, s.text, s.blob,
                         s.size_bytes, s.width, s.height, s.metadata::VARCHAR
                  FROM real_samples s JOIN datasets d USING (dataset_id) JOIN sources o USING (source_id)""",
    "sources": "SELECT uri, complete, read, rejected, skipped, size_bytes FROM sources",
    "rejects": "SELECT o.uri, r.locator, r.reason, r.excerpt FROM rejects r JOIN sources o USING (source_id)",
    "curated": "SELECT dataset, source, locator, content_hash, label FROM curated",
    "evidence": """SELECT s.locator, k.locator, e.method, round(e.similarity, 6), v.action, v.reason FROM current_verdicts v
                   JOIN real_samples s USING (sample_id) JOIN duplicates e USING (duplicate_id)
                   JOIN real_samples k ON k.sample_id = e.keeper_id""",
    "ties": "SELECT count(*) FROM duplicates",
    "verdicts": "SELECT count(*) FROM verdicts",
    "splits": "SELECT name, version, members_hash, members FROM splits",
    "members": """SELECT p.name, p.version, m.part, s.locator, s.content_hash
                  FROM split_members m JOIN splits p USING (split_id) JOIN real_samples s USING (sample_id)""",
}


def state_of(place: Path) -> dict[str, str]:
    """Everything that a person would call the result, without ids, runs and times."""
    with open_workspace(place / "ws", read_only=True) as workspace:
        catalog = workspace.catalog
        state = {name: digest(catalog.rows(statement)) for name, statement in QUERIES.items()}
        for (table,) in catalog.rows("SELECT table_name FROM duckdb_tables() WHERE table_name LIKE 'vectors_%'"):
            state[table] = digest(
                [
                    (content, hashlib.sha256(repr(vector).encode()).hexdigest())
                    for content, vector in catalog.rows(
                        f"SELECT s.content_hash, v.vector FROM {table} v JOIN real_samples s USING (sample_id)"
                    )
                ]
            )
        named = {row[0] for row in catalog.rows("SELECT blob FROM real_samples WHERE blob IS NOT NULL")}
        on_disk = set(workspace.real.names())
        assert named <= on_disk, "a row names a blob that is not there"
        for name in named:
            assert hashlib.sha256(workspace.real.read(name)).hexdigest() in name
    out = place / "out"
    files = sorted(path for path in out.rglob("*") if path.is_file()) if out.exists() else []
    data = [path for path in files if path.suffix == ".jsonl"]
    state["exported"] = digest([(str(path.relative_to(out)), exported(path)) for path in data])
    state["names"] = repr([str(path.relative_to(out)) for path in files])
    state["beside"] = repr(sorted(path.name for path in place.iterdir() if not path.name.startswith(".")))
    return state


def exported(path: Path) -> Counter:
    """Rows of an export; the ids of two workspaces may differ."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return Counter(json.dumps({k: v for k, v in row.items() if not k.endswith("id")}, sort_keys=True) for row in rows)


# ── running ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def start(place: Path, command: list[str], fault: str | None = None) -> subprocess.Popen[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CURATE_")}
    if fault:
        environment["CURATE_FAULT"] = fault
    return subprocess.Popen(
        [str(CURATE), *command, "-w", "ws", "--json"],
        cwd=place,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def killed(place: Path, command: list[str], point: str) -> bool:
    """Run a command that is killed at a point; whether it passed it."""
    process = start(place, command, f"{point}:kill")
    _, err = process.communicate(timeout=240)
    assert process.returncode in (0, -signal.SIGKILL), err
    return process.returncode != 0


def run(place: Path, command: list[str]) -> None:
    """Run to the end."""
    process = start(place, command)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    json.loads(out)


def statuses(place: Path, step: str) -> list[str]:
    with open_workspace(place / "ws", read_only=True) as workspace:
        return [row[0] for row in workspace.catalog.rows("SELECT status FROM runs WHERE step = ? ORDER BY run_id", [step])]


def copy_of(place: Path, to: Path) -> Path:
    """The same workspace elsewhere; the corpus is linked, so that its path stays."""
    to.mkdir()
    shutil.copytree(place / "ws", to / "ws")
    (to / "corpus").symlink_to((place / "corpus").resolve())
    return to


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Callable[[Case], tuple[Path, dict[str, str]]]:
    """For a case: the place before its command, and the state after it; each command runs once."""
    root: Path = tmp_path_factory.mktemp("crash")
    first = root / "0"
    (first / "corpus").mkdir(parents=True)
    write_corpus(first / "corpus")
    subprocess.run([str(CURATE), "init", "ws"], cwd=first, check=True, capture_output=True)
    places = {(): first}

    def after(commands: tuple[list[str], ...]) -> Path:
        key = tuple(command[0] for command in commands)
        if key not in places:
            place = copy_of(after(commands[:-1]), root / f"{len(places)}")
            run(place, commands[-1])
            places[key] = place
        return places[key]

    def prepare(case: Case) -> tuple[Path, dict[str, str]]:
        place = after((*case.before, case.command))
        return after(case.before), state_of(place)

    return prepare


def check_end(place: Path, case: Case, expected: dict[str, str], at: str) -> None:
    run(place, case.command)
    found = state_of(place)
    assert {name: found[name] for name in found} == expected, at
    ended = statuses(place, case.name)
    assert ended[-1] == "done" and set(ended) <= {"interrupted", "done"}, ended


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_killed_command_goes_on_to_the_same_end(case, prepared, tmp_path):
    before, expected = prepared(case)
    for number, point in enumerate(case.kills):
        place = copy_of(before, tmp_path / str(number))
        met = killed(place, case.command, point)
        assert met or number, f"{case.name} never passes {point}"
        check_end(place, case, expected, f"killed at {point}")
        shutil.rmtree(place)


@pytest.mark.slow
def test_an_ingest_that_is_killed_again_and_again_still_ends_alike(prepared, tmp_path):
    case = CASES[0]
    before, expected = prepared(case)
    place = copy_of(before, tmp_path / "place")
    met = [killed(place, case.command, point) for point in ("blob:1", "commit:3", "done:3", "done:4")]
    assert met[0] and sum(met) >= 3
    check_end(place, case, expected, "killed again and again")
    assert "interrupted" in statuses(place, "ingest")


@pytest.fixture
def answering():
    """Children answer both signals, also where this suite runs in the background of a script, which ignores Ctrl-C."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("answering")
@pytest.mark.parametrize(("what", "code"), [("interrupt", 130), ("terminate", 143)])
def test_a_signal_ends_a_command_with_a_sentence_and_its_code_and_it_goes_on_afterwards(prepared, tmp_path, what, code):
    case = CASES[0]
    before, expected = prepared(case)
    place = copy_of(before, tmp_path / "place")
    process = start(place, case.command, f"commit:3:{what}")
    out, err = process.communicate(timeout=60)
    assert process.returncode == code and out == ""
    assert err.splitlines()[-1] == "interrupted; run the same command again to go on" and "Traceback" not in err
    assert statuses(place, "ingest") == ["interrupted"]
    check_end(place, case, expected, "interrupted")
