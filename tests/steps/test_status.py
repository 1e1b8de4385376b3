"""`status` counts what the catalog holds."""

from __future__ import annotations

import json

from curate.cli.asking import _describe_status
from curate.steps.embed import embed
from curate.steps.ingest import ingest
from curate.steps.status import status
from curate.workspace import create_workspace, open_workspace


def test_an_empty_workspace_says_what_comes_next(tmp_path):
    with open_workspace(create_workspace(tmp_path / "ws"), read_only=True) as ws:
        report = status(ws)
    assert (report.datasets, report.splits, report.models, report.runs, report.runs_in_all) == ((), (), (), (), 0)
    assert "curate ingest" in _describe_status(report)


def test_counts_are_those_of_the_catalog(tmp_path):
    lines = [json.dumps({"text": f"text {i}", "label": f"l{i % 2}"}) for i in range(8)] + ["{broken"]
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n")
    with open_workspace(create_workspace(tmp_path / "ws")) as ws:
        ingest(ws, [tmp_path / "a.jsonl"], dataset="a", text=["text"], label="label", licence="MIT")
        embed(ws, "a")
        ingest(ws, [tmp_path / "a.jsonl"], dataset="b", text=["text"])
        ws.catalog.execute(
            """INSERT INTO verdicts (sample_id, owner, action, reason, run_id)
               SELECT sample_id, 'user', 'drop', 'user', 1 FROM real_samples WHERE sample_id <= 3"""
        )
        ws.catalog.execute(
            "INSERT INTO verdicts (sample_id, owner, action, reason, run_id) VALUES (2, 'user', 'restore', 'user', 1)"
        )
        report = status(ws)
    a, b = report.datasets
    assert (a.name, a.licence, a.samples, a.modalities, a.labels, a.rejects) == ("a", "MIT", 8, {"text": 8}, 2, 1)
    assert (a.kept, a.dropped, a.dropped_by, a.vectors) == (6, 2, {"user": 2}, {"minilm": 8})
    assert (b.kept, b.dropped, b.rejects, b.vectors, b.synthetic) == (8, 0, 1, {}, {})
    assert [run["step"] for run in report.runs] == ["ingest", "embed", "ingest"] and report.runs_in_all == 3
    assert report.disk["catalog"] > 0 and report.disk["blobs"] == 0
    text = _describe_status(report)
    assert "kept 6, dropped 2 (2 user)" in text and "minilm 8 (100%)" in text and "last runs (3 of 3)" in text
