"""A trained image model: reads its folder, and draws PNG files in full batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from curate.errors import InputError
from curate.generators.contract.draws import Drawn, DrawRequest, Scores
from curate.generators.contract.examples import Examples
from curate.generators.images.family import ImageFamily
from curate.generators.images.pixels import ImageShape, encode_png
from curate.generators.images.task import fixed_losses, known_labels, network_pixels
from curate.generators.training.artifacts import read_tensors
from curate.generators.training.batch_sampler import label_numbers
from curate.generators.training.family import FamilyModel, full_batches
from curate.generators.training.repeatable import Streams, pinned, seeded
from curate.generators.training.settings import DrawSettings


class ImageModel(FamilyModel[ImageFamily[Any, Any], DrawSettings]):
    """Keeps the `Model` contract for images."""

    modality = "image"

    def __init__(self, kind: type[ImageFamily[Any, Any]], folder: Path, *, device: str = "auto") -> None:
        super().__init__(kind, folder, device=device)
        shape = self.config.get("shape") or self.config["frame"]  # its name in release 0.1.0
        self.shape = ImageShape(**shape)
        self.padded = self.shape.padded(self.family.side_multiple)
        self.network = seeded(0, partial(self.family.network, self.padded, len(self.labels)))
        tensors, _ = read_tensors(folder / "model.safetensors", sha256=self.config["tensors_sha256"])
        try:
            self.network.load_state_dict(tensors)
        except RuntimeError as error:
            raise InputError(f"{folder} holds weights that do not suit its configuration: {error}") from None
        self.network.to(self.device).eval()

    def score(self, examples: Examples) -> Scores:
        """The training loss at 16 fixed random numbers with fixed noise."""
        examples.require(self.family.roles, by=self.family.name)
        pixels, _ = network_pixels(examples, self.shape, self.family.side_multiple)
        numbers = known_labels(examples.labels, self.labels)
        return Scores(fixed_losses(self.family, self.network, pixels, numbers, self.device, repeats=16))

    def _draw(self, requests: Sequence[DrawRequest], draw: DrawSettings) -> Iterator[Drawn]:
        """In the order of the requests."""
        done = 0
        for batch, wanted in full_batches(requests, draw.batch):
            images = self._images(batch, draw)
            for place in range(wanted):
                yield Drawn(done + place, batch[place], media=encode_png(images[place]))
            done += wanted

    def _images(self, requests: Sequence[DrawRequest], draw: DrawSettings) -> NDArray[np.uint8]:
        """(B, H, W, C) for one full batch."""
        streams = Streams([request.seed for request in requests], self.device)
        numbers = label_numbers([request.label for request in requests], self.labels, strict=True)
        with pinned(draw.threads):
            labels = torch.from_numpy(numbers).to(self.device)
            images = self.family.sample(self.network, streams, labels, self.padded, draw)
            pixels = ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).cpu()  # (B, C, H, W)
        found: NDArray[np.uint8] = pixels.permute(0, 2, 3, 1).numpy()[:, : self.shape.height, : self.shape.width]
        return found
