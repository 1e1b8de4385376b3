"""all-MiniLM-L6-v2 in 8-bit integers: faster on a CPU, with vectors that are nearly those of `minilm`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from curate.embedders.minilm import MiniLM
from curate.embedders.transformer.text import run_batches
from curate.errors import SettingError

if TYPE_CHECKING:
    import torch

    from curate.embedders.transformer.bert import Linear, PackedBert

SAMPLE = (
    "What is your exchange rate for a transfer to another country?",
    "My card has not arrived yet, and I ordered it two weeks ago!!!",
    "A baker sold 48 loaves in April, then half as many in May; at $2.50 each, how much did she earn altogether?",
    "She earned 12 / 60 = 0.2 dollars a minute, so 0.2 x 50 = 10 dollars.",
    "List all files, sorted by size: ls -lS --human-readable | head -n 20",
    "def mean(values): return sum(values) / len(values)",
    "The committee rejected the treaty because its members feared a loss of influence over northern fisheries.",
    "All the world's a stage, and all the men and women merely players: they have their exits and their entrances.",
    "El banco cobró una comisión por retirar dinero en el extranjero.",
    "Die Katze schläft auf dem warmen Ofen, während es draußen schneit.",
    "Patients treated with the inhibitor showed no significant change in blood pressure (p = 0.31).",
    "thanks",
)
"""Texts that show how large each input of a layer gets; they stand in for any text. Who changes them changes the recipe."""


class MiniLMInt8(MiniLM):
    """`minilm` with its linear layers in int8 (`_int8_linear`); the same text has the same bits in any batch.

    Needs an x86-64 CPU build of torch, which is the usual one.

    `default_threshold` is chosen as that of `minilm` is, from the curve below. At it, of banking77's 10,003 questions
    `semantic` drops 1,484 by either embedder's vectors, 83 by those of `minilm` only, and 22 by these only. Of pairs of these
    questions with a cosine over 0.85 in `minilm`, it is 0.0018 lower here in the mean, and off by 0.018 at most.

    cosine                        0.90     0.93     0.95     0.97     0.99
    stranger in banking77        3.64 %   1.35 %   0.67 %   0.15 %   0.00 %
    stranger in gsm8k            0.30 %   0.20 %   0.10 %   0.00 %   0.00 %
    letter case                 100 %    100 %    100 %    100 %    100 %
    no punctuation               97 %     92 %     81 %     63 %     32 %
    closing mark to "!!!"        97 %     89 %     72 %     38 %      4 %
    neighbouring words swapped   99 %     96 %     92 %     81 %     46 %
    halves exchanged             97 %     89 %     76 %     43 %      0 %
    greeting and thanks added    94 %     87 %     76 %     53 %      7 %
    one word left out            82 %     76 %     69 %     59 %     36 %
    letters swapped (typos)      35 %     22 %     11 %      4 %      1 %
    """

    default_threshold: float | None = 0.95
    slug = "minilm_int8"
    description = "all-MiniLM-L6-v2, 384 dimensions, int8, 256 tokens at most"
    recipe: ClassVar[str] = "bert mean-pooled normalised 256 tokens int8 smoothed 1"

    def _choose_device(self, name: str) -> torch.device:
        import torch

        from curate.embedders.transformer.int8_linear import int8_available

        if name not in ("auto", "cpu"):
            raise SettingError(f"minilm-int8 runs on the CPU only, got device {name!r}", hint="--embedder minilm")
        if not int8_available():
            raise SettingError("this build of torch has no int8 kernels for this processor", hint="--embedder minilm")
        return torch.device("cpu")

    def _make_bert(self, weights: dict[str, torch.Tensor], config: dict[str, Any], device: torch.device) -> PackedBert:
        """Run `SAMPLE` through the float32 model to see its inputs' sizes, then round the layers.

        Only the inputs that come from a layer norm have a few large ones; rounding the others so gained nothing.
        """
        import torch

        from curate.embedders.transformer.bert import PackedBert, float_linear
        from curate.embedders.transformer.int8_linear import Int8Linear

        seen: list[torch.Tensor] = []

        def watching(weight: torch.Tensor, bias: torch.Tensor) -> Linear:
            place, linear = len(seen), float_linear(weight, bias)
            seen.append(torch.zeros(weight.shape[1]))

            def watch(x: torch.Tensor) -> torch.Tensor:
                seen[place] = torch.maximum(seen[place], x.abs().amax(0))
                return linear(x)

            return watch

        exact = PackedBert(weights, config, device, watching)
        token_ids = sorted((encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(SAMPLE))), key=len)
        unused = np.empty((len(SAMPLE), exact.dimension), np.float32)
        run_batches([np.arange(len(SAMPLE))], lambda _: exact.encode(token_ids), unused, threads=1)
        sizes = iter(seen)

        def rounded(weight: torch.Tensor, bias: torch.Tensor) -> Linear:
            largest = next(sizes)
            after_norm = weight.shape[0] > weight.shape[1]  # the projections, and the widening
            return Int8Linear(weight, bias, largest if after_norm else None)

        return PackedBert(weights, config, device, rounded)


PLUGIN = MiniLMInt8
