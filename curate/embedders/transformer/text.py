"""What the transformer text embedders share: batches by token count, threads without oversubscription, fingerprints.

Texts are sorted by length and cut into batches of about `TOKENS_A_BATCH` tokens, so that hardly any padding is computed and a
batch's activations stay in cache. On a CPU each thread runs whole batches with one torch thread, which measured 10 % faster on
two cores than one batch at a time over two torch threads, and needs no worker process.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from curate.errors import SettingError

if TYPE_CHECKING:
    import torch  # at run time only where it is used: `curate sql` loads the embedders' classes, not their models
    from tokenizers import Tokenizer

TOKENS_A_BATCH = 1_024
TOKENS_A_GPU_BATCH = 65_536
TEXTS_A_CHUNK = 16_384
"""Texts that are tokenized and sorted together; bounds the memory of the token lists."""


def core_count(threads: int) -> int:
    """The cores to use: `threads`, or for 0 every core that this process may run on."""
    if threads < 0:
        raise SettingError(f"threads must be 0 or more, got {threads}", hint="0 uses every core")
    if threads:
        return threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def choose_device(device: str) -> torch.device:
    """The torch device that `EmbedderOptions.device` names.

    Raises:
        SettingError: torch does not know it, or this machine has none.
    """
    import torch

    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise SettingError(
            f"device {device!r} cannot be used: {str(error).splitlines()[0]}", hint="auto, cpu, cuda or mps"
        ) from error
    return chosen


def token_batches(lengths: NDArray[np.int64], budget: int) -> list[NDArray[np.int64]]:
    """Cut texts into batches of at most `budget` tokens (a longer text stands alone), the longest first.

    Args:
        lengths: (n,) tokens of each text.

    Returns:
        the row numbers of each batch; equal lengths stand side by side, in the order of the texts.
    """
    order = np.argsort(-lengths, kind="stable")
    batches, start, tokens = [], 0, 0
    for at, length in enumerate(lengths[order].tolist()):
        if at > start and tokens + length > budget:
            batches.append(order[start:at])
            start, tokens = at, 0
        tokens += length
    if len(order):
        batches.append(order[start:])
    return batches


def run_batches(
    batches: Sequence[NDArray[np.int64]],
    encode: Callable[[NDArray[np.int64]], NDArray[np.float32]],
    out: NDArray[np.float32],
    *,
    threads: int,
    advance: Callable[[int], None] | None = None,
) -> None:
    """Fill `out[batch]` with `encode(batch)` for every batch, over `threads` threads of one torch thread each.

    `advance` is called from the calling thread only.
    """
    import torch

    def one(batch: NDArray[np.int64]) -> int:
        with torch.inference_mode():
            out[batch] = encode(batch)
        return len(batch)

    def tell(done: Iterable[int]) -> None:
        for count in done:
            if advance is not None:
                advance(count)

    with _one_torch_thread():
        if threads == 1 or len(batches) < 2:  # a query, or a page of texts
            tell(map(one, batches))
            return
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as workers:
            tell(workers.map(one, batches))


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    """Let torch split no operation over threads in the block."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def chunks(total: int, size: int = TEXTS_A_CHUNK) -> Iterator[slice]:
    """Slices of at most `size` that cover `total` texts."""
    for start in range(0, total, size):
        yield slice(start, min(start + size, total))


def count_tokens(tokenizer: Tokenizer, texts: Sequence[str], *, special: bool = True) -> NDArray[np.int32]:
    """What a model sees of texts; see `curate.embedders.TextReader`.

    Args:
        tokenizer: one that cuts texts at the model's window; it is left as it is.
        special: whether the model is shown the marks of start and end too.
    """
    window = tokenizer.truncation["max_length"] if tokenizer.truncation else None
    whole = type(tokenizer).from_str(tokenizer.to_str())
    whole.no_truncation()
    whole.no_padding()
    marks = whole.num_special_tokens_to_add(False) if special else 0
    unknown = _unknown_token(whole)
    out = np.zeros((len(texts), 3), np.int32)
    for part in chunks(len(texts)):
        encodings = whole.encode_batch_fast(list(texts[part]), add_special_tokens=False)
        for row, encoding in enumerate(encodings, part.start):
            ids = encoding.ids
            seen = len(ids) if window is None else min(len(ids), window - marks)
            strange = 0 if unknown is None else sum(token == unknown for token in ids[:seen])
            out[row] = seen, strange, len(ids) - seen
    return out


def _unknown_token(tokenizer: Tokenizer) -> int | None:
    """The number of the token for what a tokenizer does not know; None where it knows everything, as one over bytes does."""
    model = json.loads(tokenizer.to_str())["model"]
    if model.get("unk_id") is not None:
        return None if model.get("byte_fallback") else int(model["unk_id"])
    token = model.get("unk_token")
    return None if token is None else tokenizer.token_to_id(token)


def files_fingerprint(folder: Path, files: Iterable[Path], recipe: str) -> str:
    """SHA-256 over a recipe and the names (below `folder`) and contents of files, whatever order they come in."""
    total = hashlib.sha256(recipe.encode())
    for path in sorted(files, key=lambda path: path.relative_to(folder).as_posix()):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"\n{path.relative_to(folder).as_posix()} {content}".encode())
    return total.hexdigest()
