"""One batch of an ingest: what was read since the last commit, over one long source or many short ones."""

from __future__ import annotations

import hashlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from curate.catalog import samples, sources
from curate.catalog.sources import Source
from curate.errors import BadRecord
from curate.ingestion.identity import identity_keys, occurrences
from curate.ingestion.selection import Picked, Selection, metadata_json
from curate.modalities import Facts, Limits, load_modality
from curate.readers import ReadOptions
from curate.readers.opening.sources import SourceFile
from curate.records import Record, Reject, Skip
from curate.workspace import BlobStore

if TYPE_CHECKING:
    from curate.ingestion.reading_pass import ReadingPass

_DECODE_CHUNK = 64
# The IPTC digital source type of generated media, as curate's own exports and many generators write it into the file.
_MADE_BY_MODEL = b"trainedAlgorithmicMedia"


class Tally:
    """The counts of a whole run."""

    def __init__(self) -> None:
        self.read = self.added = self.unchanged = self.rejected = self.changed = self.updated = 0
        self.skipped: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()

    def add_unchanged_file(self, old: Source) -> None:
        """Count a file that was not opened, as it was counted when it was last read."""
        self.read += old.read
        self.unchanged += old.read - old.rejected
        self.rejected += old.rejected
        if old.rejected:
            self.reasons["(as before, in unchanged files)"] += old.rejected
        if old.skipped:
            self.skipped["(as before, in unchanged files)"] += old.skipped

    def counts(self) -> dict[str, int]:
        """The figures that the run's row holds."""
        return {name: getattr(self, name) for name in ("read", "added", "unchanged", "rejected", "changed", "updated")}

    def notes(self, update: bool) -> tuple[str, ...]:
        """What the user should know beside the figures."""
        if self.changed and not update:
            return (
                f"{self.changed:,} records are here already and now come with another label, id or metadata; "
                "they were left as they are (--update takes the new ones over)",
            )
        return ()


@dataclass(slots=True)
class SourceState:
    """A source while it is read; its counts grow over the batches that it spans."""

    source_id: int
    file: SourceFile
    read: int = 0
    rejected: int = 0
    skipped: int = 0


