"""The compiled loops of MinHash: tokens, shingles, sketches, sets, and the greedy pass over rows that share a band.

Everything works on UTF-8 bytes and (start, end) offsets, holds no lock while it runs, and gives the same numbers
however the rows are sliced over threads. All kernels live in one file, because numba's cache watches one file a kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

SPACE, WORD, ALONE, SKIP, PUNCTUATION = 0, 1, 2, 3, 4
"""What a code point is: white space or control; part of a word; a token by itself; not there; between words."""

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
_CHARACTERS = np.uint64(0xA0761D6478BD642F)
_FINGERPRINT = np.uint64(0xE7037ED1A0B428DB)
_ZERO, _ONE, _B32, _B33 = np.uint64(0), np.uint64(1), np.uint64(32), np.uint64(33)
_LOW = np.uint64(0xFFFFFFFF)
_EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile on first use and keep the machine code in numba's cache, or in memory where no cache folder can be written."""
    try:
        compiled: Callable[..., Any] = njit(cache=True, nogil=True, boundscheck=False)(function)
    except RuntimeError:  # numba raises it here when neither the package's folder nor the user's cache can be written
        compiled = njit(nogil=True, boundscheck=False)(function)
    return compiled


@kernel
def _mix(x):  # type: ignore[no-untyped-def]
    """The finaliser of MurmurHash3: every bit of x moves every bit of the result."""
    x ^= x >> _B33
    x *= _MIX_1
    x ^= x >> _B33
    x *= _MIX_2
    x ^= x >> _B33
    return x


@kernel
def _decode(data, i):  # type: ignore[no-untyped-def]
    """The code point whose UTF-8 bytes, two or more of them, begin at data[i], and where they end."""
    point = np.int64(data[i])
    if point < 0xE0:
        return (point & 0x1F) << 6 | (np.int64(data[i + 1]) & 0x3F), i + 2
    if point < 0xF0:
        return (point & 0x0F) << 12 | (np.int64(data[i + 1]) & 0x3F) << 6 | (np.int64(data[i + 2]) & 0x3F), i + 3
    point = (point & 0x07) << 18 | (np.int64(data[i + 1]) & 0x3F) << 12
    return point | (np.int64(data[i + 2]) & 0x3F) << 6 | (np.int64(data[i + 3]) & 0x3F), i + 4


@kernel
def mark_unfoldable(data, offsets, folds, out):  # type: ignore[no-untyped-def]
    """Tell of each text whether it holds a code point beyond ASCII that `folds` has nothing for."""
    for r in range(len(out)):
        i, end = offsets[r], offsets[r + 1]
        found = False
        while i < end and not found:
            if data[i] < 0x80:
                i += 1
            else:
                point, i = _decode(data, i)
                found = folds[point] == 0
        out[r] = found


@kernel
def _tokenise(data, start, end, classes, folds, each, out):  # type: ignore[no-untyped-def]
    """Write a hash per token of data[start:end]; `each` makes every visible code point a token. Returns how many."""
    count = 0
    inside = False
    word = _MULTIPLIER
    i = start
    while i < end:
        point = np.int64(data[i])
        if point < 0x80:
            i += 1
            if 65 <= point <= 90:
                point += 32
        else:
            point, i = _decode(data, i)
            if folds[point] != 0:
                point = np.int64(folds[point])
        kind = classes[point]
        if kind == WORD and not each:
            word = (word ^ np.uint64(point)) * _MULTIPLIER
            inside = True
            continue
        if kind == SKIP:
            continue
        if inside:
            out[count] = _mix(word)
            count += 1
            inside = False
            word = _MULTIPLIER
        if kind == ALONE or (each and kind != SPACE):
            out[count] = _mix((_MULTIPLIER ^ np.uint64(point)) * _MULTIPLIER)
            count += 1
    if inside:
        out[count] = _mix(word)
        count += 1
    return count


