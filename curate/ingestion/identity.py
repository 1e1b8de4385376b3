"""Counts how often an identity was seen, in 24 bytes a record, so that a source of any length is read in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEY_BYTES = 24


def identity_keys(source_ids: NDArray[np.int64], content_hashes: list[str]) -> NDArray[np.bytes_]:
    """Join each source id with the first 16 bytes of the content's SHA-256.

    Returns:
        (n,) fixed-width byte strings that sort and compare as wholes.
    """
    keys = np.empty((len(content_hashes), KEY_BYTES), dtype=np.uint8)
    keys[:, :8] = source_ids.astype(">i8").view(np.uint8).reshape(-1, 8)
    digests = np.frombuffer(bytes.fromhex("".join(h[:32] for h in content_hashes)), dtype=np.uint8)
    keys[:, 8:] = digests.reshape(-1, 16)
    return keys.reshape(-1).view(f"S{KEY_BYTES}")


class KeyCounter:
    """A multiset of keys in sorted runs that are merged as they grow, like a log-structured merge tree."""

    def __init__(self) -> None:
        self._runs: list[NDArray[np.bytes_]] = []

    def count(self, keys: NDArray[np.bytes_]) -> NDArray[np.int64]:
        """How often each key is in the multiset."""
        total = np.zeros(len(keys), dtype=np.int64)
        for run in self._runs:
            total += np.searchsorted(run, keys, side="right") - np.searchsorted(run, keys, side="left")
        return total

    def add(self, keys: NDArray[np.bytes_]) -> None:
        """Put keys into the multiset."""
        run = np.sort(keys)
        while self._runs and len(self._runs[-1]) <= len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind="stable")
        self._runs.append(run)


def occurrences(keys: NDArray[np.bytes_]) -> NDArray[np.int64]:
    """Number the repeats of each key within one batch, in order: 0 for the first, 1 for the second."""
    order = np.argsort(keys, kind="stable")
    in_order = keys[order]
    starts = np.flatnonzero(np.r_[True, in_order[1:] != in_order[:-1]]) if len(keys) else np.zeros(0, np.int64)
    lengths = np.diff(np.r_[starts, len(keys)])
    result = np.empty(len(keys), dtype=np.int64)
    result[order] = np.arange(len(keys)) - np.repeat(starts, lengths)
    return result
