"""Columns made of arrays and arrays of columns hold what PyArrow's own conversion gives."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from curate.columns import as_array, as_column, as_truth, as_words

KINDS = st.sampled_from(["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"])


@settings(deadline=None)
@example(np.array([np.nan, 1.0, -0.0, np.inf]), 1, 1)
@given(KINDS.flatmap(lambda kind: arrays.arrays(kind, st.integers(0, 20))), st.integers(1, 3), st.integers(0, 4))
def test_numbers_go_to_arrow_and_come_back(values, step, start):
    strided = values[::step]
    column = as_column(strided)
    assert column.type == pa.array(strided).type and column.null_count == 0
    assert column.to_numpy().tobytes() == strided.tobytes()  # by bytes: NaN is not equal to itself
    halves = pa.chunked_array([column.slice(0, start), column.slice(start)], column.type)
    for there in (column.slice(start), halves.slice(start)):
        back = as_array(there)
        assert back.dtype == values.dtype and back.tobytes() == strided[start:].tobytes()


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=20), st.integers(0, 9))
def test_truth_values_go_to_arrow_and_come_back(values, start):
    column = as_truth(np.array(values, np.bool_))
    assert column.to_pylist() == values
    assert as_array(column.slice(start)).tolist() == values[start:]


@settings(deadline=None)
@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"])), max_size=9))
def test_words_go_to_arrow(values):
    column = as_words(values)
    column.validate(full=True)
    assert column.equals(pa.array(values, pa.large_string()))


def test_nulls_are_refused():
    with pytest.raises(ValueError, match="1 of 2"):
        as_array(pa.array([1, None]))


def test_no_conversion_imports_pandas():
    pytest.importorskip("pandas")
    script = (
        "import sys, numpy as np; from curate.columns import *;"
        "as_array(as_column(np.arange(3))); as_array(as_truth(np.ones(3, bool))); as_words(['a']);"
        "sys.exit('pandas' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
