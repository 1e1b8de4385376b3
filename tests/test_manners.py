"""The library in a person's hands: one item for a list, reports that can be read, a workspace that says what it is."""

from __future__ import annotations

import ast
import html
import inspect
import json
import textwrap
import typing
from pathlib import Path

import pytest

import curate
from curate.arguments import as_items
from curate.errors import SettingError
from curate.reports import Report, plain

FUNCTIONS = {name: value for name in curate.__all__ if inspect.isfunction(value := getattr(curate, name))}
STEPS = [name for name, step in FUNCTIONS.items() if "workspace" in inspect.signature(step).parameters]


ROWS_TOO = {("ingest", "paths")}
"""What takes rows in memory as well, and is tried below."""


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "a.jsonl").write_text("".join(f'{{"text": "line {n}", "label": "{n % 2}"}}\n' for n in range(6)))
    curate.create_workspace(tmp_path / "ws")
    with curate.open_workspace(tmp_path / "ws") as opened:
        curate.ingest(opened, [tmp_path / "a.jsonl"], dataset="d", label="label")
        yield opened


def lists_of(step: str) -> list[str]:
    """The parameters of a step that take several items."""
    hints = typing.get_type_hints(getattr(curate, step))
    return [
        name for name, hint in hints.items() if (step, name) not in ROWS_TOO and name != "return" and "Sequence[" in str(hint)
    ]


@pytest.mark.parametrize("step", STEPS)
def test_one_item_without_brackets_is_a_list_of_one_in_every_step(step):
    tree = ast.parse(textwrap.dedent(inspect.getsource(getattr(curate, step))))
    called = [ast.unparse(call) for call in ast.walk(tree) if isinstance(call, ast.Call)]
    hints = typing.get_type_hints(getattr(curate, step))
    for name in lists_of(step):
        assert f"as_items({name})" in called, f"{step} takes {name} as it comes"
        (item,) = [typing.get_args(part)[0] for part in typing.get_args(hints[name]) if "Sequence" in str(part)]
        assert set(typing.get_args(item) or [item]) <= set(typing.get_args(hints[name])), f"{step}: {name} is not typed so"


def test_the_steps_that_take_lists_are_found():
    assert {"methods", "against", "protect"} <= set(lists_of("dedupe")) and {"include", "text"} <= set(lists_of("ingest"))


def test_a_word_an_id_and_a_path_are_one_item_each():
    assert as_items("abc") == ("abc",) and as_items(7) == (7,) and as_items(Path("a/b")) == (Path("a/b"),)
    assert as_items(["a", "b"]) == as_items(n for n in "ab") == ("a", "b") and as_items(()) == ()
    with pytest.raises(SettingError, match="mapping"):
        as_items({"a": 1})


def test_one_method_and_one_id_do_what_lists_of_one_do(workspace):
    alone = curate.dedupe(workspace, "d", methods="exact", dry_run=True)
    assert plain(alone)["dropped"] == plain(curate.dedupe(workspace, "d", methods=["exact"], dry_run=True))["dropped"]
    assert curate.ingest(workspace, str(workspace.root.parent / "a.jsonl"), dataset="again").files == 1
    assert curate.drop(workspace, 1).named == 1
    assert curate.restore(workspace, 1).changed == 1


@pytest.mark.parametrize("step", STEPS)
def test_every_step_returns_a_report_or_something_that_is_open(step):
    kind = typing.get_type_hints(getattr(curate, step))["return"]
    (kind,) = typing.get_args(kind) or [kind]
    if kind.__name__ not in ("QueryResult", "OpenDataset"):
        assert issubclass(kind, Report) and kind.__repr__ is Report.__repr__, kind


def test_a_report_can_be_read_by_a_person_a_program_and_a_notebook(workspace):
    report = curate.status(workspace)
    told = report.to_dict()
    assert json.loads(json.dumps(told, default=str)).keys() == told.keys() and told["datasets"][0]["name"] == "d"
    lines = repr(report).splitlines()
    assert lines[0] == "StatusReport" and any(line.split() == ["datasets", "1", "of", "DatasetStatus"] for line in lines)
    assert not any("splits" in line for line in lines), "what is empty is left out"
    page = report._repr_html_()
    assert page.count("<table>") == page.count("</table>") >= 2 and "<th>samples</th>" in page


def test_what_data_hold_cannot_break_out_of_a_notebooks_table(workspace):
    evil = "<script>alert(1)</script>"
    report = curate.status(workspace)
    told = type(report)(**{**{n: getattr(report, n) for n in report.__slots__}, "workspace": evil})
    assert evil not in told._repr_html_() and html.escape(evil) in told._repr_html_()


def test_a_workspace_says_what_it_is_and_holds(workspace):
    assert repr(workspace) == f"Workspace({str(workspace.root)!r}, writable)"
    assert workspace.to_dict()["datasets"][0]["samples"] == 6
    assert "<td>d</td>" in workspace._repr_html_()
