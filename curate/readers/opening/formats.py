"""What a file name says about how the file is opened: its compression, its container, its reader."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from curate import plugins
from curate.readers import Reader

_CODECS = {".gz": "gz", ".zst": "zst", ".zstd": "zst", ".bz2": "bz2", ".xz": "xz"}
_PACKED_TARS = {".tgz": "gz", ".tbz2": "bz2", ".txz": "xz", ".tzst": "zst"}


class Form(NamedTuple):
    """How a file is opened.

    Attributes:
        codec: "gz", "zst", "bz2", "xz" or "" for none.
        container: "tar", "zip" or "" for none.
        reader: the plug-in's class; None for containers.
    """

    codec: str
    container: str
    reader: type[Reader] | None


def classify(name: str) -> Form | None:
    """Read a file name's suffixes, in any case; None if no reader takes such a file."""
    stem, suffix = _split(name.lower())
    if form := _by_suffix(suffix):
        return form
    codec = _CODECS.get(suffix)
    if codec is None or not stem:
        return None
    inner = _by_suffix(_split(stem)[1])
    if inner is None or inner.codec:
        return None
    return Form(codec, inner.container, inner.reader)


def readable_suffixes() -> tuple[str, ...]:
    """Every file name ending that can be read, sorted; each may be followed by .gz, .zst, .bz2 or .xz."""
    return tuple(sorted({*_readers(), ".tar", ".zip", *_PACKED_TARS}))


def _split(name: str) -> tuple[str, str]:
    stem, dot, suffix = name.rpartition(".")
    return (stem, dot + suffix) if dot else (name, "")


def _by_suffix(suffix: str) -> Form | None:
    if suffix == ".tar":
        return Form("", "tar", None)
    if suffix == ".zip":
        return Form("", "zip", None)
    if suffix in _PACKED_TARS:
        return Form(_PACKED_TARS[suffix], "tar", None)
    reader = _readers().get(suffix)
    return Form("", "", reader) if reader else None


def _readers() -> dict[str, type[Reader]]:
    return _by_names(plugins.names("readers"))


@cache
def _by_names(names: tuple[str, ...]) -> dict[str, type[Reader]]:
    """The reader of each suffix; the names are only there to look again when one was registered."""
    by_suffix: dict[str, type[Reader]] = {}
    owners: dict[str, str] = {}
    for name, reader in sorted(plugins.usable("readers"), key=lambda pair: pair[0] not in plugins.own("readers")):
        for suffix in reader.suffixes:
            if suffix in owners:
                plugins.tell(f"the reader {name!r} does not get {suffix} files: {owners[suffix]!r} reads them")
            else:
                owners[suffix] = name
                by_suffix[suffix] = reader
    return by_suffix
