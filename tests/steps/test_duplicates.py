"""Groups side by side, contact sheets, and why a sample was dropped."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from curate.errors import InputError
from curate.reporting.contact_sheet import Tile, contact_sheet
from curate.steps.dedupe import dedupe
from curate.steps.drop import drop
from curate.steps.duplicates import duplicates
from curate.steps.explain import explain
from curate.steps.ingest import ingest
from curate.steps.restore import restore
from curate.workspace import Workspace, create_workspace, open_workspace

STORY = "a long enough story about a card that has not arrived yet and a bank that does not answer any letter at all"


@pytest.fixture
def workspace(tmp_path: Path):
    """Ids 1–9: a group of four equal texts, one of two, one near-copy, and two texts alone."""
    texts = ["same", "same", "two", "same", "two", STORY, STORY + " today", "same", "alone"]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    with open_workspace(create_workspace(tmp_path / "ws")) as opened:
        ingest(opened, [tmp_path / "d.jsonl"], dataset="d")
        dedupe(opened, "d", methods=["exact", "minhash"])
        yield opened


def test_groups_come_by_size_each_with_its_keeper_and_its_most_similar_members(workspace):
    report = duplicates(workspace, "d", members=2)
    assert (report.groups, report.sheet) == (3, None)
    found = [(g.keeper.sample_id, g.dropped, [m.sample.sample_id for m in g.members]) for g in report.shown]
    assert found == [(1, 3, [2, 4]), (3, 1, [5]), (6, 1, [7])]
    near = report.shown[2].members[0]
    assert near.method == "minhash" and 0.8 <= near.similarity < 1
    assert all(g.keeper.state == "kept" and all(m.sample.state == "dropped" for m in g.members) for g in report.shown)


def test_a_method_and_a_limit_choose_groups_and_the_count_stays_that_of_all(workspace):
    assert [g.keeper.sample_id for g in duplicates(workspace, "d", method="minhash").shown] == [6]
    assert len(duplicates(workspace, "d", limit=1).shown) == 1 and duplicates(workspace, "d", limit=1).groups == 3
    with pytest.raises(InputError, match="'nobody'"):
        duplicates(workspace, "nobody")


def test_explain_names_verdict_keeper_measure_and_similarity(workspace):
    why = explain(workspace, 7)
    assert (why.action, why.reason, why.threshold) == ("drop", "minhash", 0.8)
    assert why.keeper is not None and why.keeper.sample_id == 6 and why.similarity is not None and why.similarity >= 0.8
    assert why.measure is not None and "Jaccard" in why.measure
    kept = explain(workspace, 1)
    assert (kept.action, kept.keeper, kept.measure, kept.similarity) == (None, None, None, None)
    drop(workspace, [9])
    assert (explain(workspace, 9).action, explain(workspace, 9).reason, explain(workspace, 9).keeper) == ("drop", "user", None)
    restore(workspace, [7])
    assert (explain(workspace, 7).action, explain(workspace, 7).reason) == ("restore", "user")
    with pytest.raises(InputError, match="99"):
        explain(workspace, 99)


def picture(size: tuple[int, int], colour: tuple[int, int, int] = (200, 30, 30), mode: str = "RGB", kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).convert(mode).save(out, kind)
    return out.getvalue()


def test_images_get_a_contact_sheet_with_a_row_a_group(workspace: Workspace, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, shade in (("a", 10), ("b", 10), ("c", 10), ("d", 90), ("e", 90), ("f", 200)):
        (folder / f"{name}.png").write_bytes(picture((8, 8), (shade, 0, 0)))
    ingest(workspace, [folder], dataset="photos")
    dedupe(workspace, "photos", methods=["exact"])
    target = tmp_path / "sheet.png"
    report = duplicates(workspace, "photos", sheet=target)
    assert report.sheet == str(target) and [g.dropped for g in report.shown] == [2, 1]
    with Image.open(target) as sheet:
        assert sheet.format == "PNG" and sheet.size == (3 * 168 + 8, 2 * 184 + 8)
        assert sheet.getpixel((8 + 80, 8 + 80)) == (10, 0, 0) and sheet.getpixel((8 + 80, 8 + 184 + 80)) == (90, 0, 0)
    fewer = duplicates(workspace, "photos", sheet=target, members=1)
    assert fewer.shown[0].dropped == 2 and len(fewer.shown[0].members) == 1
    with Image.open(target) as sheet:
        assert sheet.size == (2 * 168 + 8, 2 * 184 + 8)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
@pytest.mark.parametrize("size", [(1, 1), (1, 400), (3000, 20), (160, 160)])
def test_any_picture_fits_its_tile(mode, size):
    sheet = Image.open(io.BytesIO(contact_sheet([[Tile(picture(size, mode=mode), "x" * 60)] * 2])))
    assert sheet.size == (2 * 168 + 8, 184 + 8)


def test_a_sheet_of_nothing_is_still_a_picture():
    assert Image.open(io.BytesIO(contact_sheet([]))).size == (168 + 8, 184 + 8)
