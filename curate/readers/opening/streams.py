"""Streams that readers are given: forward-only bytes out of a file, a compressed file or an archive member.

Every decompressor here is a generator of bounded chunks, so that a bomb is noticed before it is held. Damage ends a
stream with `Broken`, never with an early end of file: a record that was cut off can then not be taken for a whole one.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

BLOCK = 2**20
"""Bytes asked of a file, and bytes a decompressor gives, at a time."""

RATIO_FLOOR = 256 * 2**20
"""Unpacking to this many bytes is never called a bomb, whatever the ratio."""

OnBytes = Callable[[int], None]


class Broken(Exception):
    """The bytes end or stop making sense before they should.

    Args:
        reason: as in a `Reject`: `truncated-archive`, `corrupt-archive`, `unpacks-too-large`.
        detail: the decompressor's own words.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


class Readable(Protocol):
    """What a decompressor asks of its source."""

    def read1(self, size: int = -1, /) -> bytes:
        """Give 1 to `size` bytes, or none at the end."""
        ...


class Budget:
    """How many bytes one level of unpacking may still give, for the whole of one source file."""

    __slots__ = ("left", "limit")

    def __init__(self, packed_bytes: int, max_ratio: float) -> None:
        self.limit = max(RATIO_FLOOR, int(packed_bytes * max_ratio))
        self.left = self.limit

    def spend(self, count: int) -> None:
        """Take `count` bytes off; raises Broken `unpacks-too-large` when nothing is left."""
        self.left -= count
        if self.left < 0:
            raise Broken("unpacks-too-large", f"more than {self.limit} bytes came out")


class Stream:
    """A forward-only binary stream over chunks.

    `read` gives all that was asked for, less only at the true end, and raises `Broken` where damage stands before that;
    `read1` first gives what stands before the damage.
    """

    __slots__ = ("_chunk", "_chunks", "_pos", "failed")

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._chunk = b""
        self._pos = 0
        self.failed: Broken | None = None

    def read(self, size: int = -1, /) -> bytes:
        """Give exactly `size` bytes (all for -1), fewer only at the end."""
        pos = self._pos
        end = pos + size
        if pos <= end <= len(self._chunk):
            self._pos = end
            return self._chunk[pos:end]
        return self._gather(size)

    def read1(self, size: int = -1, /) -> bytes:
        """Give what is at hand, at most `size` bytes; nothing only at the end."""
        if self._pos >= len(self._chunk) and size != 0:
            self._chunk, self._pos = self._next(), 0
        pos = self._pos
        self._pos = len(self._chunk) if size < 0 else min(pos + size, len(self._chunk))
        return self._chunk[pos : self._pos]

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """False: there is no way back."""
        return False

    def _gather(self, size: int) -> bytes:
        parts = [self._chunk[self._pos :]]
        held = len(parts[0])
        try:
            while size < 0 or held < size:
                chunk = self._next()
                if not chunk:
                    break
                parts.append(chunk)
                held += len(chunk)
        except Broken:
            self._chunk, self._pos = b"".join(parts), 0
            raise
        whole = b"".join(parts)
        self._chunk, self._pos = whole, held if size < 0 else min(size, held)
        return whole if self._pos == held else whole[: self._pos]

    def _next(self) -> bytes:
        if self.failed is not None:
            raise self.failed
        try:
            return next(self._chunks, b"")
        except Broken as error:
            self.failed = error
            raise


class Part:
    """The next `size` bytes of a stream, as a stream of its own; `ended` says that the stream was over too early."""

    __slots__ = ("_source", "ended", "left")

    def __init__(self, source: Stream, size: int) -> None:
        self._source = source
        self.left = size
        self.ended = False

    def read(self, size: int = -1, /) -> bytes:
        """Give exactly `size` bytes (all for -1), fewer only at the part's end."""
        want = self.left if size < 0 else min(size, self.left)
        data = self._source.read(want)
        self.left -= len(data)
        if len(data) < want:
            raise self._cut_off()
        return data

    def read1(self, size: int = -1, /) -> bytes:
        """Give what is at hand, at most `size` bytes; nothing only at the part's end."""
        want = self.left if size < 0 else min(size, self.left)
        if not want:
            return b""
        data = self._source.read1(want)
        if not data:
            raise self._cut_off()
        self.left -= len(data)
        return data

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """False: there is no way back."""
        return False

    def drain(self) -> None:
        """Pass over what nobody read."""
        while self.left:
            self.read1(BLOCK)

    def _cut_off(self) -> Broken:
        self.ended = True
        return Broken("truncated-archive", f"the archive ends {self.left} bytes before its member does")


