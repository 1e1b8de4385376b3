"""The text embedders against stock sentence-transformers, and what they refuse."""

from __future__ import annotations

import shutil
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.embedders import EmbedderOptions, static
from curate.embedders.minilm import MiniLM, model_folder
from curate.embedders.sentence_transformers import SentenceTransformerModel
from curate.embedders.transformer.text import token_batches
from curate.embedders.transformer.tiny import save_tiny_sentence_transformer
from curate.errors import InputError, SettingError
from curate.testing.embedders import TEXTS


@pytest.fixture(scope="module")
def minilm():
    return MiniLM(EmbedderOptions(threads=2, device="cpu"))


@pytest.fixture(scope="module")
def stock():
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(model_folder()), device="cpu", local_files_only=True)


def stock_vectors(model, texts):
    return model.encode(list(texts), show_progress_bar=False, normalize_embeddings=True)


def test_minilm_has_the_vectors_of_stock_sentence_transformers(minilm, stock):
    texts = [*TEXTS, "x" * 3000, "word " * 254, "word " * 255, "word " * 600, "café CAFÉ", "a\u0301", "don't"]
    np.testing.assert_allclose(minilm.embed_texts(texts), stock_vectors(stock, texts), atol=1e-5)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.text(max_size=80), min_size=1, max_size=6))
def test_minilm_agrees_with_stock_on_any_text(minilm, stock, texts):
    texts = [text.encode("utf-8", "ignore").decode() for text in texts]
    np.testing.assert_allclose(minilm.embed_texts(texts), stock_vectors(stock, texts), atol=1e-5)


def test_many_batches_over_threads_have_the_same_vectors_and_leave_torch_as_it_was(minilm, monkeypatch):
    before = torch.get_num_threads()
    whole = minilm.embed_texts(TEXTS[:40])
    monkeypatch.setattr(minilm, "_budget", 30)
    told: list[int] = []
    np.testing.assert_allclose(minilm.embed_texts(TEXTS[:40], told.append), whole, atol=1e-5)
    assert torch.get_num_threads() == before and sum(told) == 40 and len(told) > 10


def test_minilm_takes_no_model():
    with pytest.raises(SettingError, match="takes none"):
        MiniLM(EmbedderOptions(model="other"))


def test_an_unknown_device_is_refused():
    with pytest.raises(SettingError, match="warp"):
        MiniLM(EmbedderOptions(device="warp"))


@given(st.lists(st.integers(1, 300), max_size=200), st.integers(1, 600))
def test_batches_cover_every_text_once_longest_first_within_the_budget(lengths, budget):
    lengths = np.array(lengths, np.int64)
    batches = token_batches(lengths, budget)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert all(len(batch) == 1 or lengths[batch].sum() <= budget for batch in batches)
    flat = [int(lengths[row]) for batch in batches for row in batch]
    assert flat == sorted(flat, reverse=True)


def test_a_model_by_path_has_the_stock_vectors_with_its_default_prompt(tmp_path):
    from sentence_transformers import SentenceTransformer

    folder = save_tiny_sentence_transformer(tmp_path, seed=4, prompts={"doc": "passage: ", "query": "query: "})
    model = SentenceTransformer(str(folder), device="cpu")
    ours = SentenceTransformerModel(EmbedderOptions(model=str(folder), threads=2, device="cpu"))
    vectors = ours.embed_texts(TEXTS)
    np.testing.assert_allclose(vectors, stock_vectors(model, TEXTS), atol=1e-5)
    bare = model.encode(TEXTS[:1], prompt="", show_progress_bar=False, normalize_embeddings=True)
    assert np.abs(vectors[:1] - bare).max() > 1e-4


def test_two_models_never_share_a_table_and_a_moved_one_keeps_its_own(tmp_path, tiny_sentence_transformer):
    moved = tmp_path / tiny_sentence_transformer.name
    shutil.copytree(tiny_sentence_transformer, moved)
    other = save_tiny_sentence_transformer(tmp_path / "other", seed=9)
    first, second, third = (
        SentenceTransformerModel(EmbedderOptions(model=str(folder), device="cpu"))
        for folder in (tiny_sentence_transformer, moved, other)
    )
    assert (first.slug, first.fingerprint) == (second.slug, second.fingerprint)
    assert first.slug != third.slug and first.fingerprint != third.fingerprint


@pytest.mark.parametrize("plugin", ["sentence-transformers", "clip"])
def test_a_missing_model_says_what_to_name(plugin, tmp_path):
    from curate import plugins

    with pytest.raises(SettingError, match="needs a model"):
        plugins.load("embedders", plugin)(EmbedderOptions())
    with pytest.raises(InputError, match="no model folder") as missing:
        plugins.load("embedders", plugin)(EmbedderOptions(model=str(tmp_path / "gone")))
    assert missing.value.hint
    with pytest.raises(InputError, match="no-such-org/no-such-model") as offline:
        plugins.load("embedders", plugin)(EmbedderOptions(model="no-such-org/no-such-model"))
    assert offline.value.hint


def test_a_pickle_is_never_loaded(tmp_path, tiny_sentence_transformer):
    folder = tmp_path / "pickled"
    shutil.copytree(tiny_sentence_transformer, folder)
    weights = folder / "model.safetensors"
    weights.rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="pickle"):
        SentenceTransformerModel(EmbedderOptions(model=str(folder)))
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(InputError, match="no safetensors"):
        SentenceTransformerModel(EmbedderOptions(model=str(folder)))


def test_damaged_weights_are_an_input_error(tmp_path, tiny_sentence_transformer):
    folder = tmp_path / "damaged"
    shutil.copytree(tiny_sentence_transformer, folder)
    (folder / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{not json at all")
    with pytest.raises(InputError, match="cannot be loaded"):
        SentenceTransformerModel(EmbedderOptions(model=str(folder), device="cpu"))


def test_static_is_the_mean_of_its_token_vectors(static_folder):
    embedder = static.Static(EmbedderOptions(folder=static_folder))
    table = static._load(static_folder / static.FILE).astype(np.float64)
    for text in ("my card", "Where is my card, my new card?"):
        ids = embedder._tokenizer.encode(text, add_special_tokens=False).ids
        total = sum(table[token] for token in ids)
        np.testing.assert_allclose(embedder.embed_texts([text])[0], total / np.linalg.norm(total), atol=1e-5)


def test_a_distilled_table_is_the_same_again_is_kept_and_is_made_again_when_damaged(tmp_path, monkeypatch):
    question, near, far = "my card has not arrived", "the card didn't arrive yet", "bake the bread for an hour"
    tokenizer = static.Tokenizer.from_file(str(model_folder() / "tokenizer.json"))
    said = tokenizer.encode(f"{question} {near} {far}").ids
    some = {*range(2_000, 2_600), *said}  # distilling all 30,000 tokens takes 70 times as long
    monkeypatch.setattr(static, "distil", partial(static.distil, only=some))
    first = static.Static(EmbedderOptions(folder=tmp_path, threads=2))
    kept = (tmp_path / static.FILE).read_bytes()
    filled = np.flatnonzero(static._load(tmp_path / static.FILE).any(axis=1))
    assert set(filled) == some - set(tokenizer.encode("").ids)
    assert static.Static(EmbedderOptions(folder=tmp_path)).fingerprint == first.fingerprint
    vectors = first.embed_texts([question, near, far])
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2
    (tmp_path / static.FILE).write_bytes(kept[: len(kept) // 2])
    assert static.Static(EmbedderOptions(folder=tmp_path, threads=1)).fingerprint == first.fingerprint
    assert (tmp_path / static.FILE).read_bytes() == kept
