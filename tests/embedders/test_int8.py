"""The int8 text embedder against the float32 one, and its linear layer against plain arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.embedders import EmbedderOptions
from curate.embedders.minilm import MiniLM
from curate.embedders.minilm_int8 import SAMPLE, MiniLMInt8
from curate.errors import SettingError
from curate.testing.embedders import TEXTS

PLAIN = [text for text in TEXTS if text.strip()] + [
    "How do I change my PIN?",
    "for name in sorted(names): print(name)",
    "Lily has 3 boxes of 12 pencils and gives away half of them; how many are left?",
    "word " * 600,
]


@pytest.fixture(scope="module")
def int8():
    return MiniLMInt8(EmbedderOptions(threads=2, device="cpu"))


def slow_layer(x, weight, bias):
    """Round each row to 128 steps from its least to its largest value, each weight row to ±127, and multiply in float64."""
    step = np.maximum((x.max(1) - x.min(1)) / 127, 1e-20)[:, None]
    levels = np.floor((x - x.min(1)[:, None]) / step + 0.5)
    scale = np.abs(weight).max(1)[:, None] / 127
    rounded = x.min(1)[:, None] + step * levels
    return rounded @ (np.round(weight / scale) * scale).T + bias


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    rows=st.integers(1, 40),
    width=st.sampled_from([1, 3, 64, 100, 384]),
    outputs=st.sampled_from([1, 5, 96]),
    size=st.sampled_from([1e-3, 1.0, 50.0]),
)
def test_the_layer_is_its_rule_in_plain_arithmetic_and_never_overflows(seed, rows, width, outputs, size):
    from curate.embedders.transformer.int8_linear import Int8Linear

    rng = np.random.default_rng(seed)
    x = (rng.standard_normal((rows, width)) * size).astype(np.float32)
    x[0] = size  # all inputs at the top of a row's range: the largest sums
    x[0, 0] = -size
    weight = rng.standard_normal((outputs, width)).astype(np.float32)
    weight[0] = 1
    bias = rng.standard_normal(outputs).astype(np.float32)
    found = Int8Linear(torch.from_numpy(weight), torch.from_numpy(bias))(torch.from_numpy(x)).numpy()
    expected = slow_layer(x.astype(np.float64), weight.astype(np.float64), bias)
    one_level = np.ptp(x, axis=1)[:, None] / 127 * np.abs(weight).max()  # float32 may round a value to the next level
    assert (np.abs(found - expected) <= 2 * one_level + 1e-4 * (1 + np.abs(expected))).all()


def test_large_inputs_are_spread_so_that_the_small_ones_keep_their_levels():
    from curate.embedders.transformer.int8_linear import Int8Linear

    rng = np.random.default_rng(5)
    x = rng.standard_normal((200, 96)).astype(np.float32)
    x[:, 3] *= 60
    weight = rng.standard_normal((48, 96)).astype(np.float32)
    weight[:, 3] /= 60
    tensors = torch.from_numpy(x), torch.from_numpy(weight), torch.zeros(48)
    exact = x @ weight.T
    plain, spread = (
        np.abs(Int8Linear(tensors[1], tensors[2], largest)(tensors[0]).numpy() - exact).mean()
        for largest in (None, tensors[0].abs().amax(0))
    )
    assert spread < plain / 5


def test_int8_vectors_are_near_those_of_float32(int8):
    exact = MiniLM(EmbedderOptions(threads=2, device="cpu"))
    texts = [*PLAIN, *SAMPLE]
    cosines = (int8.embed_texts(texts) * exact.embed_texts(texts)).sum(1)
    assert cosines.min() > 0.98 and cosines.mean() > 0.996  # one word alone is the farthest off
    assert int8.fingerprint != exact.fingerprint and int8.slug != exact.slug


def test_a_text_has_the_same_vector_whatever_stands_beside_it(int8, monkeypatch):
    whole = int8.embed_texts(PLAIN)
    monkeypatch.setattr(int8, "_budget", 40)
    np.testing.assert_allclose(int8.embed_texts(PLAIN[::-1])[::-1], whole, atol=1e-5)


def test_int8_refuses_a_gpu_and_names_itself():
    with pytest.raises(SettingError, match="CPU only") as refusal:
        MiniLMInt8(EmbedderOptions(device="cuda"))
    assert refusal.value.hint
    with pytest.raises(SettingError, match="minilm-int8"):
        MiniLMInt8(EmbedderOptions(model="other"))