class Batch:
    """Records, rejects and the state of their sources, committed in one transaction."""

    def __init__(self, options: ReadOptions, update: bool, allow_synthetic: bool) -> None:
        self._options = options
        self._update = update
        self._allow_synthetic = allow_synthetic
        self._sources: list[SourceState] = []
        self._begun: set[int] = set()
        self._complete: set[int] = set()
        self._picked: list[Picked] = []
        self._origin: list[tuple[SourceState, str]] = []  # source and locator of each picked record
        self._facts: list[Facts] = []
        self._hashes: list[str] = []
        self._rejects: list[tuple[int, str, str, str]] = []
        self.skipped: Counter[str] = Counter()
        self.bytes = 0

    @property
    def records(self) -> int:
        """How many records and rejects it holds."""
        return len(self._picked) + len(self._rejects)

    @property
    def sources(self) -> int:
        """How many sources it touches."""
        return len(self._sources)

    def open_source(self, source: SourceState, *, begins: bool) -> None:
        """What follows stands in this source, which begins here or goes on from the batch before."""
        self._sources.append(source)
        if begins:
            self._begun.add(source.source_id)

    def close_source(self) -> None:
        """Say that the newest source was read to its end."""
        self._complete.add(self._sources[-1].source_id)

    def add(self, record: Record, file: SourceFile, selection: Selection) -> None:
        """Pick the fields of a record; what cannot be picked is a reject."""
        try:
            picked = selection.pick(record, file)
            if not self._allow_synthetic:
                _refuse_synthetic(record, picked)
        except BadRecord as bad:
            self.reject(Reject(record.locator, bad.reason, bad.detail))
            return
        here = self._sources[-1]
        here.read += 1
        self._picked.append(picked)
        self._origin.append((here, record.locator))
        self.bytes += len(picked.media) if picked.media is not None else len(picked.text or "")

    def reject(self, reject: Reject) -> None:
        """Count and keep a record that cannot be taken."""
        here = self._sources[-1]
        here.read += 1
        here.rejected += 1
        self._rejects.append((here.source_id, reject.locator, reject.reason, reject.excerpt[:200]))

    def skip(self, skip: Skip) -> None:
        """Count a member that no reader takes."""
        self._sources[-1].skipped += 1
        self.skipped[skip.reason] += 1

    def decode(self, pool: ThreadPoolExecutor) -> None:
        """Hash every record and let its modality validate it; those that are not sound become rejects."""
        chunks = [self._picked[i : i + _DECODE_CHUNK] for i in range(0, len(self._picked), _DECODE_CHUNK)]
        outcomes = [outcome for chunk in pool.map(self._examine, chunks) for outcome in chunk]
        bad = {n for n, outcome in enumerate(outcomes) if isinstance(outcome, BadRecord)}
        for n in sorted(bad):
            source, locator = self._origin[n]
            source.rejected += 1
            self._rejects.append((source.source_id, locator, outcomes[n].reason, outcomes[n].detail[:200]))
        self._picked = [p for n, p in enumerate(self._picked) if n not in bad]
        self._origin = [o for n, o in enumerate(self._origin) if n not in bad]
        self._hashes = [o[0] for n, o in enumerate(outcomes) if n not in bad]
        self._facts = [o[1] for n, o in enumerate(outcomes) if n not in bad]

    def _examine(self, chunk: list[Picked]) -> list[Any]:
        limits = Limits(max_pixels=self._options.max_pixels)
        outcomes: list[Any] = []
        for picked in chunk:
            try:
                content = picked.media if picked.media is not None else picked.text or ""
                facts = load_modality(picked.modality).inspect(content, limits)
                encoded = content.encode() if isinstance(content, str) else content
                outcomes.append((hashlib.sha256(encoded).hexdigest(), facts))
            except BadRecord as bad:
                outcomes.append(bad)
        return outcomes

    def commit(self, run: ReadingPass) -> None:
        """Write blobs, then rows, source states and counts in one transaction."""
        ids = np.array([source.source_id for source, _ in self._origin], dtype=np.int64)
        keys = identity_keys(ids, self._hashes)
        nth = run.seen.count(keys) + occurrences(keys)
        is_new = nth >= run.existing.count(keys)
        run.seen.add(keys)
        run.workspace.real.write(
            (BlobStore.name(self._hashes[n], self._suffix(n)), self._media(n))
            for n in np.flatnonzero(is_new).tolist()
            if self._picked[n].media is not None
        )
        tally = run.tally
        catalog = run.workspace.catalog
        with catalog.transaction():
            sources.put(catalog, self._source_table(run))
            if self._rejects:
                sources.add_rejects(catalog, self._reject_table(run.run.run_id))
            samples.add(catalog, self._sample_table(run, np.flatnonzero(is_new), nth))
            again = self._again_table(np.flatnonzero(~is_new), nth)
            if again.num_rows:
                tally.changed += samples.count_changed(catalog, again)
                tally.updated += samples.update_changed(catalog, again) if self._update else 0
            tally.read += len(self._picked) + len(self._rejects)
            tally.added += int(is_new.sum())
            tally.unchanged += int((~is_new).sum())
            tally.rejected += len(self._rejects)
            tally.reasons.update(reason for _, _, reason, _ in self._rejects)
            tally.skipped.update(self.skipped)
            run.run.commit_counts(tally.counts())

    def _media(self, n: int) -> bytes:
        media = self._picked[n].media
        assert media is not None
        return media

    def _suffix(self, n: int) -> str:
        return self._facts[n].suffix

    def _source_table(self, run: ReadingPass) -> pa.Table:
        rows = [
            {
                "source_id": source.source_id,
                "dataset_id": run.home.dataset_id,
                "uri": str(source.file.path),
                "root": str(source.file.root),
                "size_bytes": source.file.size_bytes,
                "modified_ns": source.file.modified_ns,
                "settings_hash": run.settings_hash,
                "complete": source.source_id in self._complete,
                "read": source.read,
                "rejected": source.rejected,
                "skipped": source.skipped,
                "run_id": run.run.run_id,
                "fresh": source.source_id in self._begun,
            }
            for source in self._sources
        ]
        return pa.Table.from_pylist(rows, schema=_SOURCES)

    def _reject_table(self, run_id: int) -> pa.Table:
        columns = list(zip(*self._rejects, strict=True)) or [(), (), (), ()]
        return pa.table([[run_id] * len(self._rejects), *columns], schema=_REJECTS)

    def _sample_table(self, run: ReadingPass, rows: np.ndarray, nth: np.ndarray) -> pa.Table:
        picked = [self._picked[n] for n in rows]
        facts = [self._facts[n] for n in rows]
        names = [
            BlobStore.name(self._hashes[n], f.suffix) if p.media is not None else None
            for n, p, f in zip(rows, picked, facts, strict=True)
        ]
        return pa.table(
            [
                sources.reserve_ids(run.workspace.catalog, "sample_ids", len(rows)),
                [run.home.dataset_id] * len(rows),
                [self._origin[n][0].source_id for n in rows],
                [self._origin[n][1] for n in rows],
                [p.modality for p in picked],
                [self._hashes[n] for n in rows],
                nth[rows],
                [p.external_id for p in picked],
                [p.label for p in picked],
                [p.text for p in picked],
                names,
                [len(p.media) if p.media is not None else len((p.text or "").encode()) for p in picked],
                [f.width for f in facts],
                [f.height for f in facts],
                [metadata_json(f.others) if f.others else None for f in facts],
                [metadata_json(p.metadata) if p.metadata else None for p in picked],
                [run.run.run_id] * len(rows),
            ],
            schema=_SAMPLES,
        )

    def _again_table(self, rows: np.ndarray, nth: np.ndarray) -> pa.Table:
        picked = [self._picked[n] for n in rows]
        return pa.table(
            [
                [self._origin[n][0].source_id for n in rows],
                [self._hashes[n] for n in rows],
                nth[rows],
                [p.external_id for p in picked],
                [p.label for p in picked],
                [metadata_json(p.metadata) if p.metadata else None for p in picked],
            ],
            schema=_AGAIN,
        )


