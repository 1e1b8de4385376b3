"""One pass over the files that must be opened."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pyarrow as pa

from curate.catalog import samples, sources
from curate.catalog.datasets import Dataset
from curate.catalog.sources import Source
from curate.ingestion.batch import Batch, SourceState, Tally
from curate.ingestion.identity import KeyCounter, identity_keys
from curate.ingestion.selection import Selection
from curate.readers import ReadOptions
from curate.readers.opening.open import read_file
from curate.readers.opening.sources import SourceFile
from curate.records import Record, Reject
from curate.workspace import Run, Workspace

BATCH_RECORDS = 8192


BATCH_BYTES = 32 * 2**20


class ReadingPass:
    """One pass over the files that must be opened: reads here, decodes in threads, commits the batch before meanwhile."""

    def __init__(
        self,
        workspace: Workspace,
        run: Run,
        home: Dataset,
        known: dict[str, Source],
        settings_hash: str,
        selection: Selection,
        options: ReadOptions,
        tally: Tally,
        *,
        update: bool,
        allow_synthetic: bool,
    ) -> None:
        self.workspace = workspace
        self.run = run
        self.home = home
        self.known = known
        self.settings_hash = settings_hash
        self.selection = selection
        self.options = options
        self.tally = tally
        self.update = update
        self.allow_synthetic = allow_synthetic
        self.existing = KeyCounter()
        self.seen = KeyCounter()

    def read_all(self, files: list[SourceFile], include: tuple[str, ...], exclude: tuple[str, ...]) -> None:
        """Read every file to its end, batch by batch."""
        if not files:
            return
        self._load_existing(files)
        progress = self.workspace.progress
        progress.start("reading", total=sum(f.size_bytes for f in files), unit="bytes")
        with ThreadPoolExecutor(1) as committer, ThreadPoolExecutor(self.workspace.threads) as decoders:
            pending: Future[None] | None = None
            for batch in self._batches(files, include, exclude):
                batch.decode(decoders)
                if pending is not None:
                    pending.result()
                pending = committer.submit(batch.commit, self)
            if pending is not None:
                pending.result()
        progress.finish()

    def _load_existing(self, files: list[SourceFile]) -> None:
        again = [self.known[str(f.path)].source_id for f in files if str(f.path) in self.known]
        if again:
            for part in samples.identities(self.workspace.catalog, pa.table({"source_id": pa.array(again, pa.int64())})):
                self.existing.add(identity_keys(part["source_id"].to_numpy(), part["content_hash"].to_pylist()))

    def _batches(self, files: list[SourceFile], include: tuple[str, ...], exclude: tuple[str, ...]) -> Iterator[Batch]:
        reserve = iter(
            sources.reserve_ids(self.workspace.catalog, "source_ids", sum(str(f.path) not in self.known for f in files))
        )
        batch = Batch(self.options, self.update, self.allow_synthetic)
        for file in files:
            old = self.known.get(str(file.path))
            source = SourceState(old.source_id if old else next(reserve), file)
            batch.open_source(source, begins=True)
            self.selection.begin_source(fitted_before=self.tally.unchanged > 0)
            for item in read_file(file.path, self.options, include, exclude, self.workspace.progress.advance):
                if isinstance(item, Record):
                    batch.add(item, file, self.selection)
                elif isinstance(item, Reject):
                    batch.reject(item)
                else:
                    batch.skip(item)
                if batch.records >= BATCH_RECORDS or batch.bytes >= BATCH_BYTES:
                    yield batch
                    batch = Batch(self.options, self.update, self.allow_synthetic)
                    batch.open_source(source, begins=False)
            batch.close_source()
            if batch.sources >= BATCH_RECORDS:
                yield batch
                batch = Batch(self.options, self.update, self.allow_synthetic)
        yield batch
