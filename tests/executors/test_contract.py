"""Every registered executor keeps the laws of its family."""

from __future__ import annotations

import pytest

from curate import plugins
from curate.errors import SettingError
from curate.executors import executor
from curate.testing import check_executor


@pytest.mark.parametrize("name", plugins.names("executors"))
def test_it_keeps_the_laws_of_its_family(name):
    check_executor(plugins.load("executors", name))


def test_an_unknown_one_is_named():
    with pytest.raises(SettingError, match="carrier-pigeons"):
        executor("carrier-pigeons", 1)
