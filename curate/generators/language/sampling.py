"""Draws token sequences: temperature, top-p, stop at the end token, and one random stream a sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from curate.generators.training.repeatable import Streams


@dataclass(frozen=True, slots=True)
class Limits:
    """How tokens are chosen.

    Attributes:
        temperature: divides the logits; 0 takes the likeliest token.
        top_p: keeps the likeliest tokens whose probabilities sum to at least this (Holtzman et al. 2020, arXiv:1904.09751); 1
        keeps all. max_tokens: at most so many after the prompt.
        end: the token that ends a text.
        banned: tokens that are never chosen, such as padding and labels.
    """

    temperature: float
    top_p: float
    max_tokens: int
    end: int
    banned: tuple[int, ...]


def sample_batch(network: Any, prompts: NDArray[np.int32], streams: Streams, limits: Limits, *, wanted: int) -> list[list[int]]:
    """Continue a full batch of prompts of one length.

    A row's tokens depend on its prompt and seed alone: rows have equal lengths, so that nothing is padded or masked; each row
    has a stream of its own, one number a token; and rows that have ended are carried along.

    Args:
        prompts: (B, P) token ids.
        streams: of random numbers, one a row.
        wanted: how many leading rows are wanted; the others only fill the batch.

    Returns:
        The new tokens of the wanted rows; the end token, where one was drawn, is last.
    """
    from transformers import DynamicCache

    device = next(network.parameters()).device
    out: list[list[int]] = [[] for _ in range(wanted)]
    open_rows = set(range(wanted))
    cache = DynamicCache(config=network.config)
    ids = torch.from_numpy(prompts.astype(np.int64)).to(device)  # (B, P)
    for _ in range(limits.max_tokens):
        logits = network(input_ids=ids, past_key_values=cache, use_cache=True).logits[:, -1]  # (B, V)
        chosen = choose(logits.double().cpu(), streams.uniform(), limits)  # (B,)
        for row in list(open_rows):
            token = int(chosen[row])
            out[row].append(token)
            if token == limits.end:
                open_rows.discard(row)
        if not open_rows:
            break
        ids = chosen[:, None].to(device)
    return out


def choose(logits: Tensor, uniform: Tensor, limits: Limits) -> Tensor:
    """Pick a token a row by inverting the distribution's running sum.

    Args:
        logits: (B, V) float64.
        uniform: (B,) in [0, 1).

    Returns:
        (B,) int64.
    """
    logits = logits.clone()
    logits[:, list(limits.banned)] = -torch.inf
    if limits.temperature == 0:
        return logits.argmax(dim=1)
    shares, tokens = torch.softmax(logits / limits.temperature, dim=1).sort(dim=1, descending=True, stable=True)
    running = shares.cumsum(dim=1)  # (B, V)
    # A token is kept while what lies before it is below top_p, so the likeliest always is.
    kept = torch.where(running - shares < limits.top_p, shares, 0.0)
    running = kept.cumsum(dim=1)
    place = (running <= (uniform * running[:, -1])[:, None]).sum(dim=1).clamp(max=logits.shape[1] - 1)
    return tokens.gather(1, place[:, None])[:, 0]