_SOURCES = pa.schema(
    [
        ("source_id", pa.int64()),
        ("dataset_id", pa.int32()),
        ("uri", pa.string()),
        ("root", pa.string()),
        ("size_bytes", pa.int64()),
        ("modified_ns", pa.int64()),
        ("settings_hash", pa.string()),
        ("complete", pa.bool_()),
        ("read", pa.int64()),
        ("rejected", pa.int64()),
        ("skipped", pa.int64()),
        ("run_id", pa.int32()),
        ("fresh", pa.bool_()),
    ]
)
_REJECTS = pa.schema(
    [
        ("run_id", pa.int32()),
        ("source_id", pa.int64()),
        ("locator", pa.string()),
        ("reason", pa.string()),
        ("excerpt", pa.string()),
    ]
)
_SAMPLES = pa.schema(
    [
        ("sample_id", pa.int64()),
        ("dataset_id", pa.int32()),
        ("source_id", pa.int64()),
        ("locator", pa.string()),
        ("modality", pa.string()),
        ("content_hash", pa.string()),
        ("occurrence", pa.int32()),
        ("external_id", pa.string()),
        ("label", pa.string()),
        ("text", pa.large_string()),
        ("blob", pa.string()),
        ("size_bytes", pa.int64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("facts", pa.string()),
        ("metadata", pa.string()),
        ("run_id", pa.int32()),
    ]
)
_AGAIN = pa.schema(
    [
        ("source_id", pa.int64()),
        ("content_hash", pa.string()),
        ("occurrence", pa.int64()),
        ("external_id", pa.string()),
        ("label", pa.string()),
        ("metadata", pa.string()),
    ]
)


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
