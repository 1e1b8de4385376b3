"""`rethreshold`: raises the threshold of the last dedupe from its stored evidence, without comparing everything again."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from curate import plugins
from curate.catalog import Catalog, datasets, evidence, protections, runs, splits, vectors, verdicts
from curate.catalog.datasets import Dataset
from curate.deduplication.contents import Contents, distinct_contents
from curate.deduplication.inputs import Materials
from curate.deduplication.methods import Method
from curate.deduplication.references import Reference, find_references, gather, listed
from curate.deduplication.rounds import Judgement, judge_again
from curate.deduplication.shield import Shield, shield_of, with_aside
from curate.deduplication.thresholds import at_threshold
from curate.deduplication.ties import Ties
from curate.deduplication.upholding import uphold
from curate.errors import InputError, SettingError
from curate.reports import Report
from curate.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, repr=False)
class RethresholdReport(Report):
    """What the higher threshold changed; `samples = kept + dropped`.

    Attributes:
        thresholds: by near-duplicate method, before and now.
        came_back: samples that are kept now and were not.
        tied_anew: samples that stay dropped, by other evidence, because the old one is under the threshold now.
        compared: pairs verified by a true measure.
    """

    run_id: int | None
    dataset: str
    samples: int
    kept: int
    dropped: int
    thresholds: dict[str, tuple[float, float]]
    came_back: int
    tied_anew: int
    compared: int
    dry_run: bool
    seconds: float
    notes: tuple[str, ...] = ()


def rethreshold(
    workspace: Workspace, dataset: str, threshold: float | Mapping[str, float], *, dry_run: bool = False
) -> RethresholdReport:
    """Raise the threshold of the last dedupe of a dataset.

    What is kept stays kept, and a dropped sample stays dropped where it is similar enough to the kept one that it is tied to.
    The others come back: they are compared with the kept ones and with each other, and fall again where they resemble one.
    So no two kept samples are similar, and every drop is tied directly to a kept sample, as after `dedupe` at that
    threshold; which sample of a group is kept may differ.

    Args:
        threshold: one for every near-duplicate method of the last dedupe, or by method.
        dry_run: report, and change nothing.

    Raises:
        InputError: no such dataset, or its verdicts are not those of a dedupe of what it now holds.
        SettingError: a threshold is lower than that of the last dedupe, above 1, or of a method that it did not use.
    """
    started = time.monotonic()
    catalog = workspace.catalog
    home = datasets.find(catalog, dataset)
    run_id, asked = _last_dedupe(catalog, home)
    standing = protections.ever(catalog, home.dataset_id)
    legacy = [name for name in listed(asked.get("protect")) if name not in standing]  # release 0.1.0 made no rules
    notes = list(uphold(workspace, home)) if not dry_run else []
    shield = shield_of(workspace, home, (), {}, yes=True)
    references = (*find_references(catalog, home, listed(asked.get("against")), legacy), *shield.shelters())
    _check_unchanged(catalog, home, references, run_id)
    plan = {modality: _methods(catalog, chosen, run_id, home) for modality, chosen in asked["methods"].items()}
    changes = _raised(dataset, plan.values(), threshold)

    def judge() -> dict[str, tuple[Judgement, int]]:
        return {
            modality: _judge(workspace, home, references, shield, str(asked["keep"]), modality, methods, changes)
            for modality, methods in plan.items()
        }

    def report(run: int | None, judged: Mapping[str, tuple[Judgement, int]], came_back: int) -> RethresholdReport:
        aside = sum(shield.count(judged).values())
        total = aside + sum(j.own for j, _ in judged.values())
        dropped = aside + sum(j.user_dropped + j.drops.num_rows for j, _ in judged.values())
        return RethresholdReport(
            run_id=run,
            dataset=dataset,
            samples=total,
            kept=total - dropped,
            dropped=dropped,
            thresholds=changes,
            came_back=came_back,
            tied_anew=sum(anew for _, anew in judged.values()),
            compared=sum(j.compared for j, _ in judged.values()),
            dry_run=run is None,
            seconds=round(time.monotonic() - started, 3),
            notes=tuple(dict.fromkeys([*notes, *shield.notes, *(note for j, _ in judged.values() for note in j.notes)])),
        )

    if dry_run:
        judged = judge()
        would = [verdicts.would_decide(catalog, home.dataset_id, m, j.drops) for m, (j, _) in judged.items()]
        return report(None, judged, sum(change.restored for change in would))
    recorded = {
        modality: {m.name: at_threshold(m, changes[m.name][1]).recorded if m.name in changes else m.recorded for m in methods}
        for modality, methods in plan.items()
    }
    with workspace.run("dedupe", dataset=dataset, settings={**asked, "methods": recorded, "rethreshold": run_id}) as run:
        judged = judge()
        with catalog.transaction():
            done = [verdicts.decide(catalog, run.run_id, home.dataset_id, m, j.drops) for m, (j, _) in judged.items()]
            told = report(run.run_id, judged, sum(change.restored for change in done))
            run.commit_counts({"samples": told.samples, "kept": told.kept, "dropped": told.dropped})
    return replace(told, notes=(*told.notes, *uphold(workspace, home)))


def _last_dedupe(catalog: Catalog, home: Dataset) -> tuple[int, dict[str, Any]]:
    last = runs.latest_done(catalog, "dedupe", home.name)
    if last is None:
        raise InputError(f"{home.name} was never deduplicated", hint=f"curate dedupe {home.name}")
    back = [runs.latest_done(catalog, step, home.name) for step in ("take_back", "restore")]  # the latter in 0.1.0
    if any(run is not None and run[0] > last[0] and run[1].get("owner", verdicts.DEDUPE) == verdicts.DEDUPE for run in back):
        raise InputError(
            f"what dedupe dropped in {home.name} was taken back since, and no evidence is left that counts",
            hint=f"curate dedupe {home.name} --threshold N",
        )
    return last


def _check_unchanged(catalog: Catalog, home: Dataset, references: Sequence[Reference], run_id: int) -> None:
    """Refuse where samples came that the last dedupe has not seen: they may resemble what is kept."""
    for dataset in (home, *(r.dataset for r in references if r.members is None)):
        if splits.newest_ingest(catalog, dataset) > run_id:
            raise InputError(
                f"{dataset.name} got samples after the last dedupe of {home.name}, which are compared with nothing yet",
                hint=f"curate dedupe {home.name}, with the settings of before, and then raise its threshold",
            )


def _methods(catalog: Catalog, chosen: Mapping[str, Mapping[str, Any]], run_id: int, home: Dataset) -> list[Method]:
    """The methods of the last dedupe, as it had them."""
    specs = {row.slug: row.spec for row in vectors.embedders(catalog)}
    methods = []
    for name, recorded in chosen.items():
        settings = {key: value for key, value in recorded.items() if key != "slug"}
        slug = recorded.get("slug")
        if slug is not None and (slug not in specs or vectors.made_since(catalog, slug, run_id)):
            raise InputError(
                f"the vectors of {slug} were replaced after the last dedupe of {home.name}: its evidence is about others",
                hint=f"curate dedupe {home.name} --threshold {name}=N",
            )
        methods.append(Method(name, plugins.load("dedupers", name)(**settings), specs.get(slug or ""), slug))
    order = {"hash": 0, "text": 1, "vectors": 2}
    return sorted(methods, key=lambda method: order[method.deduper.consumes])


def _raised(
    dataset: str, plan: Iterable[Sequence[Method]], threshold: float | Mapping[str, float]
) -> dict[str, tuple[float, float]]:
    """The threshold of each near-duplicate method before and now."""
    before = {m.name: m.deduper.threshold for methods in plan for m in methods if m.deduper.consumes != "hash"}
    if not before:
        raise SettingError(
            f"the last dedupe of {dataset} compared no near-duplicates", hint=f"curate dedupe {dataset} --threshold N"
        )
    wanted = dict(threshold) if isinstance(threshold, Mapping) else dict.fromkeys(before, threshold)
    for name, value in wanted.items():
        if name not in before:
            raise SettingError(
                f"the last dedupe of {dataset} did not use {name!r}",
                hint="one of: " + ", ".join(f"{n}={t:g}" for n, t in before.items()),
            )
        if not value <= 1:
            raise SettingError(f"threshold must be in (0, 1], got {value:g}", hint=f"--threshold {name}=0.95")
        if value < before[name]:
            raise SettingError(
                f"{name} recorded nothing of {dataset} that is less similar than {before[name]:g}, got {value:g}",
                hint=f"curate dedupe {dataset} --threshold {name}={value:g}, which compares anew",
            )
    return {name: (old, float(wanted.get(name, old))) for name, old in before.items()}


def _judge(
    workspace: Workspace,
    home: Dataset,
    references: Sequence[Reference],
    shield: Shield,
    keep: str,
    modality: str,
    methods: Sequence[Method],
    changes: Mapping[str, tuple[float, float]],
) -> tuple[Judgement, int]:
    """The drops of a modality at the new thresholds, and how many of them rest on other evidence than before."""
    rows = gather(workspace.catalog, home, references, modality, keep=keep)
    contents = distinct_contents(with_aside(rows.own, shield.aside(modality)), rows.other, keep)
    near = [m for m in methods if m.deduper.consumes != "hash"]
    now = [at_threshold(m, changes[m.name][1]) if m.name in changes else m for m in methods]
    ties, stands = _found_before(contents, evidence.standing(workspace.catalog, home.dataset_id, modality), near)
    limits = np.array([changes[m.name][1] for m in near] or [1.0])
    tied = ties.keeper >= 0
    again = ~tied & ~stands
    again[tied] = (ties.similarity < limits[ties.method])[tied] | ~stands[ties.keeper[tied]]
    with Materials(workspace, contents, workspace.memory_bytes) as materials:
        for method in near if again.any() else ():
            materials.sketches(method)  # as they were made before: the new threshold changes none
        judged = judge_again(materials, contents, now, ties, again)
    dropped = contents.content[np.searchsorted(contents.sample_id, judged.drops["sample_id"].to_numpy())]
    return judged, int(again[dropped].sum())


def _found_before(contents: Contents, standing: pa.Table, near: Sequence[Method]) -> tuple[Ties, NDArray[np.bool_]]:
    """The near-duplicate ties that the catalog holds, and (u,) which contents stand: kept, or settled whatever they resemble.

    A content that neither is tied nor stands has lost the sample that it was tied to.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    place = np.searchsorted(contents.sample_id, standing["sample_id"].to_numpy())
    keeper_id = standing["keeper_id"].to_numpy()
    keeper = np.minimum(np.searchsorted(contents.sample_id, keeper_id), len(contents.sample_id) - 1)
    stands = contents.settled()
    here = ~contents.foreign
    here[place] = False
    settled = stands.copy()
    stands[contents.content[here]] = True
    mine, theirs = contents.content[place], contents.content[keeper]
    method = pc.fill_null(pc.index_in(standing["method"], pa.array([m.name for m in near], pa.string())), -1).to_numpy()
    tie = (contents.sample_id[keeper] == keeper_id) & (method >= 0) & (mine != theirs) & ~settled[mine]
    ties = Ties.none(len(contents.first_row))
    ties.keeper[mine[tie]], ties.method[mine[tie]] = theirs[tie], method[tie]
    ties.similarity[mine[tie]] = standing["similarity"].to_numpy()[tie]
    return ties, stands
