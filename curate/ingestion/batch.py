"""One batch of an ingest: what was read since the last commit, over one long source or many short ones."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from curate.errors import BadRecord
from curate.executors import Executor
from curate.ingestion.selection import Picked, Selection
from curate.modalities import Facts, Limits, load_modality
from curate.readers.opening.sources import SourceFile
from curate.records import Record, Reject, Skip

DECODE_CHUNK = 64
# The IPTC digital source type of generated media, as curate's own exports and many generators write it into the file.
_MADE_BY_MODEL = b"trainedAlgorithmicMedia"


@dataclass(slots=True)
class SourceState:
    """A source while it is read; its counts grow over the batches that it spans."""

    source_id: int
    file: SourceFile
    read: int = 0
    rejected: int = 0
    skipped: int = 0


class Examined(NamedTuple):
    """What the content of a record turned out to be: its SHA-256 in hex, and its facts."""

    content_hash: str
    facts: Facts


class Taken(NamedTuple):
    """A record that becomes a sample, or is one already."""

    picked: Picked
    source: SourceState
    locator: str
    examined: Examined


class Refused(NamedTuple):
    """A record that cannot be taken, as the table `rejects` holds it."""

    source_id: int
    locator: str
    reason: str
    excerpt: str


class Batch:
    """Records, rejects and the state of their sources, which are committed in one transaction.

    Args:
        allow_synthetic: take records that are marked as made by a model.
    """

    def __init__(self, *, allow_synthetic: bool) -> None:
        self._allow_synthetic = allow_synthetic
        self._picked: list[tuple[Picked, SourceState, str]] = []
        self.sources: list[SourceState] = []
        self.begun: set[int] = set()
        self.complete: set[int] = set()
        self.taken: list[Taken] = []
        self.rejects: list[Refused] = []
        self.skipped: Counter[str] = Counter()
        self.empty: list[str] = []
        self.bytes = 0

    @property
    def records(self) -> int:
        """How many records and rejects it holds."""
        return len(self._picked) + len(self.rejects)

    def open_source(self, source: SourceState, *, begins: bool) -> None:
        """What follows stands in this source, which begins here or goes on from the batch before."""
        self.sources.append(source)
        if begins:
            self.begun.add(source.source_id)

    def close_source(self) -> None:
        """Say that the newest source was read to its end."""
        source = self.sources[-1]
        self.complete.add(source.source_id)
        if not source.read and not source.skipped:
            self.empty.append(str(source.file.path))

    def add(self, record: Record, file: SourceFile, selection: Selection) -> None:
        """Pick the fields of a record; what cannot be picked is a reject."""
        try:
            picked = selection.pick(record, file)
            if not self._allow_synthetic:
                _refuse_synthetic(record, picked)
        except BadRecord as bad:
            self.reject(Reject(record.locator, bad.reason, bad.detail))
            return
        here = self.sources[-1]
        here.read += 1
        self._picked.append((picked, here, record.locator))
        self.bytes += len(picked.media) if picked.media is not None else len(picked.text or "")

    def reject(self, reject: Reject) -> None:
        """Count and keep a record that cannot be taken."""
        here = self.sources[-1]
        here.read += 1
        here.rejected += 1
        self.rejects.append(_refused(here, reject.locator, reject.reason, reject.excerpt))

    def skip(self, skip: Skip) -> None:
        """Count a member that no reader takes."""
        self.sources[-1].skipped += 1
        self.skipped[skip.reason] += 1

    def examine(self, executor: Executor, limits: Limits) -> None:
        """Hash every record and let its modality validate it; those that are not sound become rejects."""
        picked = [entry[0] for entry in self._picked]
        chunks = [picked[start : start + DECODE_CHUNK] for start in range(0, len(picked), DECODE_CHUNK)]
        outcomes = (found for chunk in executor.map(partial(_examine, limits=limits), chunks) for found in chunk)
        for (record, source, locator), outcome in zip(self._picked, outcomes, strict=True):
            if isinstance(outcome, BadRecord):
                source.rejected += 1
                self.rejects.append(_refused(source, locator, outcome.reason, outcome.detail))
            else:
                self.taken.append(Taken(record, source, locator, outcome))
        self._picked = []


def _examine(chunk: list[Picked], *, limits: Limits) -> list[Examined | BadRecord]:
    outcomes: list[Examined | BadRecord] = []
    kinds = {name: load_modality(name) for name in {picked.modality for picked in chunk}}
    for picked in chunk:
        try:
            content = picked.content
            facts = kinds[picked.modality].inspect(content, limits)
            encoded = content.encode() if isinstance(content, str) else content
            outcomes.append(Examined(hashlib.sha256(encoded).hexdigest(), facts))
        except BadRecord as bad:
            outcomes.append(bad)
    return outcomes


def _refused(source: SourceState, locator: str, reason: str, excerpt: str) -> Refused:
    return Refused(source.source_id, locator, reason, excerpt[:200])


def _refuse_synthetic(record: Record, picked: Picked) -> None:
    """Keep machine-made records out of the real ones, above all those that curate itself exported.

    Raises:
        BadRecord: `marked-synthetic`.
    """
    fields = record.fields
    if fields is not None and fields.get("origin") == "synthetic" and fields.get("model") is not None:
        raise BadRecord("marked-synthetic", f"drawn by {fields['model']}")
    if picked.media is not None and _MADE_BY_MODEL in picked.media:
        raise BadRecord("marked-synthetic", "the file says trainedAlgorithmicMedia (IPTC)")
