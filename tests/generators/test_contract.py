"""What every registered generator keeps."""

from __future__ import annotations

import dataclasses
import inspect
import json
import subprocess
import sys

import numpy as np
import pytest

from curate.errors import InputError, SettingError
from curate.generators import Examples, Preset, TrainSettings, configure, read_config
from curate.plugins import load, names

FAMILIES = names("generators")


def test_both_families_are_registered():
    assert {"diffusion", "causal-lm"} <= set(FAMILIES)


@pytest.mark.parametrize("name", FAMILIES)
def test_presets_are_complete_settings_that_say_what_was_measured(name):
    plugin = load("generators", name)
    assert plugin.modality in ("image", "text") and "tiny" in plugin.presets
    for preset in plugin.presets.values():
        assert isinstance(preset, Preset) and isinstance(preset.settings, TrainSettings) and len(preset.measured) > 20
        written = json.loads(json.dumps(dataclasses.asdict(preset.settings)))
        assert type(preset.settings)(**written) == preset.settings
        plugin(configure(preset, {"steps": 3}))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_generator_has_the_methods_of_the_contract_and_refuses_foreign_settings(name):
    plugin = load("generators", name)
    assert list(inspect.signature(plugin.fit).parameters)[1:] == ["train", "validation", "folder", "options", "progress"]
    assert list(inspect.signature(plugin.load).parameters) == ["folder", "device"]
    with pytest.raises(SettingError):
        plugin(TrainSettings())


def test_importing_the_family_imports_nothing_heavy():
    program = "import sys, curate.generators; print([m for m in ('torch', 'numpy', 'PIL', 'transformers') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip() == "[]"


def test_examples_hold_one_kind_of_content_and_keep_their_rows_together():
    with pytest.raises(SettingError, match="exactly one"):
        Examples(["a"])
    with pytest.raises(SettingError, match="2 texts for 1 labels"):
        Examples(["a"], texts=["x", "y"])
    examples = Examples(["a", None, "b"], media=lambda row: b"xyz"[row : row + 1], ids=[7, 8, 9])
    taken = examples.take([2, 0])
    assert (taken.labels, taken.ids, taken.media(0), taken.name(1)) == (["b", "a"], [9, 7], b"z", "sample 7")
    assert examples.classes == ("a", "b") and len(examples.spread(2)) == 2 and examples.spread(0) is examples
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 2, 2, 1)
    assert (Examples(["a"] * 3, pixels=pixels).take([1]).pixels == pixels[1:2]).all()


def test_a_folder_without_a_finished_model_is_said_to_be_one(tmp_path):
    with pytest.raises(InputError, match="not a finished model"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(InputError, match="not the configuration"):
        read_config(tmp_path)
