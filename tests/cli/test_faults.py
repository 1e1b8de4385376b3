"""Ordinary faults, put into every command: one sentence, a way out, the exit code that was promised, and never a traceback."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

import curate.cli
from curate import interrupts, open_workspace
from curate.catalog import faults
from curate.errors import WorkspaceDamaged

FIXTURE = Path(__file__).parents[1] / "fixtures" / "workspace-0.1.0.tar.gz"

COMMANDS: dict[str, list[str]] = {
    "init": ["init", "ws"],
    "ingest": ["ingest", "more.jsonl", "--dataset", "more", "--text", "text"],
    "embed": ["embed", "digits", "--embedder", "perceptual"],
    "dedupe": ["dedupe", "questions", "--method", "exact", "--yes"],
    "duplicates": ["duplicates", "questions"],
    "borderline": ["borderline", "questions"],
    "calibrate": ["calibrate", "pairs.csv", "--method", "minhash"],
    "explain": ["explain", "2"],
    "target-size": ["target-size", "questions", "100", "--method", "minhash", "--yes"],
    "rethreshold": ["rethreshold", "questions", "--threshold", "semantic=0.99"],
    "restore": ["restore", "1"],
    "drop": ["drop", "5"],
    "split": ["split", "questions", "--name", "other"],
    "export": ["export", "questions", "-o", "out"],
    "check": ["check", "--fast"],
    "search": ["search", "passport", "--dataset", "questions"],
    "sql": ["sql", "select count(*) from samples"],
    "status": ["status"],
    "report": ["report", "-o", "report.html"],
    "models": ["models"],
    "run": ["run"],
    "filter": ["filter", "questions", "--rule", "length", "--setting", "min_words=2"],
    "take-back": ["take-back", "questions"],
    "protect": ["protect", "questions", "--list"],
    "revert": ["revert", "1"],
    "backup": ["backup", "copy"],
    "restore-backup": ["restore-backup", "nowhere", "new"],
    "remove": ["remove", "digits", "--yes"],
    "rename": ["rename", "digits", "numbers"],
}
"""How each command is called here."""

UNTRIED = {"demo", "train", "generate", "reproduce", "evaluate"}
"""Commands that take too long for this table: they open and commit through the same code."""

FAULTS = {
    "open:1:corrupt": 4,
    "commit:1:disk-full": 1,
    "commit:2:disk-full": 1,
    "commit:2:corrupt": 4,
    "done:1:disk-full": 1,
    "commit:1:interrupt": 130,
    "commit:2:terminate": 143,
}
"""A fault, and the exit code of a command that meets it."""


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("faults")
    with tarfile.open(FIXTURE) as tar:
        tar.extractall(place, filter="data")
    open_workspace(place / "ws").close()
    (place / "more.jsonl").write_text("".join(json.dumps({"text": f"more {n}"}) + "\n" for n in range(9)))
    pairs = [f"a b c d e f {n},a b c d e f {n % 3},{n % 2}\n" for n in range(60)]
    (place / "pairs.csv").write_text("left,right,same\n" + "".join(pairs))
    return place


@pytest.fixture
def run(original, tmp_path, monkeypatch, capfd):
    """Run a command in a copy of the place, in this process, under a fault: exit code, stdout, stderr."""
    place = Path(shutil.copytree(original, tmp_path / "place"))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in handlers:
        signal.signal(number, signal.default_int_handler)

    def call(words: list[str], fault: str | None, **environment: str) -> tuple[Any, str, str]:
        monkeypatch.chdir(place)
        monkeypatch.setenv("CURATE_WORKSPACE", str(place / "ws"))
        monkeypatch.setattr(sys, "argv", ["curate", *words])
        monkeypatch.setattr(faults, "passing", faults.fault(fault) if fault else faults.nothing)
        monkeypatch.setattr(interrupts, "_received", [])
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            curate.cli.main()
        return left.value.code, *capfd.readouterr()

    yield call
    for number, handler in handlers.items():
        signal.signal(number, handler)


def registered() -> set[str]:
    return {command.name or command.callback.__name__.replace("_", "-") for command in curate.cli.app.registered_commands}


def test_every_command_is_in_the_table_or_left_out_on_purpose():
    assert registered() <= COMMANDS.keys() | UNTRIED, registered() - COMMANDS.keys() - UNTRIED


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", sorted(COMMANDS.keys()))
def test_a_fault_is_one_sentence_or_does_not_meet_the_command(run, name, fault):
    if name not in registered():
        pytest.skip("the command is not registered here")
    code, _, err = run(COMMANDS[name], fault)
    assert code in (0, 1, FAULTS[fault]), err  # 1: what the command refuses here without any fault
    assert "Traceback" not in err
    if code in (130, 143):
        assert err.splitlines()[-1] == "interrupted; run the same command again to go on"
    elif code:
        said = [line for line in err.splitlines() if line.startswith(("error: ", "  try: "))]
        assert len(said) == 2 and said[0].startswith("error: ")


@pytest.mark.parametrize("fault", ["open:1:corrupt", "commit:2:disk-full"])
def test_what_failed_can_be_done_afterwards_and_the_workspace_is_sound(run, fault):
    assert run(COMMANDS["ingest"], fault)[0] in (1, 4)
    assert run(COMMANDS["ingest"], None)[0] == 0
    code, out, _ = run(["check", "--fast", "--json"], None)
    assert code == 0 and json.loads(out)["findings"] == []


def test_under_json_a_failure_is_an_object_on_stdout_with_the_same_exit_code(run):
    for words, fault, code in (
        (["status", "--json"], "open:1:corrupt", 4),
        (["dedupe", "nobody", "--json"], None, 1),
        (["search", "x", "--dataset", "questions", "-k", "none", "--json"], None, 2),
        (["nonsense", "--json"], None, 2),
    ):
        left, out, err = run(words, fault)
        told = json.loads(out)
        assert left == code == told["exit_code"] and told["error"] and err


HOSTILE = "a\x1b]0;owned\x07\x9b31m\u202eevil\x85"


def drives(text: str) -> bool:
    return any(c in text for c in ("\x1b", "\x9b", "\x85", "\x07", "\u202e"))


def test_data_never_drives_the_terminal(run, original):
    """Labels, texts, file names, external ids and SQL errors with escape sequences, C1 controls and a change of direction."""
    place = original
    name = "b\x1b[2Jc\u202e.jsonl"
    rows = [{"text": f"{HOSTILE} {n % 7}", "label": HOSTILE, "id": HOSTILE + str(n)} for n in range(12)]
    (place / name).write_text("".join(json.dumps(row) + "\n" for row in rows) + "{broken " + HOSTILE)
    words = ["ingest", str(place / name), "--dataset", "evil", "--text", "text", "--label", "label", "--id", "id"]
    told = [run(words, None)]
    for words in (
        ["dedupe", "evil", "--method", "exact", "--yes"],
        ["duplicates", "evil"],
        ["explain", str(2)],
        ["search", "evil", "--dataset", "evil"],
        ["status"],
        ["split", "evil", "--stratify", "label"],
        ["sql", "select label, text from samples where dataset = 'evil'", "--format", "table"],
        ["sql", f'select "{HOSTILE}" from samples'],
        ["drop", "--where", f'"{HOSTILE}" = 1'],
        ["export", "evil@" + HOSTILE, "-o", "out"],
        ["ingest", "nowhere" + HOSTILE, "--dataset", "x"],
        ["status", "--json"],
        ["duplicates", "evil", "--json"],
        ["check", "--fast"],
        ["borderline", "evil", "--method", "minhash"],
        ["report", "-o", "report" + HOSTILE[:1] + ".html"],
    ):
        told.append(run(words, None))
    assert [code for code, *_ in told[:2]] == [0, 0], told
    for code, out, err in told:
        assert not drives(out) and not drives(err), (code, out, err)


def test_an_argument_that_is_no_utf8_is_told_so(run):
    for words in (["ingest", "bad\udcff.jsonl", "--dataset", "d"], ["status", "-w", "bad\udcff"], ["sql", "select '\udcff'"]):
        code, _, err = run(words, None)
        assert code == 2 and "not valid UTF-8" in err and "\\xff" in err


@pytest.mark.parametrize("at", [0.5, 0.97])
def test_a_damaged_log_says_how_to_open_the_catalog_without_it(original, tmp_path, at):
    root = Path(shutil.copytree(original / "ws", tmp_path / "ws"))
    with open_workspace(root) as workspace:
        workspace.catalog.connection.execute("SET checkpoint_threshold = '1GB'; PRAGMA disable_checkpoint_on_shutdown")
        for _ in range(20):
            workspace.catalog.execute("UPDATE datasets SET notes = repeat('x', 500)")
    log = root / "catalog.duckdb.wal"
    whole = log.read_bytes()
    place = int(len(whole) * at)
    log.write_bytes(whole[:place] + bytes(64) + whole[place + 64 :])
    for read_only in (True, False):
        try:
            open_workspace(root, read_only=read_only).close()
        except WorkspaceDamaged as error:
            assert ".wal" in (error.hint or "") and "\n" not in str(error)
            log.rename(log.with_name(log.name + ".damaged"))
            open_workspace(root, read_only=read_only).close()
            return
