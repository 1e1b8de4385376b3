"""What the command line says when something goes wrong, and where it says it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from curate.catalog import Catalog
from curate.workspace import create_workspace

CURATE = Path(sys.prefix) / "bin" / "curate"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a workspace `ws` and the file `a.jsonl`, of which one line is broken."""
    create_workspace(tmp_path / "ws")
    rows = [json.dumps({"text": f"text {n}"}) for n in range(30)]
    (tmp_path / "a.jsonl").write_text("\n".join([*rows, rows[0], "{"]) + "\n")
    return tmp_path


def curate(place: Path, *words: str, workspace: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("CURATE_")}
    if workspace:
        clean["CURATE_WORKSPACE"] = str(place / "ws")
    return subprocess.run([str(CURATE), *words], cwd=place, env={**clean, **environment}, capture_output=True, text=True)


def check_failure(done: subprocess.CompletedProcess[str], code: int, *said: str) -> None:
    """One `error:` line with what is said, one `try:` line, nothing on stdout, no traceback."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0].startswith("error: ") and lines[-1].startswith("  try: ") and "Traceback" not in done.stderr
    for words in said:
        assert words in done.stderr


def test_expected_failures_are_one_sentence_with_a_way_out(place):
    check_failure(curate(place, "ingest", "nowhere.csv", "--dataset", "d"), 1, "nowhere.csv")
    check_failure(curate(place, "dedupe", "nobody"), 1, "'nobody'", "curate ingest")
    check_failure(curate(place, "ingest", "a.jsonl", "--dataset", "two words"), 2, "two words", "--dataset two-words")
    check_failure(curate(place, "ingest", "a.jsonl", "-d", "d", workspace=False), 2, "no curate workspace", "curate init")
    check_failure(curate(place, "dedupe", "d", "-w", "elsewhere"), 2, "elsewhere is not a curate workspace")
    check_failure(curate(place, "ingest", "a.jsonl", "-d", "d", "--text", "body"), 2, "'body'", "text")


def test_wrong_usage_exits_with_2_and_says_how(place):
    for words in (
        ["ingest"],
        ["ingest", "a.jsonl", "--dataset"],
        ["nonsense"],
        ["dedupe", "d", "--threshold", "high"],
        ["drop", "x"],
    ):
        done = curate(place, *words)
        assert done.returncode == 2 and done.stdout == "" and "Traceback" not in done.stderr
        assert "Error: " in done.stderr or "error: " in done.stderr


def test_a_locked_workspace_exits_with_4_and_names_the_process(place):
    with Catalog(place / "ws" / "catalog.duckdb"):
        check_failure(curate(place, "ingest", "a.jsonl", "-d", "d"), 4, f"process {os.getpid()} is working on", "--wait")


def test_a_damaged_workspace_exits_with_4(place):
    (place / "ws" / "catalog.duckdb").write_bytes(b"no catalog")
    done = curate(place, "ingest", "a.jsonl", "-d", "d")
    assert done.returncode == 4 and done.stderr.startswith("error: ") and "Traceback" not in done.stderr


def test_settings_that_cannot_be_read_are_named_with_their_file(place):
    for text, said in (("limits = 3", "limits"), ("[limits]\nmemory = 'much'", "much"), ("[limits", "TOML"), ("[x]\n", "x")):
        (place / "ws" / "curate.toml").write_text(text)
        done = curate(place, "ingest", "a.jsonl", "-d", "d")
        assert done.returncode == 2 and "curate.toml" in done.stderr and said in done.stderr and "Traceback" not in done.stderr


def test_debug_shows_where_it_happened(place):
    done = curate(place, "--debug", "dedupe", "nobody")
    assert done.returncode == 1 and "Traceback" in done.stderr and "'nobody'" in done.stderr
    assert "Traceback" in curate(place, "dedupe", "nobody", CURATE_DEBUG="1").stderr


def test_json_is_the_only_thing_on_stdout_and_strict_rejects_exit_with_3(place):
    done = curate(place, "ingest", "a.jsonl", "-d", "d", "--json", "--strict")
    assert done.returncode == 3
    report = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert {"run_id", "dataset", "read", "added", "unchanged", "rejected", "seconds"} <= report.keys()
    assert (report["read"], report["added"], report["rejected"]) == (32, 31, 1)
    judged = json.loads(curate(place, "dedupe", "d", "--method", "exact", "--json").stdout)
    assert {"samples", "kept", "dropped", "groups", "largest_group", "by_method"} <= judged.keys()
    assert judged["by_method"] == {"exact": 1}
    shown = json.loads(curate(place, "duplicates", "d", "--json").stdout)
    dropped = shown["shown"][0]["members"][0]["sample"]["sample_id"]
    why = json.loads(curate(place, "explain", str(dropped), "--json").stdout)
    assert (why["action"], why["reason"], why["keeper"]["sample_id"]) == ("drop", "exact", 1)
    assert json.loads(curate(place, "restore", str(dropped), "--json").stdout)["changed"] == 1
    assert json.loads(curate(place, "init", "other", "--json").stdout)["workspace"].endswith("other")


def test_a_failure_with_json_is_an_object_on_stdout_and_a_sentence_on_stderr(place):
    done = curate(place, "dedupe", "nobody", "--json")
    told = json.loads(done.stdout)
    assert done.returncode == told["exit_code"] == 1 and "'nobody'" in told["error"] and "curate ingest" in told["hint"]
    assert done.stderr.startswith("error: ")


def test_progress_is_told_on_stderr_only(place):
    quiet = curate(place, "ingest", "a.jsonl", "-d", "d")
    assert quiet.returncode == 0 and "reading" not in quiet.stdout and quiet.stderr == ""
    assert quiet.stdout.startswith("d: read 32 = 31 added + 0 unchanged + 1 rejected")


def test_a_reader_that_leaves_early_ends_the_command_quietly(place):
    curate(place, "ingest", "a.jsonl", "-d", "d")
    for words in ("dedupe d --method exact", "--help", "ingest --help"):
        done = subprocess.run(
            ["bash", "-c", f'"$0" {words} | true; echo "${{PIPESTATUS[0]}}"', str(CURATE)],
            cwd=place,
            env={**os.environ, "CURATE_WORKSPACE": str(place / "ws")},
            capture_output=True,
            text=True,
        )
        assert done.stderr == "", words
        assert done.stdout.strip() in ("0", "1"), words


def test_a_file_that_may_not_be_written_is_an_error_and_no_traceback(place):
    (place / "file").write_text("")
    done = curate(place, "init", "file")
    assert done.returncode == 1 and done.stderr.startswith("error: ") and "Traceback" not in done.stderr
    done = curate(place, "init", "file/below")
    assert done.returncode == 1 and done.stderr.startswith("error: ") and "Traceback" not in done.stderr


def test_the_version_is_printed(place):
    from curate import __version__

    assert curate(place, "--version").stdout == f"curate {__version__}\n"


def test_a_condition_that_cannot_be_used_is_told_in_one_sentence_and_nothing_else(place: Path) -> None:
    assert curate(place, "ingest", "a.jsonl", "--dataset", "a").returncode == 0
    for condition, said in (
        ("nonsense = 1", "nonsense"),
        ("nextval('sample_ids') > 0", "read-only"),
        ("true; SELECT 1", "one SQL"),
    ):
        done = curate(place, "drop", "--where", condition)
        check_failure(done, 2, said)
        assert len(done.stderr.splitlines()) == 2
