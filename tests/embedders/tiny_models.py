"""Tiny models, made and saved by the tests, in the files that real ones come in."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

os.environ.setdefault("HF_HUB_OFFLINE", "1")

WORDS = [
    "the",
    "a",
    "card",
    "has",
    "not",
    "arrived",
    "where",
    "is",
    "my",
    "new",
    "money",
    "transfer",
    "bank",
    "query",
    ":",
    "passage",
    "hello",
    "world",
]


def tiny_tokenizer(folder: Path) -> None:
    """A WordPiece tokenizer that knows letters and a few words."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,?!"
    pieces = dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *letters, *("##" + c for c in letters)])
    backend = Tokenizer(models.WordPiece({piece: number for number, piece in enumerate(pieces)}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )
    fast.save_pretrained(folder)


def make_sentence_transformer(folder: Path, *, seed: int, prompts: dict[str, str] | None = None) -> Path:
    """Save a two-layer BERT with mean pooling as a sentence-transformers model."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel

    bert = folder / "bert"
    tiny_tokenizer(bert)
    torch.manual_seed(seed)
    sizes = {"vocab_size": 200, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    BertModel(BertConfig(**sizes, max_position_embeddings=64)).save_pretrained(bert)
    modules = [Transformer(str(bert), max_seq_length=48), Pooling(32)]
    whole = SentenceTransformer(modules=modules, device="cpu", prompts=prompts, default_prompt_name="doc" if prompts else None)
    whole.save(str(folder / "model"), create_model_card=False)
    return folder / "model"


def png(seed: int, size: tuple[int, int] = (40, 30), mode: str = "RGB") -> bytes:
    """A small picture of smooth noise."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    file = io.BytesIO()
    small.convert(mode).save(file, "PNG")
    return file.getvalue()
