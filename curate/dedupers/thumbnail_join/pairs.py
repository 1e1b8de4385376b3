"""All pairs of 64-bit codes within a Hamming distance, by sorted blocks.

Cut a code into distance + k blocks: two codes that differ in at most `distance` bits agree in at least k of them (the
pigeonhole principle, after Manku, Jain, Das Sarma 2007). So for every choice of k blocks the codes are sorted by those,
and codes that agree there are compared in full. A larger k means more sorts and fewer comparisons: the cheapest is taken.

No command calls `pairs_within`: the perceptual deduper looks its 192-bit codes up by their weak bits. It is for whoever holds
64-bit codes of another tool, such as pHash; `bench_perceptual.py --cases join` sets it beside FAISS.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from curate.errors import SettingError

_SORT_COST = 8.0
"""Sorting a code costs so many comparisons of two."""
_MOST_CHOICES = 3000
_MOST_BUCKET_BITS = 20


@intrinsic
def bit_count(_context: Any, word: Any) -> Any:
    """How many bits of a uint64 are set: one instruction, and one that vectorises."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate if isinstance(word, types.Integer) else None


def blocks(distance: int, agreeing: int) -> list[tuple[int, int]]:
    """(first bit, bits) of the `distance` + `agreeing` blocks of a code, as equal as they go."""
    count = distance + agreeing
    edges = [64 * number // count for number in range(count + 1)]
    return [(low, high - low) for low, high in pairwise(edges)]


def best_agreeing(rows: int, distance: int) -> int:
    """How many blocks to sort by, from the cost of random codes."""

    def cost(agreeing: int) -> float:
        key_bits = 64 * agreeing / (distance + agreeing)
        return math.comb(distance + agreeing, agreeing) * (rows * _SORT_COST + rows**2 / 2 ** (key_bits + 1))

    possible = [k for k in range(1 if distance else 2, 64 - distance + 1) if math.comb(distance + k, k) <= _MOST_CHOICES]
    return min(possible, key=cost)


def pairs_within(codes: NDArray[np.uint64], distance: int, *, threads: int = 0) -> NDArray[np.int32]:
    """Find every pair of codes that differ in at most `distance` bits.

    Args:
        codes: (n,) 64-bit codes, equal ones among them or not; n equal codes are n(n − 1)/2 pairs.
        distance: in bits, 0 to 24.
        threads: cores to use; 0 for all.

    Returns:
        (m, 2) positions, the lower first, in ascending order; the same for any number of threads.

    Raises:
        SettingError: `distance` is out of range, or `codes` is no vector of at most 2³¹ − 1 uint64.
    """
    if not 0 <= distance <= 24:
        raise SettingError(f"the distance must be 0 to 24 bits, got {distance}", hint="compare longer codes beyond that")
    if codes.ndim != 1 or codes.dtype != np.uint64 or len(codes) >= 2**31:
        raise SettingError(f"codes must be (n,) uint64, got {codes.shape} {codes.dtype}", hint="codes.view('u8')")
    cut = blocks(distance, best_agreeing(len(codes), distance))
    layout = np.array(cut, np.int64)
    choices = np.array(list(combinations(range(len(cut)), len(cut) - distance)), np.int64)
    workers = threads or os.cpu_count() or 1
    bucket_bits = min(max(len(codes).bit_length(), 4), _MOST_BUCKET_BITS)
    join = partial(_join, np.ascontiguousarray(codes), layout, distance, bucket_bits)
    with ThreadPoolExecutor(workers) as pool:
        found = list(pool.map(join, np.array_split(choices, min(workers, len(choices)))))
    pairs = np.concatenate(found)
    return pairs[np.argsort(pairs[:, 0].astype(np.int64) << 32 | pairs[:, 1])]


@njit(cache=True, nogil=True, inline="always")
def _key(code, layout, choice):  # type: ignore[no-untyped-def]
    key = np.uint64(0)
    for number in choice:
        width = np.uint64(layout[number, 1])
        key = (key << width) | ((code >> np.uint64(layout[number, 0])) & ((np.uint64(1) << width) - np.uint64(1)))
    return key


@njit(cache=True, nogil=True)
def _is_first(difference, layout, choice):  # type: ignore[no-untyped-def]
    """Whether the leading blocks without a difference are those of `choice`: every pair is told once."""
    at = 0
    for number in range(len(layout)):
        width = np.uint64(layout[number, 1])
        if (difference >> np.uint64(layout[number, 0])) & ((np.uint64(1) << width) - np.uint64(1)) == 0:
            if choice[at] != number:
                return False
            at += 1
            if at == len(choice):
                return True
    return False


@njit(cache=True, nogil=True)
def _join(codes, layout, distance, bucket_bits, choices):  # type: ignore[no-untyped-def]
    """The pairs of which the first agreement is one of the `choices`."""
    rows, found, count = len(codes), np.empty((1024, 2), np.int32), 0
    starts = np.empty((1 << bucket_bits) + 1, np.int32)
    sorted_codes, positions, buckets = np.empty(rows, np.uint64), np.empty(rows, np.int32), np.empty(rows, np.int32)
    limit = np.uint64(distance)
    for c in range(len(choices)):
        choice = choices[c]
        key_bits = 0
        for number in choice:
            key_bits += layout[number, 1]
        spare = np.uint64(max(key_bits - bucket_bits, 0))
        starts[:] = 0
        for row in range(rows):
            bucket = np.int32(_key(codes[row], layout, choice) >> spare)
            buckets[row] = bucket
            starts[bucket] += 1
        for b in range(1, len(starts)):
            starts[b] += starts[b - 1]
        for row in range(rows - 1, -1, -1):  # from behind, so that positions ascend within a bucket
            starts[buckets[row]] -= 1
            place = starts[buckets[row]]
            sorted_codes[place] = codes[row]
            positions[place] = row
        for b in range(len(starts) - 1):
            low, high = starts[b], starts[b + 1]
            for i in range(low, high - 1):
                one = sorted_codes[i]
                for j in range(i + 1, high):
                    difference = one ^ sorted_codes[j]
                    if bit_count(difference) <= limit and _is_first(difference, layout, choice):
                        if count == len(found):
                            longer = np.empty((2 * count, 2), np.int32)
                            longer[:count] = found
                            found = longer
                        found[count, 0], found[count, 1] = positions[i], positions[j]
                        count += 1
    return found[:count]
