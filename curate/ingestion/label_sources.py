"""Labels that a file's path tells: the name of a folder above it, or what a regular expression finds in its name."""

from __future__ import annotations

import re
from collections.abc import Callable

from curate.errors import BadRecord, SettingError
from curate.readers.opening.sources import SourceFile
from curate.records import Record


def label_source(text: str) -> Callable[[Record, SourceFile], str]:
    """What gives a record's label, by "folder", "folder:2" or "file-name REGEX".

    Raises:
        SettingError: it is none of these.
    """
    kind, _, pattern = text.strip().partition(" ")
    if kind == "file-name" and pattern.strip():
        try:
            regex = re.compile(pattern.strip())
        except re.error as error:
            raise SettingError(f"the regular expression {pattern.strip()!r} cannot be read: {error}") from None
        return lambda record, source: _from_name(regex, record, source)
    match = re.fullmatch(r"folder(?::([1-9]\d?))?", text.strip())
    if match is None:
        raise SettingError(
            f"--label-from cannot be {text!r}",
            hint="""--label-from folder, --label-from folder:2 or --label-from 'file-name ^([a-z]+)_'""",
        )
    level = int(match[1] or 1)
    return lambda record, source: _from_folder(level, record, source)


def _from_name(regex: re.Pattern[str], record: Record, source: SourceFile) -> str:
    name = (record.path or source.path.name).rsplit("/", 1)[-1]
    match = regex.search(name)
    label = match and (match[1] if regex.groups else match[0])
    if not label:
        raise BadRecord("no-label-match", f"{regex.pattern!r} finds nothing in {name!r}"[:200])
    return label


def _from_folder(level: int, record: Record, source: SourceFile) -> str:
    parts = record.path.split("/") if record.path else source.path.parts[1:]
    if len(parts) <= level or not parts[-1 - level]:
        raise BadRecord("no-label-match", f"{record.path or source.path} has no folder {level} above it"[:200])
    return parts[-1 - level]
