"""`check`: proves that the workspace is what it says it is, and names what is broken."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from curate.catalog import checks
from curate.checking import invariants as _laws
from curate.checking.invariants import Finding, Look
from curate.workspace import Workspace

__all__ = ["CheckReport", "Finding", "check"]

LAWS: tuple[tuple[str, Callable[[Look], int]], ...] = (
    ("evidence", _laws.evidence_is_true),
    ("split hashes", _laws.splits_hash_as_they_say),
    ("split groups", _laws.no_group_crosses_the_newest_splits),
    ("vectors", _laws.vectors_are_sound),
    ("embedders", _laws.embedders_make_their_vectors),
    ("blobs", _laws.blobs_are_what_they_say),
    ("models", _laws.models_are_what_they_say),
)
"""The laws that SQL alone cannot prove, each with how it is proved; the others are `curate.catalog.checks.RULES`."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was proved.

    Attributes:
        findings: what is broken; empty in a sound workspace.
        checked: law → how many items it was held against.
        notes: what could not be looked at, orphaned files, leftovers; nothing that is broken.
        removed: leftovers of killed commands that were removed (with `clean`).
    """

    findings: tuple[Finding, ...]
    checked: dict[str, int]
    notes: tuple[str, ...]
    removed: int
    fast: bool
    seconds: float


def check(workspace: Workspace, *, fast: bool = False, clean: bool = False) -> CheckReport:
    """Hold every law of the house against the workspace. Nothing in the catalog is changed.

    Args:
        fast: look at files by presence and size only, and do not embed samples anew.
        clean: remove what killed commands left in the blob folders (files ending in `.tmp`).
    """
    started = time.monotonic()
    look = Look(workspace, fast=fast, clean=clean)
    checked: dict[str, int] = {}
    workspace.progress.start("checking", total=len(checks.RULES) + len(LAWS), unit="laws")
    for rule in checks.RULES:
        checked[rule.law] = max(checked.get(rule.law, 0), _laws.apply_rule(look, rule))
        workspace.progress.advance(1)
    for law, prove in LAWS:
        look.law = law
        checked[law] = max(checked.get(law, 0), prove(look))
        workspace.progress.advance(1)
    workspace.progress.finish()
    return CheckReport(
        findings=tuple(look.findings),
        checked=checked,
        notes=tuple(look.notes),
        removed=look.removed,
        fast=fast,
        seconds=round(time.monotonic() - started, 3),
    )
