"""What a language model learns, as the training loop wants it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from curate.errors import SettingError
from curate.generators.contract.examples import Examples
from curate.generators.language.corpus import IGNORED, Stream, TextRows, bits_per_byte, nats, sequences
from curate.generators.language.family import TextFamily
from curate.generators.training.family import Saved
from curate.generators.training.loop import Batch
from curate.generators.training.processes import is_main_process


class TextTask:
    """What the loop trains: batches of token ids, and the cross-entropy of each next token."""

    unit = "tokens"

    def __init__(self, family: TextFamily[Any], train: Examples, validation: Examples) -> None:
        assert train.text is not None
        self.family, self.settings, self.labels = family, family.settings, train.classes
        self.reader = family.build(train.text, self.labels)
        self.network, self.codec, self.block = self.reader.network, self.reader.codec, self.reader.block
        self.notes = list(self.reader.notes)
        self.train, self.held = train, validation
        self._prepare(train)

    def batch(self, step: int, device: torch.device) -> Batch:
        """Inputs and targets of a step."""
        inputs, targets = self.rows.batch(step)
        return {"inputs": inputs.to(device), "targets": targets.to(device)}

    def count(self, batch: Batch) -> int:
        """Tokens that are learned in a batch: prompts and padding are not."""
        if self.settings.pack:
            found: int = batch["targets"].numel()
            return found
        return int((batch["targets"] != IGNORED).sum())

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """The family's mean loss, in nats."""
        return self.family.loss(network, batch["inputs"], batch["targets"])

    def validation_loss(self, network: nn.Module, device: torch.device) -> float | None:
        """Nats a token over the validation texts, at most `validation_limit` rows of them."""
        if not self.held_rows:
            return None
        spent, counted = self._spent(network, self.held_rows, self.held_starts, device)
        return float(spent.sum() / counted.sum())

    def metrics(self) -> dict[str, float]:
        """Bits a byte over the whole validation part, with the weights that are kept."""
        assert self.held.text is not None
        if not any(self.held.text):
            return {}
        device = next(self.network.parameters()).device
        rows, starts = sequences(self.codec, self.held.text, self._known(self.held.labels))
        spent, _ = self._spent(self.network, rows, starts, device)
        return {"validation_bits_per_byte": bits_per_byte(spent, self.held.text)}

    def fingerprint(self) -> str:
        """Identifies this training: settings, tokenizer, base model, and every text and label of both parts."""
        about = [self.family.name, self.settings.stored(), self.codec.size, self.family.identity()]
        digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
        for part in (self.train, self.held):
            for label, text in zip(part.labels, part.text or (), strict=True):
                digest.update(repr((label, text)).encode())
            digest.update(b"|")
        for ids in self.codec.encode(list(self.train.text or ())[:1000]):
            digest.update(ids.tobytes())
        return digest.hexdigest()

    def save(self, folder: Path) -> Saved:
        """Write the tokenizer, and what the family keeps of its network."""
        if is_main_process():
            self.codec.save(folder)
        saved = self.family.save(self.reader, folder)
        return replace(saved, config={"labels": list(self.labels), **saved.config})

    def _prepare(self, train: Examples) -> None:
        settings = self.settings
        assert train.text is not None and self.held.text is not None
        rows, starts = sequences(self.codec, train.text, train.labels)
        self.rows: Stream | TextRows
        if settings.pack:
            self.rows = Stream(rows, block=self.block, batch=settings.batch_size, seed=settings.seed)
        else:
            if max(starts) >= self.block:
                raise SettingError(f"a prompt of {max(starts)} tokens leaves no room in a block of {self.block}")
            self.rows = TextRows(
                rows, starts, block=self.block, batch=settings.batch_size, seed=settings.seed, pad=self.codec.pad
            )
        if self.rows.cut:
            self.notes.append(f"{self.rows.cut} of {len(train)} training texts were cut to {self.block} tokens")
        held = self.held if settings.pack else self.held.spread(settings.validation_limit)
        assert held.text is not None
        self.held_rows, self.held_starts = sequences(self.codec, held.text, self._known(held.labels))
        if settings.pack:
            self._cut_stream()
        if len(held) < len(self.held):
            self.notes.append(f"validation during training used {len(held)} of {len(self.held)} texts, evenly spaced")
        unknown = sum(label is not None and label not in self.labels for label in self.held.labels)
        if unknown:
            self.notes.append(f"{unknown} validation texts have a label that training has not, and count as unlabelled")

    def _cut_stream(self) -> None:
        """Turn the validation texts into blocks of one stream, and take an even selection of them."""
        if not self.held_rows:
            return
        whole = np.concatenate(self.held_rows)
        blocks = [whole[i : i + self.block + 1] for i in range(0, len(whole) - self.block, self.block)] or [whole]
        limit = self.settings.validation_limit
        if limit and len(blocks) > limit:
            self.notes.append(f"validation during training used {limit} of {len(blocks)} blocks, evenly spaced")
            blocks = [blocks[i * len(blocks) // limit] for i in range(limit)]
        self.held_rows, self.held_starts = blocks, [1] * len(blocks)

    def _known(self, labels: Sequence[str | None]) -> list[str | None]:
        return [label if label in self.labels else None for label in labels]

    def _spent(
        self, network: nn.Module, rows: list[NDArray[np.int32]], starts: list[int], device: torch.device
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        batch = max(self.settings.batch_size, 32)
        return nats(
            self.family.token_losses, network, rows, starts, pad=self.codec.pad, block=self.block, batch=batch, device=device
        )
