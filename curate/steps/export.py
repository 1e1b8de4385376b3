"""`export`: writes curated samples for a trainer, with all that says where they come from."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate import plugins
from curate.catalog import exports, splits
from curate.deduplication.upholding import uphold
from curate.errors import SettingError
from curate.exporting.again import fingerprint_of, same_export
from curate.exporting.contents import Contents
from curate.exporting.description import describe
from curate.exporting.folder import MANIFEST, check_target, whole_folder
from curate.reports import Report
from curate.workspace import Workspace


@dataclass(frozen=True, slots=True, repr=False)
class ExportReport(Report):
    """What was written.

    Attributes:
        changed: whether files were written; False where the folder held this very export, whole, already.
        name: what was exported, exactly: "support", "support@default:1" or "support@default:1/train".
        rows: by part; "data" where there are no parts.
        files, bytes: with the card, the Croissant file and the manifest.
        synthetic_left_out: accepted samples of the split's models that the share did not admit.
        manifest_hash: SHA-256 of manifest.json, which holds the hashes of all the other files.
    """

    run_id: int
    name: str
    format: str
    out: str
    changed: bool
    rows: dict[str, int]
    real: int
    synthetic: int
    synthetic_left_out: int
    files: int
    bytes: int
    members_hash: str | None
    manifest_hash: str
    seconds: float
    notes: tuple[str, ...] = ()


def export(
    workspace: Workspace,
    spec: str,
    *,
    format: str,
    out: str | Path,
    include_synthetic: bool = False,
    max_share: float = 0.5,
    overwrite: bool = False,
    options: Mapping[str, Any] | None = None,
) -> ExportReport:
    """Write samples into a folder, which appears only when all of it is written.

    The same export again finds nothing to do: where the folder holds it and every file is what its manifest says, nothing is
    written. Where anything changed, it is written beside the folder, and takes its place when it is whole.

    A dataset (`support`) is all its curated samples now; a split (`support/`, `support@name:2/train`) is its frozen members,
    also those dropped since, which the notes count.

    Args:
        spec: what to export; `curate.catalog.splits` states the grammar.
        format: a writer plug-in.
        out: a folder that does not exist, is empty, or holds an earlier export.
        include_synthetic: add to the train part accepted samples of models that learned from this split and from nothing
            that is held out in it. Never to another part.
        max_share: share of each label's rows in the train part that may be synthetic, at least 0 and under 1.
        overwrite: `out` may hold files that no export wrote; they are moved to a folder beside it, and nothing is deleted.
        options: of the format.

    Raises:
        SettingError: a setting is out of range, or synthetic samples are asked for where there is no train part.
        InputError: what is named is not there, is empty, or `out` is in use.
        WorkspaceDamaged: a blob is missing or is not what its hash says.
    """
    started = time.monotonic()
    writer = plugins.load("writers", format)()
    what = splits.resolve(workspace.catalog, spec)
    upheld = uphold(workspace, what.dataset)
    target = Path(out).resolve()
    if not 0 <= max_share < 1:
        raise SettingError(f"max_share must be at least 0 and under 1, got {max_share}", hint="--max-share 0.5")
    if include_synthetic and (what.split is None or what.part not in (None, "train")):
        raise SettingError(
            f"synthetic samples go into a train part only, and {spec!r} names none",
            hint=f"curate export {what.dataset.name}/train --include-synthetic",
        )
    strangers = check_target(target, overwrite=overwrite)
    settings = {"spec": spec, "format": format, "out": str(target), "include_synthetic": include_synthetic}
    settings |= {"max_share": max_share, "options": dict(options or {})}
    with workspace.run("export", dataset=what.dataset.name, settings=settings) as run:
        contents = Contents(workspace, what, max_share if include_synthetic else None)
        info = contents.info(dict(options or {}))
        fingerprint = fingerprint_of(contents, info, format, max_share if include_synthetic else None)
        manifest = None if strangers else same_export(target, fingerprint)
        changed, moved_to = manifest is None, None
        if manifest is None:
            command = exports.command(workspace.catalog, run.run_id)
            with whole_folder(target) as folder:
                workspace.progress.start(f"exporting {contents.name}", total=contents.real + contents.synthetic)
                written = writer.write(contents.rows(), folder.path, info)
                workspace.progress.finish()
                manifest = describe(folder.path, contents, info, written, format, command, fingerprint)
            moved_to = folder.strangers_at
        run.commit_counts(
            {"rows": manifest["rows"], "real": contents.real, "synthetic": contents.synthetic, "changed": changed}
        )
    held = (target / MANIFEST).read_bytes()
    moved = (f"{strangers:,} files that no export had written are in {moved_to} now",) if moved_to else ()
    return ExportReport(
        run_id=run.run_id,
        name=contents.name,
        format=format,
        out=str(target),
        changed=changed,
        rows=dict(manifest["rows"]),
        real=contents.real,
        synthetic=contents.synthetic,
        synthetic_left_out=contents.left_out,
        files=len(manifest["files"]) + 1,
        bytes=sum(file["size"] for file in manifest["files"]) + len(held),
        members_hash=what.split.members_hash if what.split else None,
        manifest_hash=hashlib.sha256(held).hexdigest(),
        seconds=round(time.monotonic() - started, 3),
        notes=(*upheld, *manifest["notes"], *moved),
    )


def parse_options(items: Iterable[str]) -> dict[str, Any]:
    """Read "key=value" items; a key alone is true, and hyphens are underscores.

    Raises:
        SettingError: an item has no key.
    """
    options: dict[str, Any] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not key.strip():
            raise SettingError(f"not a setting: {item!r}", hint="--option shard_size=100MB")
        options[key.strip().replace("-", "_")] = value if equals else True
    return options
