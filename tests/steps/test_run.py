"""Recipes: each shipped one is valid, one runs for real, and what is wrong in one is said before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from PIL import Image

from curate.errors import InputError, SettingError
from curate.steps.demo_data import write_demo_data
from curate.steps.run import plan, run_recipe, shipped_recipes, steps_of_recipes
from curate.workspace import create_workspace, open_workspace

SET = {"paths": "somewhere", "dataset": "notes"}


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_is_valid_and_a_dry_run_writes_nothing(name: str, tmp_path: Path) -> None:
    with open_workspace(create_workspace(tmp_path / "ws")) as workspace:
        report = run_recipe(workspace, name, variables=SET, dry_run=True)
        assert len(report.steps) >= 4
        assert report.reports == ()
        assert workspace.catalog.scalar("SELECT count(*) FROM runs") == 0


def test_clean_images_runs_to_the_end_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(24):
        file = tmp_path / "photos" / f"class{n % 2}" / f"{n}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((40, 40), 20 + 9 * n).save(file)
    monkeypatch.chdir(tmp_path)
    with open_workspace(create_workspace(tmp_path / "ws")) as workspace:
        heard: list[str] = []
        variables = {"paths": "photos", "dataset": "noise"}
        first = run_recipe(workspace, "clean-images", variables=variables, on_step=lambda step: heard.append(step.step))
        assert heard == ["ingest", "dedupe", "split", "export", "check"]
        assert first.reports[0].added == 24
        assert first.reports[-1].findings == ()
        assert (tmp_path / "out" / "README.md").is_file()
        again = run_recipe(workspace, "clean-images", variables=variables)
        assert again.reports[0].added == 0 and not again.reports[3].changed


def recipe(tmp_path: Path, **changes: object) -> Path:
    """A small valid recipe with changes."""
    document = {
        "name": "mine",
        "description": "d",
        "variables": {"x": None},
        "steps": [{"embed": {"dataset": "${x}"}}],
        **changes,
    }
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("changes", "variables", "what"),
    [
        ({}, {}, "needs x"),
        ({}, {"y": "1"}, "no variable 'y'"),
        ({"steps": [{"embed": {"datasets": "a"}}]}, {"x": "1"}, "no argument 'datasets'"),
        ({"steps": [{"ingest": {"dataset": "a"}}]}, {"x": "1"}, "needs paths"),
        ({"steps": [{"embed": {"dataset": "${z}"}}]}, {"x": "1"}, "does not declare"),
        ({"steps": [{"fly": {}}]}, {"x": "1"}, "no step 'fly'"),
        ({"steps": [{"Fly": {}}]}, {"x": "1"}, "steps/0"),
        ({"steps": []}, {"x": "1"}, "steps"),
        ({"colour": "red"}, {"x": "1"}, "colour"),
    ],
)
def test_what_is_wrong_in_a_recipe_is_said(
    tmp_path: Path, changes: dict[str, object], variables: dict[str, str], what: str
) -> None:
    with pytest.raises(SettingError, match=what):
        plan(recipe(tmp_path, **changes), variables)


def test_variables_fill_whole_values_and_parts_of_them(tmp_path: Path) -> None:
    steps = [{"split": {"dataset": "${x}", "seed": "${n}", "name": "of-${x}"}}]
    (step,) = plan(recipe(tmp_path, variables={"x": None, "n": 7}, steps=steps), {"x": "notes"})
    assert step.arguments == {"dataset": "notes", "seed": 7, "name": "of-notes"}


@pytest.mark.parametrize("step", steps_of_recipes())
def test_every_step_can_be_in_a_recipe(tmp_path: Path, step: str) -> None:
    with pytest.raises(SettingError, match="no argument 'nonsense'"):
        plan(recipe(tmp_path, variables={}, steps=[{step.replace("_", "-"): {"nonsense": 1}}]), {})


def test_a_recipe_drops_restores_and_removes(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n', encoding="utf-8")
    steps: list[dict[str, object]] = [
        {"ingest": {"paths": str(tmp_path / "a.jsonl"), "dataset": "a"}},
        {"drop": {"sample_ids": [1]}},
        {"restore": {"sample_ids": [1]}},
        {"rename": {"dataset": "a", "name": "b"}},
        {"remove": {"dataset": "b", "yes": True}},
        {"check": {}},
    ]
    with open_workspace(create_workspace(tmp_path / "ws")) as workspace:
        report = run_recipe(workspace, recipe(tmp_path, variables={}, steps=steps))
        assert len(report.reports) == 6 and report.reports[-1].findings == ()
        assert workspace.catalog.scalar("SELECT count(*) FROM real_samples") == 0


def test_no_yaml_and_no_recipe(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(SettingError, match="not valid YAML"):
        plan(tmp_path / "bad.yaml", {})
    with pytest.raises(InputError) as error:
        plan("nobody", {})
    assert "clean-text" in str(error.value.hint)


def test_the_demonstrations_data_is_the_same_every_time_and_its_files_keep_their_time(tmp_path: Path) -> None:
    first = write_demo_data(tmp_path)
    stamp = first.docstrings.stat().st_mtime_ns
    again = write_demo_data(tmp_path)
    assert (first.docstring_count, first.digit_count) == (again.docstring_count, 1797)
    assert first.docstring_count > 1000
    assert again.docstrings.stat().st_mtime_ns == stamp
    assert len(list(first.digits.glob("*/*.png"))) == 1797
    assert first == again


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("ingest: {paths: a.jsonl, dataset: d, text: 7}", r"the step ingest: text takes .*, got 7"),
        ("split: {dataset: d, seed: soon}", "the step split: seed takes int, got 'soon'"),
        ("dedupe: {dataset: d, methods: {exact: 1}}", "the step dedupe: methods takes"),
    ],
)
def test_an_argument_of_another_type_is_refused_before_anything_runs(tmp_path, step, said):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(f"name: r\ndescription: r\nsteps:\n  - {step}\n")
    with pytest.raises(SettingError, match=said):
        plan(recipe, {})


def test_a_variable_from_the_command_line_becomes_the_type_that_the_step_asks_for(tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text("name: r\ndescription: r\nvariables: {seed: null}\nsteps:\n  - split: {dataset: d, seed: '${seed}'}\n")
    (planned,) = plan(recipe, {"seed": "7"})
    assert planned.arguments["seed"] == 7
