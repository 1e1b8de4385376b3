"""From what the user named to the list of files that are read: files, folders and glob patterns become `SourceFile`s."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from curate.errors import InputError
from curate.readers.opening.formats import classify, readable_suffixes
from curate.readers.opening.globs import Wanted, compile_glob, is_pattern, path_filter
from curate.readers.opening.open import read_file
from curate.records import Skip

__all__ = ["SourceFile", "Sources", "expand", "read_file"]


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One regular file that a reader takes.

    Attributes:
        path: absolute, with symbolic links in the named path resolved, so that one file has one path.
        root: the folder that was named, or the one that holds the file that was named.
        size_bytes: when it was listed.
        modified_ns: modification time, nanoseconds since the epoch.
    """

    path: Path
    root: Path
    size_bytes: int
    modified_ns: int

    @property
    def name(self) -> str:
        """The path below `root`, with slashes."""
        return self.path.relative_to(self.root).as_posix()


@dataclass(frozen=True, slots=True)
class Sources:
    """What `expand` found.

    Attributes:
        files: in the order named; inside a folder sorted by name, part by part.
        skipped: what stood in named folders and was passed over: "no-reader", "hidden", "symlink", "not-a-file",
            "excluded", "unreadable-folder", "name-is-not-utf-8". A hidden folder, or one of such a name, is one skip.
    """

    files: list[SourceFile]
    skipped: list[Skip]


@dataclass(slots=True)
class _Listing:
    wanted: Wanted | None
    files: list[SourceFile]
    skipped: list[Skip]
    seen: set[str]

    def take(self, path: str, root: Path, info: os.stat_result) -> None:
        if path not in self.seen:
            self.seen.add(path)
            self.files.append(SourceFile(Path(path), root, info.st_size, info.st_mtime_ns))

    def skip(self, path: str, reason: str) -> None:
        if path not in self.seen:
            self.seen.add(path)
            self.skipped.append(Skip(_spoken(path), reason))


