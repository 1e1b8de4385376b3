"""MinHash dedupe by other libraries, each as a careful user of it would write it, at one rule.

The same shingles, bands and rows, every candidate verified by its true Jaccard, documents visited in order, the best kept
candidate standing for a row.

Each function takes the texts and returns, for each, the row that stands for it, or -1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from minhash_corpus import NGRAM, TOKEN, normalised

Cut = frozenset[str]
Peer = Callable[[list[str], float, int, int], list[int]]
_BATCH = 2000


def cut(text: str) -> Cut:
    """The shingles of one text."""
    tokens = TOKEN.findall(normalised(text))
    return frozenset(map(" ".join, zip(*(tokens[i:] for i in range(NGRAM)), strict=False)))


def greedy(
    rows: Iterable[int],
    shingles: Callable[[int], Cut],
    candidates: Callable[[int], Iterable[int]],
    keep: Callable[[int], None],
    threshold: float,
    marks: list[int],
) -> list[int]:
    """Write into `marks` the best verified kept candidate of each row; a row without one is kept."""
    for row in rows:
        best, stands = 0.0, -1
        own = None
        for other in candidates(row):
            own = own if own is not None else shingles(row)
            theirs = shingles(other)
            if min(len(own), len(theirs)) < threshold * max(len(own), len(theirs)):
                continue
            shared = len(own & theirs)
            similarity = shared / (len(own) + len(theirs) - shared)
            if similarity >= threshold and (similarity > best or (similarity == best and other < stands)):
                best, stands = similarity, other
        if stands >= 0:
            marks[row] = stands
        else:
            keep(row)
    return marks


def _batches(sets: list[Cut]) -> Iterator[list[Cut]]:
    return (sets[low : low + _BATCH] for low in range(0, len(sets), _BATCH))


def by_datasketch(texts: list[str], threshold: float, bands: int, rows: int) -> list[int]:
    """datasketch with xxhash in place of its SHA-1, its batched update and its own LSH."""
    import xxhash
    from datasketch import MinHash, MinHashLSH

    sets = [cut(text) for text in texts]
    lsh = MinHashLSH(num_perm=bands * rows, params=(bands, rows))
    made: list[MinHash] = []
    for batch in _batches(sets):
        encoded = [[shingle.encode() for shingle in shingles] for shingles in batch]
        made += MinHash.bulk(encoded, num_perm=bands * rows, hashfunc=xxhash.xxh32_intdigest)
    marks = [-1] * len(texts)
    every = range(len(texts))
    return greedy(every, sets.__getitem__, lambda r: lsh.query(made[r]), lambda r: lsh.insert(r, made[r]), threshold, marks)


def by_rensa(texts: list[str], threshold: float, bands: int, rows: int) -> list[int]:
    """rensa's RMinHash and its own LSH, signatures made in batches by its Rust code."""
    from rensa import RMinHash, RMinHashLSH

    sets = [cut(text) for text in texts]
    made: list[RMinHash] = []
    for batch in _batches(sets):
        made += RMinHash.from_token_sets([list(shingles) for shingles in batch], bands * rows, 1)
    lsh = RMinHashLSH(threshold=threshold, num_perm=bands * rows, num_bands=bands)
    marks = [-1] * len(texts)
    every = range(len(texts))
    return greedy(every, sets.__getitem__, lambda r: lsh.query(made[r]), lambda r: lsh.insert(r, made[r]), threshold, marks)


def by_daft(texts: list[str], threshold: float, bands: int, rows: int) -> list[int]:
    """daft's minhash with xxhash over text that its own regular expressions put in order; bands by numpy.

    Shingles are cut in Python for documents that share a band with another, and for no others.
    """
    import daft
    from daft.functions import minhash, regexp_replace

    letters = TOKEN.pattern.split("|")[1].strip("[]+")
    alone, symbols = TOKEN.pattern.split("|")[0], TOKEN.pattern.split("|", 2)[2]
    plain = pc.utf8_lower(pc.utf8_normalize(pa.array(texts, pa.large_string()), form="NFKC"))
    words = regexp_replace(daft.col("text"), f"({alone}|{symbols})", " $1 ")
    words = regexp_replace(words, rf"[^{letters}{alone[1:-1]}{symbols[1:-1]}]+", " ")
    words = regexp_replace(words, "^ | $", "")
    frame = daft.from_arrow(pa.table({"text": plain})).select(
        minhash(words, num_hashes=bands * rows, ngram_size=NGRAM, hash_function="xxhash").alias("signature")
    )
    signed = frame.to_arrow()["signature"].combine_chunks().flatten().to_numpy().reshape(len(texts), bands, rows)
    odd = np.random.default_rng(1).integers(0, 2**63, rows, np.uint64) | np.uint64(1)
    buckets = np.full((len(texts), bands), -1, np.int64)
    for band in range(bands):
        keys = (signed[:, band].astype(np.uint64) * odd).sum(axis=1)
        _, numbers, counts = np.unique(keys, return_inverse=True, return_counts=True)
        buckets[:, band] = np.where(counts[numbers] > 1, numbers, -1)
    held: dict[int, Cut] = {}
    tables: list[dict[int, list[int]]] = [{} for _ in range(bands)]

    def shingles(row: int) -> Cut:
        if row not in held:
            held[row] = cut(texts[row])
        return held[row]

    def candidates(row: int) -> set[int]:
        return {other for b, table in enumerate(tables) for other in table.get(int(buckets[row, b]), ())}

    def keep(row: int) -> None:
        for b, table in enumerate(tables):
            if buckets[row, b] >= 0:
                table.setdefault(int(buckets[row, b]), []).append(row)

    meeting = np.flatnonzero((buckets >= 0).any(axis=1)).tolist()
    return greedy(meeting, shingles, candidates, keep, threshold, [-1] * len(texts))


PEERS: dict[str, Peer] = {"datasketch": by_datasketch, "rensa": by_rensa, "daft": by_daft}
