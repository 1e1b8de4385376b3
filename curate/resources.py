"""Finds the files that lie beside the package in a checkout and inside it in a wheel: `schemas/` and `pipelines/`."""

from __future__ import annotations

from pathlib import Path

from curate.errors import WorkspaceDamaged


def resource_folder(name: str) -> Path:
    """The folder `schemas` or `pipelines`, from the wheel or from the checkout.

    Raises:
        WorkspaceDamaged: neither is there, so the installation is broken.
    """
    package = Path(__file__).parent
    for folder in (package / f"_{name}", package.parent / name):
        if folder.is_dir():
            return folder
    raise WorkspaceDamaged(f"this installation of curate has no {name!r} folder", hint="pip install --force-reinstall curate")
