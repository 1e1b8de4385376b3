"""Plug-ins from outside: from a notebook and from an installed package, good ones and broken ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import curate
from curate import plugins
from curate.errors import SettingError
from curate.readers.text import PLUGIN as TextReader

READER = '''
from curate.records import Record

class Shouts:
    """Lines of a .shout file."""

    suffixes = (".shout",)
    kind = "text"

    def __init__(self, options):
        self.options = options

    def read(self, stream):
        """Yield each line as a text."""
        for number, line in enumerate(stream.read().decode().splitlines(), start=1):
            yield Record(f"line {number}", text=line)
'''


@pytest.fixture
def package(tmp_path):
    """Installs a package as pip leaves it: modules, and a dist-info folder that names its entry points."""

    def install(modules: dict[str, str], points: dict[str, dict[str, str]], name: str = "curate-shout") -> None:
        site = tmp_path / "site"
        site.mkdir(exist_ok=True)
        for module, source in modules.items():
            (site / f"{module}.py").write_text(source)
        about = site / f"{name.replace('-', '_')}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        groups = [f"[curate.{family}]\n" + "".join(f"{k} = {v}\n" for k, v in ps.items()) for family, ps in points.items()]
        (about / "entry_points.txt").write_text("\n".join(groups))

    return install


@pytest.fixture
def command(tmp_path):
    """Runs the command line with what was installed."""
    paths = [str(tmp_path / "site"), str(Path(curate.__file__).parents[1])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "CURATE_WORKSPACE": str(tmp_path / "ws")}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-m", "curate", *words]
        return subprocess.run(program, env=env, cwd=tmp_path, capture_output=True, text=True)

    assert run("init", str(tmp_path / "ws")).returncode == 0
    return run


def test_a_package_adds_a_reader_that_ingest_uses(package, command, tmp_path):
    package({"shouting": READER}, {"readers": {"shout": "shouting:Shouts"}})
    (tmp_path / "a.shout").write_text("one\ntwo\n")
    done = command("ingest", "a.shout", "--dataset", "d", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["added"] == 2
    assert "note" not in done.stderr


@pytest.mark.parametrize(
    ("source", "point", "reason"),
    [
        ("import no_such_module_at_all", "broken:Reader", "cannot be imported: ModuleNotFoundError"),
        ("1 / 0", "broken:Reader", "cannot be imported: ZeroDivisionError"),
        ("", "broken:Reader", "cannot be imported: AttributeError"),
        ("class Reader:\n    suffixes = ()", "broken:Reader", "lacks kind, read"),
        ("Reader = 7", "broken:Reader", "is 7, not a class"),
        (READER.replace(".shout", ".jsonl"), "broken:Shouts", "does not get .jsonl files: 'jsonl' reads them"),
    ],
)
def test_a_broken_package_is_named_in_a_note_and_ends_nothing(package, command, tmp_path, source, point, reason):
    package({"broken": source}, {"readers": {"broken": point}})
    (tmp_path / "a.jsonl").write_text('{"text": "one"}\n')
    done = command("ingest", "a.jsonl", "--dataset", "d", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["added"] == 1
    (note,) = [line for line in done.stderr.splitlines() if line.startswith("note: ")]
    assert "'broken'" in note and reason in note
    assert "note" not in command("status").stderr, "a command that needs no reader says nothing of readers"


def test_what_takes_a_name_of_curate_itself_is_left_out_with_a_note(package, command, tmp_path):
    package({"shouting": READER}, {"readers": {"jsonl": "shouting:Shouts"}})
    (tmp_path / "a.jsonl").write_text('{"text": "one"}\n')
    done = command("ingest", "a.jsonl", "--dataset", "d", "--json")
    assert (done.returncode, json.loads(done.stdout)["added"]) == (0, 1), done.stderr
    assert "'jsonl' of curate-shout, shouting:Shouts is left out: curate itself has one of that name" in done.stderr


def test_a_broken_plugin_that_is_asked_for_is_an_error_that_says_why(package, command, tmp_path):
    package({"broken": "1 / 0"}, {"writers": {"broken": "broken:Writer"}})
    (tmp_path / "a.jsonl").write_text('{"text": "one"}\n')
    command("ingest", "a.jsonl", "--dataset", "d")
    done = command("export", "d", "--out", "out", "--format", "broken")
    assert done.returncode == 2
    assert "'broken' (curate-shout, broken:Writer) cannot be imported: ZeroDivisionError" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def registered():
    """Takes back what a test registered."""
    names: list[tuple[str, str]] = []
    yield lambda family, name, kind: (plugins.register(family, name, kind), names.append((family, name)))
    for family, name in names:
        plugins.unregister(family, name)


def test_a_class_of_a_notebook_is_a_plugin(registered, tmp_path):
    class Loud(TextReader):
        """Texts in .loud files."""

        suffixes = (".loud",)

    registered("readers", "loud", Loud)
    assert "loud" in plugins.names("readers") and plugins.load("readers", "loud") is Loud
    (tmp_path / "a.loud").write_text("HELLO")
    curate.create_workspace(tmp_path / "ws")
    with curate.open_workspace(tmp_path / "ws") as workspace:
        assert curate.ingest(workspace, [tmp_path / "a.loud"], dataset="d").added == 1


def test_a_class_registered_again_replaces_itself(registered):
    first, second = (type("Loud", (TextReader,), {"suffixes": (".loud",)}) for _ in range(2))
    registered("readers", "loud", first)
    assert plugins.load("readers", "loud") is first
    plugins.register("readers", "loud", second)
    assert plugins.load("readers", "loud") is second


@pytest.mark.parametrize(
    ("family", "name", "plugin", "reason"),
    [
        ("reeders", "loud", TextReader, "no plug-in family 'reeders'"),
        ("readers", "text", TextReader, "'text' is taken"),
        ("readers", "Loud one", TextReader, "lower-case letters"),
        ("readers", "loud", object, "lacks kind, read, suffixes"),
        ("readers", "loud", TextReader.__doc__, "not a class"),
    ],
)
def test_what_cannot_be_a_plugin_is_refused(family, name, plugin, reason):
    with pytest.raises(SettingError, match=reason):
        plugins.register(family, name, plugin)


@pytest.mark.parametrize("family", plugins.FAMILIES)
def test_every_plugin_of_the_house_keeps_its_contract(family):
    for name in plugins.own(family):
        plugins._check_contract(family, name, plugins.load(family, name))
