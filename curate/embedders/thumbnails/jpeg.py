"""The picture that libjpeg gives of a JPEG at an eighth of its size, to the bit, at a fraction of the time.

At that size a block of 8×8 pixels is one pixel: its mean, which the file states. So the other coefficients need not be worked
out, only be skipped: each is a Huffman code and as many bits as the code says. Where colour is halved in both directions, a
block of it is 2×2 pixels, and is decoded. What is not an ordinary baseline file, or is damaged, is left to Pillow.

Source: ITU-T T.81; the reduced inverse cosine transform is that of libjpeg's jidctred.c.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

LOOK = 11
"""Codes of up to so many bits are decoded by one look-up, and several short ones together where they are only skipped."""
_TABLE = 1 << LOOK
_LONG = 16
_UP = np.uint64(64 - LOOK)
_CODES_WIDTH = _TABLE + 2 * (_LONG + 1) + 256
"""A table is the entries of short codes, the end of the codes of each length, where their symbols begin, and the symbols."""
_ENDS, _FIRSTS, _SYMBOLS = _TABLE, _TABLE + _LONG + 1, _TABLE + 2 * (_LONG + 1)
_END_OF_BLOCK = 128
"""Advance of a code that ends its block: more than a block's 64 coefficients."""
_MOST_DC_BITS = 11
_NO_ROOM = 255
ZIGZAG = np.array(
    sorted(range(64), key=lambda n: (n // 8 + n % 8, n // 8 if (n // 8 + n % 8) % 2 else n % 8)), np.int64
)  # fmt: skip
"""(64,) the place in its block of the coefficients of a file, in their order."""
_FRAME, _CODES, _SCAN, _QUANTISERS, _RESTART, _EXIF, _ADOBE, _COMMENT = 0xC0, 0xC4, 0xDA, 0xDB, 0xDD, 0xE1, 0xEE, 0xFE
_SLACK = 4096
"""Bytes behind the coded ones that may be read: the bits of the longest unit, (4 + 2) · 64 codes of 31 bits, and 8."""


class Tables(NamedTuple):
    """What the head of a JPEG file says of its coding."""

    width: int
    height: int
    parts: NDArray[np.int64]
    """(1 or 3, 3): quantiser, DC table and AC table of luma, blue and red."""
    across: int
    """Luma blocks across for one of each colour."""
    down: int
    quantisers: NDArray[np.int64]
    """(4, 64) in the order of the file."""
    codes: NDArray[np.int32]
    """(8, _CODES_WIDTH): the DC tables, then the AC tables."""
    skips: NDArray[np.int32]
    """(4, 2^LOOK): for each AC table, as many codes as LOOK bits tell."""
    interval: int
    """Restart markers stand after so many units; 0 for none."""


class Head(NamedTuple):
    """What stands before the coded blocks."""

    tables: Tables
    start: int
    """Where the coded blocks begin."""
    exif: bytes | None


def head(data: bytes) -> Head | None:
    """Read the head of a file; None unless it is an ordinary baseline JPEG, grey or YCbCr, in one scan."""
    if data[:2] != b"\xff\xd8":
        return None
    at, told, exif = 2, {_QUANTISERS: b"", _CODES: b"", _FRAME: b"", _RESTART: b"", _ADOBE: b""}, None
    while data[at : at + 1] == b"\xff" and at + 4 <= len(data):
        kind, end = data[at + 1], at + 2 + int.from_bytes(data[at + 2 : at + 4])
        if kind == _SCAN:
            tables = _tables(data[at + 4 : end], *told.values())
            return Head(tables, end, exif) if tables and end < len(data) else None
        if kind in (_QUANTISERS, _CODES):
            told[kind] += data[at + 4 : end]
        elif kind in told:
            told[kind] = data[at + 4 : end]
        elif kind == _EXIF and exif is None and data[at + 4 : at + 10] == b"Exif\0\0":
            exif = data[at + 4 : end]
        elif not (0xE0 <= kind <= 0xEF or kind == _COMMENT):
            return None
        at = end
    return None


@lru_cache(maxsize=64)
def _tables(scan: bytes, quantisers: bytes, codes: bytes, frame: bytes, restart: bytes, adobe: bytes) -> Tables | None:
    """Bring the segments together, or None where they are not what `block_means` decodes."""
    count = frame[5] if len(frame) > 5 else 0
    if count not in (1, 3) or len(frame) != 6 + 3 * count or frame[0] != 8 or scan[:1] != bytes([count]):
        return None
    names, factors = frame[6::3], [(byte >> 4, byte & 15) for byte in frame[7::3]]
    if len(scan) != 4 + 2 * count or scan[1 : 1 + 2 * count : 2] != names or scan[-3:] != b"\x00\x3f\x00":
        return None
    if count == 3 and (names != b"\1\2\3" or (adobe and adobe[11:12] != b"\1") or factors[1:] != [(1, 1), (1, 1)]):
        return None
    across, down = factors[0] if count == 3 else (1, 1)
    parts = np.array([(q, t >> 4, t & 15) for q, t in zip(frame[8::3], scan[2 : 2 + 2 * count : 2], strict=True)])
    height, width = int.from_bytes(frame[1:3]), int.from_bytes(frame[3:5])
    if across not in (1, 2) or down not in (1, 2) or not height or not width or parts.max() > 3:
        return None
    numbers = _quantisers(quantisers)
    if numbers is None or not numbers[parts[:, 0]].all():
        return None
    found, skips = np.zeros((8, _CODES_WIDTH), np.int32), np.full((4, _TABLE), _NO_ROOM << 8, np.int32)
    if not _read_codes(np.frombuffer(codes, np.uint8), found, skips):
        return None
    return Tables(width, height, parts, across, down, numbers, found, skips, int.from_bytes(restart[:2]))


def _quantisers(told: bytes) -> NDArray[np.int64] | None:
    read = np.zeros((4, 64), np.int64)
    while told:
        size = 2 if told[0] >> 4 else 1
        values = told[1 : 1 + 64 * size]
        if len(values) != 64 * size or told[0] & 15 > 3:
            return None
        read[told[0] & 15] = np.frombuffer(values, ">u2" if size == 2 else "u1")
        told = told[1 + 64 * size :]
    return read


@njit(cache=True, nogil=True)
def _read_codes(body, codes, skips):  # type: ignore[no-untyped-def]
    """Fill in the tables that a segment defines; whether they are sound."""
    at = 0
    while at < len(body):
        kind, number = body[at] >> 4, body[at] & 15
        if kind > 1 or number > 3 or at + 17 > len(body):
            return False
        table = codes[4 * kind + number]
        table[:] = 0
        code, symbol = 0, 0
        for length in range(1, _LONG + 1):
            count = np.int64(body[at + length])
            code <<= 1
            if code + count > (1 << length) or symbol + count > 256 or at + 17 + symbol + count > len(body):
                return False
            table[_FIRSTS + length] = symbol - code
            for _ in range(count):
                value = np.int64(body[at + 17 + symbol])
                if kind == 0 and value > _MOST_DC_BITS:
                    return False
                table[_SYMBOLS + symbol] = value
                if length <= LOOK:
                    low = code << (LOOK - length)
                    table[low : low + (1 << (LOOK - length))] = _entry(kind, length, value)
                code += 1
                symbol += 1
            table[_ENDS + length] = code
        at += 17 + symbol
        if kind == 1:
            _read_skips(table, skips[number])
    return True


@njit(cache=True, nogil=True, inline="always")
def _entry(kind, length, symbol):  # type: ignore[no-untyped-def]
    """A code's bits with those that follow it · 2¹⁶ + the bits that follow · 2⁸ + how many coefficients it stands for."""
    size, run = symbol & 15, symbol >> 4
    advance = run + 1 if size > 0 or run == 15 or kind == 0 else _END_OF_BLOCK
    return np.int32(((length + size) << 16) | (size << 8) | advance)


@njit(cache=True, nogil=True)
def _read_skips(table, skips):  # type: ignore[no-untyped-def]
    """Write entries for as many AC codes as LOOK bits tell: all their bits · 2¹⁶ + the room they need · 2⁸ + their advance.

    Codes fit into a block that has so much room; a code that ends the block needs room of 1, for it is not there otherwise.
    """
    for bits in range(_TABLE):
        taken, places = 0, 0
        while taken < LOOK and places < 64:
            entry = table[(bits << taken) & (_TABLE - 1)]
            if entry == 0 or ((entry >> 16) - ((entry >> 8) & 255)) > LOOK - taken:
                break
            taken += entry >> 16
            places += entry & 255
        room = (places & 127) + (places >> 7) if taken > 0 else _NO_ROOM
        skips[bits] = taken << 16 | room << 8 | places


@intrinsic
def _eight_bytes(_context: Any, data: Any, at: Any) -> Any:
    """The eight bytes from a place in a vector of bytes on, the first the highest."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.gep(vector.data, [arguments[1]])
        word = builder.load(builder.bitcast(place, ir.IntType(64).as_pointer()))
        word.align = 1
        return builder.bswap(word)

    return types.uint64(data, types.int64), generate


@njit(cache=True, nogil=True)
def _unstuffed(data, out, ends):  # type: ignore[no-untyped-def]
    """Copy coded data to `out` without stuffing, and where its stretches end to `ends`; how many there are.

    A stretch ends at a restart marker, or at the marker after the last one; where none follows there is no end.
    """
    count, stretches, at = 0, 0, 0
    low, high = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
    while at + 1 < len(data):
        plain = at
        while plain + 8 <= len(data):
            word = _eight_bytes(data, plain)
            if (~word - low) & word & high != 0:  # a byte of them is 255
                break
            plain += 8
        while plain < len(data) and data[plain] != 255:
            plain += 1
        for place in range(at, plain):
            out[count] = data[place]
            count += 1
        if plain + 1 >= len(data):
            return 0
        follows, at = data[plain + 1], plain + 2
        if follows == 0:
            out[count] = 255
            count += 1
            continue
        if stretches == len(ends):
            return 0
        ends[stretches] = count
        stretches += 1
        if follows & 0xF8 != 0xD0:
            return stretches
    return 0


@njit(cache=True, nogil=True)
def _long(codes, table, word):  # type: ignore[no-untyped-def]
    """The entry of a code longer than LOOK bits, which `word` begins with; 0 where there is none."""
    for length in range(LOOK + 1, _LONG + 1):
        code = np.int64(word >> np.uint64(64 - length))
        if code < codes[table, _ENDS + length]:
            return _entry(table // 4, length, np.int64(codes[table, _SYMBOLS + codes[table, _FIRSTS + length] + code]))
    return np.int32(0)


@njit(cache=True, nogil=True, inline="always")
def _number(word, entry):  # type: ignore[no-untyped-def]
    """The signed number that follows a code in `word`."""
    size = (entry >> 8) & 255
    bits = np.int64((word << np.uint64((entry >> 16) - size)) >> np.uint64(1) >> np.uint64(63 - size))
    return bits - ((1 << size) - 1 if bits < (1 << size) >> 1 else 0)


@njit(cache=True, nogil=True, inline="always")
def _level(mean):  # type: ignore[no-untyped-def]
    """A block's mean as a pixel: rounded, and clipped."""
    return min(max(((mean + 4) >> 3) + 128, 0), 255)


@njit(cache=True, nogil=True, inline="always")
def _halves(even, one, three, five, seven):  # type: ignore[no-untyped-def]
    """The means of a line's halves, in units of 2⁻¹⁵."""
    odd = 29692 * one - 10426 * three + 6967 * five - 5906 * seven
    return (even << 15) + odd, (even << 15) - odd


@njit(cache=True, nogil=True, inline="always")
def _column(block, x):  # type: ignore[no-untyped-def]
    """The halves of a column, in units of 2⁻²."""
    top, bottom = _halves(block[x], block[8 + x], block[24 + x], block[40 + x], block[56 + x])
    return (top + (1 << 12)) >> 13, (bottom + (1 << 12)) >> 13


@njit(cache=True, nogil=True, inline="always")
def _line(even, one, three, five, seven, out):  # type: ignore[no-untyped-def]
    left, right = _halves(even, one, three, five, seven)
    out[0] = min(max(((left + (1 << 19)) >> 20) + 128, 0), 255)
    out[1] = min(max(((right + (1 << 19)) >> 20) + 128, 0), 255)


@njit(cache=True, nogil=True)
def _quarters(block, out):  # type: ignore[no-untyped-def]
    """Write the 2×2 pixels of a block, and clear it."""
    (a0, b0), (a1, b1), (a3, b3) = _column(block, 0), _column(block, 1), _column(block, 3)
    (a5, b5), (a7, b7) = _column(block, 5), _column(block, 7)
    _line(a0, a1, a3, a5, a7, out[0])
    _line(b0, b1, b3, b5, b7, out[1])
    block[:] = 0


@njit(cache=True, nogil=True, inline="always")
def _word(data, bit):  # type: ignore[no-untyped-def]
    """At least 57 bits from a bit on, the first the highest."""
    return _eight_bytes(data, bit >> 3) << np.uint64(bit & 7)


@njit(cache=True, nogil=True, inline="always")
def _skip(data, word, bit, codes, table, skips):  # type: ignore[no-untyped-def]
    """The bit behind a block's AC codes, or -1; `word` holds at least 30 bits from `bit` on, and an entry takes at most 27."""
    place = 1
    while True:
        entry = skips[table, word >> _UP]
        if place + ((entry >> 8) & 255) > 64:
            entry = codes[4 + table, word >> _UP]
            if entry == 0:
                entry = _long(codes, 4 + table, word)
        bit += entry >> 16
        place += entry & 255
        if place >= 64 or entry == 0:
            break
        word = _word(data, bit)
        entry = skips[table, word >> _UP]
        if place + ((entry >> 8) & 255) <= 64:
            bit += entry >> 16
            place += entry & 255
            if place >= 64:
                break
            word <<= np.uint64(entry >> 16)
    return bit if place == 64 or place >= _END_OF_BLOCK else -1


@njit(cache=True, nogil=True, inline="always")
def _read(data, bit, codes, table, quantisers, part, zigzag, block):  # type: ignore[no-untyped-def]
    """Write a block's coefficients but the mean; the bit behind them, or -1, and whether there are any."""
    place = 1
    while place < 64:
        word = _word(data, bit)
        entry = codes[4 + table, word >> _UP]
        if entry == 0:
            entry = _long(codes, 4 + table, word)
            if entry == 0:
                break
        bit += entry >> 16
        place += entry & 255
        if place <= 64:
            block[zigzag[place - 1]] = _number(word, entry) * quantisers[part, place - 1]
    return bit if place == 64 or place >= _END_OF_BLOCK else -1, place != 1 + _END_OF_BLOCK


@njit(cache=True, nogil=True)
def _scan(data, ends, parts, across, down, quantisers, codes, skips, zigzag, interval, pixels):  # type: ignore[no-untyped-def]
    """Write the picture (height, width, 3), in eighths; whether `data`, without stuffing, held all of it and no more."""
    height, width = pixels.shape[0], pixels.shape[1]
    block, corners = np.zeros(64, np.int64), np.empty((2, 2), np.int64)
    means, bit, units, stretch = np.zeros(3, np.int64), 0, 0, 0
    for y in range((height + down - 1) // down):
        for x in range((width + across - 1) // across):
            if interval > 0 and units == interval:
                if (bit + 7) // 8 != ends[stretch] or stretch + 1 == len(ends):
                    return False
                bit, units, stretch = 8 * ends[stretch], 0, stretch + 1
                means[:] = 0
            units += 1
            for part in range(len(parts)):
                table, dc, ac = parts[part, 0], parts[part, 1], parts[part, 2]
                halved = part > 0 and across * down == 4
                for number in range(across * down if part == 0 else 1):
                    word = _word(data, bit)
                    entry = codes[dc, word >> _UP]
                    if entry == 0:
                        entry = _long(codes, dc, word)
                    if entry == 0:
                        return False
                    means[part] += _number(word, entry)
                    mean = means[part] * quantisers[table, 0]
                    bit += entry >> 16
                    if halved:
                        bit, coded = _read(data, bit, codes, ac, quantisers, table, zigzag, block)
                        if coded:
                            block[0] = mean
                            _quarters(block, corners)
                        else:
                            corners[:] = _level(mean)
                    else:
                        bit = _skip(data, word << np.uint64(entry >> 16), bit, codes, ac, skips)
                    if bit < 0:
                        return False
                    if part == 0:
                        row, column = y * down + number // across, x * across + number % across
                        if row < height and column < width:
                            pixels[row, column, 0] = _level(mean)
                    else:
                        for row in range(y * down, min(y * down + down, height)):
                            for column in range(x * across, min(x * across + across, width)):
                                level = corners[row - y * down, column - x * across] if halved else _level(mean)
                                pixels[row, column, part] = level
            if bit > 8 * ends[stretch]:
                return False
    return stretch + 1 == len(ends) and (bit + 7) // 8 == ends[stretch]


def block_means(data: bytes, head: Head) -> NDArray[np.uint8] | None:
    """Decode a file at an eighth of its size, rounded up: (height, width, 3) Y, Cb, Cr; None where it is damaged."""
    width, height, *coding, interval = head.tables
    pixels = np.full((-(-height // 8), -(-width // 8), 3), 128, np.uint8)
    coded = np.frombuffer(data, np.uint8, offset=head.start)
    plain = np.empty(len(coded) + _SLACK, np.uint8)
    ends = np.empty(1 + (pixels.shape[0] * pixels.shape[1] // interval if interval else 0), np.int64)
    count = _unstuffed(coded, plain, ends)
    parts, across, down, quantisers, codes, skips = coding
    sound = count and _scan(plain, ends[:count], parts, across, down, quantisers, codes, skips, ZIGZAG, interval, pixels)
    pixels.flags.writeable = False
    return pixels if sound else None
