"""`ingest`: reads files into the catalog, and accounts for every record."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from curate.arguments import as_items
from curate.catalog import datasets, sources
from curate.catalog.sources import Source
from curate.errors import CurateError, InputError
from curate.ingestion.batch import Tally
from curate.ingestion.reading_pass import ReadingPass
from curate.ingestion.selection import Selection
from curate.readers import ReadOptions
from curate.readers.opening.sources import SourceFile, Sources, expand
from curate.reports import Report
from curate.workspace import Workspace

# Part of every source's settings hash: raise it when a reader or the picking of fields changes what a record becomes.
READING_VERSION = 1


@dataclass(frozen=True, slots=True, repr=False)
class IngestReport(Report):
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
    paths: str | Path | Sequence[str | Path],
    *,
    dataset: str,
    text: str | Sequence[str] = (),
    label: str | None = None,
    id: str | None = None,
    image: str | None = None,
    label_from: str | None = None,
    split_on: Literal["file", "paragraphs", "lines"] = "file",
    include: str | Sequence[str] = (),
    exclude: str | Sequence[str] = (),
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
    paths, text, include, exclude = as_items(paths), as_items(text), as_items(include), as_items(exclude)
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
        reader = ReadingPass(
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
