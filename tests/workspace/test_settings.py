"""`curate.toml` and memory sizes."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate import plugins
from curate.errors import SettingError
from curate.modalities import load_modality
from curate.workspace import Settings, parse_bytes
from curate.workspace._settings import FILE_NAME, TEMPLATE, read_settings

POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


@given(st.integers(1, 9999), st.sampled_from(list(POWERS)), st.sampled_from(["", "b", "B"]), st.sampled_from(["", " ", "  "]))
def test_a_size_is_its_number_times_its_unit(number, unit, byte, space):
    assert parse_bytes(f"{number}{space}{unit.upper()}{byte}") == parse_bytes(f" {number}{unit}{byte} ")
    assert parse_bytes(f"{number}{space}{unit}{byte}") == number * 1000 ** POWERS[unit]
    if unit:
        assert parse_bytes(f"{number}{space}{unit}i{byte}") == number * 1024 ** POWERS[unit]


def test_sizes_that_people_write():
    assert [parse_bytes(text) for text in ("2GB", "512 MiB", "1.5g", "1TB")] == [2 * 10**9, 2**29, 15 * 10**8, 10**12]


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "0", "0.0001", "1,5GB", "2 GB or so", "1e9", "nan", "12XB"])
def test_what_is_no_size_is_named(text):
    with pytest.raises(SettingError) as wrong:
        parse_bytes(text)
    assert repr(text) in str(wrong.value) and "2GB" in (wrong.value.hint or "")


@given(st.text(max_size=12))
def test_any_text_is_a_size_of_at_least_a_byte_or_an_error_of_ours(text):
    with suppress(SettingError):
        assert parse_bytes(text) >= 1


def test_the_template_says_what_the_defaults_are(tmp_path):
    (tmp_path / FILE_NAME).write_text(TEMPLATE)
    assert read_settings(tmp_path) == Settings()
    spoken = "\n".join(line.removeprefix("# ") if "=" in line else line for line in TEMPLATE.splitlines())
    (tmp_path / FILE_NAME).write_bytes(spoken.replace('location = "indexes"', "").encode())  # it is none by default
    told = read_settings(tmp_path)
    assert (told.limits, told.index) == (Settings().limits, Settings().index)
    assert told.embedders == {name: load_modality(name).embedder for name in plugins.names("modalities")}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[limits]\nmemory = 'much'", "much"),
        ("[limits]\nthreads = -1", "limits.threads"),
        ("[limits]\ncolour = 'red'", "limits.colour"),
        ("[embedders]\ntext = 3", "embedders.text"),
        ("[embedders]\nsmell = 'nose'", "no modality is called 'smell'"),
        ("[index]\nnmae = 'flat'", "index.nmae"),
        ("[lmits]", "lmits"),
        ("limits = []", "limits"),
        ("[limits", "not valid TOML"),
        ("\xff", "not valid TOML"),
    ],
)
def test_a_wrong_setting_is_named_with_its_file(tmp_path, text, said):
    (tmp_path / FILE_NAME).write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingError) as wrong:
        read_settings(tmp_path)
    assert said in str(wrong.value) and str(tmp_path / FILE_NAME) in str(wrong.value)
