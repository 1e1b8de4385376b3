"""Opens one file, whatever it is wrapped in, and hands the bytes inside to the reader that its name chooses."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from curate.readers import Reader, ReadOptions
from curate.readers.opening.formats import Form, classify
from curate.readers.opening.globs import Wanted, path_filter
from curate.readers.opening.streams import BLOCK, Broken, Budget, OnBytes, Part, Readable, Stream, Watched, file_chunks, unpack
from curate.readers.opening.tar import tar_members
from curate.readers.opening.zip import MemberError, zip_members
from curate.records import Record, Reject, Skip

Item = Record | Reject | Skip

_SMALL = BLOCK
"""An archive member of at most this many bytes is read in one piece."""


def read_file(
    file: Path,
    options: ReadOptions,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    on_bytes: OnBytes | None = None,
) -> Iterator[Item]:
    """Yield every record of one file, in order, and everything in it that could not be taken.

    Bad content never raises. What stands before the damage in a file or an archive comes first, then one `Reject`.

    Args:
        file: a data file, or a tar or zip archive of data files; either may be compressed.
        include: globs over the paths of an archive's members; others are `Skip`s "excluded". So also `exclude`.
        on_bytes: told how many more bytes of the file, as it lies, have been read.
    """
    form = classify(file.name)
    if form is None:
        yield Skip(file.name, "no-reader")
        return
    try:
        with file.open("rb") as raw:
            yield from _Opened(options, path_filter(include, exclude), on_bytes, file.stat().st_size).items(raw, form)
    except Broken as error:
        yield _reject("", error)
    except OSError as error:
        yield Reject("", "unreadable-file", str(error)[:200])


def _reject(locator: str, error: Broken) -> Reject:
    return Reject(locator, error.reason, error.detail[:200])


def _drain(stream: Readable, last: Item | None) -> None:
    """Read what the reader left, because the checksum stands at the end; not where the whole file was refused already."""
    if isinstance(last, Reject) and not last.locator:
        return
    while stream.read1(BLOCK):
        pass


class _Opened:
    """One source file while it is read: its settings, what its parts may still unpack to, the names it has given out."""

    def __init__(self, options: ReadOptions, wanted: Wanted | None, on_bytes: OnBytes | None, size_bytes: int) -> None:
        self._options = options
        self._wanted = wanted
        self._on_bytes = on_bytes
        self._whole, self._members, self._inner = (Budget(size_bytes, options.max_unpacked_ratio) for _ in range(3))
        self._readers: dict[type[Reader], Reader] = {}
        self._names: set[int] = set()

    def items(self, raw: BinaryIO, form: Form) -> Iterator[Item]:
        """Read the whole file."""
        if not form.codec and form.container != "tar":
            seekable = cast(BinaryIO, Watched(raw, self._on_bytes)) if self._on_bytes else raw
            if form.container:
                yield from self._zip(seekable)
            elif form.reader:
                yield from self._reader(form.reader).read(seekable)
            return
        stream = Stream(file_chunks(raw, self._on_bytes))
        if form.codec:
            stream = unpack(stream, form.codec, self._whole)
        if form.container == "tar":
            yield from self._tar(stream)
        elif form.container:
            yield Reject("", "nested-archive", "a zip archive inside a compressed file; unpack it once")
        elif form.reader:
            item: Item | None = None
            for item in self._reader(form.reader).read(cast(BinaryIO, stream)):
                yield item
            _drain(stream, item)

    def _tar(self, stream: Stream) -> Iterator[Item]:
        for count, member in enumerate(tar_members(stream)):
            if count >= self._options.max_members:
                yield Reject("", "too-many-members", f"more than {count}")
                return
            if member.kind == "folder":
                continue
            if member.kind != "file":
                yield Skip(member.name, member.kind)
                continue
            form = self._form(member.name)
            if isinstance(form, str):
                yield Skip(member.name, form)
                continue
            name = self._unique(member.name)
            try:
                source: BinaryIO = self._part_stream(member.part)
                yield from self._member(name, member.name, form, source)
            except Broken as error:
                yield _reject(name, error)
                if stream.failed or error.reason == "unpacks-too-large" or member.part.ended:
                    return

    @staticmethod
    def _part_stream(part: Part) -> BinaryIO:
        return io.BytesIO(part.read()) if part.left <= _SMALL else cast(BinaryIO, part)

    def _zip(self, raw: BinaryIO) -> Iterator[Item]:
        for count, (found_name, kind, opener) in enumerate(zip_members(raw, self._members)):
            if count >= self._options.max_members:
                yield Reject("", "too-many-members", f"more than {count}")
                return
            if kind == "folder":
                continue
            if kind != "file":
                yield Skip(found_name, kind)
                continue
            form = self._form(found_name)
            if isinstance(form, str):
                yield Skip(found_name, form)
                continue
            name = self._unique(found_name)
            try:
                yield from self._member(name, found_name, form, cast(BinaryIO, opener()))
            except MemberError as error:
                yield Reject(name, error.reason, error.detail[:200])
            except Broken as error:
                yield _reject(name, error)
                if error.reason == "unpacks-too-large":
                    return

    def _form(self, name: str) -> Form | str:
        """How a member is opened, or why it is skipped."""
        if name.startswith(("__MACOSX/", "._")) or "/._" in name:
            return "apple-metadata"
        if self._wanted is not None and not self._wanted(name):
            return "excluded"
        return classify(name.rsplit("/", 1)[-1]) or "no-reader"

    def _member(self, name: str, path: str, form: Form, source: BinaryIO) -> Iterator[Item]:
        if form.reader is None:
            yield Reject(name, "nested-archive", "an archive inside an archive; unpack it once")
            return
        if form.codec:
            source = cast(BinaryIO, unpack(cast(Readable, source), form.codec, self._inner))
        item: Item | None = None
        for item in self._reader(form.reader).read(source):
            locator = f"{name} {item.locator}" if item.locator else name
            if isinstance(item, Record):
                yield item._replace(locator=locator, path=path)
            else:
                yield Reject(locator, item.reason, item.excerpt)
        if form.codec:
            _drain(cast(Readable, source), item)

    def _reader(self, reader: type[Reader]) -> Reader:
        made = self._readers.get(reader)
        if made is None:
            made = self._readers[reader] = reader(self._options)
        return made

    def _unique(self, name: str) -> str:
        """Tell members of one name apart: the second is "name #2"; only hashes are kept, for archives of millions."""
        unique, number = name, 1
        while (key := hash(unique)) in self._names:
            number += 1
            unique = f"{name} #{number}"
        self._names.add(key)
        return unique
