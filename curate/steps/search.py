"""`search`: the samples nearest to a text, an image or another sample."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from curate import plugins
from curate.catalog import datasets, vectors
from curate.catalog.vectors import EmbedderRow, Found, Origin
from curate.embedders import Embedder
from curate.embedding.specs import canonical_spec, loaded, spec_modalities
from curate.errors import BadRecord, InputError, SettingError, WorkError
from curate.indexes import Index
from curate.indexes.snapshots.choose import choose
from curate.indexes.snapshots.snapshot import load_snapshot, save_snapshot
from curate.readers import ReadOptions
from curate.readers.parsing.image_facts import inspect_image
from curate.retrieval.querying import CONDITION_TIMEOUT_S, checked, matching
from curate.workspace import Workspace

EXCERPT_CHARACTERS = 200
HIGHEST_K = 10_000


@dataclass(frozen=True, slots=True)
class Hit:
    """A sample that was found.

    Attributes:
        score: cosine, -1 to 1.
        state: kept or dropped (real), accepted or refused (synthetic).
        excerpt: the start of its text, white space squeezed; None for an image.
        path: where its blob lies; None for a text.
    """

    sample_id: int
    score: float
    origin: str
    dataset: str
    label: str | None
    state: str
    excerpt: str | None
    path: str | None


@dataclass(frozen=True, slots=True)
class SearchReport:
    """What was found, best first.

    Attributes:
        index: the index that answered, in words.
        exact: whether these are certainly the nearest ones.
        candidates: how many samples could have been hits.
    """

    hits: tuple[Hit, ...]
    embedder: str
    index: str
    exact: bool
    candidates: int
    seconds: float
    notes: tuple[str, ...] = ()


def search(
    workspace: Workspace,
    text: str | None = None,
    *,
    image: str | Path | None = None,
    like: int | None = None,
    dataset: str | None = None,
    where: str | None = None,
    k: int = 10,
    embedder: str | Embedder | None = None,
    origin: Literal["real", "synthetic", "all"] = "all",
    dropped: bool = False,
    timeout_s: float = CONDITION_TIMEOUT_S,
) -> SearchReport:
    """Find the samples nearest to a text, to an image file, or to the sample with the id `like`.

    Args:
        dataset: search in this one; None for all.
        where: a boolean SQL expression over the view `samples`; it runs as `sql` does, in a process that can only read.
        embedder: whose vectors are compared; by default the workspace's for what is looked for, else one that can take it.
        origin: real or synthetic samples, or both.
        dropped: also find samples that were dropped or refused.
        timeout_s: seconds that the condition may take.

    Raises:
        SettingError: not exactly one thing is looked for, the text is blank, or the vectors cannot be compared with it.
        InputError: there are no vectors, or no such dataset, file or sample.
    """
    started = time.monotonic()
    if sum(given is not None for given in (text, image, like)) != 1:
        raise SettingError(
            "search needs one of a text, an image and a sample", hint='curate search "TEXT", or --image FILE, or --like ID'
        )
    if text is not None and not text.strip():
        raise SettingError("a blank text is near to nothing", hint='curate search "TEXT"')
    if not 1 <= k <= HIGHEST_K:
        raise SettingError(f"k is 1 to {HIGHEST_K:,}, got {k:,}", hint="-k 10; curate sql has no such limit")
    if origin not in ("real", "synthetic", "all"):
        raise SettingError(f"origin is real, synthetic or all, got {origin!r}", hint="--origin all")
    home = datasets.find(workspace.catalog, dataset) if dataset else None
    row = _choose_embedder(workspace, home, "text" if text is not None else "image", like, embedder)
    notes: list[str] = []
    allowed, candidates = _allowed(workspace, row, home, origin, dropped, where, like, timeout_s)
    index = _index(workspace, row, home, notes)
    query = _query_vector(workspace, row, text, image, like, embedder)
    ids, scores = index.search(query[None, :], min(k, max(candidates, 1)), allowed=allowed)
    there = ids[0] >= 0
    shown = vectors.found(workspace.catalog, ids[0][there])
    return SearchReport(
        hits=tuple(_hit(workspace, shown[int(i)], float(s)) for i, s in zip(ids[0][there], scores[0][there], strict=True)),
        embedder=row.spec,
        index=index.description,
        exact=index.exact,
        candidates=candidates,
        seconds=round(time.monotonic() - started, 3),
        notes=tuple(notes),
    )


def _choose_embedder(
    workspace: Workspace, home: datasets.Dataset | None, modality: str, like: int | None, embedder: str | Embedder | None
) -> EmbedderRow:
    """The embedder whose vectors are searched."""
    catalog = workspace.catalog
    place = home.dataset_id if home else None
    where = repr(home.name) if home else "this workspace"
    target = home.name if home else "DATASET"
    rows = [row for row in vectors.embedders(catalog) if vectors.extent(catalog, row.slug, place).vectors]
    if embedder is not None:
        spec = canonical_spec(embedder) if isinstance(embedder, str) else None
        named = [row for row in rows if (row.spec == spec if spec else row.slug == getattr(embedder, "slug", None))]
        if not named:
            raise InputError(
                f"{where} has no vectors by {spec or 'that embedder'}",
                hint=f"curate embed {target} --embedder {spec or 'NAME'}",
            )
        rows = named
    if not rows:
        raise InputError(f"{where} has no vectors yet", hint=f"curate embed {target}")
    if like is not None:
        return _embedder_of_sample(workspace, rows, like)
    able = [row for row in rows if modality in spec_modalities(row.spec)]
    if not able:
        other, option = ("image", "--image FILE") if modality == "text" else ("text", "a text")
        raise SettingError(
            f"the vectors of {where} ({', '.join(row.slug for row in rows)}) can be searched by {other}, not by {modality}",
            hint=f"{option}, or embed with a model that takes both: curate embed {target} --embedder clip:MODEL",
        )
    preferred = canonical_spec(getattr(workspace.settings.embedders, modality))
    return next((row for row in able if row.spec == preferred), able[0])


def _embedder_of_sample(workspace: Workspace, rows: list[EmbedderRow], like: int) -> EmbedderRow:
    have = set(vectors.having(workspace.catalog, like))
    able = [row for row in rows if row.slug in have]
    sample = vectors.found(workspace.catalog, np.array([like], np.int64)).get(like)
    if sample is None:
        raise InputError(f"there is no sample {like}", hint='curate sql "SELECT sample_id FROM samples LIMIT 5"')
    if not able:
        raise InputError(f"sample {like} has no vector to compare", hint=f"curate embed {sample.dataset}")
    preferred = canonical_spec(getattr(workspace.settings.embedders, sample.modality))
    return next((row for row in able if row.spec == preferred), able[0])


def _allowed(
    workspace: Workspace,
    row: EmbedderRow,
    home: datasets.Dataset | None,
    origin: Origin,
    dropped: bool,
    where: str | None,
    like: int | None,
    timeout_s: float,
) -> tuple[NDArray[np.int64] | None, int]:
    """Ids that may be hits, None for all that are indexed, and how many they are."""
    place = home.dataset_id if home else None
    states = ("kept", "accepted", "dropped", "refused") if dropped else ("kept", "accepted")
    ids = vectors.in_state(workspace.catalog, row.slug, place, origin=origin, states=states)
    if where is not None:
        ids = np.intersect1d(ids, matching(workspace, where, timeout_s=timeout_s), assume_unique=True)
    if like is not None:
        ids = ids[ids != like]
    everything = len(ids) == vectors.extent(workspace.catalog, row.slug, place).vectors
    return (None if everything else ids), len(ids)


def _index(workspace: Workspace, row: EmbedderRow, home: datasets.Dataset | None, notes: list[str]) -> Index:
    """The index over the vectors in scope: the kept snapshot, or one that is built now."""
    catalog = workspace.catalog
    place = home.dataset_id if home else None
    extent = vectors.extent(catalog, row.slug, place)
    manifest = {"slug": row.slug, "fingerprint": row.fingerprint, "dataset": place, **extent._asdict()}
    folder = workspace.root / "indexes" / row.slug / (home.name if home else "_all")
    kept = load_snapshot(folder, manifest)
    if kept is not None:
        return kept
    ids, matrix = vectors.load(
        catalog,
        row.slug,
        dataset_id=place,
        origin="all",
        memory_bytes=workspace.memory_bytes // 2,
        spill=workspace.root / "indexes" / "spill",
    )
    name = choose(len(ids))
    built: Index = plugins.load("indexes", name).build(matrix, ids, threads=workspace.threads)
    try:
        save_snapshot(built, name, folder, manifest)
    except WorkError as error:
        notes.append(f"{error}; the next search builds it again")
    return built


def _query_vector(
    workspace: Workspace,
    row: EmbedderRow,
    text: str | None,
    image: str | Path | None,
    like: int | None,
    embedder: str | Embedder | None,
) -> NDArray[np.float32]:
    """(dimension,) the vector of what is looked for."""
    if like is not None:
        return vectors.load(workspace.catalog, row.slug, sample_ids=np.array([like], np.int64), origin="all")[1][0]
    data = _read_image(Path(image)) if image is not None else b""
    with loaded(workspace, row.spec if embedder is None or isinstance(embedder, str) else embedder) as model:
        checked(model, row)
        if text is not None:
            return model.embed_texts([text])[0]
        try:
            inspect_image(data, ReadOptions().max_pixels)
        except BadRecord as bad:
            raise InputError(f"{image} cannot be read as an image: {bad.detail or bad.reason}") from bad
        return model.embed_images([data])[0]


def _read_image(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", hint="--image FILE") from error


def _hit(workspace: Workspace, sample: Found, score: float) -> Hit:
    store = workspace.real if sample.origin == "real" else workspace.synthetic
    return Hit(
        sample_id=sample.sample_id,
        score=round(score, 6),
        origin=sample.origin,
        dataset=sample.dataset,
        label=sample.label,
        state=sample.state,
        excerpt=excerpt(sample.text) if sample.text is not None else None,
        path=str(store.path(sample.blob)) if sample.blob is not None else None,
    )


def excerpt(text: str, characters: int = EXCERPT_CHARACTERS) -> str:
    """The start of a text on one line."""
    line = " ".join(text.split())
    return line if len(line) <= characters else line[: characters - 1] + "…"
