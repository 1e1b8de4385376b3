"""Every registered filter keeps the laws of its family."""

from __future__ import annotations

import pytest

from curate import plugins
from curate.testing import check_filter


@pytest.mark.parametrize("name", plugins.names("filters"))
def test_it_keeps_the_laws_of_its_family(name):
    check_filter(plugins.load("filters", name))
