"""Standing protections: which samples of a dataset repeat what it is protected from, and the verdicts that follow.

Every sample is compared, whatever else was decided about it, so that the word of `protect` does not change with the words of
others. Whatever changes the samples on either side, or what is kept of the protected set, is followed by `upholding.uphold`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curate import plugins
from curate.catalog import Catalog, protections, runs, samples, splits, vectors, verdicts
from curate.catalog.datasets import Dataset
from curate.catalog.protections import Protection
from curate.columns import as_array, as_truth
from curate.deduplication.apart import judge_apart
from curate.deduplication.contents import distinct_contents, undecided
from curate.deduplication.inputs import embed_missing_vectors
from curate.deduplication.methods import EDITS_SLACK, Method
from curate.errors import InputError, NeedsConfirmation, SettingError
from curate.workspace import Workspace

ALARM_SHARE = 0.9
"""Of a dataset's samples: more repeats of a protected set are a mistake, until somebody says that they are not."""
ALARM_LEAST = 10
MOST_TURNS = 64
"""So often a dataset is looked at in one go, each time after what it is protected from changed."""


@dataclass(frozen=True, slots=True)
class Swept:
    """One rule, held against the samples that there are.

    Attributes:
        drops: modality → the samples that repeat the protected set, as `verdicts.decide` takes them.
        samples: how many were compared.
        state: of what was compared, as `protections.state` gives it.
    """

    rule: Protection
    drops: Mapping[str, pa.Table]
    samples: int
    state: str
    notes: tuple[str, ...]

    def of(self, rule: Protection) -> Swept:
        """The same, of a rule that has its id now."""
        return replace(self, rule=rule)

    @property
    def matched(self) -> int:
        """How many samples repeat the protected set."""
        return sum(table.num_rows for table in self.drops.values())


def new_rule(catalog: Catalog, dataset: Dataset, typed: str, methods: Mapping[str, Sequence[Method]]) -> Protection:
    """The rule that would protect a dataset from a set, by these methods.

    Raises:
        SettingError: the set is the dataset itself, or has nothing of the kind that the dataset holds.
        InputError: a dataset, split or part is not there.
    """
    what = splits.resolve(catalog, typed)
    if what.split is None and what.dataset.dataset_id == dataset.dataset_id:
        raise SettingError(
            f"{dataset.name} cannot be protected from itself, {typed!r}", hint=f"name a part of it: {dataset.name}/test"
        )
    name = what.dataset.name if what.split is None else what.split.reference + (f"/{what.part}" if what.part else "")
    recorded = {modality: {m.name: _for_protection(catalog, m) for m in chosen} for modality, chosen in methods.items()}
    split_id = what.split.split_id if what.split else None
    rule = Protection(
        0, dataset.dataset_id, dataset.name, typed, name, what.dataset.dataset_id, what.dataset.name, split_id, what.part,
        recorded, 0,
    )  # fmt: skip
    held = as_array(protections.protected_rows(catalog, rule)["sample_id"])
    if not any(len(np.intersect1d(held, _ids(catalog, rule.reference_id, modality))) for modality in recorded):
        raise SettingError(
            f"{name} has no kept {' or '.join(recorded)} sample to protect {dataset.name} from", hint="curate status"
        )
    return rule


def _for_protection(catalog: Catalog, method: Method) -> dict[str, Any]:
    """A method's settings as a rule keeps them: what may be a paraphrase for training is a repeat of an eval set.

    A default dedupe leaves paraphrases, and looks for edits a little under the embedder's own threshold; a rule drops them
    at that threshold. What a user set otherwise stays.
    """
    settings = method.recorded
    if settings.get("guards") != "edits":
        return settings
    if method.slug is None:
        return {**settings, "guards": "none"}
    own = next((row.threshold for row in vectors.embedders(catalog) if row.slug == method.slug), None)
    looked = settings["threshold"]
    asked = own if own is not None and looked == round(own - EDITS_SLACK, 4) else looked
    return {**settings, "guards": "meaning", "threshold": asked}


def methods_by_default(catalog: Catalog, dataset: Dataset) -> protections.Methods | None:
    """The methods of a dataset's last dedupe with their thresholds; None where there was none that covers all it holds."""
    last = runs.latest_done(catalog, "dedupe", dataset.name)
    known = last[1].get("methods") if last else None
    return known if known and set(samples.modalities(catalog, dataset.dataset_id)) <= set(known) else None


