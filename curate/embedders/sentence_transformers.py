"""Any sentence-transformers model, by path or hub name."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from curate.embedders import EmbedderOptions
from curate.embedders.transformer.model_folder import find_model, model_fingerprint, model_slug
from curate.embedders.transformer.text import (
    TOKENS_A_BATCH,
    TOKENS_A_GPU_BATCH,
    choose_device,
    chunks,
    core_count,
    count_tokens,
    run_batches,
    token_batches,
)
from curate.embedders.transformer.tiny import save_tiny_sentence_transformer
from curate.errors import InputError, SettingError

EXAMPLE = "intfloat/multilingual-e5-small"
CHARACTERS_A_TOKEN = 3


class SentenceTransformerModel:
    """The vectors of stock `SentenceTransformer.encode(…, normalize_embeddings=True)`, with the model's own default prompt.

    Models of its kind have no measured threshold; calibrate one, or give it.
    """

    modalities: ClassVar[frozenset[str]] = frozenset({"text"})
    scripts: ClassVar[str] = "any"
    default_threshold: float | None = None

    def __init__(self, options: EmbedderOptions) -> None:
        folder, name = find_model(options.model, plugin="sentence-transformers", example=EXAMPLE)
        device = choose_device(options.device)
        self._on_cpu = device.type == "cpu"
        self._threads = core_count(options.threads) if self._on_cpu else 1
        self.fingerprint = model_fingerprint(folder, "sentence-transformers normalised default prompt float32")
        self.slug = model_slug("st", name, self.fingerprint)
        try:
            with _quiet():
                from sentence_transformers import SentenceTransformer

                self._model = SentenceTransformer(
                    str(folder),
                    device=str(device),
                    local_files_only=True,
                    trust_remote_code=False,
                    model_kwargs={"use_safetensors": True, "dtype": "float32"},
                )
                self.dimension = self._encode(["a"]).shape[1]
        except (OSError, KeyError, ValueError, TypeError, AttributeError, ImportError, RuntimeError, SafetensorError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise InputError(
                f"{folder} cannot be loaded as a sentence-transformers model: {reason}",
                hint="a model that needs its own code is not run; name one that does not",
            ) from error
        self._counter = _token_counter(self._model)
        self.description = f"{name}, {self.dimension} dimensions, float32"

    @classmethod
    def example(cls, folder: Path) -> EmbedderOptions:
        """How a small one is loaded."""
        model = save_tiny_sentence_transformer(folder, seed=1)
        return EmbedderOptions(model=str(model), threads=2, device="cpu")

    def embed_texts(self, texts: Sequence[str], advance: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        """Embed texts; see `curate.embedders.Embedder`."""
        out = np.empty((len(texts), self.dimension), np.float32)
        for chunk in chunks(len(texts)):
            part = list(texts[chunk])
            run_batches(
                token_batches(self._counter(part), TOKENS_A_BATCH if self._on_cpu else TOKENS_A_GPU_BATCH),
                lambda batch, part=part: self._encode([part[row] for row in batch]),  # type: ignore[misc]
                out[chunk],
                threads=self._threads,
                advance=advance,
            )
        return out

    def read_texts(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """What the model sees of texts; see `curate.embedders.TextReader`.

        A tokenizer that is not a fast one tells no tokens: all is then guessed by characters, and nothing counts as unknown.
        """
        limit = self._model.max_seq_length or 512
        backend = getattr(self._model.tokenizer, "backend_tokenizer", None)
        if backend is None:
            guessed = np.array([2 + len(text) // CHARACTERS_A_TOKEN for text in texts], np.int32).reshape(-1)
            return np.stack([np.minimum(guessed, limit), np.zeros_like(guessed), np.maximum(guessed - limit, 0)], axis=1)
        window = type(backend).from_str(backend.to_str())
        window.enable_truncation(limit)
        return count_tokens(window, texts)

    def _encode(self, texts: list[str]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self._model.encode(
            texts, batch_size=len(texts), show_progress_bar=False, convert_to_numpy=True, normalize_embeddings=True
        ).astype(np.float32, copy=False)
        return found

    def embed_images(self, images: Sequence[bytes], advance: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        """Refuse: only the text side of such models is used."""
        raise SettingError("sentence-transformers embeds text, not images", hint="--embedder perceptual, or clip:MODEL")

    def close(self) -> None:
        """Nothing is held outside this object."""


def _token_counter(model: Any) -> Callable[[list[str]], NDArray[np.int64]]:
    """Counts tokens, as the model cuts them, on a copy of its tokenizer; guesses by characters where that is not a fast one."""
    limit = model.max_seq_length or 512
    backend = getattr(model.tokenizer, "backend_tokenizer", None)
    if backend is None:
        return lambda texts: np.array([min(limit, 2 + len(text) // CHARACTERS_A_TOKEN) for text in texts], np.int64)
    copy = type(backend).from_str(backend.to_str())
    copy.no_padding()
    copy.enable_truncation(limit)
    return lambda texts: np.array([len(encoding.ids) for encoding in copy.encode_batch_fast(texts)], np.int64)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the loading bars of transformers off the terminal."""
    with redirect_stderr(io.StringIO()):
        yield


PLUGIN = SentenceTransformerModel
