"""The files of an export: their hashes, their options, and the stream of rows that fills them."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from curate.errors import SettingError, WorkError
from curate.records import takes
from curate.writers import ExportInfo, ExportRow
from curate.writers.layout.names import safe_names, safe_suffix
from curate.writers.marking.c2pa import OPTIONS as SIGNING
from curate.writers.marking.c2pa import make_signer
from curate.writers.marking.iptc import MARKABLE, mark_synthetic

WHOLE = "data"
"""The part's name in files where a whole dataset is exported."""

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


class FileFacts(NamedTuple):
    """One written file: its path relative to the export's folder, its size in bytes and its SHA-256 in hex."""

    path: str
    size: int
    sha256: str


def file_facts(folder: Path, paths: Iterable[str]) -> Iterator[FileFacts]:
    """Hash files in the order given, a block at a time."""
    for path in paths:
        with (folder / path).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        yield FileFacts(path, (folder / path).stat().st_size, digest)


def check_request(format_: str, info: ExportInfo, modalities: frozenset[str], options: Mapping[str, str]) -> None:
    """Refuse, before anything is written, rows the format cannot hold and options it does not know.

    An option that is None or False counts as not given.

    Raises:
        SettingError: see above.
    """
    missing = [name for name in info.modalities if not takes(modalities, name)]
    if missing:
        raise SettingError(
            f"{format_} cannot hold {' and '.join(missing)}, and {info.name} is {' and '.join(info.modalities)}",
            hint="--format parquet holds every modality",
        )
    if takes(modalities, "image"):
        options = {**options, **SIGNING}
    unknown = sorted(k for k, v in info.options.items() if k not in options and v is not None and v is not False)
    if unknown:
        hint = "it takes " + ", ".join(sorted(options)) if options else "it takes none"
        raise SettingError(f"{format_} has no option {unknown[0]!r}", hint=hint)


def flag(info: ExportInfo, name: str) -> bool:
    """Read an option that is on or off; off where it was not given."""
    value = info.options.get(name)
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False, "": False}
    if value is None or isinstance(value, bool):
        return bool(value)
    if str(value).lower() not in words:
        raise SettingError(f"{name} must be true or false, got {value!r}")
    return words[str(value).lower()]


def size_option(info: ExportInfo, name: str, *, default: int) -> int:
    """Read an option that is a size: bytes, or a number with B, KB, MB, GB, KiB, MiB or GiB."""
    value = info.options.get(name)
    if value is None:
        return default
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", str(value).lower())
    size = int(float(match[1]) * _UNITS[match[2]]) if match and match[2] in _UNITS else 0
    if size < 1:
        raise SettingError(f"{name} must be a size of at least one byte, got {value!r}", hint="such as 500MB")
    return size


class Outgoing(NamedTuple):
    """A row with the name of its part's files and its media as it goes out: marked if synthetic."""

    row: ExportRow
    part: str
    media: bytes | None
    suffix: str


class Outbox:
    """Passes the rows on one by one: counts them by part, and marks (and signs, where that is wanted) synthetic media."""

    def __init__(self, info: ExportInfo) -> None:
        self.parts = {None: WHOLE} | safe_names(part for part in info.parts if part is not None)
        self.rows: dict[str, int] = {part if part is not None else WHOLE: 0 for part in info.parts}
        self._announced = set(info.parts)
        self._unmarked: Counter[str] = Counter()
        self._signer = make_signer(info.options)
        self._signed = 0

    def take(self, rows: Iterable[ExportRow]) -> Iterator[Outgoing]:
        """Yield every row, ready to be written.

        Raises:
            WorkError: a row's part was not announced, or a synthetic row names no model and seed.
        """
        for row in rows:
            if row.part not in self._announced:
                raise WorkError(f"sample {row.sample_id} is of part {row.part!r}, which the export did not announce")
            if row.origin == "synthetic" and (row.model is None or row.seed is None):
                raise WorkError(f"synthetic sample {row.sample_id} names no model or no seed")
            self.rows[row.part if row.part is not None else WHOLE] += 1
            yield Outgoing(row, self.parts[row.part], self._media(row), safe_suffix(row.suffix))

    def notes(self) -> list[str]:
        """Say how many synthetic images were signed, and which went out unmarked."""
        signed = [f"{self._signed:,} synthetic images carry signed content credentials (C2PA)"] if self._signer else []
        if not self._unmarked:
            return signed
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(self._unmarked.items()))
        return [*signed, f"synthetic images of kinds that cannot carry a mark went out unmarked: {kinds}"]

    def _media(self, row: ExportRow) -> bytes | None:
        if row.media is None or row.origin != "synthetic":
            return row.media
        if row.suffix.lower() not in MARKABLE or row.model is None or row.seed is None:
            self._unmarked[row.suffix or "no suffix"] += 1
            return row.media
        marked = mark_synthetic(row.media, row.suffix, model=row.model, seed=row.seed)
        if self._signer is None:
            return marked
        self._signed += 1
        return self._signer.sign(marked, row.suffix, model=row.model, seed=row.seed)


def class_index(labels: Iterable[str]) -> dict[str, int]:
    """Number the labels by their position."""
    return {label: index for index, label in enumerate(labels)}


def write_new(path: Path, data: bytes) -> None:
    """Write a file that must not exist yet, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(data)


def sample_name(sample_id: int, suffix: str) -> str:
    """Name a sample's media file by its id, so that no two are called the same and the name leads back."""
    return f"{sample_id:08d}{suffix}"