def recorded_methods(catalog: Catalog, recorded: protections.Methods) -> dict[str, list[Method]]:
    """The methods of a rule, as it had them when it was made.

    Raises:
        InputError: an embedder's vectors are gone.
    """
    specs = {row.slug: row.spec for row in vectors.embedders(catalog)}
    made: dict[str, list[Method]] = {}
    for modality, chosen in recorded.items():
        for name, settings in chosen.items():
            slug = settings.get("slug")
            if slug is not None and slug not in specs:
                raise InputError(
                    f"the vectors of {slug}, by which a protection compares, are gone", hint="curate protect DATASET --list"
                )
            deduper = plugins.load("dedupers", name)(**{k: v for k, v in settings.items() if k != "slug"})
            made.setdefault(modality, []).append(Method(name, deduper, specs.get(slug or ""), slug))
    order = {"hash": 0, "text": 1, "vectors": 2}
    return {modality: sorted(chosen, key=lambda m: order[m.deduper.consumes]) for modality, chosen in made.items()}


def covers(rule: Protection, other: Protection) -> bool:
    """Whether one rule drops all that another would: the same set, by the same methods at thresholds that are no higher."""
    if (rule.dataset_id, rule.reference_id, rule.split_id, rule.part) != (
        other.dataset_id, other.reference_id, other.split_id, other.part,
    ):  # fmt: skip
        return False
    for modality, chosen in other.methods.items():
        for name, settings in chosen.items():
            known = rule.methods.get(modality, {}).get(name)
            if known is None or known.get("slug") != settings.get("slug") or known["threshold"] > settings["threshold"]:
                return False
            if any(known.get(key) != value for key, value in settings.items() if key not in _FOLLOW):
                return False
    return True


_FOLLOW = frozenset({"threshold", "bands", "rows", "slug", "exact_up_to"})
"""Settings that follow from the threshold, or move no measure."""


def is_pending(catalog: Catalog, rules: Iterable[Protection]) -> bool:
    """Whether something that a rule compares changed since it was held against the samples."""
    return any(protections.swept(catalog, rule)[0] != protections.state(catalog, rule) for rule in rules)


def embed_for(workspace: Workspace, rules: Iterable[Protection]) -> list[str]:
    """Make the vectors that rules compare and that are not there yet; says what was made."""
    notes: list[str] = []
    for rule in rules:
        plan = recorded_methods(workspace.catalog, rule.methods)
        notes += embed_missing_vectors(workspace, dict.fromkeys([rule.dataset, rule.reference_dataset]), plan)
    return notes


def sweep(workspace: Workspace, rules: Iterable[Protection]) -> list[Swept]:
    """Hold rules against all samples that there are; nothing is written."""
    return [_sweep(workspace, rule) for rule in rules]


def _sweep(workspace: Workspace, rule: Protection) -> Swept:
    catalog = workspace.catalog
    state = protections.state(catalog, rule)
    held = as_array(protections.protected_rows(catalog, rule)["sample_id"])
    drops: dict[str, pa.Table] = {}
    notes: list[str] = []
    compared = 0
    for modality, methods in recorded_methods(catalog, rule.methods).items():
        own = undecided(verdicts.rows_to_judge(catalog, rule.dataset_id, modality, lengths=False))
        other = (
            own
            if rule.reference_id == rule.dataset_id
            else undecided(verdicts.rows_to_judge(catalog, rule.reference_id, modality, lengths=False))
        )
        own, other = _only(own, held, inside=False), _only(other, held, inside=True)
        compared += own.num_rows
        if own.num_rows and other.num_rows:
            judged = judge_apart(workspace, distinct_contents(own, other, "first"), methods)
            drops[modality] = judged.drops
            notes += judged.notes
    return Swept(rule, drops, compared, state, tuple(dict.fromkeys(notes)))


def _only(rows: pa.Table, ids: NDArray[np.int64], *, inside: bool) -> pa.Table:
    return rows.filter(as_truth(np.isin(as_array(rows["sample_id"]), ids, invert=not inside)))


def _ids(catalog: Catalog, dataset_id: int, modality: str) -> NDArray[np.int64]:
    return as_array(verdicts.rows_to_judge(catalog, dataset_id, modality, lengths=False)["sample_id"])


def united(found: Iterable[Swept]) -> dict[str, pa.Table]:
    """modality → what any rule drops, each sample once, with the evidence of the oldest rule that drops it."""
    by_modality: dict[str, list[pa.Table]] = {}
    for swept in found:
        for modality, table in swept.drops.items():
            by_modality.setdefault(modality, []).append(table)
    result = {}
    for modality, tables in by_modality.items():
        together = pa.concat_tables(tables)
        _, first = np.unique(as_array(together["sample_id"]), return_index=True)
        result[modality] = together.take(pa.array(first))
    return result


