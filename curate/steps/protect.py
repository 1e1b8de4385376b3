"""`protect`, `protections`, `unprotect`: standing rules that no kept sample of a dataset may resemble another set."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curate.arguments import as_items
from curate.catalog import datasets, protections, samples
from curate.catalog.datasets import Dataset
from curate.catalog.protections import Protection
from curate.deduplication.methods import Method, plan_methods
from curate.deduplication.protection import methods_by_default, notes_on_pins, recorded_methods, sweep, united, write
from curate.deduplication.shield import shield_of
from curate.deduplication.upholding import uphold
from curate.errors import SettingError
from curate.reports import Report
from curate.workspace import Workspace


@dataclass(frozen=True, slots=True, repr=False)
class RuleFacts(Report):
    """A rule that stands.

    Attributes:
        number: its id.
        typed, reference: the set as it was typed, and what it named then: a split with its version.
        methods: with their thresholds: "exact, minhash ≥ 0.8".
        matched: samples of the dataset that repeat the set, when the rule was last held against them.
    """

    number: int
    dataset: str
    typed: str
    reference: str
    methods: str
    matched: int
    run_id: int


@dataclass(frozen=True, slots=True, repr=False)
class ProtectReport(Report):
    """What a protection changed.

    Attributes:
        reference: the set, as one types exactly it.
        already: whether a rule that stood before covers it.
        matched: samples of the dataset that repeat one of the set.
        newly_dropped: of these, how many `protect` did not drop before.
        pinned: of these, how many stay because a user pinned them.
        kept: samples of the dataset that are kept now; None after a dry run.
    """

    run_id: int | None
    dataset: str
    reference: str
    methods: str
    already: bool
    samples: int
    matched: int
    newly_dropped: int
    pinned: int
    kept: int | None
    dry_run: bool
    seconds: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class UnprotectReport(Report):
    """What ending a protection changed.

    Attributes:
        ended: the rules that stood.
        restored: samples that no rule and nobody else drops any more, and that are kept again.
        standing: how many rules of the dataset stand still.
    """

    run_id: int
    dataset: str
    ended: tuple[RuleFacts, ...]
    restored: int
    standing: int
    seconds: float
    notes: tuple[str, ...] = ()


def protect(
    workspace: Workspace,
    dataset: str,
    reference: str,
    *,
    methods: str | Sequence[str] = (),
    threshold: float | Mapping[str, float] | None = None,
    embedder: str | None = None,
    settings: Mapping[str, Any] | None = None,
    dry_run: bool = False,
    yes: bool = False,
) -> ProtectReport:
    """Hold a dataset apart from another set from now on: what repeats one of its samples is dropped.

    The rule stands until `unprotect` ends it. Every later command that changes what is kept on either side holds it again:
    `ingest`, `filter`, `dedupe`, `target_size`, `rethreshold`, `split`, `restore`, `drop`, `take_back`. Every sample is
    compared with the set alone, whatever else was decided about it. A sample that a user pinned stays, and is told.

    Args:
        reference: a dataset, of which what is kept there counts ("support-test"), or a split or a part of one, of which every
            frozen member counts ("support/test"); of a split the version that is newest now.
        methods, threshold, embedder, settings: as `dedupe` takes them; by default those of the dataset's last dedupe, or else
            its modality's own. They are frozen in the rule.
        dry_run: report, and change nothing.
        yes: go on where more than 90 % of the samples repeat the set.

    Raises:
        InputError: a dataset, split or part is not there, or the dataset has no samples.
        SettingError: the set is the dataset itself or has nothing of the kind; a method, threshold or setting is not allowed.
        NeedsConfirmation: see `yes`; nothing was changed.
    """
    started = time.monotonic()
    catalog = workspace.catalog
    found = datasets.find(catalog, dataset)
    chosen = _methods(workspace, found, as_items(methods), threshold, embedder, settings or {})
    before = protections.standing(catalog, of=found.dataset_id)
    shield = shield_of(workspace, found, [reference], chosen, yes=yes)
    fresh = [rule for rule in shield.rules if not rule.protection_id]
    rule = fresh[0] if fresh else _covering(before, reference, catalog)
    run_id = None
    changes = shield.would_write() if dry_run else []
    if not dry_run:
        asked = {"reference": rule.reference, "methods": rule.methods}
        with workspace.run("protect", dataset=dataset, settings=asked) as run, catalog.transaction():
            changes = shield.write(run.run_id)
            run.commit_counts({"matched": shield.matched()[rule.reference], "dropped": sum(c.dropped for c in changes)})
            run_id = run.run_id
    hits = united(swept for swept in shield.found or () if swept.rule.reference == rule.reference)
    pins = [] if dry_run else [note for table in hits.values() for note in notes_on_pins(catalog, table.select(["sample_id"]))]
    after = () if dry_run else uphold(workspace, found)
    return ProtectReport(
        run_id=run_id,
        dataset=dataset,
        reference=rule.reference,
        methods=rule.described,
        already=not fresh,
        samples=samples.count(catalog, found.dataset_id),
        matched=shield.matched()[rule.reference],
        newly_dropped=sum(change.dropped for change in changes),
        pinned=len(pins),
        kept=None if dry_run else samples.count_kept(catalog, found.dataset_id),
        dry_run=dry_run,
        seconds=round(time.monotonic() - started, 3),
        notes=(*shield.notes, *pins, *after),
    )


def _methods(
    workspace: Workspace,
    dataset: Dataset,
    methods: Sequence[str],
    threshold: float | Mapping[str, float] | None,
    embedder: str | None,
    settings: Mapping[str, Any],
) -> Mapping[str, Sequence[Method]]:
    """Those that are asked for, or those of the dataset's last dedupe."""
    if not (methods or threshold is not None or embedder or settings):
        recorded = methods_by_default(workspace.catalog, dataset)
        if recorded is not None:
            return recorded_methods(workspace.catalog, recorded)
    return plan_methods(workspace, dataset, methods, threshold, settings, embedder)


