"""Gathers what the report shows of each dataset and each model; every cap is said in a note."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from curate.catalog import datasets, evidence, models, overview, reporting, samples, splits, vectors
from curate.catalog.datasets import Dataset
from curate.catalog.models import ModelRow
from curate.catalog.reporting import DrawnExample, LabelCount, MetricRow, RejectReason, SourceCount
from curate.catalog.samples import Sample
from curate.catalog.splits import Split
from curate.differences import Piece, differences, excerpt, visible
from curate.reporting.charts import Chart, fit_in_map, loss_chart, marks, principal_plane
from curate.reporting.flow import Flow, Link, Node, lay_out
from curate.reporting.media import Thumbnail, Thumbnails
from curate.workspace import Workspace

LABELS = 30
GROUPS, MEMBERS = 6, 4
REAL = 12
PAIRS, NEAREST, REFUSED = 24, 6, 12
MAP_POINTS, ALL_POINTS = 3000, 15_000  # of one map, and of all maps of the page
MODELS = 8  # in the flow
REJECT_EXAMPLES = 4
LABEL_METRICS = 200
PARTS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Shown:
    """A sample as a card: a thumbnail or an excerpt."""

    sample_id: int
    label: str | None
    text: str | None
    image: Thumbnail | None
    is_text: bool


@dataclass(frozen=True, slots=True)
class Twin:
    """A dropped sample beside its keeper; `pieces` marks how its text differs, none where it is the same."""

    shown: Shown
    method: str
    similarity: float
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """A keeper, how many samples it stands for, and the most similar of them."""

    keeper: Shown
    dropped: int
    twins: tuple[Twin, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """A synthetic sample beside the real one that is nearest to it."""

    drawn: Shown
    refusal: str | None
    nearest: Shown | None
    cosine: float | None


@dataclass(frozen=True, slots=True)
class Layer:
    """The points of one class on the map: how many are drawn, of how many."""

    kind: str
    title: str
    drawn: int
    total: int
    path: str


@dataclass(frozen=True, slots=True)
class VectorMap:
    """A plane of vectors; `points` is what a pointer shows: x, y, kind, id, label, words."""

    embedder: str
    dimension: int
    shares: tuple[float, float]
    layers: tuple[Layer, ...]
    points: tuple[tuple[float, float, str, int, str, str], ...]
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures that share a definition, such as one measure in several feature spaces."""

    definition: str
    source: str
    sizes: dict[str, Any]
    rows: tuple[MetricRow, ...]


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """One trained model and its draws."""

    row: ModelRow
    reference: str
    fates: dict[str, int]
    seeds: dict[str, int]
    nearness: tuple[float, float, float] | None
    losses: Chart | None
    pairs: tuple[Pair, ...]
    nearest: tuple[Pair, ...]
    refused: tuple[Pair, ...]
    metrics: tuple[Measured, ...]
    label_metrics: tuple[MetricRow, ...]
    label_metrics_left_out: int

    @property
    def drawn(self) -> int:
        """Accepted and refused."""
        return sum(self.fates.values())

    @property
    def accepted(self) -> int:
        """Those that passed the gates."""
        return self.fates.get("accepted", 0)


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """One dataset from its files to the draws."""

    home: Dataset
    counts: dict[str, Any]
    dropped_by: dict[str, int]
    synthetic: dict[str, int]
    sources: SourceCount
    splits: tuple[Split, ...]
    parts: dict[str, tuple[int, int]]
    flow: Flow
    labels: tuple[LabelCount, ...]
    examples: tuple[Shown, ...]
    groups_in_all: int
    groups: tuple[Group, ...]
    map: VectorMap | None
    rejects: tuple[RejectReason, ...]
    models: tuple[ModelFacts, ...]

    @property
    def newest(self) -> Split | None:
        """The split whose parts are counted."""
        return self.splits[-1] if self.splits else None

    @property
    def most(self) -> int:
        """The longest bar of the label balance."""
        return max([1, *(max(row.read, row.kept + row.accepted) for row in self.labels if not row.is_others)])