def stop_if_nearly_all(found: Iterable[Swept]) -> None:
    """Refuse a rule that would drop nearly everything.

    Raises:
        NeedsConfirmation: names the rule.
    """
    for swept in found:
        if swept.samples >= ALARM_LEAST and swept.matched > ALARM_SHARE * swept.samples:
            raise NeedsConfirmation(
                f"{swept.matched:,} of {swept.samples:,} samples of {swept.rule.dataset} repeat {swept.rule.reference}"
                " and would be dropped; nothing was changed",
                hint="look with --dry-run, name another set, or go on with --yes",
            )


def write(catalog: Catalog, run_id: int, dataset_id: int, found: Sequence[Swept]) -> verdicts.Change:
    """Make the verdicts of `protect` about a dataset be what its rules found; call it inside a transaction.

    Args:
        found: of every rule that stands for the dataset; each has its id.
    """
    drops = united(found)
    changes = [
        verdicts.decide(catalog, run_id, dataset_id, modality, drops.get(modality, _nothing()), owner=verdicts.PROTECT)
        for modality in samples.modalities(catalog, dataset_id)
    ]
    for swept in found:
        protections.record_sweep(catalog, run_id, swept.rule, state=swept.state, samples=swept.samples, matched=swept.matched)
    return verdicts.Change(*(sum(values) for values in zip(*changes, strict=True))) if changes else verdicts.Change(0, 0, 0)


def hold_again(workspace: Workspace, dataset: Dataset) -> tuple[str, ...]:
    """What `upholding.uphold` does, where rules stand."""
    catalog = workspace.catalog
    notes: list[str] = []
    waiting = [dataset.dataset_id]
    for number, dataset_id in enumerate(waiting):
        rules = protections.standing(catalog, of=dataset_id)
        if rules and is_pending(catalog, rules):
            notes += _uphold_one(workspace, rules)
        if number == MOST_TURNS:
            notes.append("protections that name each other in a circle were not settled; curate check says which hold")
            break
        others = {rule.dataset_id for rule in protections.standing(catalog, about=dataset_id)} - {dataset_id}
        waiting += sorted(n for n in others if is_pending(catalog, protections.standing(catalog, of=n)))
    return tuple(notes)


def _uphold_one(workspace: Workspace, rules: Sequence[Protection]) -> list[str]:
    name, dataset_id = rules[0].dataset, rules[0].dataset_id
    notes = embed_for(workspace, rules)
    with workspace.run("protect", dataset=name, settings={"uphold": [rule.reference for rule in rules]}) as run:
        found = sweep(workspace, rules)
        with workspace.catalog.transaction():
            change = write(workspace.catalog, run.run_id, dataset_id, found)
            run.commit_counts({"dropped": change.dropped, "restored": change.restored})
    if change.dropped or change.restored:
        sets = " and ".join(dict.fromkeys(rule.reference for rule in rules))
        notes.append(
            f"{name} is protected from {sets}: {change.dropped:,} more samples that repeat it are dropped,"
            f" {change.restored:,} that repeat it no more are kept again"
        )
    return notes


def notes_on_pins(catalog: Catalog, sample_ids: pa.Table, *, shown: int = 5) -> list[str]:
    """What is to be said loudly of samples (sample_id) that a user keeps and that repeat a protected one."""
    leaks = protections.pinned_leaks(catalog, sample_ids)
    notes = [
        f"sample {sample_id} repeats sample {protected} of {name} ({method} {similarity:.3f}), which it is protected from:"
        f" it is kept because you pinned it, and will be trained on; curate drop {sample_id} takes it out"
        for sample_id, protected, name, method, similarity in leaks[:shown]
    ]
    if len(leaks) > shown:
        notes.append(f"{len(leaks) - shown:,} more samples that you pinned repeat a protected one")
    return notes


@dataclass(frozen=True, slots=True)
class Held:
    """A rule that was held against the samples without writing.

    Attributes:
        leaks: ids of kept samples that repeat the protected set and that nobody pinned.
        pinned: how many repeat it and stay because a user pinned them.
    """

    rule: Protection
    samples: int
    leaks: tuple[int, ...]
    pinned: int


def held(workspace: Workspace) -> list[Held]:
    """Hold every standing rule against all samples, for `check`."""
    catalog = workspace.catalog
    result = []
    for swept in sweep(workspace, protections.standing(catalog)):
        leaks: list[int] = []
        pinned = 0
        for table in swept.drops.values():
            kept, by_user = verdicts.kept_among(catalog, table)
            leaks += kept
            pinned += by_user
        result.append(Held(swept.rule, swept.samples, tuple(sorted(leaks)), pinned))
    return result


def _nothing() -> pa.Table:
    ids, words, numbers = pa.array([], pa.int64()), pa.array([], pa.string()), pa.array([], pa.float64())
    columns = {
        "sample_id": ids,
        "keeper_id": ids,
        "reason": words,
        "method": words,
        "similarity": numbers,
        "threshold": numbers,
    }
    return pa.table({**columns, "settings": words})
