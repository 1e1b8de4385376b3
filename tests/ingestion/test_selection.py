"""How rows become samples: the fields that are picked, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import BadRecord, SettingError
from curate.ingestion.selection import Picked, Selection, metadata_json
from curate.readers.opening.sources import SourceFile
from curate.records import Record

SOURCE = SourceFile(Path("/data/photos/hats/red/h_012.png"), Path("/data/photos"), 1, 1)
PNG = b"\x89PNG rest"


def pick(selection: Selection, fields: dict) -> Picked:
    return selection.pick(Record("line 1", fields), SOURCE)


def refused(selection: Selection, fields: dict) -> str:
    with pytest.raises(BadRecord) as caught:
        pick(selection, fields)
    return caught.value.reason


def test_several_fields_are_joined_and_leave_the_metadata():
    selection = Selection(text=("question", "answer"), label="kind", id="n")
    row = {"question": "why?", "answer": "because", "kind": 3, "n": 7, "more": [1, None]}
    assert pick(selection, row) == Picked("why?\n\nbecause", None, "3", "7", {"more": [1, None]}, "text", True, True)
    assert row["question"] == "why?"  # the record is left as it was


def test_dotted_paths_reach_into_objects_and_lists_and_leave_the_rest():
    row = {"a": {"b": {"c": "deep", "d": 1}}, "m": [{"content": "first"}, {"content": "second"}], "x.y": "flat"}
    assert pick(Selection(text=("a.b.c",)), row)[0::4] == ("deep", {"a": {"b": {"d": 1}}, "m": row["m"], "x.y": "flat"})
    assert pick(Selection(text=("m.1.content",)), row).text == "second"
    assert pick(Selection(text=("x.y",)), row)[0::4] == ("flat", {"a": row["a"], "m": row["m"]})
    assert row["a"] == {"b": {"c": "deep", "d": 1}}


@pytest.mark.parametrize("value", [None, float("nan"), b"bytes"])
def test_a_text_that_is_not_there_is_a_bad_record(value):
    assert refused(Selection(text=("text",)), {"text": value}) == "no-text"


@pytest.mark.parametrize("value", ["", " \n\t", "\u2003"])
def test_a_text_of_white_space_is_empty(value):
    assert refused(Selection(text=("text",)), {"text": value}) == "empty-text"
    assert refused(Selection(text=("text", "more")), {"text": value, "more": value}) == "empty-text"
    assert pick(Selection(text=("text", "more")), {"text": value, "more": "x"}).text == "x"


def test_a_nul_is_refused_wherever_it_would_reach_the_catalog():
    assert refused(Selection(text=("text",)), {"text": "a\0b"}) == "nul-in-text"
    assert refused(Selection(text=("text",), label="l"), {"text": "a", "l": "\0"}) == "bad-label"
    with pytest.raises(BadRecord, match="nul-in-text"):
        Selection().pick(Record("", text="a\0b"), SOURCE)


def test_numbers_and_structures_can_be_text():
    assert pick(Selection(text=("n",)), {"n": 12}).text == "12"
    assert json.loads(pick(Selection(text=("n",)), {"n": {"a": [1, "x"]}}).text or "") == {"a": [1, "x"]}


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (3, "3"),
        (3.0, "3"),
        (0.5, "0.5"),
        (True, "true"),
        ("hat", "hat"),
        ("", None),
        (" ", None),
        (None, None),
        (math.nan, None),
    ],
)
def test_labels_and_ids_become_words_and_nothing_stays_nothing(value, label):
    picked = pick(Selection(text=("text",), label="l", id="l"), {"text": "x", "l": value})
    assert (picked.label, picked.external_id) == (label, label)
    assert pick(Selection(text=("text",), label="l"), {"text": "x"}).label is None


def test_a_label_that_is_a_structure_is_refused():
    assert refused(Selection(text=("text",), label="l"), {"text": "x", "l": [1]}) == "bad-label"
    assert refused(Selection(text=("text",), id="l"), {"text": "x", "l": {}}) == "bad-id"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"text": "a", "title": "b"}, "a"),
        ({"content": "a", "title": "b"}, "a"),
        ({"review": "a", "stars": 5}, "a"),
        ({"review": "a", "category": "b", "uid": "c"}, "a"),
    ],
)
def test_the_obvious_field_is_the_text_when_none_is_named(fields, text):
    picked = pick(Selection(label="category", id="uid"), fields)
    assert picked.text == text
    assert text not in picked.metadata.values()


@pytest.mark.parametrize("fields", [{"question": "a", "answer": "b"}, {"text": "a", "content": "b"}, {"n": 1}, {}])
def test_without_an_obvious_field_the_fields_are_listed(fields):
    with pytest.raises(SettingError) as caught:
        pick(Selection(), fields)
    assert all(name in str(caught.value) for name in fields)
    if "question" in fields:
        assert caught.value.hint == "--text question,answer"


def test_rows_of_another_shape_are_settled_anew():
    selection = Selection()
    assert pick(selection, {"text": "a"}).text == "a"
    assert pick(selection, {"content": "b"}).text == "b"
    assert refused(selection, {"x": "c", "y": "d"}) == "no-text"  # not a setting error: the selection has worked
    assert pick(selection, {"text": "e"}).text == "e"


def test_a_field_that_no_row_has_is_a_mistake_and_one_that_some_lack_is_not():
    selection = Selection(text=("txet",))
    reasons = []
    with pytest.raises(SettingError, match="txet") as caught:
        for _ in range(100):
            reasons.append(refused_or_raise(selection, {"text": "a", "title": "b"}))
    assert set(reasons) == {"no-text"} and "text, title" in (caught.value.hint or "")
    works = Selection(text=("text",))
    pick(works, {"text": "a"})
    assert {refused(works, {"title": "b"}) for _ in range(100)} == {"no-text"}


def refused_or_raise(selection: Selection, fields: dict) -> str:
    try:
        pick(selection, fields)
    except BadRecord as error:
        return error.reason
    return ""


def test_images_come_from_bytes_structs_and_data_urls():
    selection = Selection(image="image", text=("caption",))
    for value in (PNG, {"bytes": PNG, "path": "a.png"}, "data:image/png;base64,iVBORyByZXN0"):
        picked = pick(selection, {"image": value, "caption": "a hat", "k": 1})
        assert picked.text == "a hat" and picked.metadata == {"k": 1} and picked.media and picked.media[-4:] == b"rest"
    for value in ("a.png", None, b"", {"path": "a.png", "bytes": None}, "data:image/png;base64,***"):
        assert refused(Selection(image="image"), {"image": value}) == "no-image"


def test_the_only_image_of_a_row_without_text_is_found():
    picked = pick(Selection(label="label"), {"image": {"bytes": PNG, "path": None}, "label": 9})
    assert picked == Picked(None, PNG, "9", None, {}, "image", True)


@pytest.mark.parametrize(
    ("option", "label"),
    [("folder", "red"), ("folder:2", "hats"), ("folder:3", "photos"), ("file-name ^([a-z])_", "h"), (r"file-name \d+", "012")],
)
def test_labels_come_from_folders_and_file_names(option, label):
    selection = Selection(label_from=option)
    assert selection.pick(Record("", media=PNG), SOURCE).label == label
    inside = Record("x", text="t", path="photos/hats/red/h_012.txt")
    assert selection.pick(inside, SourceFile(Path("/z.tar"), Path("/"), 1, 1)).label == label


@pytest.mark.parametrize("option", ["folder:6", "file-name zzz", "file-name ^(zzz)?"])
def test_a_path_that_gives_no_label_is_refused(option):
    with pytest.raises(BadRecord, match="no-label-match"):
        Selection(label_from=option).pick(Record("", media=PNG), SOURCE)


@pytest.mark.parametrize("option", ["", "folders", "folder:0", "folder:x", "file-name", "file-name (", "path x"])
def test_a_label_source_that_cannot_be_read_is_a_setting_error(option):
    if not option:
        assert Selection(label_from=option).pick(Record("", media=PNG), SOURCE).label is None
        return
    with pytest.raises(SettingError):
        Selection(label_from=option)


def test_two_sources_of_a_label_are_a_setting_error():
    with pytest.raises(SettingError, match="not both"):
        Selection(label="l", label_from="folder")
    with pytest.raises(SettingError, match="empty"):
        Selection(text=("a", ""))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(st.text(max_size=4), JSON, max_size=5))
def test_metadata_is_always_json_and_keeps_every_field(fields):
    picked = pick(Selection(text=("the text",)), {"the text": "x", **fields})
    written = metadata_json(picked.metadata)
    back = json.loads(written, parse_constant=pytest.fail)
    assert list(back) == list(fields)
    assert json.loads(json.dumps(picked.metadata)) == back
    for name, value in fields.items():
        if isinstance(value, bool | str) or value is None or (isinstance(value, int) and abs(value) < 2**63):
            assert back[name] == value


@pytest.mark.parametrize("depth", [150, 300, 900, 1000])
def test_deep_nesting_is_kept_or_refused_and_never_crashes(depth):
    fields = {"text": "x", "deep": orjson.loads(b"[" * depth + b"]" * depth)}
    selection = Selection(text=("text",))
    if depth < 200:
        assert metadata_json(pick(selection, fields).metadata).count("[") == depth
    else:
        assert refused(selection, fields) == "nested-too-deep"
        assert refused(Selection(text=("deep",)), fields) == "nested-too-deep"
