"""Tiny models with random weights in the files that real ones come in: the examples of plug-ins that take a model."""

from __future__ import annotations

from pathlib import Path

WORDS = ("the", "a", "card", "has", "not", "arrived", "where", "is", "my", "new", "money", "transfer", "bank", "query", ":")


def save_tiny_tokenizer(folder: Path) -> None:
    """A WordPiece tokenizer that knows letters and a few words."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,?!"
    pieces = dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *letters, *("##" + c for c in letters)])
    backend = Tokenizer(models.WordPiece({piece: number for number, piece in enumerate(pieces)}, unk_token="[UNK]"))  # noqa: S106 (a piece of text)
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    special = {"unk": "[UNK]", "pad": "[PAD]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    fast = PreTrainedTokenizerFast(tokenizer_object=backend, **{f"{name}_token": piece for name, piece in special.items()})
    fast.save_pretrained(str(folder))


def save_tiny_sentence_transformer(folder: Path, *, seed: int, prompts: dict[str, str] | None = None) -> Path:
    """A two-layer BERT with mean pooling as a sentence-transformers model; returns the model's own folder."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel

    bert = folder / "bert"
    save_tiny_tokenizer(bert)
    sizes = {"vocab_size": 200, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        BertModel(BertConfig(**sizes, max_position_embeddings=64)).save_pretrained(bert)
    modules = [Transformer(str(bert), max_seq_length=48), Pooling(32)]
    whole = SentenceTransformer(modules=modules, device="cpu", prompts=prompts, default_prompt_name="doc" if prompts else None)
    whole.save(str(folder / "model"), create_model_card=False)
    return folder / "model"


def save_tiny_clip(folder: Path, *, seed: int) -> Path:
    """A CLIP of two layers a side and 24 dimensions; returns its folder."""
    import torch
    from transformers import CLIPConfig, CLIPModel
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    save_tiny_tokenizer(folder)
    layers = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    marks = {"eos_token_id": 3, "bos_token_id": 2, "pad_token_id": 0}
    text = {"vocab_size": 200, "max_position_embeddings": 20, **marks, **layers}
    picture = {"image_size": 32, "patch_size": 8, **layers}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        CLIPModel(CLIPConfig(text_config=text, vision_config=picture, projection_dim=24)).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder
