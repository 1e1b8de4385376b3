"""The members of a zip archive, through the standard library, with every way in which damage shows turned into one error."""

from __future__ import annotations

import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, NoReturn

from curate.readers.opening.streams import BLOCK, Broken, Budget, Stream

_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    IndexError,
    MemoryError,
)


class MemberError(Broken):
    """One member cannot be read; those after it can."""


def zip_members(raw: BinaryIO, budget: Budget) -> Iterator[tuple[str, str, Callable[[], Stream]]]:
    """Walk the archive's directory; its index is held in memory, about 600 bytes a member.

    Args:
        raw: seekable.
        budget: charged for every byte that comes out.

    Yields:
        The name, the kind ("file", "folder", "symlink", "not-a-file") and how to open the content.

    Raises:
        Broken: the directory at the archive's end is missing or damaged, so that no member can be found.
    """
    try:
        archive = zipfile.ZipFile(raw)
    except (*_DAMAGE, NotImplementedError, RuntimeError) as error:
        reason = "truncated-archive" if _begins_like_zip(raw) else "corrupt-archive"
        raise Broken(reason, f"the zip directory cannot be read: {error}") from None
    with archive:
        for info in archive.infolist():
            yield _name(info), _kind(info), _opener(archive, info, budget)


def _begins_like_zip(raw: BinaryIO) -> bool:
    raw.seek(0)
    return raw.read(4) == b"PK\x03\x04"


def _name(info: zipfile.ZipInfo) -> str:
    name = info.filename.encode("utf-8", "backslashreplace").decode()
    while name.startswith("./"):
        name = name[2:]
    return name


def _kind(info: zipfile.ZipInfo) -> str:
    if info.is_dir():
        return "folder"
    mode = info.external_attr >> 16
    if stat.S_ISLNK(mode):
        return "symlink"
    return "file" if stat.S_IFMT(mode) in (0, stat.S_IFREG) else "not-a-file"


def _opener(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget) -> Callable[[], Stream]:
    def open_member() -> Stream:
        return Stream(_chunks(archive, info, budget))

    return open_member


def _chunks(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget) -> Iterator[bytes]:
    if info.flag_bits & 1:
        raise MemberError("encrypted-member", "the zip member is encrypted")
    try:
        with archive.open(info) as member:
            while chunk := member.read(BLOCK):
                budget.spend(len(chunk))
                yield chunk
    except NotImplementedError as error:
        raise MemberError("unsupported-compression", str(error)) from None
    except (*_DAMAGE, RuntimeError) as error:
        _corrupt(error)


def _corrupt(error: Exception) -> NoReturn:
    raise MemberError("corrupt-archive", str(error)) from None
