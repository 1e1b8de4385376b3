"""What the invariants look at, and where they report what breaks them."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from curate.catalog import checks
from curate.catalog.checks import SHOWN, Rule
from curate.workspace import Workspace

JUDGE_ANEW = "curate dedupe DATASET, which judges anew"
"""What to do where evidence is wrong."""
FROM_BACKUP = "curate restore-backup BACKUP NEW_FOLDER, or find out who wrote to the catalog: only curate should"
"""What to do where the catalog is not as curate wrote it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One invariant that is broken.

    Attributes:
        invariant: its name.
        message: what is wrong.
        count: how many items are.
        ids: the first of them: of samples, or of what the message names.
        hint: what to do.
    """

    invariant: str
    message: str
    count: int
    ids: tuple[int, ...]
    hint: str


class Look:
    """What the invariants look at, and where they report."""

    def __init__(self, workspace: Workspace, *, fast: bool, clean: bool) -> None:
        self.workspace = workspace
        self.catalog = workspace.catalog
        self.fast = fast
        self.clean = clean
        self.invariant = ""
        self.findings: list[Finding] = []
        self.notes: list[str] = []
        self.removed = 0

    def broken(self, message: str, *, ids: Iterable[int] = (), count: int | None = None, hint: str) -> None:
        """Report that the invariant is broken."""
        named = heapq.nsmallest(SHOWN, ids)
        self.findings.append(Finding(self.invariant, message, len(named) if count is None else count, tuple(named), hint))


def apply_rule(look: Look, rule: Rule) -> int:
    """Hold a rule of the catalog; return how many rows it was held against."""
    look.invariant = rule.invariant
    found = checks.offenders(look.catalog, rule.offenders)
    if found.total:
        look.broken(rule.message.format(count=f"{found.total:,}"), ids=found.ids, count=found.total, hint=rule.hint)
    return checks.counted(look.catalog, rule)


class Some:
    """Counts ids and keeps the smallest few of them."""

    def __init__(self) -> None:
        self.count = 0
        self.ids: list[int] = []

    def extend(self, ids: Iterable[int]) -> None:
        """Count these too."""
        new = [int(i) for i in ids]
        self.count += len(new)
        self.ids = heapq.nsmallest(SHOWN, [*self.ids, *new])
