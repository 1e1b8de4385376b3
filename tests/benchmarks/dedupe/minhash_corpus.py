"""What `bench_minhash.py` compares: real documents with perturbed copies among them, and the exact truth about them.

The peers' token rule is a regular expression, as their users write one. Documents keep to characters for which it is ours too
(no combining marks, no symbols beyond ASCII) and have a shingle at least, so that every tool joins the same sets.
"""

from __future__ import annotations

import csv
import gzip
import json
import random
import re
import tarfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

NGRAM = 5
_ALONE = "\u3005-\u3007\u3041-\u3096\u30a1-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_LETTERS = "\u00df-\u00f6\u00f8-\u02af\u03ac-\u03ce\u0430-\u045f\uac00-\ud7a3"
TOKEN = re.compile(rf"[{_ALONE}]|[a-z0-9_{_LETTERS}]+|[+<=>$|~*/%#&@\\^]")
_SIGNS = "\u00a1\u00ab\u00bb\u00bf\u2010-\u2027\u2030-\u203a\u3001-\u3003\u3008-\u3011"
_ALLOWED = re.compile(rf"[\t\n\r -~{_LETTERS}{_ALONE}{_SIGNS}]*")


class Documents(NamedTuple):
    """Texts in a random order, with what is known about them.

    Attributes:
        copy_of: the row that a text is a perturbed copy of, or -1.
        left_out: documents that have other characters, or fewer than five tokens.
    """

    texts: list[str]
    copy_of: list[int]
    left_out: int


def normalised(text: str) -> str:
    """The form in which tokens are found."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()


def originals(corpora: Path, man: Path | None) -> Iterator[str]:
    """The documents as they are, in a fixed order: tldr pages of every language, gsm8k, banking77, man pages."""
    with tarfile.open(corpora / "tldr_pages.tar.gz") as archive:
        for member in archive:
            held = archive.extractfile(member) if member.name.endswith(".md") else None
            if held is not None:
                yield held.read().decode()
    for name in ("train", "test"):
        for line in (corpora / "gsm8k" / f"{name}.jsonl").read_text().splitlines():
            yield "{question}\n{answer}".format(**json.loads(line))
        with (corpora / "banking77" / f"{name}.csv").open() as rows:
            yield from (row["text"] for row in csv.DictReader(rows))
    for path in sorted(man.rglob("*.gz")) if man is not None else ():
        if not path.is_symlink():
            yield gzip.decompress(path.read_bytes()).decode(errors="replace")


def perturbed(text: str, rng: random.Random) -> str:
    """The text with no to one in twelve of its words swapped, deleted or replaced: Jaccard from under 0.5 to 1."""
    words = text.split(" ")
    for _ in range(round(len(words) * rng.choice((0, 0.01, 0.02, 0.04, 0.08)) + rng.random())):
        at = rng.randrange(len(words))
        edit = rng.randrange(3)
        if edit == 0 and at + 1 < len(words):
            words[at], words[at + 1] = words[at + 1], words[at]
        elif edit == 1 and len(words) > NGRAM:
            del words[at]
        else:
            words[at] = f"edit{rng.randrange(10**6)}"
    return " ".join(words)


def documents(rows: int, corpora: Path, man: Path | None, *, least_copies: float = 1 / 6) -> Documents:
    """`rows` documents: as many originals as there are or `least_copies` leave room for, the rest perturbed copies of them."""
    rng = random.Random(7)
    found = list(originals(corpora, man))
    fit = [text for text in found if _fits(text)]
    own = rng.sample(fit, min(len(fit), round(rows * (1 - least_copies))))
    sources = [rng.randrange(len(own)) for _ in range(rows - len(own))]
    drafts = [perturbed(own[at], rng) for at in sources]
    copies = [(text if _fits(text) else own[at], at) for text, at in zip(drafts, sources, strict=True)]
    made = [(text, -1) for text in own] + copies
    order = rng.sample(range(rows), rows)
    place = {number: row for row, number in enumerate(order)}
    copy_of = [place[made[number][1]] if made[number][1] >= 0 else -1 for number in order]
    return Documents([made[number][0] for number in order], copy_of, len(found) - len(fit))


def _fits(text: str) -> bool:
    plain = normalised(text)
    return bool(_ALLOWED.fullmatch(plain)) and len(TOKEN.findall(plain)) >= NGRAM


class ExactJoin:
    """All pairs of a Jaccard at the threshold or above, by exact shingle numbers (nothing is hashed) and a prefix filter.

    Sets of Jaccard t share one of the (1 - t)|A| + 1 rarest shingles of each (Chaudhuri et al. 2006; Bayardo et al. 2007).

    Attributes:
        later, earlier: (p,) the rows of each pair.
    """

    def __init__(self, texts: list[str], threshold: float) -> None:
        self.rows = len(texts)
        self.threshold = threshold
        self._sets, self._ends = _numbered(texts)
        capacity = 4 * len(texts) + 1000
        while True:
            pairs = np.empty((capacity, 2), np.int32)
            count = _join(self._sets, self._ends, threshold, pairs)
            if count <= capacity:
                break
            capacity = count
        self.later, self.earlier = pairs[:count].T.astype(np.int64)

    def jaccard(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
        """(m,) the similarity of m pairs of rows."""
        return _pairs(self._sets, self._ends, left, right)

    def dropped(self) -> NDArray[np.int64]:
        """The rows that a greedy pass in row order drops, when it misses nothing."""
        by_row = np.argsort(self.later, kind="stable")
        later, earlier = self.later[by_row], self.earlier[by_row]
        starts = np.searchsorted(later, np.arange(self.rows + 1))
        kept = np.ones(self.rows, dtype=bool)
        for row in np.unique(later):
            kept[row] = not kept[earlier[starts[row] : starts[row + 1]]].any()
        return np.flatnonzero(~kept)


def _numbered(texts: list[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Shingle numbers of each text, distinct, rising, the rarest lowest; and where each text's end."""
    numbers: dict[str, int] = {}
    tokens = [[numbers.setdefault(token, len(numbers)) for token in TOKEN.findall(normalised(text))] for text in texts]
    lengths = np.array([len(row) for row in tokens])
    rows = np.repeat(np.arange(len(texts), dtype=np.int32), lengths)
    flat = np.fromiter((token for row in tokens for token in row), np.int64, lengths.sum())
    del tokens
    grams, width = flat, len(numbers)
    for step in range(1, NGRAM):  # a number per distinct (step + 1)-gram, from those of its first `step` tokens and its last
        grams = _number(grams[:-1] * width + flat[step:])
    whole = rows[: len(grams)] == rows[NGRAM - 1 :]
    grams, rows = grams[whole], rows[: len(grams)][whole]
    counts = np.bincount(grams)
    rank = np.empty(len(counts), np.int64)
    rank[np.argsort(counts, kind="stable")] = np.arange(len(counts))
    keys = rows.astype(np.int64) << 32 | rank[grams]
    keys.sort()
    keys = keys[np.concatenate([[True], keys[1:] != keys[:-1]])]
    ends = np.searchsorted(keys >> 32, np.arange(len(texts) + 1))
    return (keys & (2**32 - 1)).astype(np.int32), ends


