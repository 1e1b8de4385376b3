"""What an image family learns, as the training loop wants it: batches of images with their noise, and the mean loss."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from curate.generators.contract.examples import Examples
from curate.generators.images.family import ImageBatch, ImageFamily
from curate.generators.images.pixels import ImageShape, choose_shape, pad_to_multiple, stack
from curate.generators.training.batch_sampler import BatchSampler, label_numbers
from curate.generators.training.family import Saved
from curate.generators.training.loop import Batch
from curate.generators.training.repeatable import NETWORK, NOISE, VALIDATION, seeded, stream_seed


class ImageTask:
    """A training of an image family."""

    unit = "images"

    def __init__(self, family: ImageFamily[Any, Any], train: Examples, validation: Examples) -> None:
        self.family, self.settings = family, family.settings
        self.shape = choose_shape(train, max_side=self.settings.max_side)
        self.labels = train.classes
        self.notes: list[str] = []
        self.pixels, self.numbers = self._part(train, "training")
        self.held_pixels, self.held_numbers = self._part(self._within_limit(validation), "validation")
        self.sampler = BatchSampler(len(train), self.settings.batch_size, self.settings.seed)
        padded = self.shape.padded(family.side_multiple)
        self.noise_shape = family.noise_shape(padded)
        self.network = seeded(stream_seed(self.settings.seed, NETWORK), partial(family.network, padded, len(self.labels)))

    def fingerprint(self) -> str:
        """Identifies this training: settings, and every pixel and label of both parts."""
        about = [self.family.name, self.settings.stored(), self.labels, asdict(self.shape)]
        digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
        for tensor in (self.pixels, self.numbers, self.held_pixels, self.held_numbers):
            digest.update(repr(tuple(tensor.shape)).encode())
            digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()

    def batch(self, step: int, device: torch.device) -> Batch:
        """Images, labels (some dropped) and noise of a step, by the names of `ImageBatch`."""
        rows = torch.from_numpy(self.sampler.rows(step))
        random = torch.Generator(device).manual_seed(stream_seed(self.settings.seed, NOISE, step))
        data = to_unit(self.pixels[rows].to(device))
        uniform = torch.rand((2, len(rows)), generator=random, device=device)
        labels = self.numbers[rows].to(device)
        labels = torch.where(uniform[0] < self.settings.label_dropout, len(self.labels), labels)
        noise = torch.randn((len(rows), *self.noise_shape), generator=random, device=device)
        return {"data": data, "labels": labels, "uniform": uniform[1], "noise": noise}

    def count(self, batch: Batch) -> int:
        """Images in a batch."""
        return len(batch["data"])

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """The family's loss, a mean over the batch."""
        return self.family.loss(network, ImageBatch(**batch)).mean()

    def validation_loss(self, network: nn.Module, device: torch.device) -> float | None:
        """The mean loss over validation images, each with one fixed random number, these being spread evenly."""
        if not len(self.held_pixels):
            return None
        return float(fixed_losses(self.family, network, self.held_pixels, self.held_numbers, device, repeats=1).mean())

    def metrics(self) -> dict[str, float]:
        """None beside the losses."""
        return {}

    def save(self, folder: Path) -> Saved:
        """Labels and shape; the folder holds nothing that is no tensor."""
        return Saved({"labels": list(self.labels), "shape": asdict(self.shape)}, self.network.state_dict())

    def _within_limit(self, validation: Examples) -> Examples:
        limit = self.settings.validation_limit
        if limit and len(validation) > limit:
            self.notes.append(f"validation used {limit} images, evenly spaced")
        return validation.spread(limit)

    def _part(self, examples: Examples, what: str) -> tuple[Tensor, Tensor]:
        pixels, scaled = network_pixels(examples, self.shape, self.family.side_multiple)
        if scaled:
            self.notes.append(f"{scaled} {what} images of another size were scaled to {self.shape.height}×{self.shape.width}")
        unknown = sum(label is not None and label not in self.labels for label in examples.labels)
        if unknown:
            self.notes.append(f"{unknown} {what} images have a label that training has not, and count as unlabelled")
        return pixels, known_labels(examples.labels, self.labels)


def network_pixels(examples: Examples, shape: ImageShape, multiple: int) -> tuple[Tensor, int]:
    """(n, C, H, W) uint8 at the shape and padded for the network, and how many images were scaled."""
    pixels, scaled = stack(examples, shape)
    return torch.from_numpy(np.ascontiguousarray(pad_to_multiple(pixels, multiple).transpose(0, 3, 1, 2))), scaled


def known_labels(labels: Sequence[str | None], known: Sequence[str]) -> Tensor:
    """(n,) label numbers; what is not known counts as the null label."""
    return torch.from_numpy(label_numbers(labels, known, strict=False))


def fixed_losses(
    family: ImageFamily[Any, Any], network: nn.Module, pixels: Tensor, labels: Tensor, device: torch.device, *, repeats: int
) -> NDArray[np.float64]:
    """(n,) the loss of each image with fixed noise, a mean over `repeats` evenly spread random numbers."""
    n, settings = len(pixels), family.settings
    random = torch.Generator().manual_seed(stream_seed(settings.seed, VALIDATION))
    order = torch.randperm(n, generator=random)
    shape = family.noise_shape(ImageShape(pixels.shape[2], pixels.shape[3], pixels.shape[1]))
    total = torch.zeros(n, dtype=torch.float64)
    with torch.no_grad():
        for repeat in range(repeats):
            uniform = ((order + 0.5) / n + repeat / repeats) % 1.0
            for rows in torch.arange(n).split(settings.batch_size):
                noise = torch.randn((len(rows), *shape), generator=random).to(device)
                data = to_unit(pixels[rows].to(device))
                batch = ImageBatch(data, labels[rows].to(device), uniform[rows].to(device), noise)
                total[rows] += family.loss(network, batch).double().cpu()
    found: NDArray[np.float64] = (total / repeats).numpy()
    return found


def to_unit(pixels: Tensor) -> Tensor:
    """uint8 to float32 in [−1, 1]."""
    return pixels.float() / 127.5 - 1
