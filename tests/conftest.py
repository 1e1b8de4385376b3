"""Fixtures that every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A property test draws the same examples every time and knows no clock; `make fuzz` looks for new ones.
_TIMELESS = {"deadline": None, "database": None, "print_blob": True, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("fixed", derandomize=True, **_TIMELESS)
settings.register_profile("fuzz", max_examples=300, **_TIMELESS)
settings.load_profile("fixed")

CORPORA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of real corpora beside the checkout; the test is skipped where there is none."""
    if not CORPORA.is_dir():
        pytest.skip("needs the real corpora in ../shared/data, which are not part of the project")
    return CORPORA
