"""Token sequences as batches: one text a row, or one stream of all texts cut at random places."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from curate.errors import SettingError
from curate.generators.language.tokens import Codec
from curate.generators.training.batch_sampler import BatchSampler
from curate.generators.training.repeatable import NOISE

IGNORED = -100
"""The target that counts for nothing, in torch's cross-entropy."""

Ids = NDArray[np.int32]


def sequences(codec: Codec, texts: Sequence[str], labels: Sequence[str | None]) -> tuple[list[Ids], list[int]]:
    """Each text as prompt + text + end, and the length of its prompt."""
    prompts = {label: codec.prompt(label) for label in dict.fromkeys(labels)}
    end = np.array([codec.end], dtype=np.int32)
    rows = [np.concatenate((prompts[label], ids, end)) for label, ids in zip(labels, codec.encode(texts), strict=True)]
    return rows, [len(prompts[label]) for label in labels]


class TextRows:
    """One text a row; rows of like length share a batch, and what is longer than the block is cut.

    Attributes:
        cut: how many texts were cut; they do not teach the model to end there.
    """

    def __init__(self, rows: list[Ids], starts: list[int], *, block: int, batch: int, seed: int, pad: int) -> None:
        self.cut = sum(len(row) > block + 1 for row in rows)
        self.items = [row[: block + 1] for row in rows]
        self.starts, self.pad, self.block = starts, pad, block
        lengths = np.array([len(row) for row in self.items], dtype=np.int64)
        self.sampler = BatchSampler(len(rows), batch, seed, lengths=lengths)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets of a step, (B, T) int64 each."""
        rows = self.sampler.rows(step)
        return pad_rows([(self.items[row], self.starts[row]) for row in rows], self.pad, self.block)


class Stream:
    """All texts in one stream, read in blocks that begin anywhere, as nanoGPT does."""

    cut = 0

    def __init__(self, rows: list[Ids], *, block: int, batch: int, seed: int) -> None:
        self.ids = np.concatenate(rows).astype(np.int64)
        self.block, self.rows, self.seed = block, batch, seed
        if len(self.ids) <= block + 1:
            raise SettingError(f"the part holds {len(self.ids)} tokens, fewer than a block of {block}", hint="pack=false")

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets of a step, (B, block) int64 each."""
        random = np.random.Generator(np.random.PCG64([self.seed, NOISE, step]))
        offsets = random.integers(0, len(self.ids) - self.block, size=self.rows)
        taken = torch.from_numpy(self.ids[offsets[:, None] + np.arange(self.block + 1)])
        return taken[:, :-1], taken[:, 1:]


def pad_rows(items: Sequence[tuple[Ids, int]], pad: int, block: int) -> tuple[Tensor, Tensor]:
    """Inputs and targets (B, T) of sequences whose first so many ids are a prompt, which is read but not learned.

    T is a multiple of 8, so that few shapes occur; a causal network needs no mask for what follows a row's end.
    """
    longest = max(len(ids) for ids, _ in items) - 1
    width = min(block, -(-longest // 8) * 8)
    inputs = torch.full((len(items), width), pad)
    targets = torch.full((len(items), width), IGNORED)
    for row, (ids, start) in enumerate(items):
        whole = torch.from_numpy(ids.astype(np.int64))
        inputs[row, : len(ids) - 1] = whole[:-1]
        targets[row, start - 1 : len(ids) - 1] = whole[start:]
    return inputs, targets


TokenLosses = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""A network, inputs and targets (B, T) to the nats of each target."""


def nats(
    losses_of: TokenLosses,
    network: nn.Module,
    rows: list[Ids],
    starts: list[int],
    *,
    pad: int,
    block: int,
    batch: int,
    device: torch.device,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """What the network needs to write each sequence down, its prompt given.

    A sequence longer than the block is read in windows that follow one another; each begins with no more context than the last
    token of the one before.

    Returns:
        (n,) nats and (n,) tokens that they were spent on.
    """
    windows = [
        (number, row[i : i + block + 1], start if i == 0 else 1)
        for number, (row, start) in enumerate(zip(rows, starts, strict=True))
        for i in range(0, len(row) - 1, block)
        if i == 0 or len(row) - i > 1
    ]
    windows.sort(key=lambda window: len(window[1]))
    spent, counted = np.zeros(len(rows)), np.zeros(len(rows), dtype=np.int64)
    with torch.no_grad():
        for at in range(0, len(windows), batch):
            chosen = windows[at : at + batch]
            inputs, targets = pad_rows([(ids, start) for _, ids, start in chosen], pad, block)
            losses = losses_of(network, inputs.to(device), targets.to(device)).double().sum(1).cpu().numpy()
            owners = [number for number, _, _ in chosen]
            np.add.at(spent, owners, losses)
            np.add.at(counted, owners, (targets != IGNORED).sum(1).numpy())
    return spent, counted


def bits_per_byte(spent: NDArray[np.float64], texts: Sequence[str]) -> float:
    """Nats over all texts as bits per byte of UTF-8; the texts must not all be empty."""
    size = sum(len(text.encode()) for text in texts)
    if not size:
        raise SettingError("bits per byte need at least one byte of text")
    return float(math.fsum(spent) / math.log(2) / size)