@kernel
def _roll(out, count, n, salt):  # type: ignore[no-untyped-def]
    """Turn token hashes into the hashes of their n-grams, in place: a rolling polynomial, then mixed. Never 0."""
    power = _ONE
    for _ in range(n - 1):
        power *= _MULTIPLIER
    rolling = _ZERO
    for i in range(n):
        rolling = rolling * _MULTIPLIER + out[i]
    for i in range(count - n + 1):
        leaving = out[i]
        out[i] = max(_mix(rolling ^ salt), _ONE)
        if i + n < count:
            rolling = (rolling - leaving * power) * _MULTIPLIER + out[i + n]
    return count - n + 1


@kernel
def _shingle(data, start, end, classes, folds, n, words, out):  # type: ignore[no-untyped-def]
    """Write the shingle hashes of one text, repeats included; `out` holds at least end - start. Returns how many."""
    if words:
        count = _tokenise(data, start, end, classes, folds, False, out)
        if count >= n:
            return _roll(out, count, n, _ZERO)
    count = _tokenise(data, start, end, classes, folds, True, out)
    if count == 0:
        return 0
    return _roll(out, count, min(n, count), _CHARACTERS)


@kernel
def _sample(shingles, count, seed, signature):  # type: ignore[no-untyped-def]
    """Fill the t bins of a MinHash signature by fast similarity sketching; a text without shingles leaves them all empty.

    Round 0 throws each shingle into one bin, which keeps its least; further rounds fill what stayed empty, and from
    round t on each round fills one bin for certain. So a bin of two sets agrees with probability Jaccard, and all bins
    together are as concentrated as t independent permutations, for sets of any size.

    Source: Dahlgaard, Knudsen, Thorup, "Fast Similarity Sketching", FOCS 2017 (arXiv:1704.04370), algorithm 1.
    """
    size = len(signature)
    signature[:] = _EMPTY
    if count == 0:
        return
    filled = 0
    for turn in range(2 * size):
        salt = _mix(seed + np.uint64(turn + 1) * _MULTIPLIER)
        base = np.uint64(turn) << _B32
        if turn < size:
            for j in range(count):
                x = _mix(shingles[j] ^ salt)
                slot = np.int64(((x >> _B32) * np.uint64(size)) >> _B32)
                value = base | (x & _LOW)
                if value < signature[slot]:
                    filled += signature[slot] == _EMPTY
                    signature[slot] = value
        elif signature[turn - size] == _EMPTY:
            for j in range(count):
                value = base | (_mix(shingles[j] ^ salt) & _LOW)
                signature[turn - size] = min(signature[turn - size], value)
            filled += 1
        if filled == size:
            return


@kernel
def sketch_rows(data, offsets, classes, folds, n, words, rows, seed, out):  # type: ignore[no-untyped-def]
    """Sketch each text: (texts, bands + 2) uint32, a hash per band, then a 64-bit fingerprint of all shingles in two halves."""
    bands = out.shape[1] - 2
    signature = np.empty(bands * rows, np.uint64)
    longest = 0
    for r in range(len(offsets) - 1):
        longest = max(longest, offsets[r + 1] - offsets[r])
    shingles = np.empty(longest, np.uint64)
    for r in range(len(offsets) - 1):
        count = _shingle(data, offsets[r], offsets[r + 1], classes, folds, n, words, shingles)
        total = _ZERO
        for j in range(count):
            total += _mix(shingles[j] ^ _FINGERPRINT)
        _sample(shingles, count, seed, signature)
        for b in range(bands):
            band = np.uint64(b)
            for j in range(b * rows, (b + 1) * rows):
                band = _mix(band * _MULTIPLIER ^ signature[j])
            out[r, b] = band >> _B32
        out[r, bands] = total >> _B32
        out[r, bands + 1] = total & _LOW


@kernel
def _capacity(count):  # type: ignore[no-untyped-def]
    """The table size for `count` keys: a power of two, at most half full."""
    size = 16
    while size < 2 * count:
        size *= 2
    return size


@kernel
def _insert(table, mask, key):  # type: ignore[no-untyped-def]
    """Put a key into an open-addressing table whose empty slots are 0; tell whether it is new."""
    slot = np.int64(key & np.uint64(mask))
    while table[slot] != _ZERO:
        if table[slot] == key:
            return False
        slot = (slot + 1) & mask
    table[slot] = key
    return True