@njit(cache=True)
def _number(keys):  # type: ignore[no-untyped-def]
    """Number the distinct keys in order of appearance, by a table of the keys themselves."""
    size = 16
    while size < 2 * len(keys):
        size *= 2
    table, numbers = np.full(size, -1, np.int64), np.empty(size, np.int64)
    out, count = np.empty(len(keys), np.int64), 0
    for i in range(len(keys)):
        slot = (keys[i] * np.int64(0x9E3779B97F4A7C1) >> 20) & (size - 1)
        while table[slot] != -1 and table[slot] != keys[i]:
            slot = (slot + 1) & (size - 1)
        if table[slot] == -1:
            table[slot] = keys[i]
            numbers[slot] = count
            count += 1
        out[i] = numbers[slot]
    return out


@njit(cache=True)
def _shared(sets, ends, a, b, needed):  # type: ignore[no-untyped-def]
    """How many shingles two rows share, or less than `needed` as soon as they cannot be so many; rare ones come first."""
    i, j, shared = ends[a], ends[b], 0
    while i < ends[a + 1] and j < ends[b + 1] and shared + min(ends[a + 1] - i, ends[b + 1] - j) >= needed:
        if sets[i] == sets[j]:
            shared += 1
            i += 1
            j += 1
        elif sets[i] < sets[j]:
            i += 1
        else:
            j += 1
    return shared


@njit(cache=True)
def _pairs(sets, ends, left, right):  # type: ignore[no-untyped-def]
    out = np.empty(len(left), np.float64)
    for p in range(len(left)):
        shared = _shared(sets, ends, left[p], right[p], 0)
        sizes = ends[left[p] + 1] - ends[left[p]] + ends[right[p] + 1] - ends[right[p]]
        out[p] = shared / (sizes - shared)
    return out


@njit(cache=True)
def _join(sets, ends, threshold, pairs):  # type: ignore[no-untyped-def]
    """Write the pairs (later, earlier) that fit; returns how many there are."""
    heads = np.full(sets.max() + 1, -1, np.int64)  # of linked lists of (row, next) per shingle
    held = np.empty(len(sets), np.int32)
    after = np.empty(len(sets), np.int64)
    used = 0
    seen = np.full(len(ends), -1, np.int64)
    count = 0
    for row in range(len(ends) - 1):
        size = ends[row + 1] - ends[row]
        prefix = size - np.int64(np.ceil(threshold * size - 1e-9)) + 1
        for p in range(ends[row], ends[row] + prefix):
            at = heads[sets[p]]
            while at >= 0:
                other = held[at]
                at = after[at]
                if seen[other] == row:
                    continue
                seen[other] = row
                size_other = ends[other + 1] - ends[other]
                if min(size, size_other) < threshold * max(size, size_other) - 1e-9:
                    continue
                shared = _shared(sets, ends, row, other, threshold / (1 + threshold) * (size + size_other) - 1e-6)
                if shared / (size + size_other - shared) >= threshold:
                    if count < len(pairs):
                        pairs[count, 0] = row
                        pairs[count, 1] = other
                    count += 1
        for p in range(ends[row], ends[row] + prefix):
            held[used] = row
            after[used] = heads[sets[p]]
            heads[sets[p]] = used
            used += 1
    return count
