"""Tiny models as fixtures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embedders.tiny_models import make_sentence_transformer, tiny_tokenizer


@pytest.fixture(scope="session")
def tiny_sentence_transformer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sentence_transformer(tmp_path_factory.mktemp("st"), seed=1)


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from transformers import CLIPConfig, CLIPModel
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    folder = tmp_path_factory.mktemp("clip")
    tiny_tokenizer(folder)
    torch.manual_seed(2)
    layers = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = CLIPConfig(
        text_config=dict(vocab_size=200, max_position_embeddings=20, eos_token_id=3, bos_token_id=2, pad_token_id=0, **layers),
        vision_config=dict(image_size=32, patch_size=8, **layers),
        projection_dim=24,
    )
    CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def static_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a token table as a distillation leaves it, but seeded: the real one is made by a slow test."""
    from tokenizers import Tokenizer

    from curate.embedders import static
    from curate.embedders.minilm import model_folder

    folder = tmp_path_factory.mktemp("static")
    rows = Tokenizer.from_file(str(model_folder() / "tokenizer.json")).get_vocab_size()
    table = np.random.default_rng(3).normal(size=(rows, static.DIMENSION)).astype(np.float16)
    static._save(table, folder / static.FILE)
    return folder
