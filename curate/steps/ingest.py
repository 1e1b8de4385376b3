"""`ingest`: reads files, or rows in memory, into the catalog, and accounts for every record."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from curate.arguments import as_items
from curate.catalog import changes, datasets, sources
from curate.catalog.changes import FieldChange
from curate.deduplication.upholding import uphold
from curate.errors import CurateError
from curate.ingestion.asked import Asked
from curate.ingestion.committing import Committer
from curate.ingestion.reading_pass import ReadingPass
from curate.ingestion.selection import Selection
from curate.ingestion.tally import Tally
from curate.modalities import Limits
from curate.readers import ReadOptions
from curate.readers.opening.memory import ArrowStream
from curate.reports import Report
from curate.workspace import Workspace


@dataclass(frozen=True, slots=True, repr=False)
class IngestReport(Report):
    """What came in; `read = added + unchanged + rejected`.

    Attributes:
        changed: of the unchanged, how many now come with another label, id or metadata.
        updated: how many of those were taken over (with `update`).
        files, files_unchanged: how many files were named, and how many of them were as they were at the last run.
        files_empty: how many hold no record at all.
        skipped: files that no reader takes, links and the like, by reason; they hold no records.
        reject_reasons: rejected records by reason.
        bytes_read: size of the files that were opened.
        changes: what an update changed, field by field; `revert` takes it back.
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
    files_empty: int
    skipped: dict[str, int]
    reject_reasons: dict[str, int]
    bytes_read: int
    changes: tuple[FieldChange, ...] = ()
    notes: tuple[str, ...] = ()


def ingest(
    workspace: Workspace,
    paths: str | Path | Sequence[str | Path] | Iterable[Mapping[str, Any]] | ArrowStream,
    *,
    dataset: str,
    text: str | Sequence[str] = (),
    label: str | None = None,
    id: str | None = None,
    image: str | None = None,
    label_from: str | None = None,
    split_on: Literal["file", "paragraphs", "lines"] = "file",
    delimiter: str | None = None,
    quote: str | None = None,
    include: str | Sequence[str] = (),
    exclude: str | Sequence[str] = (),
    licence: str | None = None,
    source: str | None = None,
    notes: str | None = None,
    update: bool = False,
    allow_synthetic: bool = False,
    name: str = "rows",
) -> IngestReport:
    """Read files, folders, globs, or rows in memory into a dataset.

    A second run adds nothing, and does not open files whose size and time are those of the last run. A killed
    run goes on where its last batch was committed.

    Args:
        paths: a file, folder or glob, or several; or rows: an iterable of dicts, a pandas or polars data frame, an Arrow table.
        dataset: made where there is none.
        text: field or fields that are the text, joined by a blank line; dotted paths reach into nested fields.
        label, id, image: fields that are the label, the user's own id, and the bytes of an image.
        label_from: "folder" (the parent folder's name) or "file-name REGEX".
        split_on: how a text file becomes samples.
        delimiter, quote: the sign between the cells of CSV and TSV files, and the one around cells that hold it; a quote "" is
            none. By default the delimiter of CSV is guessed, and quotes are letters in TSV.
        include, exclude: a glob or globs over paths below the folders and archives that are named.
        update: take over labels, ids and metadata that changed since the last run; a field that is not named, or that a row
            lacks, stays as it is. `revert` takes it back.
        allow_synthetic: take records that are marked as made by a model, as if they were real; otherwise they are rejects
            `marked-synthetic`: rows of curate's own exports, and images whose IPTC digital source type says so.
        name: of the source that rows in memory count as: those that it gave before are not added again.

    Raises:
        InputError: a path does not exist, nothing was found, or a named file has no reader.
        SettingError: a delimiter or quote is not one character, the fields that are named can never be there, or the
            dataset's name is not allowed.
    """
    started = time.monotonic()
    selection = Selection(text=as_items(text), label=label, id=id, image=image, label_from=label_from)
    asked = Asked(
        paths, name, selection, ReadOptions(split_on=split_on, delimiter=delimiter, quote=quote), as_items(include),
        as_items(exclude), allow_synthetic=allow_synthetic,
    )  # fmt: skip
    with workspace.run("ingest", dataset=dataset, settings={"paths": asked.named, **asked.settings}) as run:
        home = datasets.ensure(workspace.catalog, dataset, licence=licence, source=source, notes=notes)
        known = sources.known(workspace.catalog, home.dataset_id)
        tally = Tally()
        opened = asked.to_open(known, tally, all_of_them=update)
        committer = Committer(workspace, run, home.dataset_id, asked.settings_hash, tally, update=update)
        limits = Limits(max_pixels=asked.options.max_pixels)
        reading = ReadingPass(
            workspace, committer, selection, known, limits, allow_synthetic=allow_synthetic, fitted_before=tally.unchanged > 0
        )
        try:
            reading.read_all(opened, total=asked.total(opened), unit=asked.unit)
        except CurateError:
            datasets.forget_if_empty(workspace.catalog, dataset)
            raise
        run.commit_counts(tally.counts())
    return IngestReport(
        run_id=run.run_id,
        dataset=home.name,
        **tally.counts(),
        seconds=round(time.monotonic() - started, 3),
        files=asked.files,
        files_unchanged=asked.files - len(opened),
        files_empty=len(tally.empty),
        skipped=dict(tally.skipped.most_common()),
        reject_reasons=dict(tally.reasons.most_common()),
        bytes_read=sum(each.file.size_bytes for each in opened),
        changes=changes.made_by(workspace.catalog, run.run_id) if update else (),
        notes=(*tally.notes(update=update), *selection.notes(), *uphold(workspace, home)),
    )
