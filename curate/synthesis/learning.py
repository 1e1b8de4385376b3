"""A training while it runs: without the catalog, in every process of a launch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from curate.generators import (
    Estimate,
    FitOptions,
    FitReport,
    is_main_process,
    launched,
    read_report,
    share_of_threads,
    weights_file,
)
from curate.records import Progress
from curate.synthesis.planning import Plan
from curate.workspace import Workspace, write_atomically


@dataclass(frozen=True, slots=True)
class Learned:
    """What came of a training; `estimate` is None where it was finished before."""

    fitted: FitReport
    estimate: Estimate | None
    checkpoint_hash: str
    folder: Path


def learn(plan: Plan, folder: Path, *, finished: bool, options: FitOptions, progress: Progress) -> Learned:
    """Estimate and fit; every process of a launch comes here.

    Args:
        folder: the model's.
        finished: the training was done before, so that its report is only read.
    """
    estimate = None
    begun_with = folder / "threads"
    if not finished:
        estimate = plan.generator.estimate(plan.material.train, options=options)
        progress.note(f"about {_minutes(estimate.seconds)}: {estimate.how}")
        if is_main_process() and not begun_with.exists():
            # Another number of threads would round otherwise: a killed training is given again what it began with.
            write_atomically(begun_with, str(estimate.threads).encode())
        options = replace(options, threads=int(begun_with.read_text()) if is_main_process() else estimate.threads)
        fitted = plan.generator.fit(plan.material.train, plan.material.validation, folder, options=options, progress=progress)
    else:
        fitted, _ = read_report(folder)
    if is_main_process():
        begun_with.unlink(missing_ok=True)
    return Learned(fitted, estimate, hashlib.sha256(weights_file(folder).read_bytes()).hexdigest(), folder)


def threads_each(workspace: Workspace) -> int:
    """CPU threads of each process; 0 lets the generator choose, where nobody has limited them."""
    if launched() == 1:
        return workspace.settings.limits.threads
    return share_of_threads(workspace.threads)


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"
