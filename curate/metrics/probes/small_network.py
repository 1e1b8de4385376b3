"""A small convolutional network for small images: a classifier, and features from its last hidden layer.

It has a bounded number of steps, so that a metric's time does not grow with the data. It runs on one thread: for images this
small a second one costs more than it brings, and so the number of cores moves no figure. Torch's global state is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from curate.errors import SettingError

HIDDEN = 64
EPOCHS = 20
LEAST_STEPS, MOST_STEPS = 80, 500
_BATCH = 64
_LEARNING_RATE = 2e-3


class SmallNetwork:
    """A trained network over images of one size.

    Args:
        pixels: (n, H, W, C) uint8, what it learns from.
        labels: n labels, at least two distinct ones.

    Raises:
        SettingError: there are fewer than two labels.
    """

    def __init__(self, pixels: NDArray[np.uint8], labels: Sequence[str], *, seed: int) -> None:
        self.classes = sorted(set(labels))
        if len(self.classes) < 2:
            raise SettingError(f"a classifier needs two labels, got {len(self.classes)}")
        with _torch_state(seed):
            self._body, self._head = _network(pixels.shape[3], len(self.classes))
            self._fit(_scaled(pixels), torch.tensor([self.classes.index(label) for label in labels]), seed)

    def predict(self, pixels: NDArray[np.uint8]) -> NDArray[np.str_]:
        """(n,) the likeliest label of each image."""
        with _torch_state(0), torch.no_grad():
            chosen = [self._head(self._body(batch)).argmax(1) for batch in _scaled(pixels).split(512)]
        found: NDArray[np.str_] = np.array(self.classes)[torch.cat(chosen).numpy()]
        return found

    def features(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, HIDDEN) float32: the last hidden layer, after its activation."""
        with _torch_state(0), torch.no_grad():
            found: NDArray[np.float32] = torch.cat([self._body(batch) for batch in _scaled(pixels).split(512)]).numpy()
            return found

    def _fit(self, images: Tensor, targets: Tensor, seed: int) -> None:
        self._body.train()
        steps = min(max(EPOCHS * len(images) // _BATCH, LEAST_STEPS), MOST_STEPS)
        optimizer = torch.optim.AdamW(
            [*self._body.parameters(), *self._head.parameters()], lr=_LEARNING_RATE, weight_decay=0.01
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=_LEARNING_RATE, total_steps=steps)
        for rows in _batches(len(images), steps, seed):
            loss = nn.functional.cross_entropy(self._head(self._body(images[rows])), targets[rows], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        self._body.eval()


def _network(channels: int, classes: int) -> tuple[nn.Module, nn.Module]:
    body = nn.Sequential(
        nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU(),                      # (B, 16, H, W)
        nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),                  # (B, 32, H/2, W/2)
        nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(4),   # (B, 32, 4, 4)
        nn.Flatten(), nn.Dropout(0.2), nn.Linear(512, HIDDEN), nn.ReLU(),      # (B, HIDDEN)
    )  # fmt: skip
    return body, nn.Linear(HIDDEN, classes)


def _scaled(pixels: NDArray[np.uint8]) -> Tensor:
    """(n, C, H, W) float32 in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))).float() / 127.5 - 1


def _batches(count: int, steps: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Row numbers of each step; every row once before any comes again."""
    random = np.random.default_rng([seed, count])
    waiting = np.zeros(0, np.int64)
    for _ in range(steps):
        while len(waiting) < _BATCH:
            waiting = np.concatenate([waiting, random.permutation(count)])
        yield waiting[:_BATCH]
        waiting = waiting[_BATCH:]


@contextmanager
def _torch_state(seed: int) -> Iterator[Any]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(before)
