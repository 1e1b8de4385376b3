"""What the house looks like: no drawer for odds and ends, every public name explained, the API as it is told."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import curate

PACKAGE = Path(curate.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = {".".join(f.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): f for f in FILES}
README = PACKAGE.parent / "README.md"


def methods(node: ast.stmt) -> list[ast.FunctionDef]:
    """Of a class; what sets a property is explained by what gets it."""
    if not isinstance(node, ast.ClassDef):
        return []
    functions = [n for n in node.body if isinstance(n, ast.FunctionDef)]
    return [n for n in functions if not any(ast.unparse(mark).endswith(".setter") for mark in n.decorator_list)]


def inherited(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> set[str]:
    """Names of methods that a base class in the same file explains."""
    bases = [classes[base.id] for base in node.bases if isinstance(base, ast.Name) and base.id in classes]
    return {m.name for base in bases for m in methods(base) if ast.get_docstring(m)} | {
        name for base in bases for name in inherited(base, classes)
    }


def test_no_module_is_a_drawer_for_odds_and_ends():
    drawers = {"utils", "util", "helpers", "helper", "misc", "common", "tools"}
    assert [file.name for file in FILES if file.stem in drawers] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_every_public_name_has_a_docstring_and_every_module_says_what_it_is(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "the module has no docstring"
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    missing = []
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        told = inherited(node, classes) if isinstance(node, ast.ClassDef) else set()
        for named in (node, *methods(node)):
            if not named.name.startswith("_") and not ast.get_docstring(named) and named.name not in told:
                missing.append(f"{named.name}, line {named.lineno}")
    assert missing == []


def imported_when_loaded(file: Path) -> set[str]:
    """The modules of curate that a file imports at its top, those for type checkers alone left out."""
    found: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "curate":
            submodules = {f"{node.module}.{alias.name}" for alias in node.names} & MODULES.keys()
            found |= submodules or {node.module or ""}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.partition(".")[0] == "curate"}
    return found


def test_no_modules_import_each_other_in_a_circle():
    graph = {name: imported_when_loaded(file) & MODULES.keys() - {name} for name, file in MODULES.items()}
    while free := [name for name, needs in graph.items() if not needs & graph.keys()]:
        for name in free:
            del graph[name]
    assert sorted(name for name, needs in graph.items() if needs & graph.keys()) == []


def test_the_readme_lists_the_library_as_it_is():
    public = getattr(curate, "__all__", None)
    assert public, "curate/__init__.py names no __all__"
    told = README.read_text(encoding="utf-8")
    listed = re.search(r"from curate import \(?([^)`]*?)\)?\n", told)
    assert listed, "README.md has no line `from curate import …`"
    assert all(hasattr(curate, name) for name in public)
    missing = [name for name in public if not re.search(rf"\b{name}\b", told)]
    assert missing == []
