"""`ingest`: reads files into the catalog, and accounts for every record."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from curate.catalog import datasets, samples, sources
from curate.catalog.datasets import Dataset
from curate.catalog.sources import Source
from curate.errors import CurateError, InputError
from curate.readers import ReadOptions
from curate.readers._open import read_file
from curate.readers._select import Selection
from curate.readers._sources import SourceFile, Sources, expand
from curate.records import Record, Reject
from curate.steps._identity import KeyCounter, identity_keys
from curate.steps._ingest_batch import Batch, SourceState, Tally
from curate.workspace import Run, Workspace

# Part of every source's settings hash: raise it when a reader or the picking of fields changes what a record becomes.
READING_VERSION = 1
BATCH_RECORDS = 8192
BATCH_BYTES = 32 * 2**20


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What came in; `read = added + unchanged + rejected`.

    Attributes:
        changed: of the unchanged, how many now come with another label, id or metadata.
        updated: how many of those were taken over (with `update`).
        files, files_unchanged: how many files were named, and how many of them were as they were at the last run.
        skipped: files that no reader takes, links and the like, by reason; they hold no records.
        reject_reasons: rejected records by reason.
        bytes_read: size of the files that were opened.
    """

    run_id: int
    dataset: str
    read: int
    added: int
    unchanged: int
    rejected: int
    seconds: float
    changed: int
    updated: int
    files: int
    files_unchanged: int
    skipped: dict[str, int]
    reject_reasons: dict[str, int]
    bytes_read: int
    notes: tuple[str, ...] = ()


def ingest(
    workspace: Workspace,
    paths: Sequence[str | Path],
    *,
    dataset: str,
    text: Sequence[str] = (),
    label: str | None = None,
    id: str | None = None,
    image: str | None = None,
    label_from: str | None = None,
    split_on: Literal["file", "paragraphs", "lines"] = "file",
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    licence: str | None = None,
    source: str | None = None,
    notes: str | None = None,
    update: bool = False,
    allow_synthetic: bool = False,
) -> IngestReport:
    """Read files, folders or globs into a dataset.

    A second run adds nothing, and does not open files whose size and time are those of the last run. A killed
    run goes on where its last batch was committed.

    Args:
        dataset: made where there is none.
        text: fields that are the text, joined by a blank line; dotted paths reach into nested fields.
        label, id, image: fields that are the label, the user's own id, and the bytes of an image.
        label_from: "folder" (the parent folder's name) or "file-name REGEX".
        split_on: how a text file becomes samples.
        include, exclude: globs over paths below the folders and archives that are named.
        update: take over labels, ids and metadata that changed since the last run.
        allow_synthetic: take records that are marked as made by a model, as if they were real; otherwise they are rejects
            `marked-synthetic`: rows of curate's own exports, and images whose IPTC digital source type says so.

    Raises:
        InputError: a path does not exist, nothing was found, or a named file has no reader.
        SettingError: the fields that are named can never be there, or the dataset's name is not allowed.
    """
    started = time.monotonic()
    selection = Selection(text=tuple(text), label=label, id=id, image=image, label_from=label_from)
    options = ReadOptions(split_on=split_on)
    found = _files(paths, include, exclude)
    fields = {"text": list(text), "label": label, "id": id, "image": image, "label_from": label_from}
    settings: dict[str, Any] = {
        "fields": fields,
        "options": asdict(options),
        "include": list(include),
        "exclude": list(exclude),
    }
    settings["allow_synthetic"] = allow_synthetic
    settings_hash = hashlib.sha256(json.dumps([READING_VERSION, settings], sort_keys=True).encode()).hexdigest()
    with workspace.run("ingest", dataset=dataset, settings={"paths": [str(p) for p in paths], **settings}) as run:
        home = datasets.ensure(workspace.catalog, dataset, licence=licence, source=source, notes=notes)
        known = sources.known(workspace.catalog, home.dataset_id)
        tally = Tally()
        tally.skipped.update(skip.reason for skip in found.skipped)
        fresh: list[SourceFile] = []
        for file in found.files:
            old = known.get(str(file.path))
            if old and _is_unchanged(old, file, settings_hash) and not update:
                tally.add_unchanged_file(old)
            else:
                fresh.append(file)
        reader = _Pass(
            workspace,
            run,
            home,
            known,
            settings_hash,
            selection,
            options,
            tally,
            update=update,
            allow_synthetic=allow_synthetic,
        )
        try:
            reader.read_all(fresh, tuple(include), tuple(exclude))
        except CurateError:
            datasets.forget_if_empty(workspace.catalog, dataset)
            raise
        run.commit_counts(tally.counts())
    return IngestReport(
        run_id=run.run_id,
        dataset=home.name,
        **tally.counts(),
        seconds=round(time.monotonic() - started, 3),
        files=len(found.files),
        files_unchanged=len(found.files) - len(fresh),
        skipped=dict(tally.skipped.most_common()),
        reject_reasons=dict(tally.reasons.most_common()),
        bytes_read=sum(file.size_bytes for file in fresh),
        notes=tally.notes(update),
    )


def _files(paths: Sequence[str | Path], include: Sequence[str], exclude: Sequence[str]) -> Sources:
    found = expand(paths, include=include, exclude=exclude)
    if not found.files:
        skipped = ", ".join(f"{n} {reason}" for reason, n in Counter(s.reason for s in found.skipped).most_common())
        raise InputError(f"nothing to read in {', '.join(map(str, paths))}" + (f" (skipped: {skipped})" if skipped else ""))
    return found


def _is_unchanged(old: Source, file: SourceFile, settings_hash: str) -> bool:
    return (
        old.complete
        and old.size_bytes == file.size_bytes
        and old.modified_ns == file.modified_ns
        and old.settings_hash == settings_hash
    )


class _Pass:
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