@kernel
def _holds(table, mask, key):  # type: ignore[no-untyped-def]
    """Tell whether a key is in the table."""
    slot = np.int64(key & np.uint64(mask))
    while table[slot] != _ZERO:
        if table[slot] == key:
            return True
        slot = (slot + 1) & mask
    return False


@kernel
def set_rows(data, offsets, classes, folds, n, words, values, ends):  # type: ignore[no-untyped-def]
    """Write each text's distinct shingles one after the other into `values`; ends[r + 1] is where row r's end."""
    longest = 0
    for r in range(len(offsets) - 1):
        longest = max(longest, offsets[r + 1] - offsets[r])
    table = np.empty(_capacity(longest), np.uint64)
    used = 0
    ends[0] = 0
    for r in range(len(offsets) - 1):
        count = _shingle(data, offsets[r], offsets[r + 1], classes, folds, n, words, values[used:])
        mask = _capacity(count) - 1
        table[: mask + 1] = _ZERO
        distinct = used
        for j in range(used, used + count):
            if _insert(table, mask, values[j]):
                values[distinct] = values[j]
                distinct += 1
        used = distinct
        ends[r + 1] = used


@kernel
def _fill(table, values, start, end):  # type: ignore[no-untyped-def]
    """Make the table hold exactly values[start:end]; returns its mask."""
    mask = _capacity(end - start) - 1
    table[: mask + 1] = _ZERO
    for j in range(start, end):
        _insert(table, mask, values[j])
    return mask


@kernel
def _jaccard(table, mask, size, values, start, end, threshold):  # type: ignore[no-untyped-def]
    """Jaccard of the table's `size` keys and values[start:end]; -1 as soon as it cannot reach the threshold any more."""
    other = end - start
    if size + other == 0:
        return 1.0
    needed = np.int64(np.floor(threshold * (size + other) / (1.0 + threshold) - 1e-6))
    if min(size, other) < needed:
        return -1.0
    shared = 0
    for j in range(start, end):
        if _holds(table, mask, values[j]):
            shared += 1
        elif shared + (end - j - 1) < needed:
            return -1.0
    return shared / (size + other - shared)


@kernel
def jaccard_pairs(left, left_ends, right, right_ends, out):  # type: ignore[no-untyped-def]
    """Jaccard of row r on the left and row r on the right, for every r."""
    longest = 0
    for r in range(len(out)):
        longest = max(longest, left_ends[r + 1] - left_ends[r])
    table = np.empty(_capacity(longest), np.uint64)
    for r in range(len(out)):
        start, end = left_ends[r], left_ends[r + 1]
        mask = _fill(table, left, start, end)
        out[r] = _jaccard(table, mask, end - start, right, right_ends[r], right_ends[r + 1], 0.0)


@kernel
def band_keys(column, keys):  # type: ignore[no-untyped-def]
    """Write (hash << 32 | row) of each row, so that sorting them brings equal hashes together and rows in order."""
    for row in range(len(column)):
        keys[row] = np.uint64(column[row]) << _B32 | np.uint64(row)


@kernel
def _band_key(band, value):  # type: ignore[no-untyped-def]
    """A band and its hash as one number that is never 0; different ones give different numbers."""
    return _mix(np.uint64(band + 1) << _B32 | np.uint64(value))


@kernel
def _sieve_bit(band, value, few):  # type: ignore[no-untyped-def]
    """A place for a band's hash, which is as good as random already."""
    return (np.int64(value) + np.int64(band) * 0x9E3779B1) & few


@kernel
def note_bands(sketches, bands, table, sieve):  # type: ignore[no-untyped-def]
    """Note the bands of some rows in an open table, and in a smaller set of bits, which is asked first; powers of two both."""
    mask, few = len(table) - 1, 8 * len(sieve) - 1
    for i in range(len(sketches)):
        for b in range(bands):
            bit = _sieve_bit(b, sketches[i, b], few)
            sieve[bit >> 3] |= np.uint8(1 << (bit & 7))
            _insert(table, mask, _band_key(b, sketches[i, b]))


