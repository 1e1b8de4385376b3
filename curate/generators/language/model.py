"""A trained text model: reads its folder, draws texts in full batches, and weighs others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.errors import SettingError
from curate.generators.contract.draws import Drawn, DrawRequest, Scores
from curate.generators.contract.examples import Examples
from curate.generators.language.corpus import nats, sequences
from curate.generators.language.family import TextDraw, TextFamily
from curate.generators.language.sampling import Limits
from curate.generators.training.family import FamilyModel, full_batches
from curate.generators.training.repeatable import Streams, pinned


class TextModel(FamilyModel[TextFamily[Any], TextDraw]):
    """Keeps the `Model` contract for texts."""

    modality = "text"
    has_likelihood = True

    def __init__(self, kind: type[TextFamily[Any]], folder: Path, *, device: str = "auto") -> None:
        super().__init__(kind, folder, device=device)
        reader = self.family.restore(folder, self.config)
        self.codec, self.block = reader.codec, reader.block
        self.network = reader.network.to(self.device).eval()
        self.banned = (*self.codec.banned, *self.family.spare_ids(reader))

    def score(self, examples: Examples) -> Scores:
        """Nats a token of each text, its end included, given its label; and nats of the whole text."""
        examples.require(self.family.roles, by=self.family.name)
        assert examples.text is not None
        rows, starts = sequences(self.codec, examples.text, examples.labels)
        settings = self.family.settings
        spent, counted = nats(
            self.family.token_losses, self.network, rows, starts,
            pad=self.codec.pad, block=self.block, batch=settings.batch_size, device=self.device,
        )  # fmt: skip
        return Scores(spent / counted, spent)

    def _draw(self, requests: Sequence[DrawRequest], draw: TextDraw) -> Iterator[Drawn]:
        """Requests whose prompts have the same length share a batch, so the order is by that length."""
        groups: dict[int, list[tuple[int, NDArray[np.int32]]]] = defaultdict(list)
        for index, request in enumerate(requests):
            prompt = self._prompt(request.label, draw.prompt)
            groups[len(prompt)].append((index, prompt))
        for length, group in sorted(groups.items()):
            limits = self._limits(length, draw)
            for batch, wanted in full_batches(group, draw.batch):
                streams = Streams([requests[index].seed for index, _ in batch], self.device)
                prompts = np.stack([prompt for _, prompt in batch])
                with pinned(draw.threads):
                    rows = self.family.sample(self.network, prompts, streams, limits, wanted)
                for (index, _), ids in zip(batch, rows, strict=False):
                    yield self._drawn(index, requests[index], ids)

    def _prompt(self, label: str | None, text: str) -> NDArray[np.int32]:
        """The ids before a draw; a model of an unlabelled stream gets the text alone, as it hardly saw the control token."""
        parts = self.codec.encode([text]) if text else []
        if not (text and self.family.settings.pack and not self.labels and label is None):
            parts = [self.codec.prompt(label), *parts]
        return np.concatenate(parts)

    def _limits(self, prompt: int, draw: TextDraw) -> Limits:
        room = self.block + 1 - prompt
        wanted = draw.max_tokens or room
        if not 1 <= wanted <= room:
            raise SettingError(
                f"a prompt of {prompt} tokens and {wanted} more do not fit the model's block of {self.block}",
                hint=f"max_tokens={room}" if room > 0 else "a shorter prompt",
            )
        return Limits(draw.temperature, draw.top_p, wanted, self.codec.end, self.banned)

    def _drawn(self, index: int, request: DrawRequest, ids: list[int]) -> Drawn:
        ended = ids[-1] == self.codec.end
        text = self.codec.decode(ids[:-1] if ended else ids)
        return Drawn(index, request, text=text, extra={"tokens": len(ids), "stopped": "end" if ended else "max-tokens"})
