"""The CLIP embedder against transformers' own model."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from curate.embedders import EmbedderOptions
from curate.embedders.clip import Clip
from curate.errors import InputError
from curate.testing.contents import noise_picture


@pytest.fixture(scope="module")
def clip(tiny_clip):
    return Clip(EmbedderOptions(model=str(tiny_clip), threads=2, device="cpu"))


def unit(tensor):
    return torch.nn.functional.normalize(tensor, dim=1).detach().numpy()


def test_it_has_the_vectors_of_the_stock_model_one_by_one(clip, tiny_clip):
    from transformers import AutoTokenizer, CLIPModel
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    model = CLIPModel.from_pretrained(tiny_clip).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_clip)
    processor = CLIPImageProcessorPil.from_pretrained(tiny_clip)
    texts = ["my card", "the card has not arrived", "a " * 50]
    images = [noise_picture(1), noise_picture(2, (64, 20)), noise_picture(3, (7, 9), "L")]
    for text, vector in zip(texts, clip.embed_texts(texts), strict=True):
        inputs = tokenizer([text], truncation=True, max_length=20, return_tensors="pt")
        with torch.inference_mode():
            expected = model.text_projection(model.text_model(**inputs).pooler_output)
        np.testing.assert_allclose(vector[None], unit(expected), atol=1e-5)
    for content, vector in zip(images, clip.embed_images(images), strict=True):
        pixels = processor(Image.open(io.BytesIO(content)).convert("RGB"), return_tensors="pt")
        with torch.inference_mode():
            expected = model.visual_projection(model.vision_model(**pixels).pooler_output)
        np.testing.assert_allclose(vector[None], unit(expected), atol=1e-5)


def test_transparent_parts_look_white(clip):
    clear = io.BytesIO()
    Image.new("RGBA", (20, 20), (255, 0, 0, 0)).save(clear, "PNG")
    white = io.BytesIO()
    Image.new("RGB", (20, 20), "white").save(white, "PNG")
    left, right = clip.embed_images([clear.getvalue(), white.getvalue()])
    np.testing.assert_allclose(left, right, atol=1e-6)


def test_another_kind_of_model_is_refused(tiny_sentence_transformer):
    with pytest.raises(InputError, match="bert"):
        Clip(EmbedderOptions(model=str(tiny_sentence_transformer)))
