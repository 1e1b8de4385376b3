"""The contract of `curate/modalities/`, over every registered one."""

from __future__ import annotations

import pytest

from curate import plugins
from curate.errors import BadRecord
from curate.modalities import FALLBACK, Limits, is_known_media, load_modality, modality_of
from curate.testing import check_modality

NAMES = plugins.names("modalities")


@pytest.mark.parametrize("name", NAMES)
def test_it_keeps_the_laws_of_its_family(name: str):
    check_modality(plugins.load("modalities", name))


@pytest.mark.parametrize("name", NAMES)
def test_an_encoded_example_is_known_by_its_first_bytes(name: str):
    for content in load_modality(name).examples():
        assert isinstance(content, str) or (modality_of(content) == name and is_known_media(content))


def test_bytes_that_nobody_recognises_are_left_to_the_fallback_to_refuse():
    assert FALLBACK in NAMES and modality_of(b"no file at all") == FALLBACK and not is_known_media(b"no file at all")
    with pytest.raises(BadRecord):
        load_modality(FALLBACK).inspect(b"no file at all", Limits())
