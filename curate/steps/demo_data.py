"""Real data for the demonstration, out of packages that every installation has: nothing is downloaded."""

from __future__ import annotations

import ast
import io
import json
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from curate.records import SILENT, Progress
from curate.workspace import write_atomically

# Well documented parts of the standard library, present in every Python that curate supports.
_MODULES = [
    "argparse",
    "asyncio",
    "collections",
    "concurrent",
    "datetime",
    "_pydatetime",
    "decimal",
    "_pydecimal",
    "email",
    "fractions",
    "http",
    "importlib",
    "inspect",
    "io",
    "_pyio",
    "ipaddress",
    "json",
    "logging",
    "mailbox",
    "multiprocessing",
    "pathlib",
    "random",
    "shutil",
    "socket",
    "sqlite3",
    "ssl",
    "statistics",
    "string",
    "subprocess",
    "tarfile",
    "tempfile",
    "threading",
    "typing",
    "unittest",
    "urllib",
    "wsgiref",
    "xml",
    "zipfile",
    "zoneinfo",
]
_MIN_CHARACTERS = 30


@dataclass(frozen=True, slots=True)
class DemoData:
    """Where the demonstration's corpora lie, and how much is in them."""

    docstrings: Path
    digits: Path
    docstring_count: int
    digit_count: int


def write_demo_data(folder: Path, progress: Progress = SILENT) -> DemoData:
    """Write two corpora: the standard library's documentation strings, labelled by module, and scikit-learn's digits.

    The docstrings (Python Software Foundation License) have copies and near-copies, as code documentation does; the
    digits are the test part of "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak 1998, UCI, CC BY 4.0):
    1,797 images of 8×8 grey pixels with 17 levels.

    Returns:
        `docstrings.jsonl` (name, module, text) and `digits/<label>/NNNN.png`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = list(_docstrings(progress))
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    _write_if_new(folder / "docstrings.jsonl", lines.encode())
    return DemoData(folder / "docstrings.jsonl", folder / "digits", len(rows), _write_digits(folder / "digits"))


def _docstrings(progress: Progress) -> Iterator[dict[str, str]]:
    library = Path(sysconfig.get_path("stdlib"))
    files = [file for module in _MODULES for file in _python_files(library, module)]
    progress.start("collecting docstrings", total=len(files), unit="files")
    for file in files:
        name = ".".join(file.relative_to(library).with_suffix("").parts)
        try:
            tree = ast.parse(file.read_bytes())
        except SyntaxError:  # a test fixture that is wrong on purpose
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
                text = ast.get_docstring(node)
                if text and len(text) >= _MIN_CHARACTERS:
                    yield {
                        "name": f"{name}.{getattr(node, 'name', '')}".rstrip("."),
                        "module": name.split(".")[0].lstrip("_"),
                        "text": text,
                    }
        progress.advance(1)
    progress.finish()


def _python_files(library: Path, module: str) -> list[Path]:
    single = library / f"{module}.py"
    if single.is_file():
        return [single]
    return sorted(f for f in (library / module).rglob("*.py") if "test" not in f.parts and "tests" not in f.parts)


def _write_digits(folder: Path) -> int:
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        target = folder / str(label) / f"{number:04d}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        out = io.BytesIO()
        Image.fromarray((pixels * (255 / 16)).round().astype("uint8")).save(out, "PNG")
        _write_if_new(target, out.getvalue())
    return len(digits.images)


def _write_if_new(path: Path, data: bytes) -> None:
    """Leave an equal file alone, so that its time does not change and a second ingest skips it."""
    if not path.exists() or path.read_bytes() != data:
        write_atomically(path, data)
