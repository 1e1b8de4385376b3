"""What every registered generator keeps, and the values of the contract."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from curate.errors import InputError, SettingError
from curate.generators import Examples, Lazy, read_config
from curate.plugins import load, names
from curate.testing import check_generator

from .tiny_family import TinyFlow

FAMILIES = names("generators")


def test_both_families_are_registered_under_their_own_names():
    assert {"diffusion", "causal-lm"} <= set(FAMILIES)
    assert all(load("generators", name).name == name for name in FAMILIES)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_keeps_the_laws(name):
    check_generator(load("generators", name))


def test_a_family_of_a_few_lines_keeps_the_laws():
    check_generator(TinyFlow)


def test_importing_the_family_imports_nothing_heavy():
    program = "import sys, curate.generators; print([m for m in ('torch', 'numpy', 'PIL', 'transformers') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip() == "[]"


def test_examples_have_roles_and_keep_their_rows_together():
    with pytest.raises(SettingError, match="at least one role"):
        Examples()
    with pytest.raises(SettingError, match="2 text, 1 label"):
        Examples(text=["x", "y"], label=["a"])
    examples = Examples(media=Lazy(3, lambda row: b"xyz"[row : row + 1]), label=["a", None, "b"], ids=[7, 8, 9])
    taken = examples.take([2, 0])
    assert (taken.labels, taken.ids, taken.media[0], taken.name(1)) == (["b", "a"], [9, 7], b"z", "sample 7")
    assert list(taken.media) == [b"z", b"x"] and list(examples.media[1:]) == [b"y", b"z"]
    assert examples.classes == ("a", "b") and len(examples.spread(2)) == 2 and examples.spread(0) is examples
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 2, 2, 1)
    assert (Examples(media=pixels).take([1]).media == pixels[1:2]).all()


def test_a_row_of_several_roles_stays_one_row():
    pairs = Examples(prompt=["p", "q"], chosen=["good", "fine"], rejected=["bad", "worse"])
    assert pairs.roles == ("prompt", "chosen", "rejected") and pairs.labels == [None, None]
    assert pairs.take([1]).rejected == ["worse"]
    with pytest.raises(SettingError, match="learns from text, and these examples have prompt and chosen and rejected"):
        pairs.require(("text",), by="causal-lm")


def test_an_empty_part_has_its_roles():
    assert Examples(text=[]).roles == ("text",) and len(Examples(text=[], label=[])) == 0


def test_a_folder_without_a_finished_model_is_said_to_be_one(tmp_path):
    with pytest.raises(InputError, match="not a finished model"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(InputError, match="not the configuration"):
        read_config(tmp_path)
