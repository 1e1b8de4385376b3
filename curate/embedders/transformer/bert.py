"""A BERT encoder over packed tokens: the texts of a batch stand end to end, so that no padding is computed.

Only attention looks at texts one by one; it runs once for each distinct length in the batch, unmasked, as texts come
sorted by length. The numbers are those of `transformers.BertModel` up to float32 rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray


class Run(NamedTuple):
    """`texts` neighbouring texts of `length` tokens each, from packed token `start` on."""

    start: int
    texts: int
    length: int


Linear = Callable[[torch.Tensor], torch.Tensor]
"""(T, in) → (T, out)."""


def float_linear(weight: torch.Tensor, bias: torch.Tensor) -> Linear:
    """The layer as it was trained: (out, in), (out,)."""
    return lambda x: F.linear(x, weight, bias)


@dataclass(frozen=True, slots=True)
class _Norm:
    weight: torch.Tensor
    bias: torch.Tensor


@dataclass(frozen=True, slots=True)
class _Layer:
    """One encoder layer; `query_key_value` is the three projections stacked."""

    query_key_value: Linear
    context: Linear
    context_norm: _Norm
    widen: Linear
    narrow: Linear
    norm: _Norm


class PackedBert:
    """The encoder, with mean pooling and normalisation.

    Args:
        weights: a `BertModel`'s tensors by their names in the safetensors file.
        config: the model's `config.json`.
        linear: makes the linear layers from their weight (out, in) and bias (out,).
    """

    def __init__(
        self,
        weights: Mapping[str, torch.Tensor],
        config: Mapping[str, Any],
        device: torch.device,
        linear: Callable[[torch.Tensor, torch.Tensor], Linear] = float_linear,
    ) -> None:
        self._make_linear = linear
        self._weights = {name.removeprefix("bert."): value.to(device, torch.float32) for name, value in weights.items()}
        self.device = device
        self.dimension: int = config["hidden_size"]
        self._heads: int = config["num_attention_heads"]
        self._epsilon: float = config["layer_norm_eps"]
        self._words, self._positions, kinds = (
            self._weights[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")
        )
        self._kind = kinds[0]
        self._norm = self._norm_of("embeddings.LayerNorm")
        self._layers = [self._layer(f"encoder.layer.{number}.") for number in range(config["num_hidden_layers"])]

    def _norm_of(self, name: str) -> _Norm:
        return _Norm(self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def _linear(self, *names: str) -> Linear:
        parts = [(self._weights.pop(f"{name}.weight"), self._weights.pop(f"{name}.bias")) for name in names]
        weight, bias = (torch.cat(tensors).contiguous() for tensors in zip(*parts, strict=True))
        return self._make_linear(weight, bias)

    def _layer(self, prefix: str) -> _Layer:
        attention = prefix + "attention."
        return _Layer(
            self._linear(*(f"{attention}self.{name}" for name in ("query", "key", "value"))),
            self._linear(attention + "output.dense"),
            self._norm_of(attention + "output.LayerNorm"),
            self._linear(prefix + "intermediate.dense"),
            self._linear(prefix + "output.dense"),
            self._norm_of(prefix + "output.LayerNorm"),
        )

    def encode(self, token_ids: list[list[int]]) -> NDArray[np.float32]:
        """Unit vectors (b, d) of b texts, given as token ids with the special tokens, equal lengths side by side."""
        lengths = np.array([len(ids) for ids in token_ids])
        runs = _runs(lengths)
        ids = torch.from_numpy(np.concatenate(token_ids).astype(np.int64)).to(self.device)  # (T,)
        places = torch.from_numpy(np.concatenate([np.arange(length) for length in lengths])).to(self.device)  # (T,)
        hidden = self._hidden(ids, places, runs)  # (T, d)
        means = [hidden[at : at + n * length].view(n, length, -1).mean(1) for at, n, length in runs]
        found: NDArray[np.float32] = F.normalize(torch.cat(means), dim=1).cpu().numpy()
        return found

    def _hidden(self, ids: torch.Tensor, places: torch.Tensor, runs: list[Run]) -> torch.Tensor:
        x = self._layer_norm(self._words[ids] + self._positions[places] + self._kind, self._norm)  # (T, d)
        for layer in self._layers:
            context = self._attend(layer.query_key_value(x), runs)
            x = self._layer_norm(layer.context(context).add_(x), layer.context_norm)
            wide = F.gelu(layer.widen(x))  # (T, 4d)
            x = self._layer_norm(layer.narrow(wide).add_(x), layer.norm)
        return x

    def _attend(self, projected: torch.Tensor, runs: list[Run]) -> torch.Tensor:
        """Attention within each text; (T, 3d) → (T, d)."""
        context = projected.new_empty(len(projected), self.dimension)
        for start, texts, length in runs:
            tokens = slice(start, start + texts * length)
            query, key, value = (
                projected[tokens].view(texts, length, 3, self._heads, -1).permute(2, 0, 3, 1, 4)
            )  # (n, h, L, d/h)
            attended = F.scaled_dot_product_attention(query, key, value)
            context[tokens].view(texts, length, self._heads, -1).copy_(attended.transpose(1, 2))
        return context

    def _layer_norm(self, x: torch.Tensor, norm: _Norm) -> torch.Tensor:
        return F.layer_norm(x, (self.dimension,), norm.weight, norm.bias, self._epsilon)


def _runs(lengths: NDArray[np.int64]) -> list[Run]:
    """Group neighbouring equal lengths."""
    starts = np.concatenate([[0], np.flatnonzero(np.diff(lengths)) + 1])
    counts = np.diff(np.append(starts, len(lengths)))
    tokens = np.concatenate([[0], np.cumsum(lengths)])
    return [Run(int(tokens[at]), int(count), int(lengths[at])) for at, count in zip(starts, counts, strict=True)]
