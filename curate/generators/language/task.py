"""What a language model learns, as the training loop wants it."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from curate.errors import SettingError
from curate.generators import Examples
from curate.generators.language.corpus import IGNORED, Stream, TextRows, bits_per_byte, nats, sequences
from curate.generators.language.networks import add_adapter, base_digest, from_scratch, read_base
from curate.generators.language.settings import LanguageSettings
from curate.generators.language.tokens import BaseCodec, Codec, train_codec
from curate.generators.training.loop import Batch
from curate.generators.training.repeatable import NETWORK, stream_seed


class TextTask:
    """What the loop trains: batches of token ids, and the cross-entropy of each next token."""

    unit = "tokens"

    def __init__(self, settings: LanguageSettings, train: Examples, validation: Examples) -> None:
        if train.texts is None or validation.texts is None:
            raise SettingError("causal-lm learns texts, and the part holds images", hint="diffusion learns images")
        if not len(train):
            raise SettingError("the training part is empty")
        self.settings, self.labels, self.notes = settings, train.classes, list[str]()
        seed = stream_seed(settings.seed, NETWORK)
        self.codec: Codec
        self.block = settings.block
        if settings.base is None:
            self.codec = train_codec(train.texts, self.labels, kind=settings.tokenizer, size=settings.vocabulary)
            self.network = from_scratch(settings, vocabulary=self.codec.size, pad=self.codec.pad, end=self.codec.end, seed=seed)
        else:
            self.network, tokenizer = read_base(settings.base)
            self.codec = BaseCodec(tokenizer, settings.template, self.labels)
            longest = getattr(self.network.config, "max_position_embeddings", None)
            if longest and longest < self.block:
                self.block = int(longest)
                self.notes.append(f"the base model reads at most {longest} tokens, so that is the block")
            if settings.lora:
                self.network = add_adapter(self.network, settings, seed=seed)
        self.held = validation
        self.fingerprint = self._fingerprint(train)
        self._prepare(train)

    def batch(self, step: int, device: torch.device) -> Batch:
        """Inputs and targets of a step."""
        inputs, targets = self.rows.batch(step)
        return {"inputs": inputs.to(device), "targets": targets.to(device)}

    def count(self, batch: Batch) -> int:
        """Tokens that are learned in a batch: prompts and padding are not."""
        if self.settings.pack:
            return batch["targets"].numel()
        return int((batch["targets"] != IGNORED).sum())

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Mean cross-entropy of the next token, in nats."""
        logits = network(input_ids=batch["inputs"], use_cache=False).logits  # (B, T, V)
        return nn.functional.cross_entropy(logits.flatten(0, 1).float(), batch["targets"].flatten(), ignore_index=IGNORED)

    def validation_loss(self, network: nn.Module, device: torch.device) -> float | None:
        """Nats a token over the validation texts, at most `validation_limit` rows of them."""
        if not self.held_rows:
            return None
        spent, counted = self._spent(network, self.held_rows, self.held_starts, device)
        return float(spent.sum() / counted.sum())

    def final_metrics(self) -> dict[str, float]:
        """Bits a byte over the whole validation part, with the weights that are kept."""
        assert self.held.texts is not None
        if not any(self.held.texts):
            return {}
        device = next(self.network.parameters()).device
        rows, starts = sequences(self.codec, self.held.texts, self._known(self.held.labels))
        spent, _ = self._spent(self.network, rows, starts, device)
        return {"validation_bits_per_byte": bits_per_byte(spent, self.held.texts)}

    def _prepare(self, train: Examples) -> None:
        settings = self.settings
        assert train.texts is not None and self.held.texts is not None
        rows, starts = sequences(self.codec, train.texts, train.labels)
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
        assert held.texts is not None
        self.held_rows, self.held_starts = sequences(self.codec, held.texts, self._known(held.labels))
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
        return nats(network, rows, starts, pad=self.codec.pad, block=self.block, batch=batch, device=device)

    def _fingerprint(self, train: Examples) -> str:
        """Identifies this training: settings, tokenizer, base model, and every text and label of both parts."""
        digest = hashlib.sha256(repr((dataclasses.asdict(self.settings), self.codec.size)).encode())
        if self.settings.base is not None:
            digest.update(repr(base_digest(self.settings.base)).encode())
        for part in (train, self.held):
            assert part.texts is not None
            for label, text in zip(part.labels, part.texts, strict=True):
                digest.update(repr((label, text)).encode())
            digest.update(b"|")
        for ids in self.codec.encode(list(train.texts or ())[:1000]):
            digest.update(ids.tobytes())
        return digest.hexdigest()
