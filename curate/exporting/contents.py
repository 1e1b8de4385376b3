"""The rows of an export: which they are, in which order, and their figures."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any

from curate import __version__
from curate.catalog import exports, protections, runs, splits
from curate.catalog.exports import Origin
from curate.catalog.splits import Resolved, Split
from curate.errors import InputError, WorkspaceDamaged
from curate.modalities import load_modality
from curate.records import MediaColumn
from curate.workspace import BlobStore, Workspace
from curate.writers import ExportInfo, ExportRow, Written
from curate.writers.cards.dataset_card import CardFacts, ModelFacts, ProtectionFacts
from curate.writers.layout.columns import ColumnTypes
from curate.writers.layout.files import WHOLE

_MIXED_MEDIA = MediaColumn("media", "media", "The media file.")


class Contents:
    """The rows of an export: which they are, and their figures."""

    def __init__(self, workspace: Workspace, what: Resolved, share: float | None) -> None:
        self._workspace = workspace
        self._catalog = workspace.catalog
        self.what = what
        self.name = name_of(what)
        self.labels: dict[str, Counter[str]] = defaultdict(Counter)
        self.notes: list[str] = []
        self.models: tuple[ModelFacts, ...] = ()
        self.real = self.synthetic = self.left_out = 0
        self._modalities: set[str] = set()
        self._types = ColumnTypes()
        self._count_real()
        if share is not None and what.split is not None:
            self._choose_synthetic(what.split, share)

    def _count_real(self) -> None:
        counted = exports.real_counts(self._catalog, self.what)
        if not counted:
            raise InputError(f"{self.name} has no sample to export", hint="curate status")
        self.parts = exports.parts_of(self.what, counted)
        self._trained: Counter[str | None] = Counter()
        for part, modality, label, count in counted:
            self.real += count
            self._modalities.add(modality)
            if part == "train":
                self._trained[label] += count
            if label is not None:
                self.labels[label][part or WHOLE] += count
        for batch in exports.real_metadata(self._catalog, self.what):
            for text in batch["metadata"].to_pylist():
                self._types.add(json.loads(text))
        if self.what.split is not None:
            warned = runs.counts_of(self._catalog, self.what.split.run_id).get("notes", ())
            self.notes += [f"{self.what.split.reference}: {note}" for note in warned]
            since = splits.dropped_since(self._catalog, self.what.split)
            if since:
                self.notes.append(
                    f"{since:,} members of {self.what.split.reference} were dropped since it was frozen; they are in all that"
                    f" is exported of it, and curate split {self.what.dataset.name} freezes a version without them"
                )

    def _choose_synthetic(self, split: Split, share: float) -> None:
        """Admit drawn samples up to the share, and say of the others why they stay out."""
        models = exports.drawn_models(self._catalog, split)
        exact = Fraction(str(share))
        ceiling = {label: int(count * exact / (1 - exact)) for label, count in self._trained.items()}
        clean = [model for model in models if model.is_clean]
        exports.choose_synthetic(self._catalog, [model.model_id for model in clean], ceiling)
        drawn: Counter[str] = Counter()
        for modality, label, model, count in exports.synthetic_counts(self._catalog):
            self.synthetic += count
            self._modalities.add(modality)
            drawn[model] += count
            if label is not None:
                self.labels[label]["train"] += count
        self.left_out = sum(model.samples for model in clean) - self.synthetic
        self.models = tuple(ModelFacts(m.name, m.family, m.trained_on, drawn[m.name]) for m in clean if drawn[m.name])
        for page in self._synthetic_pages():
            for text in page["metadata"].to_pylist():
                self._types.add(json.loads(text) if text else {})
        if self.left_out:
            self.notes.append(
                f"{self.left_out:,} accepted synthetic samples stay out: each label's rows are to be at most"
                f" {share:.0%} synthetic, and labels without a real row in train take none"
            )
        for other in models:
            if not other.is_clean and other.samples:
                self.notes.append(
                    f"{other.samples:,} samples of {other.name} stay out: it learned from {other.trained_on}, which is"
                    " another split or holds samples that are held out here"
                )
        if not self.synthetic:
            self.notes.append("there was no synthetic sample to include")

    def info(self, options: dict[str, Any]) -> ExportInfo:
        """What the writer is told of the rows before it sees them."""
        kinds = sorted(map(load_modality, self._modalities), key=lambda kind: (kind.stored != "text", kind.plural))
        media = [kind.column for kind in kinds if kind.column is not None]
        return ExportInfo(
            name=self.name,
            modalities=tuple(sorted(self._modalities)),
            parts=self.parts,
            labels=tuple(sorted(self.labels)),
            columns=self._types.columns,
            types=self._types.types,
            options=options,
            texts=any(kind.stored == "text" for kind in kinds),
            media=media[0] if len(media) == 1 else _MIXED_MEDIA if media else None,
            noun=" and ".join(kind.plural for kind in kinds),
        )

    def rows(self) -> Iterator[ExportRow]:
        """Every row: the real ones by id, then the synthetic ones by id."""
        for batch in exports.real_rows(self._catalog, self.what):
            for row in batch.to_pylist():
                yield self._real_row(row)
            self._workspace.progress.advance(batch.num_rows)
        if self.synthetic:
            for page in self._synthetic_pages():
                for row in page.to_pylist():
                    yield self._synthetic_row(row)
                self._workspace.progress.advance(page.num_rows)

    def _synthetic_pages(self) -> Iterator[Any]:
        last = 0
        while (page := exports.synthetic_batch(self._catalog, last)).num_rows:
            yield page
            last = page["sample_id"][-1].as_py()

    def _real_row(self, row: dict[str, Any]) -> ExportRow:
        media, suffix = read_media(self._workspace.real, row)
        return ExportRow(
            sample_id=row["sample_id"],
            origin="real",
            dataset=self.what.dataset.name,
            part=row["part"],
            label=row["label"],
            text=row["text"],
            media=media,
            suffix=suffix,
            content_hash=row["content_hash"],
            locator=" ".join(part for part in (_below(row["uri"], row["root"]), row["locator"]) if part),
            external_id=row["external_id"],
            metadata=json.loads(row["metadata"]) if row["metadata"] else {},
        )

    def _synthetic_row(self, row: dict[str, Any]) -> ExportRow:
        media, suffix = read_media(self._workspace.synthetic, row)
        return ExportRow(
            sample_id=row["sample_id"],
            origin="synthetic",
            dataset=self.what.dataset.name,
            part="train",
            label=row["label"],
            text=row["text"],
            media=media,
            suffix=suffix,
            content_hash=row["content_hash"],
            locator=f"{row['model']} draw {row['draw_index']}",
            external_id=None,
            metadata=json.loads(row["metadata"]) if row["metadata"] else {},
            model=row["model"],
            seed=row["seed"],
        )

    def card(self, written: Written, info: ExportInfo, format_: str, day: str) -> CardFacts:
        """All that the card says."""
        split, origin = self.what.split, self.origin()
        return CardFacts(
            name=self.name,
            format=format_,
            info=info,
            written=written,
            real=self.real,
            synthetic=self.synthetic,
            created=day,
            version=__version__,
            labels=self.labels,
            license=self.what.dataset.licence,
            source=self.what.dataset.source,
            description=self.what.dataset.notes or "",
            read=origin.read,
            rejected=origin.rejected,
            dropped=origin.dropped,
            kept=origin.kept,
            split=_in_words(split) if split else "",
            split_seed=split.seed if split else None,
            split_hash=split.members_hash if split else "",
            models=self.models,
            protections=tuple(
                ProtectionFacts(rule.reference, rule.described, protections.swept(self._catalog, rule)[1])
                for rule in protections.standing(self._catalog, of=self.what.dataset.dataset_id)
            ),
        )

    def digest(self) -> tuple[str, str]:
        """Figures that change with any row, real or synthetic."""
        drawn = exports.synthetic_digest(self._catalog) if self.synthetic else ""
        return exports.digest(self._catalog, self.what), drawn

    def origin(self) -> Origin:
        """How the dataset came to be what it is."""
        return exports.origin(self._catalog, self.what.dataset)


def name_of(what: Resolved) -> str:
    """What was named, exactly: "support", "support@default:1" or "support@default:1/train"."""
    if what.split is None:
        return what.dataset.name
    return what.split.reference + (f"/{what.part}" if what.part else "")


def read_media(store: BlobStore, row: Mapping[str, Any]) -> tuple[bytes | None, str]:
    """Read a row's blob and prove that it is what the catalog says; (None, "") where the row has none.

    Args:
        row: its sample_id, blob and content_hash.

    Raises:
        WorkspaceDamaged: the file is missing, or its hash is another.
    """
    if row["blob"] is None:
        return None, ""
    path = store.path(row["blob"])
    try:
        data = store.read(row["blob"])
    except OSError as error:
        raise WorkspaceDamaged(
            f"the blob {path} of sample {row['sample_id']} cannot be read: {error.strerror}", hint="curate check"
        ) from error
    if hashlib.sha256(data).hexdigest() != row["content_hash"]:
        raise WorkspaceDamaged(f"the blob {path} of sample {row['sample_id']} is not what its hash says", hint="curate check")
    return data, PurePosixPath(row["blob"]).suffix


def _below(uri: str, root: str) -> str:
    """The source's path below what was named, so that no export tells where things lie on this machine."""
    path = Path(uri)
    return path.relative_to(root).as_posix() if path != Path(root) and path.is_relative_to(root) else path.name


def _in_words(split: Split) -> str:
    recipe = split.recipe
    shares = ", ".join(f"{part} {share:g}" for part, share in recipe["ratios"].items())
    stratified = f", stratified by {recipe['stratify']}" if recipe["stratify"] else ""
    grouped = f", grouped by {recipe['group']}" if recipe["group"] else ""
    return f"{split.reference}, {shares}{stratified}{grouped}, duplicates together"