def gather(workspace: Workspace, names: list[str], thumbnails: Thumbnails, *, seed: int) -> list[DatasetFacts]:
    """Collect the facts of some datasets, in the order of their names."""
    catalog = workspace.catalog
    dropped_by, synthetic = overview.dropped_by_reason(catalog), overview.synthetic_counts(catalog)
    fates, frozen, trained = reporting.fates(catalog), splits.every(catalog), models.every(catalog)
    found = []
    for counts in overview.dataset_counts(catalog):
        if counts["name"] not in names:
            continue
        home = datasets.find(catalog, counts["name"])
        own = tuple(sorted((s for s in frozen if s.dataset_id == home.dataset_id), key=lambda s: s.split_id))
        parts = reporting.kept_by_part(catalog, own[-1].split_id) if own else {}
        references = {s.split_id: s.reference for s in own}
        learned = tuple(
            _model(workspace, row, references[row.split_id], fates.get(row.model_id, {}), thumbnails, seed)
            for row in trained
            if row.dataset_id == home.dataset_id
        )
        reasons = dropped_by.get(home.name, {})
        found.append(
            DatasetFacts(
                home=home,
                counts=counts,
                dropped_by=reasons,
                synthetic=synthetic.get(home.name, {}),
                sources=reporting.source_counts(catalog, home.dataset_id),
                splits=own,
                parts=parts,
                flow=_flow(counts, reasons, parts, own[-1] if own else None, learned),
                labels=tuple(reporting.label_counts(catalog, home.dataset_id, own[-1].split_id if own else None, limit=LABELS)),
                examples=_examples(workspace, home, thumbnails, seed),
                groups_in_all=evidence.count_groups(catalog, home.dataset_id),
                groups=_groups(workspace, home, thumbnails),
                map=_map(workspace, home, seed, limit=min(MAP_POINTS, ALL_POINTS // len(names))),
                rejects=tuple(reporting.reject_reasons(catalog, home.dataset_id, examples=REJECT_EXAMPLES)),
                models=learned,
            )
        )
        workspace.progress.advance(1)
    return found


def _flow(
    counts: dict[str, Any],
    reasons: dict[str, int],
    parts: dict[str, tuple[int, int]],
    split: Split | None,
    learned: tuple[ModelFacts, ...],
) -> Flow:
    read = counts["samples"] + counts["rejects"]
    nodes = [Node("read", 0, "read", read, "read"), Node("kept", 1, "kept", counts["kept"], "kept")]
    nodes += [Node(f"drop {r}", 1, f"dropped: {r}", n, "dropped") for r, n in reasons.items()]
    nodes.append(Node("rejected", 1, "rejected", counts["rejects"], "rejected"))
    links = [Link("read", node.key, node.count, node.kind) for node in nodes[1:]]
    if split is not None:
        own = [Node(part, 2, part, parts.get(part, (0, 0))[0], "kept") for part in PARTS]
        own.append(Node("unsplit", 2, "in no part", counts["kept"] - sum(node.count for node in own), "rejected"))
        nodes += own
        links += [Link("kept", node.key, node.count, node.kind) for node in own]
    shown = [model for model in learned if model.drawn][:MODELS]
    for model in shown:
        nodes.append(Node(f"model {model.row.model_id}", 3, model.row.name, model.drawn, "synthetic", "drawn"))
        if split is not None and model.row.split_id == split.split_id:
            links.append(Link("train", nodes[-1].key, 0, "synthetic", learned=True))
    fates: dict[str, int] = {}
    for model in shown:
        for fate, count in model.fates.items():
            fates[fate] = fates.get(fate, 0) + count
            links.append(
                Link(f"model {model.row.model_id}", f"fate {fate}", count, "synthetic" if fate == "accepted" else "refused")
            )
    for fate, count in sorted(fates.items(), key=lambda item: (item[0] != "accepted", -item[1], item[0])):
        accepted = fate == "accepted"
        nodes.append(
            Node(
                f"fate {fate}",
                4,
                "accepted" if accepted else f"refused: {fate}",
                count,
                "synthetic" if accepted else "refused",
                "drawn",
            )
        )
    headings = ["Records", "Verdicts", "Parts" if split is not None else "", "Models, by draws", "Gates"]
    return lay_out(nodes, links, headings)


def _examples(workspace: Workspace, home: Dataset, thumbnails: Thumbnails, seed: int) -> tuple[Shown, ...]:
    ids = reporting.kept_examples(workspace.catalog, home.dataset_id, limit=REAL, seed=seed)
    found = _fetch(workspace, ids)
    return tuple(_shown(workspace, found[i], thumbnails) for i in ids)


def _groups(workspace: Workspace, home: Dataset, thumbnails: Thumbnails) -> tuple[Group, ...]:
    ties = evidence.groups(workspace.catalog, home.dataset_id, method=None, limit=GROUPS).to_pylist()
    members: dict[int, list[dict[str, Any]]] = {}
    for tie in ties:
        group = members.setdefault(tie["keeper_id"], [])
        if len(group) < MEMBERS:
            group.append(tie)
    found = _fetch(workspace, [*members, *(tie["sample_id"] for group in members.values() for tie in group)])
    return tuple(
        Group(
            _shown(workspace, found[keeper], thumbnails),
            group[0]["dropped"],
            tuple(_twin(workspace, found[keeper], found[tie["sample_id"]], tie, thumbnails) for tie in group),
        )
        for keeper, group in members.items()
    )


def _twin(workspace: Workspace, keeper: Sample, dropped: Sample, tie: dict[str, Any], thumbnails: Thumbnails) -> Twin:
    pieces: tuple[Piece, ...] = ()
    if keeper.text is not None and dropped.text is not None and keeper.text != dropped.text:
        pieces = differences(keeper.text, dropped.text)
    return Twin(_shown(workspace, dropped, thumbnails), tie["method"], tie["similarity"], pieces)


def _fetch(workspace: Workspace, ids: list[int]) -> dict[int, Sample]:
    return samples.by_ids(workspace.catalog, pa.table({"sample_id": pa.array(ids, pa.int64())}))


def _shown(workspace: Workspace, sample: Sample, thumbnails: Thumbnails) -> Shown:
    text = excerpt(sample.text) if sample.blob is None else None
    return Shown(sample.sample_id, sample.label, text, thumbnails.of(workspace.real, sample.blob), sample.blob is None)


def _model(
    workspace: Workspace, row: ModelRow, reference: str, fates: dict[str, int], thumbnails: Thumbnails, seed: int
) -> ModelFacts:
    catalog = workspace.catalog
    figures = reporting.metrics(catalog, row.model_id)
    by_label = [figure for figure in figures if figure.label is not None]
    accepted = reporting.drawn_examples(catalog, row.model_id, "accepted", limit=PAIRS, seed=seed)
    refused = reporting.drawn_examples(catalog, row.model_id, "refused", limit=REFUSED, seed=seed)
    return ModelFacts(
        row=row,
        reference=reference,
        fates=fates,
        seeds=reporting.draw_seeds(catalog, row.model_id),
        nearness=reporting.nearness(catalog, row.model_id),
        losses=loss_chart(models.stream_losses(catalog, row.model_id)),
        pairs=_pairs(workspace, sorted(accepted, key=lambda e: (e.label or "", e.sample_id)), thumbnails),
        nearest=_pairs(workspace, reporting.nearest_examples(catalog, row.model_id, limit=NEAREST), thumbnails),
        refused=_pairs(workspace, sorted(refused, key=lambda e: (e.refusal or "", e.sample_id)), thumbnails),
        metrics=_by_definition(figure for figure in figures if figure.label is None),
        label_metrics=tuple(by_label[:LABEL_METRICS]),
        label_metrics_left_out=max(0, len(by_label) - LABEL_METRICS),
    )


def _by_definition(figures: Iterable[MetricRow]) -> tuple[Measured, ...]:
    groups: dict[str, list[MetricRow]] = {}
    for row in figures:
        groups.setdefault(f"{row.definition}|{row.source}|{row.sizes}", []).append(row)
    return tuple(Measured(rows[0].definition, rows[0].source, rows[0].sizes, tuple(rows)) for rows in groups.values())


def _pairs(workspace: Workspace, examples: list[DrawnExample], thumbnails: Thumbnails) -> tuple[Pair, ...]:
    near = _fetch(workspace, [e.nearest_id for e in examples if e.nearest_id is not None])
    pairs = []
    for e in examples:
        text = excerpt(e.text) if e.blob is None else None
        drawn = Shown(e.sample_id, e.label, text, thumbnails.of(workspace.synthetic, e.blob), e.blob is None)
        real = near.get(e.nearest_id) if e.nearest_id is not None else None
        pairs.append(Pair(drawn, e.refusal, _shown(workspace, real, thumbnails) if real else None, e.nearest_real))
    return tuple(pairs)


def _map(workspace: Workspace, home: Dataset, seed: int, *, limit: int) -> VectorMap | None:
    """The plane of the embedder that knows most samples of the dataset; kept, dropped and accepted ones in fair shares."""
    catalog = workspace.catalog
    covered: dict[str, int] = {}
    for slug, dataset, _, count in vectors.coverage(catalog):
        if dataset == home.name:
            covered[slug] = covered.get(slug, 0) + count
    if not covered:
        return None
    slug = max(covered, key=lambda name: (covered[name], name))
    ids = {
        "kept": vectors.in_state(catalog, slug, home.dataset_id, origin="real", states=["kept"]),
        "dropped": vectors.in_state(catalog, slug, home.dataset_id, origin="real", states=["dropped"]),
        "synthetic": vectors.in_state(catalog, slug, home.dataset_id, origin="synthetic", states=["accepted"]),
    }
    if not len(ids["kept"]) + len(ids["dropped"]):
        return None
    total = sum(map(len, ids.values()))
    random = np.random.default_rng([seed, home.dataset_id])
    chosen = {}
    for kind, own in ids.items():
        room = len(own) if total <= limit else min(len(own), max(50, limit * len(own) // total))
        chosen[kind] = np.sort(random.choice(own, room, replace=False)) if room else own[:0]
    rows, matrix = vectors.load(catalog, slug, sample_ids=np.sort(np.concatenate(list(chosen.values()))), origin="all")
    kinds = np.empty(len(rows), dtype="<U9")
    for kind, own in chosen.items():
        kinds[np.searchsorted(rows, own)] = kind
    places, shares = principal_plane(matrix, kinds != "synthetic")
    places = fit_in_map(places)
    words = vectors.found(catalog, rows)
    titles = {"kept": "kept", "dropped": "dropped", "synthetic": "synthetic, accepted"}
    return VectorMap(
        embedder=slug,
        dimension=matrix.shape[1],
        shares=shares,
        layers=tuple(
            Layer(kind, titles[kind], len(chosen[kind]), len(ids[kind]), marks(kind, places[kinds == kind]))
            for kind in ("dropped", "kept", "synthetic")
            if len(ids[kind])
        ),
        points=tuple(
            (float(x), float(y), str(kind), int(i), excerpt(words[int(i)].label, 80), _hover(words[int(i)].text))
            for (x, y), kind, i in zip(places, kinds, rows, strict=True)
        ),
        others=tuple(sorted(set(covered) - {slug})),
    )


def _hover(text: str | None) -> str:
    words = visible((text or "")[:80])
    return words + "…" if text is not None and len(text) > 80 else words
