"""`check`: proves that the workspace is what it says it is, and names what is broken."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from curate.catalog import checks, protections
from curate.checking import blobs, evidence, guards, seals, splits, vectors
from curate.checking.look import FROM_BACKUP, Finding, Look, apply_rule
from curate.checking.repair import remove_caches, remove_leftovers
from curate.errors import CurateError
from curate.reports import Report
from curate.workspace import Workspace

__all__ = ["CheckReport", "Finding", "check"]


def _nothing_kept_resembles_what_is_protected(look: Look) -> int:
    """No kept sample of a protected dataset resembles the protected set by its rule's methods; a pinned one is noted."""
    from curate.deduplication.protection import held

    if not protections.standing(look.catalog):
        return 0
    compared = 0
    for found in held(look.workspace):
        rule = found.rule
        compared += found.samples
        if found.leaks:
            look.broken(
                f"{len(found.leaks):,} kept samples of {rule.dataset} repeat one of {rule.reference}, a protected set,"
                f" by {rule.described}",
                ids=found.leaks,
                count=len(found.leaks),
                hint=f"curate dedupe {rule.dataset}",
            )
        if found.pinned:
            look.notes.append(
                f"{found.pinned:,} samples of {rule.dataset} repeat one of {rule.reference}, from which it is protected; they"
                " stay because a user pinned them"
            )
    return compared


INVARIANTS: tuple[tuple[str, Callable[[Look], int]], ...] = (
    ("seals", seals.rows_are_as_sealed),
    ("schema", seals.schema_is_the_migrations),
    ("evidence", evidence.evidence_is_true),
    ("guards", guards.no_guard_parts_a_verdict),
    ("split hashes", splits.splits_hash_as_they_say),
    ("split groups", splits.no_group_crosses_the_newest_splits),
    ("vectors", vectors.vectors_are_sound),
    ("embedders", vectors.embedders_make_their_vectors),
    ("protections", _nothing_kept_resembles_what_is_protected),
    ("blobs", blobs.blobs_are_what_they_say),
    ("models", seals.models_are_what_they_say),
)
"""The invariants that SQL alone cannot prove, each with how it is proved; the others are `curate.catalog.checks.RULES`."""


@dataclass(frozen=True, slots=True, repr=False)
class CheckReport(Report):
    """What was proved.

    Attributes:
        findings: what is broken; empty in a sound workspace.
        checked: invariant → how many items it was held against.
        notes: what could not be looked at, orphaned files, leftovers; nothing that is broken.
        removed: leftovers of killed commands that were removed (with `clean`).
    """

    findings: tuple[Finding, ...]
    checked: dict[str, int]
    notes: tuple[str, ...]
    removed: int
    fast: bool
    seconds: float


def check(workspace: Workspace, *, fast: bool = False, clean: bool = False, repair: bool = False) -> CheckReport:
    """Hold every invariant against the workspace. Nothing in the catalog is changed.

    What is so damaged that it cannot be looked at is a finding like any other; the rest is looked at all the same.

    Args:
        fast: look at files by presence and size only, and do not embed samples anew.
        clean: remove what killed commands left in the blob folders (files ending in `.tmp`).
        repair: mend what can be mended without losing anything: `clean`, the same in the models' folders, and the caches in
            `indexes/` go, which are built again. The notes say what was done.
    """
    started = time.monotonic()
    look = Look(workspace, fast=fast, clean=clean or repair)
    if repair:
        remove_leftovers(look)
        remove_caches(look)
    checked: dict[str, int] = {}
    workspace.progress.start("checking", total=len(checks.RULES) + len(INVARIANTS), unit="invariants")
    for rule in checks.RULES:
        held = _held(look, rule.invariant, partial(apply_rule, rule=rule))
        checked[rule.invariant] = max(checked.get(rule.invariant, 0), held)
        workspace.progress.advance(1)
    for invariant, prove in INVARIANTS:
        checked[invariant] = max(checked.get(invariant, 0), _held(look, invariant, prove))
        workspace.progress.advance(1)
    look.notes.extend(checks.noted(workspace.catalog))
    workspace.progress.finish()
    return CheckReport(
        findings=tuple(look.findings),
        checked=checked,
        notes=tuple(look.notes),
        removed=look.removed,
        fast=fast,
        seconds=round(time.monotonic() - started, 3),
    )


def _held(look: Look, invariant: str, prove: Callable[[Look], int]) -> int:
    """How many items an invariant was held against; what it stumbles over is what it is there to name."""
    look.invariant = invariant
    try:
        return prove(look)
    except Exception as error:  # noqa: BLE001 (whatever damage does to the code that looks at it)
        said = (str(error).splitlines() or [""])[0]
        kind = "" if isinstance(error, CurateError) else f"{type(error).__name__}: "
        look.broken(f"it could not be looked at: {kind}{said}", count=1, hint=getattr(error, "hint", None) or FROM_BACKUP)
        return 0
