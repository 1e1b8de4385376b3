"""A CLIP model, by path or hub name: texts and images in one space."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError

from curate.embedders import EmbedderOptions
from curate.embedders.transformer.model_folder import find_model, model_fingerprint, model_slug
from curate.embedders.transformer.text import choose_device, core_count, run_batches
from curate.embedders.transformer.tiny import save_tiny_clip
from curate.errors import InputError

EXAMPLE = "openai/clip-vit-base-patch32"
ROWS_A_BATCH = 16
ROWS_A_GPU_BATCH = 256
WRAPPED = "0_CLIPModel"
"""Where sentence-transformers packages keep the CLIP model itself."""


class Clip:
    """Texts are cut at the model's length (77 tokens as a rule); of an animated image the first frame is seen.

    The cosine of a text and an image is far below that of two near-duplicates, so there is no one threshold for both.
    """

    modalities: ClassVar[frozenset[str]] = frozenset({"text", "image"})
    default_threshold: float | None = None

    def __init__(self, options: EmbedderOptions) -> None:
        folder, name = find_model(options.model, plugin="clip", example=EXAMPLE)
        if (folder / WRAPPED).is_dir():
            folder = folder / WRAPPED
        self._device = choose_device(options.device)
        on_cpu = self._device.type == "cpu"
        self._threads = core_count(options.threads) if on_cpu else 1
        self._rows = ROWS_A_BATCH if on_cpu else ROWS_A_GPU_BATCH
        try:
            kind = json.loads((folder / "config.json").read_text())["model_type"]
            if kind != "clip":
                raise ValueError(f"its model_type is {kind!r}, not 'clip'")
            with redirect_stderr(io.StringIO()):  # loading bars
                from transformers import AutoTokenizer, CLIPModel
                from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil  # needs no torchvision

                model = CLIPModel.from_pretrained(folder, local_files_only=True, use_safetensors=True, dtype=torch.float32)
                self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
                self._processor = CLIPImageProcessorPil.from_pretrained(folder, local_files_only=True)
        except (OSError, KeyError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise InputError(f"{folder} cannot be loaded as a CLIP model: {reason}", hint=f"clip:{EXAMPLE}") from error
        self._model = model.to(self._device).eval()
        self._tokens: int = model.config.text_config.max_position_embeddings
        self.dimension: int = model.config.projection_dim
        self.fingerprint = model_fingerprint(folder, "clip normalised float32 pil")
        self.slug = model_slug("clip", name.removeprefix("clip-"), self.fingerprint)
        self.description = f"{name}, {self.dimension} dimensions, float32, text and image in one space"

    @classmethod
    def example(cls, folder: Path) -> EmbedderOptions:
        """How a small one is loaded."""
        return EmbedderOptions(model=str(save_tiny_clip(folder, seed=2)), threads=2, device="cpu")

    def embed_texts(self, texts: Sequence[str], advance: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        """Embed texts; see `curate.embedders.Embedder`."""
        out = np.empty((len(texts), self.dimension), np.float32)
        tokenized = self._tokenizer(list(texts), truncation=True, max_length=self._tokens)["input_ids"] if len(texts) else []

        def encode(batch: NDArray[np.int64]) -> NDArray[np.float32]:
            inputs = self._tokenizer.pad({"input_ids": [tokenized[row] for row in batch]}, return_tensors="pt")
            states = self._model.text_model(**inputs.to(self._device)).pooler_output
            return _unit(self._model.text_projection(states))

        order = np.argsort([-len(ids) for ids in tokenized], kind="stable").astype(np.int64)
        run_batches(self._batches(order), encode, out, threads=self._threads, advance=advance)
        return out

    def embed_images(self, images: Sequence[bytes], advance: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        """Embed encoded images; see `curate.embedders.Embedder`."""
        out = np.empty((len(images), self.dimension), np.float32)

        def encode(batch: NDArray[np.int64]) -> NDArray[np.float32]:
            pixels = self._processor([_decode(images[row]) for row in batch], return_tensors="pt")["pixel_values"]
            states = self._model.vision_model(pixel_values=pixels.to(self._device)).pooler_output
            return _unit(self._model.visual_projection(states))

        run_batches(self._batches(np.arange(len(images))), encode, out, threads=self._threads, advance=advance)
        return out

    def _batches(self, order: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        return [order[start : start + self._rows] for start in range(0, len(order), self._rows)]

    def close(self) -> None:
        """Nothing is held outside this object."""


def _unit(features: torch.Tensor) -> NDArray[np.float32]:
    found: NDArray[np.float32] = F.normalize(features, dim=1).cpu().numpy()
    return found


def _decode(content: bytes):  # type: ignore[no-untyped-def]
    """The first frame as RGB, transparent parts over white."""
    from PIL import Image

    with Image.open(io.BytesIO(content)) as image:
        if image.has_transparency_data:
            layers = image.convert("RGBA")
            ground = Image.new("RGBA", layers.size, "white")
            return Image.alpha_composite(ground, layers).convert("RGB")
        return image.convert("RGB")


PLUGIN = Clip
