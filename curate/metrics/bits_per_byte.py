"""Bits per byte: each of real and synthetic text under a model of the other."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from curate.metrics import Findings, Measure, Samples, Trial
from curate.metrics.texts.byte_model import ORDER, ByteModel

MOST_BYTES = 4_000_000  # that a byte model is counted on
MODEL_BYTES = 200_000  # that the evaluated model reads of each side
_BYTES = "bits per byte do not depend on a tokenizer; the byte model is Witten and Bell 1991, doi:10.1109/18.87000"


class BitsPerByte:
    """How well one text foretells the other."""

    modalities: ClassVar[frozenset[str]] = frozenset({"text"})

    def measure(self, trial: Trial) -> Findings:
        """Both directions under byte models, and the evaluated model's own figures where it is a language model."""
        if not all(side.texts and any(side.texts) for side in (trial.train, trial.test, trial.synthetic)):
            return Findings(notes=("bits-per-byte: needs texts on each side",))
        random = trial.random("bits-per-byte")
        train, test, drawn = (_shuffled(random, side) for side in (trial.train, trial.test, trial.synthetic))
        have = {"train": train, "test": test, "synthetic": drawn}
        total = {name: sum(_bytes(text) for text, _ in side) for name, side in have.items()}
        size = min(total["train"], total["synthetic"], MOST_BYTES)
        train_cut, drawn_cut, test_cut = _first(train, size), _first(drawn, size), _first(test, MOST_BYTES)
        real, synthetic = (ByteModel([t for t, _ in side]) for side in (train_cut, drawn_cut))
        measures = _across(real, synthetic, test_cut, drawn_cut, size)
        notes = [f"bits-per-byte: {n:,} bytes of {name} are above the cap" for name, n in total.items() if n > MOST_BYTES]
        if trial.bits_per_byte is not None:
            measures += _own(trial, train, test, drawn)
        return Findings(tuple(measures), tuple(notes))


_Texts = list[tuple[str, str | None]]


def _across(real: ByteModel, synthetic: ByteModel, test: _Texts, drawn: _Texts, size: int) -> list[Measure]:
    """Synthetic text under a model of the real, and real text under a model of the synthetic."""
    name = f"a byte {ORDER + 1}-gram model (Witten-Bell)"
    (of_drawn, error), (of_test, _), (crossed, crossed_error) = (
        _rate(*model.bits([t for t, _ in texts])) for model, texts in ((real, drawn), (real, test), (synthetic, test))
    )
    read = {"synthetic": len(drawn), "test": len(test), "bytes_learned": size}
    return [
        Measure(
            "bits-per-byte/synthetic-given-real", None, of_drawn, error, of_test, read,
            f"Bits per UTF-8 byte of synthetic texts, their ends included, under {name} of {size:,} bytes of train texts;"
            f" the reference is"
            " that of test texts under the same model. Spread: standard error over texts.",
            _BYTES, "near the reference; below means commoner or copied text, above unusual text",
        ),
        Measure(
            "bits-per-byte/real-given-synthetic", None, crossed, crossed_error, of_test, read,
            f"Bits per UTF-8 byte of test texts, their ends included, under {name} of {size:,} bytes of synthetic texts;"
            f" the reference is"
            " that of test texts under a model of as many bytes of train texts. Spread: standard error over texts.",
            _BYTES, "lower is better; the reference is what as much real text reaches",
        ),
    ]  # fmt: skip


def _own(trial: Trial, train: _Texts, test: _Texts, drawn: _Texts) -> list[Measure]:
    """What the evaluated model itself needs for text that it learned from, that was held out, and that it drew."""
    assert trial.bits_per_byte is not None
    sides = {"train": _first(train, MODEL_BYTES), "test": _first(test, MODEL_BYTES), "synthetic": _first(drawn, MODEL_BYTES)}
    needs = {name: trial.bits_per_byte([t for t, _ in side], [label for _, label in side]) for name, side in sides.items()}
    sizes = {name: len(side) for name, side in sides.items()}
    return [
        Measure(
            "bits-per-byte/real-given-model", None, needs["test"], None, needs["train"], sizes,
            f"Bits per UTF-8 byte of test texts with their labels under the evaluated model itself, {MODEL_BYTES:,} bytes"
            " at most; the reference is that of train texts.",
            "bits per byte do not depend on a tokenizer",
            "lower is better; far above the reference: train texts were learned by heart",
        ),
        Measure(
            "bits-per-byte/synthetic-given-model", None, needs["synthetic"], None, needs["test"], sizes,
            "Bits per UTF-8 byte of its own accepted texts with their labels under the evaluated model itself, "
            f"{MODEL_BYTES:,} bytes at most; the reference is that of test texts.",
            "bits per byte do not depend on a tokenizer",
            "near the reference; far below: it writes only what it finds likeliest",
        ),
    ]  # fmt: skip


def _rate(bits: np.ndarray, sizes: np.ndarray) -> tuple[float, float]:
    """Bits per byte over all texts, and its standard error as a ratio of sums."""
    rate = float(bits.sum() / sizes.sum())
    return rate, float(np.sqrt(((bits - rate * sizes) ** 2).sum()) / sizes.sum())


def _shuffled(random: np.random.Generator, side: Samples) -> _Texts:
    pairs = [(text, label) for text, label in zip(side.texts or (), side.labels, strict=True) if text]
    return [pairs[row] for row in random.permutation(len(pairs))]


def _first(pairs: _Texts, limit: int) -> _Texts:
    """The first texts, so many bytes at most; the last one is cut at a character, and there is at least one."""
    kept: _Texts = []
    for text, label in pairs:
        if _bytes(text) > limit:
            cut = text.encode()[:limit].decode("utf-8", "ignore") or ("" if kept else text[0])
            return [*kept, (cut, label)] if cut else kept
        kept.append((text, label))
        limit -= _bytes(text)
    return kept


def _bytes(text: str) -> int:
    return len(text.encode())


PLUGIN = BitsPerByte
