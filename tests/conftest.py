"""Fixtures that every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest

CORPORA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of real corpora beside the checkout; the test is skipped where there is none."""
    if not CORPORA.is_dir():
        pytest.skip("needs the real corpora in ../shared/data, which are not part of the project")
    return CORPORA
