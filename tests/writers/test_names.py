"""No two labels share a name, on any file system."""

from __future__ import annotations

import re
import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from curate.testing.export_rows import NASTY_LABELS
from curate.writers.layout.names import UNLABELLED, safe_names, safe_suffix

RESERVED = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10))}
labels = st.text(max_size=8) | st.sampled_from(NASTY_LABELS) | st.text("aA/_\\.é ", max_size=4)


@settings(deadline=None, max_examples=300)
@given(st.lists(labels, max_size=12))
def test_names_are_safe_and_all_different(drawn: list[str]) -> None:
    names = safe_names(drawn)
    assert names.keys() == set(drawn)
    folded = [unicodedata.normalize("NFC", name).casefold() for name in names.values()]
    assert len(set(folded)) == len(folded)
    for name in names.values():
        assert name and name != UNLABELLED and len(name.encode()) <= 200
        assert not re.search(r'[<>:"/\\|?*\x00-\x1f]', name)
        assert name.strip(" .") == name and not name.startswith("__")
        assert name.split(".")[0].lower() not in RESERVED


@given(st.lists(labels, max_size=12), st.randoms())
def test_a_name_does_not_depend_on_the_order(drawn: list[str], random: object) -> None:
    shuffled = sorted(drawn, key=lambda _: random.random())  # type: ignore[attr-defined]
    assert safe_names(drawn) == safe_names(shuffled)


def test_a_good_label_keeps_its_name_also_where_another_would_fall_on_it() -> None:
    digest = safe_names(["a/b"])["a/b"]
    names = safe_names(["a/b", "a_b", digest])
    assert names["a_b"] == "a_b" and names[digest] == digest
    assert names["a/b"].startswith(digest) and names["a/b"] != digest


def test_a_suffix_is_a_dot_and_a_few_letters() -> None:
    assert [safe_suffix(s) for s in (".PNG", ".jpeg", "", "png", ".p/../x", ".tar.gz")] == [
        ".png",
        ".jpeg",
        ".bin",
        ".bin",
        ".bin",
        ".bin",
    ]
