"""The contract of `curate/modalities/`, over every registered one."""

from __future__ import annotations

import pytest

from curate import plugins
from curate.embedding.specs import spec_modalities
from curate.errors import BadRecord
from curate.modalities import FALLBACK, Limits, is_known_media, load_modality, modality_of
from curate.records import takes

NAMES = plugins.names("modalities")


@pytest.mark.parametrize("name", NAMES)
def test_its_examples_are_sound_distinct_and_its_own(name: str):
    kind = load_modality(name)
    contents = kind.examples()
    assert len(set(contents)) == 3
    for content in contents:
        facts = kind.inspect(content, Limits())
        assert isinstance(content, str if kind.stored == "text" else bytes)
        assert (facts.suffix == "") == (kind.stored == "text") and (facts.suffix[:1] in ("", "."))
        assert (facts.width is None) == (facts.height is None)
        assert not kind.is_blank(content)
        if isinstance(content, bytes):
            assert kind.recognises(content) and modality_of(content) == name and is_known_media(content)


@pytest.mark.parametrize("name", NAMES)
def test_damage_is_a_bad_record_with_a_reason(name: str):
    kind = load_modality(name)
    for content in ("",) if kind.stored == "text" else (b"", b"\0" * 64, *(data[: len(data) // 2] for data in kind.examples())):
        with pytest.raises(BadRecord) as bad:
            kind.inspect(content, Limits())
        assert bad.value.reason and " " not in bad.value.reason


@pytest.mark.parametrize("name", NAMES)
def test_what_it_uses_by_default_takes_it(name: str):
    kind = load_modality(name)
    assert takes(spec_modalities(kind.embedder), name)
    for method in (*kind.dedupe_methods, kind.tuned_method):
        assert takes(plugins.load("dedupers", method).modalities, name)
    assert kind.window > 0 and kind.plural and (kind.column is None) == (kind.stored == "text")


@pytest.mark.parametrize("name", NAMES)
def test_a_preview_is_small_or_there_is_none(name: str):
    kind = load_modality(name)
    for content in kind.examples():
        made = kind.preview(content if isinstance(content, bytes) else content.encode(), 8)
        assert made is None or (made.kind.startswith("image/") and made.data and made.width > 0)
        assert made is not None or not kind.pictured


def test_bytes_that_nobody_recognises_are_left_to_the_fallback_to_refuse():
    assert FALLBACK in NAMES and modality_of(b"no file at all") == FALLBACK and not is_known_media(b"no file at all")
    with pytest.raises(BadRecord):
        load_modality(FALLBACK).inspect(b"no file at all", Limits())
