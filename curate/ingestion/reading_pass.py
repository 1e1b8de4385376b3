"""One pass over the sources that must be read: reads here, examines in threads, commits the batch before meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from curate.catalog import sources
from curate.catalog.sources import Source
from curate.executors import executor
from curate.ingestion.batch import Batch, SourceState
from curate.ingestion.committing import Committer
from curate.ingestion.selection import Selection
from curate.modalities import Limits
from curate.readers.opening.open import Item
from curate.readers.opening.sources import SourceFile
from curate.records import Record, Reject
from curate.workspace import Workspace

BATCH_RECORDS = 8192
BATCH_BYTES = 32 * 2**20


@dataclass(frozen=True, slots=True)
class Opened:
    """A source to read: where it is, and what gives its records.

    Attributes:
        items: told how many more of the source's bytes were read, or of its rows where it lies in memory.
    """

    file: SourceFile
    items: Callable[[Callable[[int], None]], Iterable[Item]]


@dataclass(frozen=True)
class ReadingPass:
    """How sources are read.

    Attributes:
        known: the dataset's sources so far, by path.
        fitted_before: records were taken with these fields before.
    """

    workspace: Workspace
    committer: Committer
    selection: Selection
    known: Mapping[str, Source]
    limits: Limits
    allow_synthetic: bool
    fitted_before: bool

    def read_all(self, opened: Sequence[Opened], *, total: int | None, unit: str) -> None:
        """Read every source to its end, batch by batch.

        Raises:
            SettingError: a field that was named is in no row.
        """
        if not opened:
            return
        self.committer.load_existing(
            self.known[str(source.file.path)].source_id for source in opened if str(source.file.path) in self.known
        )
        progress = self.workspace.progress
        progress.start("reading", total=total, unit=unit)
        with ThreadPoolExecutor(1) as committing, executor("threads", self.workspace.threads) as examining:
            pending: Future[None] | None = None
            for batch in self._batches(opened):
                self.selection.check_names()
                batch.examine(examining, self.limits)
                if pending is not None:
                    pending.result()
                pending = committing.submit(self.committer.commit, batch)
            if pending is not None:
                pending.result()
        progress.finish()

    def _batches(self, opened: Sequence[Opened]) -> Iterator[Batch]:
        fresh = sum(str(source.file.path) not in self.known for source in opened)
        reserve = iter(sources.reserve_ids(self.workspace.catalog, "source_ids", fresh))
        batch = self._batch()
        for to_read in opened:
            old = self.known.get(str(to_read.file.path))
            source = SourceState(old.source_id if old else next(reserve), to_read.file)
            batch.open_source(source, begins=True)
            self.selection.begin_source(fitted_before=self.fitted_before)
            for item in to_read.items(self.workspace.progress.advance):
                self._put(batch, item, to_read.file)
                if batch.records >= BATCH_RECORDS or batch.bytes >= BATCH_BYTES:
                    yield batch
                    batch = self._batch()
                    batch.open_source(source, begins=False)
            batch.close_source()
            if len(batch.sources) >= BATCH_RECORDS:
                yield batch
                batch = self._batch()
        yield batch

    def _batch(self) -> Batch:
        return Batch(allow_synthetic=self.allow_synthetic)

    def _put(self, batch: Batch, item: Item, file: SourceFile) -> None:
        if isinstance(item, Record):
            batch.add(item, file, self.selection)
        elif isinstance(item, Reject):
            batch.reject(item)
        else:
            batch.skip(item)
