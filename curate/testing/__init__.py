"""Checks for your own plug-ins: each holds a class to the laws of its family and raises at the first that is broken.

    from curate.testing import check_reader

    def test_my_reader():
        check_reader(MyReader)

A check needs what the plug-in brings as its `example` (the family's first page says what that is), the packages that the family
itself stands on, and no test framework. It draws the same content every time, and an `AssertionError` names the law.
"""

from __future__ import annotations

from curate.testing.dedupers import check_deduper
from curate.testing.embedders import check_embedder
from curate.testing.executors import check_executor
from curate.testing.filters import check_filter
from curate.testing.gates import check_gate
from curate.testing.generators import check_generator
from curate.testing.indexes import check_index
from curate.testing.metrics import check_metric
from curate.testing.modalities import check_modality
from curate.testing.readers import check_reader
from curate.testing.writers import check_writer

__all__ = [
    "check_deduper",
    "check_embedder",
    "check_executor",
    "check_filter",
    "check_gate",
    "check_generator",
    "check_index",
    "check_metric",
    "check_modality",
    "check_reader",
    "check_writer",
]
