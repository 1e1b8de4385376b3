"""Which samples of a dataset lack a vector, and how they get one: window by window, each committed when it is made."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from curate.catalog import datasets, readings, samples, vectors
from curate.catalog.vectors import Content, EmbedderRow, Origin
from curate.embedders import Embedder, TextReader
from curate.embedding.pace import Pace
from curate.embedding.specs import canonical_spec, default_spec, loaded, spec_modalities
from curate.errors import InputError, SettingError, WorkspaceDamaged
from curate.modalities import load_modality
from curate.reports import Report
from curate.workspace import Run, Workspace

WINDOW_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class EmbedPass:
    """What one embedder did; `samples = embedded + copied + already`.

    Attributes:
        embedder: what to type after `--embedder`.
        slug: the vectors lie in the table `vectors_<slug>`.
        samples: how many the embedder was to see.
        embedded: contents that were computed now.
        copied: samples that took over the vector of an equal content.
        already: samples that had their vector before.
        replaced: vectors of an older model that were deleted, in every dataset.
    """

    embedder: str
    slug: str
    dimension: int
    description: str
    modalities: tuple[str, ...]
    samples: int
    embedded: int
    copied: int
    already: int
    replaced: int
    seconds: float


@dataclass(frozen=True, slots=True, repr=False)
class EmbedReport(Report):
    """What was embedded; `samples = embedded + copied + already + unsupported`.

    Attributes:
        unsupported: samples of a modality that the embedder cannot be shown.
        passes: one for each embedder that was used: a mixed dataset has one for text and one for images.
    """

    run_id: int
    dataset: str
    samples: int
    embedded: int
    copied: int
    already: int
    unsupported: int
    seconds: float
    passes: tuple[EmbedPass, ...]
    notes: tuple[str, ...] = ()


def embed_missing(
    workspace: Workspace,
    embedder: Embedder,
    dataset_id: int,
    modalities: Sequence[str],
    *,
    origin: Origin = "real",
    committed: Callable[[dict[str, int]], None] = lambda _: None,
) -> tuple[int, int]:
    """Compute and store the vectors that a dataset lacks, window by window; the embedder is registered already.

    Args:
        committed: told the counts so far, inside the transaction of each window.

    Returns:
        How many contents were embedded, and how many samples took over the vector of an equal content.
    """
    catalog, slug = workspace.catalog, embedder.slug
    with catalog.transaction():
        copied = vectors.copy_known(catalog, slug, dataset_id, modalities, origin=origin)
        readings.copy_known(catalog, slug, dataset_id)
        committed({"embedded": 0, "copied": copied})
    embedded = 0
    for modality in modalities:
        waiting = vectors.missing(catalog, slug, dataset_id, [modality], origin=origin)
        if not len(waiting):
            continue
        workspace.progress.start(f"embedding with {slug}", total=len(waiting), unit=load_modality(modality).plural)
        for window in _windows(workspace, waiting, modality):
            matrix = _show(workspace, embedder, modality, window)
            embedded += len(window)
            with catalog.transaction():
                ids = np.array([content.sample_id for content in window], np.int64)
                vectors.add(catalog, slug, ids, matrix)
                if modality == "text" and isinstance(embedder, TextReader):
                    readings.add(catalog, slug, ids, embedder.read_texts([content.text or "" for content in window]))
                committed({"embedded": embedded, "copied": copied})
        workspace.progress.finish()
    if embedded:
        with catalog.transaction():
            copied += vectors.copy_known(catalog, slug, dataset_id, modalities, origin=origin)
            readings.copy_known(catalog, slug, dataset_id)
            committed({"embedded": embedded, "copied": copied})
    return embedded, copied


def register_embedder(workspace: Workspace, embedder: Embedder, spec: str, *, replace: bool = False) -> int:
    """Make the embedder's row and table where they are not there; see `catalog.vectors.register`."""
    row = EmbedderRow(
        embedder.slug, spec, embedder.fingerprint, embedder.dimension, embedder.description, embedder.default_threshold
    )
    return vectors.register(workspace.catalog, row, replace=replace)


def _plan(workspace: Workspace, dataset: str, present: Sequence[str], embedder: str | None) -> list[tuple[str, list[str]]]:
    """Which embedder sees which modalities."""
    wanted: dict[str, list[str]] = {}
    for modality in present:
        spec = embedder if embedder is not None else default_spec(workspace, modality)
        wanted.setdefault(canonical_spec(spec), []).append(modality)
    return [(spec, _taken(spec, dataset, modalities)) for spec, modalities in wanted.items()]


def _taken(spec: str, dataset: str, modalities: Sequence[str]) -> list[str]:
    able = spec_modalities(spec)
    taken = [modality for modality in modalities if modality in able]
    if not taken:
        raise SettingError(
            f"{spec} embeds {' and '.join(sorted(able))}, and {dataset!r} holds {' and '.join(modalities)} only",
            hint=f"curate embed {dataset}  (without --embedder it takes the default of each modality)",
        )
    return taken