@kernel
def meets_noted(sketches, rows, bands, table, sieve, out):  # type: ignore[no-untyped-def]
    """Tell of each of `rows` whether one of its bands was noted."""
    mask, few = len(table) - 1, 8 * len(sieve) - 1
    for i in range(len(rows)):
        out[i] = False
        for b in range(bands):
            value = sketches[rows[i], b]
            bit = _sieve_bit(b, value, few)
            if sieve[bit >> 3] >> (bit & 7) & 1 and _holds(table, mask, _band_key(b, value)):
                out[i] = True
                break


@kernel
def number_buckets(keys, settled, column):  # type: ignore[no-untyped-def]
    """Number the buckets in which a row from `settled` on meets another: column[row] is its bucket or -1. Returns how many."""
    count = 0
    start = 0
    while start < len(keys):
        end = start + 1
        while end < len(keys) and keys[end] >> _B32 == keys[start] >> _B32:
            end += 1
        met = end - start > 1 and np.int64(keys[end - 1] & _LOW) >= settled
        for i in range(start, end):
            column[np.int64(keys[i] & _LOW)] = count if met else -1
        count += met
        start = end
    return count


@kernel
def visit(  # type: ignore[no-untyped-def]
    members, values, ends, narrow, groups, bases, heads, kept, kept_spans, used, seen, settled, among, threshold, keeper, found
):
    """Visit rows in order; a row meets only the kept rows of its buckets, so a bucket never holds two of a kind.

    Args:
        members: (w,) the rows of this window, ascending.
        values, ends: their shingle sets, as from `set_rows`.
        narrow: (w,) for each row how many shingles of the smaller set the other may lack at most, -1 for any number.
        groups: (bands, m) a row's bucket in each band, -1 for none; a kept row's is overwritten by the kept row before it.
        bases, heads: bucket g of band b has its newest kept row in heads[bases[b] + g], -1 for none yet.
        kept, kept_spans, used: the shingle sets of kept rows, their (m, 2) spans, and how much of `kept` is used.
        seen: (m,) the last row that met this one, plus one.
        settled: rows below this number are kept unseen.
        among: whether later rows that are kept meet those after them.
        keeper, found: written: (m,) the kept row that stands for a row, and their Jaccard.

    Returns:
        How much of `kept` is used now, and how many pairs were compared.
    """
    compared = 0
    bands = groups.shape[0]
    longest = 0
    for w in range(len(members)):
        longest = max(longest, ends[w + 1] - ends[w])
    table = np.empty(_capacity(longest), np.uint64)
    for w in range(len(members)):
        row = members[w]
        start, end = ends[w], ends[w + 1]
        best, best_row = -1.0, np.int64(-1)
        mask = 0
        if row >= settled:
            for b in range(bands):
                if groups[b, row] < 0:
                    continue
                other = np.int64(heads[bases[b] + groups[b, row]])
                while other >= 0:
                    if seen[other] != row + 1:
                        seen[other] = row + 1
                        compared += 1
                        if mask == 0:
                            mask = _fill(table, values, start, end)
                        bound = max(threshold, best)
                        jaccard = _jaccard(table, mask, end - start, kept, kept_spans[other, 0], kept_spans[other, 1], bound)
                        if narrow[w] >= 0 and jaccard >= threshold:
                            other_size = kept_spans[other, 1] - kept_spans[other, 0]
                            shared = np.int64(np.round(jaccard * (end - start + other_size) / (1 + jaccard)))
                            if min(end - start, other_size) - shared > narrow[w]:
                                jaccard = -1.0
                        if jaccard >= threshold and (jaccard > best or (jaccard == best and other < best_row)):
                            best, best_row = jaccard, other
                    other = np.int64(groups[b, other])
        if best_row >= 0:
            keeper[row] = best_row
            found[row] = best
            continue
        if row >= settled and not among:
            continue
        kept_spans[row, 0] = used
        for j in range(start, end):
            kept[used] = values[j]
            used += 1
        kept_spans[row, 1] = used
        for b in range(bands):
            if groups[b, row] >= 0:
                slot = bases[b] + groups[b, row]
                groups[b, row] = heads[slot]
                heads[slot] = row
    return used, compared
