"""The files that CONTRIBUTING.md prints are whole plug-ins: added as they stand, they keep their family's laws and do work."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import curate
from curate import plugins
from curate.testing.contents import noise_picture

ROOT = Path(curate.__file__).parents[1]
TOLD = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"### (An? [\w ]+)\n\n`(curate/\w+/\w+\.py)`\n\n```python\n(.*?)```\n\n```sh\n(.*?)```", TOLD, re.DOTALL)
CHECKS = {family: f"check_{contract.lower()}" for family, contract in plugins.FAMILIES.items()}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A copy of the package, into which every printed file is put at its printed place."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("curate", "schemas", "pipelines"):
        shutil.copytree(ROOT / name, folder / name)
    for _, path, source, _ in EXAMPLES:
        (folder / path).write_text(source, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def run(checkout, tmp_path_factory):
    """Runs a program with that copy, in one workspace for all examples."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "bin").mkdir()
    (folder / "bin" / "curate").write_text(f'#!/bin/sh\nexec {sys.executable} -m curate "$@"\n')
    (folder / "bin" / "curate").chmod(0o755)
    for n in range(24):
        file = folder / "pictures" / "ab"[n % 2] / f"{n}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(noise_picture(n, (8, 8), "L"))
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PYTHONPATH": str(checkout), "PATH": path, "CURATE_WORKSPACE": str(folder / "ws")}

    def program(*words: str) -> str:
        done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    program("curate", "init", str(folder / "ws"))
    return program


def test_every_kind_of_plugin_that_newcomers_add_is_printed():
    families = {Path(path).parent.name for _, path, _, _ in EXAMPLES}
    assert {"readers", "filters", "indexes", "generators"} <= families


@pytest.mark.parametrize(("path", "script"), [example[1::2] for example in EXAMPLES], ids=[example[0] for example in EXAMPLES])
def test_the_file_is_a_plugin_that_keeps_the_laws_and_does_its_work(run, path, script):
    family, name = Path(path).parent.name, Path(path).stem.replace("_", "-")
    check = f"from curate import plugins, testing; testing.{CHECKS[family]}(plugins.load({family!r}, {name!r}))"
    run(sys.executable, "-W", "error", "-c", check)
    run("bash", "-e", "-c", script)


def test_the_printed_files_pass_the_linters(checkout):
    files = [str(checkout / path) for _, path, _, _ in EXAMPLES]
    config = str(ROOT / "pyproject.toml")
    for words in (["check", "--config", config], ["format", "--check", "--config", config]):
        done = subprocess.run([sys.executable, "-m", "ruff", *words, *files], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