def _covering(rules: Sequence[Protection], reference: str, catalog: Any) -> Protection:
    """The rule that stands for a set already."""
    named = [rule for rule in rules if reference in (rule.typed, rule.reference)]
    return (named or list(rules))[-1]


def protections_of(workspace: Workspace, dataset: str | None = None) -> list[RuleFacts]:
    """The protections that stand, of one dataset or of all, oldest first.

    Raises:
        InputError: no such dataset.
    """
    catalog = workspace.catalog
    of = datasets.find(catalog, dataset).dataset_id if dataset is not None else None
    return [_facts(workspace, rule) for rule in protections.standing(catalog, of=of)]


def _facts(workspace: Workspace, rule: Protection) -> RuleFacts:
    matched = protections.swept(workspace.catalog, rule)[1]
    return RuleFacts(
        rule.protection_id, rule.dataset, rule.typed, rule.reference, rule.described, matched, rule.run_id
    )  # fmt: skip


def unprotect(workspace: Workspace, dataset: str, reference: str) -> UnprotectReport:
    """End the protections of a dataset from a set; what only they dropped comes back.

    Args:
        reference: the set as it was typed, or as `protections_of` names it.

    Raises:
        InputError: no such dataset.
        SettingError: it is not protected from that set.
    """
    started = time.monotonic()
    catalog = workspace.catalog
    found = datasets.find(catalog, dataset)
    rules = protections.standing(catalog, of=found.dataset_id)
    gone = [rule for rule in rules if reference in (rule.typed, rule.reference)]
    if not gone:
        known = ", ".join(dict.fromkeys(rule.reference for rule in rules))
        raise SettingError(
            f"{dataset} is not protected from {reference!r}", hint=f"one of: {known}" if known else "no protection stands"
        )
    stays = [rule for rule in rules if rule not in gone]
    facts = tuple(_facts(workspace, rule) for rule in gone)
    with workspace.run("unprotect", dataset=dataset, settings={"reference": reference}) as run:
        swept = sweep(workspace, stays)
        with catalog.transaction():
            for rule in gone:
                protections.end(catalog, run.run_id, rule)
            change = write(catalog, run.run_id, found.dataset_id, swept)
            run.commit_counts({"ended": len(gone), "restored": change.restored})
    notes = uphold(workspace, found)
    return UnprotectReport(
        run.run_id, dataset, facts, change.restored, len(stays), round(time.monotonic() - started, 3), notes
    )  # fmt: skip