def expand(paths: str | Path | Sequence[str | Path], *, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> Sources:
    """List every file that the named files, folders and patterns stand for, each once.

    Args:
        paths: one or several: a file, a folder (walked to any depth), or a glob pattern (`*`, `?`, `[…]`, `**`); a pattern
            that meets a folder takes what is in it. A named symbolic link is followed, one met on the way is skipped.
        include: globs over paths below a named folder; archives pass, because their members are asked again when they are read.
        exclude: likewise; archives do not pass.

    Raises:
        InputError: a path is missing or is no file, a pattern matches nothing, or no reader takes a file that was named.
    """
    listing = _Listing(path_filter(include, exclude), [], [], set())
    drops = path_filter((), exclude)
    for named in [paths] if isinstance(paths, str | os.PathLike) else paths:
        text = os.fspath(named)
        if not _is_utf8(text):
            raise InputError(
                f"{_spoken(text)} has a name that is not UTF-8, so the catalog cannot hold it", hint="rename it first"
            )
        target = Path(text).expanduser()
        if target.is_dir():
            root = target.resolve()
            _walk(listing, root, root, drops)
        elif target.exists():
            _take_named(listing, target)
        elif is_pattern(text):
            _take_pattern(listing, target, drops)
        else:
            raise InputError(f"{text} does not exist", hint="check the path; quote a glob pattern so that curate expands it")
    return Sources(listing.files, listing.skipped)


def _take_named(listing: _Listing, target: Path) -> None:
    path = target.resolve()
    info = path.stat()
    if not stat.S_ISREG(info.st_mode):
        raise InputError(f"{target} is not a regular file", hint="write its content to a file first")
    if classify(path.name) is None:
        raise InputError(f"no reader takes {target.name}", hint="readable: " + " ".join(readable_suffixes()))
    listing.take(str(path), path.parent, info)


def _take_pattern(listing: _Listing, pattern: Path, drops: Wanted | None) -> None:
    parts = pattern.parts
    first = next(i for i, part in enumerate(parts) if is_pattern(part))
    base = Path(*parts[:first]).resolve() if first else Path.cwd()
    rest = parts[first:]
    before = len(listing.seen)
    found = 0
    if base.is_dir():
        regex = compile_glob("/".join(rest))
        fixed = rest[: rest.index("**")] if "**" in rest else rest
        levels = [compile_glob(part) for part in fixed]

        def enters(relative: str) -> bool:
            depth = relative.count("/")
            level = levels[depth] if depth < len(levels) else None
            return level is None or level.match(relative.rsplit("/", 1)[-1]) is not None

        def matches(relative: str) -> bool:
            nonlocal found
            hit = regex.match(relative) is not None
            found += hit
            return hit

        _walk(listing, base, base, drops, enters=enters, matches=matches)
    if not found and len(listing.seen) == before:
        raise InputError(f"no file matches {str(pattern)!r}", hint="check the pattern; ** goes into folders at any depth")


def _walk(
    listing: _Listing,
    folder: Path,
    root: Path,
    drops: Wanted | None,
    *,
    enters: Callable[[str], bool] | None = None,
    matches: Callable[[str], bool] | None = None,
) -> None:
    """Take what lies in a folder; a path below it that `matches` does not take was not named and leaves no trace."""
    strip = len(str(root).rstrip("/")) + 1
    for entry in _entries(listing, str(folder), strip, enters, matches):
        relative = entry.path[strip:]
        if matches is not None and not matches(relative):
            continue
        if reason := _refusal(entry):
            listing.skip(entry.path, reason)
            continue
        form = classify(entry.name)
        wanted = drops if form is not None and form.container else listing.wanted
        if wanted is not None and not wanted(relative):
            listing.skip(entry.path, "excluded")
        elif form is None:
            listing.skip(entry.path, "no-reader")
        else:
            try:
                info = entry.stat(follow_symlinks=False)
            except OSError:
                listing.skip(entry.path, "unreadable-file")
            else:
                listing.take(entry.path, root, info)


def _is_utf8(name: str) -> bool:
    """Whether the bytes of a name are UTF-8; Python stands lone surrogates for those that are not."""
    return name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name)


def _spoken(path: str) -> str:
    """A path that can be printed and stored: what is no UTF-8 is written as an escape."""
    return path.encode("utf-8", "backslashreplace").decode()


def _refusal(entry: os.DirEntry[str]) -> str | None:
    if not _is_utf8(entry.name):
        return "name-is-not-utf-8"
    if entry.is_symlink():
        return "symlink"
    if entry.name.startswith("."):
        return "hidden"
    return None if entry.is_file(follow_symlinks=False) else "not-a-file"


def _entries(
    listing: _Listing,
    folder: str,
    strip: int,
    enters: Callable[[str], bool] | None,
    matches: Callable[[str], bool] | None,
) -> Iterator[os.DirEntry[str]]:
    """Walk depth first, sorted; a folder of another file's depth costs no Python stack."""
    waiting: list[Iterator[os.DirEntry[str]]] = [_sorted_entries(listing, folder)]
    while waiting:
        entry = next(waiting[-1], None)
        if entry is None:
            waiting.pop()
        elif not entry.is_dir(follow_symlinks=False):
            yield entry
        elif not _is_utf8(entry.name):
            if matches is None or matches(entry.path[strip:]):
                listing.skip(entry.path, "name-is-not-utf-8")
        elif entry.name.startswith("."):
            if matches is None or matches(entry.path[strip:]):
                listing.skip(entry.path, "hidden")
        elif enters is None or enters(entry.path[strip:]):
            waiting.append(_sorted_entries(listing, entry.path))


def _sorted_entries(listing: _Listing, folder: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return iter(sorted(entries, key=lambda entry: entry.name))
    except OSError:
        listing.skip(folder, "unreadable-folder")
        return iter(())