class Watched:
    """A seekable file that tells how many of its bytes were read."""

    def __init__(self, raw: BinaryIO, on_bytes: OnBytes) -> None:
        self._raw = raw
        self._on_bytes = on_bytes

    def read(self, size: int = -1, /) -> bytes:
        """Read and tell."""
        data = self._raw.read(size)
        self._on_bytes(len(data))
        return data

    def read1(self, size: int = -1, /) -> bytes:
        """Read and tell."""
        return self.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Seek."""
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        """Say where it stands."""
        return self._raw.tell()

    def readable(self) -> bool:
        """True."""
        return True

    def writable(self) -> bool:
        """False."""
        return False

    def seekable(self) -> bool:
        """True."""
        return True

    def flush(self) -> None:
        """Do nothing; nothing is written."""

    def close(self) -> None:
        """Do nothing; the file is closed by whoever opened it."""

    @property
    def closed(self) -> bool:
        """Whether the file was closed."""
        return self._raw.closed


def file_chunks(raw: BinaryIO, on_bytes: OnBytes | None) -> Iterator[bytes]:
    """Read a file in blocks."""
    while block := raw.read(BLOCK):
        if on_bytes is not None:
            on_bytes(len(block))
        yield block


def unpack(source: Readable, codec: str, budget: Budget) -> Stream:
    """Open one compressed stream.

    Args:
        codec: "gz", "bz2", "xz" or "zst".
        budget: charged for every byte that comes out.
    """
    return Stream(_charged(_CODECS[codec](source), budget))


def _charged(chunks: Iterator[bytes], budget: Budget) -> Iterator[bytes]:
    for chunk in chunks:
        budget.spend(len(chunk))
        yield chunk


def _gunzip(source: Readable) -> Iterator[bytes]:
    data = source.read1(BLOCK)
    first = True
    while data or first:
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            if not data and not (data := source.read1(BLOCK)):
                raise Broken("truncated-archive", "the gzip stream ends early")
            try:
                out = member.decompress(data, BLOCK)
            except zlib.error as error:
                raise Broken("corrupt-archive", str(error)) from None
            data = member.unconsumed_tail
            if out:
                yield out
        first = False
        data = member.unused_data.lstrip(b"\0")
        while not data and (block := source.read1(BLOCK)):  # gzip files may be padded with zeros, and concatenated
            data = block.lstrip(b"\0")


def _bunzip2(source: Readable) -> Iterator[bytes]:
    return _by_members(source, bz2.BZ2Decompressor, "bzip2")


def _unxz(source: Readable) -> Iterator[bytes]:
    return _by_members(source, lambda: lzma.LZMADecompressor(memlimit=256 * 2**20), "xz")


def _by_members(
    source: Readable, make: Callable[[], bz2.BZ2Decompressor] | Callable[[], lzma.LZMADecompressor], name: str
) -> Iterator[bytes]:
    data = source.read1(BLOCK)
    first = True
    while data or first:
        member = make()
        while not member.eof:
            if member.needs_input and not data and not (data := source.read1(BLOCK)):
                raise Broken("truncated-archive", f"the {name} stream ends early")
            try:
                out = member.decompress(data, BLOCK)
            except (OSError, lzma.LZMAError, ValueError) as error:
                raise Broken("corrupt-archive", str(error)) from None
            data = b""
            if out:
                yield out
        first = False
        data = member.unused_data or source.read1(BLOCK)


_ZSTD_MAGIC = 0xFD2FB528
_ZSTD_SKIPPABLE = range(0x184D2A50, 0x184D2A60)


def _unzstd(source: Readable) -> Iterator[bytes]:
    """Feed one block at a time, as RFC 8878 frames them.

    The library's own stream reader takes a cut-off frame for the end of the file, and its decompression object answers
    one megabyte of run-length blocks with gigabytes; a single block never gives more than 128 KiB.
    """
    import zstandard

    take = _exactly(source, "zstd")
    factory = zstandard.ZstdDecompressor()
    first = True
    while magic_bytes := take(4, first):
        first = False
        magic = int.from_bytes(magic_bytes, "little")
        if magic in _ZSTD_SKIPPABLE:
            left = int.from_bytes(take(4, True), "little")
            while left:
                left -= len(take(min(left, BLOCK), True))
            continue
        if magic != _ZSTD_MAGIC:
            raise Broken("corrupt-archive", "not a zstd frame")
        frame = factory.decompressobj()
        try:
            for piece in _zstd_pieces(magic_bytes, take):
                if out := frame.decompress(piece):
                    yield out
        except zstandard.ZstdError as error:
            raise Broken("corrupt-archive", str(error)) from None
        if not frame.eof:
            raise Broken("corrupt-archive", "a zstd frame does not end where it says")


def _zstd_pieces(magic: bytes, take: Callable[[int, bool], bytes]) -> Iterator[bytes]:
    descriptor = take(1, True)
    flags = descriptor[0]
    single_segment = bool(flags & 0x20)
    content_size = (1 if single_segment else 0, 2, 4, 8)[flags >> 6]
    dictionary_id = (0, 1, 2, 4)[flags & 3]
    yield magic + descriptor + take((0 if single_segment else 1) + dictionary_id + content_size, True)
    last = False
    while not last:
        header = take(3, True)
        value = int.from_bytes(header, "little")
        last = bool(value & 1)
        run_length = (value >> 1) & 3 == 1
        yield header + take(1 if run_length else value >> 3, True)
    if flags & 4:
        yield take(4, True)


def _exactly(source: Readable, name: str) -> Callable[[int, bool], bytes]:
    """Make a function that takes exactly n bytes; it gives b"" at a clean end unless told that there must be more."""
    held = b""
    pos = 0

    def take(count: int, required: bool) -> bytes:
        nonlocal held, pos
        while len(held) - pos < count:
            block = source.read1(BLOCK)
            if not block:
                if not required and pos == len(held):
                    return b""
                raise Broken("truncated-archive", f"the {name} stream ends early")
            held, pos = held[pos:] + block, 0
        pos += count
        return held[pos - count : pos]

    return take


_CODECS: dict[str, Callable[[Readable], Iterator[bytes]]] = {"gz": _gunzip, "bz2": _bunzip2, "xz": _unxz, "zst": _unzstd}
