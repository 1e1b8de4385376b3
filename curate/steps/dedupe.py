"""`dedupe`: decides which samples repeat another, and records the evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from curate.arguments import as_items
from curate.deduplication.job import dedupe_dataset
from curate.deduplication.report import DedupeReport
from curate.workspace import Workspace


def dedupe(
    workspace: Workspace,
    dataset: str,
    *,
    methods: str | Sequence[str] = (),
    threshold: float | Mapping[str, float] | None = None,
    against: str | Sequence[str] = (),
    protect: str | Sequence[str] = (),
    keep: str = "first",
    embedder: str | None = None,
    level: str | None = None,
    settings: Mapping[str, Any] | None = None,
    memory: str | None = None,
    dry_run: bool = False,
    yes: bool = False,
) -> DedupeReport:
    """Decide anew which samples of a dataset are dropped as duplicates.

    The verdicts of the last dedupe are those that count: what an earlier one dropped and this one does not is
    restored. Samples that a user restored stay, and samples that a user dropped stay dropped together with what resembles them.
    Every dropped sample is tied to one that is kept and at least `threshold` similar to it, by the method's true measure.
    What an earlier run with the same methods and settings found of old samples is taken over where new ones cannot change it.

    Args:
        methods: dedupers by name, applied together; by default those of the level.
        level: "copies": equal bytes (exact). "edits", the default: also texts in the same words up to case, punctuation,
            courtesy, slips of the pen and one word left out (exact, minhash, semantic), and pictures that look alike (exact,
            perceptual). "meaning", the default where methods are named: also texts in other words that say the same, by the
            cosine of their vectors. At every level two texts stay that differ in numbers, denials, signs, words of direction
            and their like, characters that the model does not know, or the order of their words: `guards` among the settings
            takes guards away or adds some ("meaning,labels", "edits,-order", "none").
        threshold: one for every near-duplicate method, or by method; each method's own by default.
        against: other datasets, or splits or parts of them; what they have already is dropped here in favour of their sample.
        protect: eval sets never to be trained on, or a part of the dataset itself, whose samples all stay. This makes a
            standing rule with this run's methods and thresholds, as `protect` does: every later command keeps it.
        keep: "first", "longest" or "largest".
        embedder: whose vectors `semantic` compares; the workspace's text embedder by default. Missing vectors are made first.
        settings: of the methods, by name: {"ngram": 7, "invariant": "flip"}.
        memory: the size that the process is held to, such as "2GB"; the workspace's limit by default. More goes to files. Under
            640 MB, of which the libraries take half, it is what the process may take beside them.
        dry_run: report, and change nothing.
        yes: go on where more than 90 % would be dropped, or a quarter of the samples falls into one group.

    Raises:
        InputError: no such dataset, or it is empty.
        SettingError: a method, threshold or setting is not allowed.
        NeedsConfirmation: see `yes`; nothing was changed.
    """
    methods = as_items(methods)
    against = as_items(against)
    protect = as_items(protect)
    return dedupe_dataset(
        workspace, dataset, methods=methods, threshold=threshold, against=against, protect=protect, keep=keep,
        embedder=embedder, level=level, settings=settings, memory=memory, dry_run=dry_run, yes=yes,
    )  # fmt: skip
