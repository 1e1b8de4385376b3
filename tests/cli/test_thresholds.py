"""How thresholds are asked for and shown on the command line: a command for each way, and no option is ignored."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from curate.cli import app
from curate.cli.pairs import read_settings
from curate.errors import CurateError
from curate.workspace import create_workspace

WORDS = [f"word{n}" for n in range(120)]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with a workspace `ws`, whose dataset `d` was deduplicated at 0.4, and its eval set `e`."""
    folder = tmp_path_factory.mktemp("thresholds")
    create_workspace(folder / "ws")
    rng = random.Random(4)
    stories = [" ".join(rng.choices(WORDS, k=40)) for _ in range(8)]
    near = [f"{story.rpartition(' ')[0]} other" for story in stories[:4]]
    far = [" ".join([*story.split()[:30], *rng.choices(WORDS, k=10)]) for story in stories[4:7]]
    for name, texts in (("d", [*stories, *near, *far]), ("e", stories[:1])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        assert curate(folder, "ingest", str(folder / f"{name}.jsonl"), "--dataset", name).exit_code == 0
    with (folder / "pairs.csv").open("w", newline="") as file:
        rows = [(left, right, 1) for left, right in zip(stories, near, strict=False)]
        csv.writer(file).writerows([("left", "right", "same"), *rows, (stories[0], stories[1], 0)])
    return folder


def curate(place: Path, *words: str) -> Result:
    return CliRunner().invoke(app, [*words, "-w", str(place / "ws")])


def value(place: Path, *words: str) -> dict:
    done = curate(place, *words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["borderline", "d", "--against", "e"], "No such option: --against"),
        (["borderline", "d", "--method", "minhash", "--threshold", "semantic=0.9"], "of the one method"),
        (["borderline", "d", "-n", "0"], "x>=1"),
        (["rethreshold", "d", "--threshold", "0.9", "--method", "minhash"], "No such option: --method"),
        (["rethreshold", "d", "--threshold", "high"], "METHOD=NUMBER, got 'high'"),
        (["rethreshold", "d"], "Missing option '--threshold'"),
        (["dedupe", "d", "--threshold", "0.9", "--threshold", "minhash=0.8"], "one number for all methods"),
        (["dedupe", "d", "--threshold", "minhash=0.9", "--threshold", "minhash=0.8"], "minhash is given twice"),
        (["dedupe", "d", "--setting", "ngram"], "NAME=VALUE, got 'ngram'"),
        (["target-size", "d"], "Missing argument 'N'"),
        (["take-back"], "Missing argument 'dataset'"),
    ],
)
def test_what_a_command_does_not_take_is_refused(place, words, said):
    done = curate(place, *words)
    assert done.exit_code == 2 and said in " ".join(done.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7), ("-7", -7), ("0.5", 0.5), ("1e-3", 0.001), (".5", 0.5), ("true", True), ("false", False), ("flip,rotate",
        "flip,rotate"), ("96,192", [96, 192]), ("[1, 2]", [1, 2]), ("[broken", "[broken"), ("[a]", "[a]"), ("nan", "nan"),
        ("inf", "inf"), ("1_000", "1_000"), ("", ""), ("a=b", "a=b"),
    ],
)  # fmt: skip
def test_a_value_is_read_by_one_rule(text, value):
    read = read_settings([f"name={text}"])["name"]
    assert read == value and type(read) is type(value)


def test_each_way_prints_what_it_found_and_the_same_as_json(place):
    judged = value(
        place, "dedupe", "d", "--method", "exact", "--method", "minhash", "--threshold", "minhash=0.4", "--protect", "e"
    )
    assert judged["protect"] == ["e"] and judged["matched"] == {"e": 2} and judged["dropped"] == 8
    told = curate(place, "dedupe", "d", "--method", "minhash", "--threshold", "0.4", "--protect", "e", "--dry-run").stdout
    assert "protected e: 2 of them repeat one of its samples" in told
    why = curate(place, "explain", "1").stdout
    assert "(of e)" in why and "protected: that one is in e, which is never to be trained on" in why

    shown = curate(place, "borderline", "d", "-n", "2", "--threshold", "minhash=0.7").stdout
    assert "just above, duplicates by this method (2):" in shown and "just below, both kept by this method (" in shown
    pairs = value(place, "borderline", "d", "-n", "2", "--method", "minhash", "--threshold", "0.7")
    assert len(pairs["above"]) == 2 and pairs["above"][0]["left"]["text"] and pairs["below"][0]["similarity"] < 0.7
    assert f"{pairs['above'][0]['similarity']:.4f}" in shown

    sized = value(place, "target-size", "d", "9", "--method", "minhash", "--dry-run")
    assert sized["kept"] >= 9 and sized["applied"] is None and [t["threshold"] for t in sized["trials"][:2]] == [1.0, 0.5]
    assert f"{sized['threshold']:g} keeps" in curate(place, "target-size", "d", "9", "--method", "minhash", "--dry-run").stdout

    raised = value(place, "rethreshold", "d", "--threshold", "minhash=0.8", "--dry-run")
    assert raised["thresholds"] == {"minhash": [0.4, 0.8]} and raised["came_back"] == 3 and raised["dry_run"]
    assert "minhash 0.4 → 0.8" in curate(place, "rethreshold", "d", "--threshold", "0.8").stdout
    assert curate(place, "check").exit_code == 0
    with pytest.raises(CurateError, match=r"less similar than 0\.8"):
        raise curate(place, "rethreshold", "d", "--threshold", "0.5").exception  # what `main` prints as one sentence


def test_calibrate_prints_the_curve_and_its_recommendation(place):
    report = value(place, "calibrate", str(place / "pairs.csv"), "--method", "minhash")
    assert (report["pairs"], report["same"], report["recommended"], report["proven"]) == (5, 4, 0.8, False)
    told = curate(place, "calibrate", str(place / "pairs.csv"), "--method", "minhash").stdout
    assert "recommended: threshold 0.8 (not proven)" in told and "sample is too small" in told and "the default: 0.8" in told
    for words, said in ((["--reset", "--save"], "nothing else"), ([], "name a CSV file")):
        done = curate(place, "calibrate", *words)
        assert done.exit_code == 2 and said in done.output
