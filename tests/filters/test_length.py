"""Length: every limit is inclusive, the first that is broken is named, and what has no length of the kind passes."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import SettingError
from curate.filters.length import LengthFilter


def batch(texts: list[str]) -> pa.Table:
    return pa.table(
        {
            "text": pa.array(texts, pa.string()),
            "size_bytes": pa.array([len(text.encode()) for text in texts], pa.int64()),
            "width": pa.nulls(len(texts), pa.int32()),
            "height": pa.nulls(len(texts), pa.int32()),
        }
    )


limits = st.integers(0, 12)


@given(st.lists(st.text(max_size=20), max_size=8), limits, limits, st.sampled_from(["characters", "words", "bytes"]))
def test_what_lies_within_the_limits_passes_and_nothing_else(texts, one, other, unit):
    least, most = sorted((one, other))
    size = {"characters": len, "words": lambda t: len(t.split()), "bytes": lambda t: len(t.encode())}[unit]
    said = LengthFilter(**{f"min_{unit}": least, f"max_{unit}": most}).judge(batch(texts))
    assert [reason is None for reason in said] == [least <= size(text) <= most for text in texts]


@given(st.lists(st.text(max_size=20), min_size=1, max_size=8))
def test_an_answer_does_not_depend_on_the_batch(texts):
    chosen = LengthFilter(min_words=2, max_characters=10, max_bytes=12)
    assert list(chosen.judge(batch(texts))) == [chosen.judge(batch([text]))[0] for text in texts]


def test_the_first_broken_limit_is_named_and_images_are_measured_in_pixels():
    assert LengthFilter(min_characters=3, min_words=2).judge(batch(["a", "abc", "ab cd"])) == [
        "fewer than 3 characters", "fewer than 2 words", None,
    ]  # fmt: skip
    pictures = pa.table({"text": [None, None], "size_bytes": [10, 10], "width": [4, 40], "height": [5, 50]})
    assert LengthFilter(min_pixels=21).judge(pictures) == ["fewer than 21 pixels", None]
    assert LengthFilter(max_width=39, min_words=5).judge(pictures) == [None, "more than 39 pixels of width"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "needs a limit"), ({"min_word": 1}, "no setting 'min_word'"), ({"min_words": -1}, "0 or more"),
        ({"min_words": 1.5}, "whole number"), ({"min_words": True}, "whole number"), ({"min_words": "5"}, "whole number"),
        ({"min_words": 5, "max_words": 4}, "above max_words"),
    ],
)  # fmt: skip
def test_a_setting_that_means_nothing_is_refused(settings, said):
    with pytest.raises(SettingError, match=said):
        LengthFilter(**settings)
