"""Tokens in and out: a tokenizer trained on the part, or the one that comes with a pretrained model, behind one face.

A text can never turn into control tokens: the marks for "end" and for labels are ids that only this module hands out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from curate.errors import InputError, SettingError
from curate.generators.training.artifacts import write_bytes

FILE = "tokenizer.json"
PAD, END, NO_LABEL = "<|pad|>", "<|end|>", "<|no-label|>"
UNKNOWN = "\ufffd"
LABEL = "<|label:{}|>"


class Codec(Protocol):
    """Texts and labels to token ids and back."""

    size: int
    """Ids run from 0 to size − 1."""
    pad: int
    end: int
    banned: tuple[int, ...]
    """Ids that no text holds: control tokens other than the end."""

    def encode(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """Ids of each text, without any control token."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids; what cannot be written, such as bytes that are not UTF-8, becomes U+FFFD."""
        ...

    def prompt(self, label: str | None) -> NDArray[np.int32]:
        """The ids that stand before a text of this label; at least one."""
        ...

    def save(self, folder: Path) -> None:
        """Write the files that reading needs."""
        ...


class OwnCodec(Codec):
    """A tokenizer trained on the part, with one control token a label.

    Args:
        tokenizer: a `tokenizers.Tokenizer` that holds the control tokens.
        labels: sorted; label number i is the control token LABEL.format(i).
    """

    def __init__(self, tokenizer: Any, labels: Sequence[str]) -> None:
        # Text that reads "<|end|>" is text, not a control token.
        tokenizer.encode_special_tokens = True
        self.tokenizer, self.labels = tokenizer, tuple(labels)
        self.size = tokenizer.get_vocab_size()
        self.pad, self.end = self._id(PAD), self._id(END)
        self._prompts = {label: self._id(LABEL.format(i)) for i, label in enumerate(self.labels)}
        self._no_label = self._id(NO_LABEL)
        unknown = tokenizer.token_to_id(UNKNOWN)
        self.banned = (self.pad, self._no_label, *self._prompts.values(), *(() if unknown is None else (unknown,)))

    def encode(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        out: list[NDArray[np.int32]] = []
        for start in range(0, len(texts), 4096):
            found = self.tokenizer.encode_batch_fast(list(texts[start : start + 4096]), add_special_tokens=False)
            out += [np.array(item.ids, dtype=np.int32) for item in found]
        return out

    def decode(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode([int(i) for i in ids], skip_special_tokens=True))

    def prompt(self, label: str | None) -> NDArray[np.int32]:
        if label is not None and label not in self._prompts:
            raise SettingError(f"the model knows no label {label!r}", hint="one of: " + ", ".join(self.labels[:20]))
        return np.array([self._no_label if label is None else self._prompts[label]], dtype=np.int32)

    def save(self, folder: Path) -> None:
        write_bytes(folder / FILE, self.tokenizer.to_str().encode())
        named = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": END, "pad_token": PAD}
        write_bytes(folder / "tokenizer_config.json", (json.dumps(named, indent=1) + "\n").encode())

    def _id(self, token: str) -> int:
        found = self.tokenizer.token_to_id(token)
        if found is None:
            raise InputError(f"the tokenizer lacks the control token {token}", hint="train the model again")
        return int(found)


class BaseCodec(Codec):
    """The tokenizer of a pretrained model; the label is written into a prompt.

    Args:
        tokenizer: a transformers tokenizer that names an end token.
        template: with {label}; the prompt of a text without a label is the template's part after the line of {label}.
        labels: what the model was tuned on; others raise.
    """

    def __init__(self, tokenizer: Any, template: str, labels: Sequence[str]) -> None:
        if tokenizer.eos_token_id is None:
            raise SettingError(
                "the base model's tokenizer names no end token", hint="set eos_token in its tokenizer_config.json"
            )
        self.tokenizer, self.template, self.labels = tokenizer, template, tuple(labels)
        self.size, self.end = len(tokenizer), int(tokenizer.eos_token_id)
        self.pad = int(tokenizer.pad_token_id if tokenizer.pad_token_id is not None else self.end)
        self.banned = tuple(sorted({int(i) for i in tokenizer.all_special_ids} - {self.end}))

    def encode(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        if not texts:
            return []
        found = self.tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]
        return [np.array(ids, dtype=np.int32) for ids in found]

    def decode(self, ids: Sequence[int]) -> str:
        plain = [int(i) for i in ids]
        return str(self.tokenizer.decode(plain, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def prompt(self, label: str | None) -> NDArray[np.int32]:
        if label is not None and label not in self.labels:
            raise SettingError(f"the model knows no label {label!r}", hint="one of: " + ", ".join(self.labels[:20]))
        before, _, after = self.template.partition("{label}")
        text = after.partition("\n")[2] if label is None else before + label + after
        ids = self.encode([text])[0]
        start = self.tokenizer.bos_token_id if self.tokenizer.bos_token_id is not None else self.end
        return np.concatenate((np.array([start], dtype=np.int32), ids))

    def save(self, folder: Path) -> None:
        self.tokenizer.save_pretrained(folder)


def train_codec(texts: Sequence[str], labels: Sequence[str], *, kind: str, size: int) -> OwnCodec:
    """Train a tokenizer on texts.

    Args:
        kind: "bpe" (byte-level: every text can be written, and read back the same) or "characters" (the distinct characters of
            the texts; others are lost).
        size: most tokens of "bpe", control tokens not counted.

    Source: byte-level BPE is that of GPT-2 (Radford et al. 2019, section 2.2).
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    control = [PAD, END, NO_LABEL, *(LABEL.format(i) for i in range(len(labels)))]
    if kind == "bpe":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=max(size, len(alphabet)), initial_alphabet=sorted(alphabet), show_progress=False
        )
        tokenizer.train_from_iterator(texts, trainer)
    else:
        letters = sorted({letter for text in texts for letter in text} - {UNKNOWN})
        vocabulary = {letter: i for i, letter in enumerate([UNKNOWN, *letters])}
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
        tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(control)
    return OwnCodec(tokenizer, labels)


def load_codec(folder: Path, labels: Sequence[str]) -> OwnCodec:
    """Read what `OwnCodec.save` wrote.

    Raises:
        InputError: the file is missing or damaged.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str((folder / FILE).read_text(encoding="utf-8"))
    except Exception as error:  # noqa: BLE001 - tokenizers raises bare Exception
        raise InputError(f"{folder / FILE} cannot be read ({error})", hint="train the model again") from None
    return OwnCodec(tokenizer, labels)