def _embed_with(
    workspace: Workspace, run: Run, home: datasets.Dataset, spec: str, taken: list[str], replace: bool
) -> EmbedPass:
    started = time.monotonic()
    catalog = workspace.catalog
    before = dict(run.counts)

    def committed(counts: dict[str, int]) -> None:
        run.commit_counts({**before, **{name: before.get(name, 0) + value for name, value in counts.items()}})

    with loaded(workspace, spec) as embedder:
        replaced = register_embedder(workspace, embedder, spec, replace=replace)
        total = sum(samples.count(catalog, home.dataset_id, modality) for modality in taken)
        embedded, copied = embed_missing(workspace, embedder, home.dataset_id, taken, committed=committed)
        return EmbedPass(
            embedder=spec,
            slug=embedder.slug,
            dimension=embedder.dimension,
            description=embedder.description,
            modalities=tuple(taken),
            samples=total,
            embedded=embedded,
            copied=copied,
            already=total - embedded - copied,
            replaced=replaced,
            seconds=round(time.monotonic() - started, 3),
        )


def _windows(workspace: Workspace, waiting: NDArray[np.int64], modality: str) -> Iterator[list[Content]]:
    """Fetch the contents window by window, each of which takes about `COMMIT_EVERY_S` to compute and commit."""
    pace, start = Pace(load_modality(modality).window), 0
    while start < len(waiting):
        offered = vectors.contents(workspace.catalog, waiting[start : start + pace.fetch])
        window = offered[: pace.begin([_cost(content) for content in offered])]
        yield window
        pace.end()
        start += len(window)


def _cost(content: Content) -> float:
    """About what a content costs to embed beside others of its modality: models read the start of a long text only."""
    return 1.0 if content.blob is not None else 50 + min(len(content.text or ""), 2000)


def _show(workspace: Workspace, embedder: Embedder, modality: str, window: list[Content]) -> NDArray[np.float32]:
    """(n, dimension) vectors of a window, in its order."""
    advance = workspace.progress.advance
    kind = load_modality(modality)
    if kind.stored == "text":
        return kind.embed(embedder, [cast(str, content.text) for content in window], advance)
    parts, chunk, held = [], [], 0
    for content in window:
        data = read_blob(workspace, content)
        chunk.append(data)
        held += len(data)
        if held >= WINDOW_BYTES:  # photographs: a window may be many times larger than what should be held
            parts.append(kind.embed(embedder, chunk, advance))
            chunk, held = [], 0
    if chunk:
        parts.append(kind.embed(embedder, chunk, advance))
    return np.concatenate(parts)


def read_blob(workspace: Workspace, content: Content) -> bytes:
    """The blob of a sample.

    Raises:
        WorkspaceDamaged: the blob is missing or cannot be read.
    """
    store = workspace.real if content.origin == "real" else workspace.synthetic
    try:
        return store.read(cast(str, content.blob))
    except OSError as error:
        raise WorkspaceDamaged(
            f"the blob of sample {content.sample_id} cannot be read: {store.path(str(content.blob))} ({error.strerror})",
            hint="curate check",
        ) from error


def embed_dataset(workspace: Workspace, dataset: str, *, embedder: str | None = None, replace: bool = False) -> EmbedReport:
    """Give every real sample of a dataset a vector, as a run of its own; the step `embed` says how."""
    started = time.monotonic()
    catalog = workspace.catalog
    home = datasets.find(catalog, dataset)
    present = samples.modalities(catalog, home.dataset_id)
    if not present:
        raise InputError(f"{dataset!r} has no samples yet", hint=f"curate ingest PATH --dataset {dataset}")
    plan = _plan(workspace, dataset, present, embedder)
    with workspace.run("embed", dataset=dataset, settings={"embedders": dict(plan), "replace": replace}) as run:
        passes = tuple(_embed_with(workspace, run, home, chosen, taken, replace) for chosen, taken in plan)
        total = samples.count(catalog, home.dataset_id)
        counts = {name: sum(getattr(done, name) for done in passes) for name in ("embedded", "copied", "already")}
        unsupported = total - sum(done.samples for done in passes)
        run.commit_counts({"samples": total, **counts, "unsupported": unsupported})
    return EmbedReport(
        run_id=run.run_id,
        dataset=dataset,
        samples=total,
        **counts,
        unsupported=unsupported,
        seconds=round(time.monotonic() - started, 3),
        passes=passes,
        notes=tuple(
            f"{done.replaced:,} vectors of an older {done.slug} were deleted; other datasets that had some need `embed` too"
            for done in passes
            if done.replaced
        ),
    )
