"""`calibrate`: measures on a user's own labelled pairs which threshold tells duplicates from others."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate import plugins
from curate.catalog import vectors
from curate.catalog.vectors import EmbedderRow
from curate.deduplication.labelled_pairs import Pairs, read_pairs
from curate.deduplication.pair_similarity import compare_texts, compare_vectors
from curate.deduplication.precision_curve import Point, Recommendation, measure_curve, recommend
from curate.embedding.specs import canonical_spec, default_spec, loaded
from curate.errors import InputError, NeedsConfirmation, SettingError
from curate.reports import Report
from curate.workspace import Workspace

PRECISION = 0.99
_MIX = "precision holds for pairs mixed as in this file; the share of false alarms does not depend on the mix"
_FLOOR = (
    "less than the measured default is recommended only with --lower: use it if the different pairs are your nearest misses"
)


@dataclass(frozen=True, slots=True, repr=False)
class CalibrateReport(Report):
    """What was measured.

    Attributes:
        run_id: None where nothing was stored.
        pairs: `same + different`.
        precision: the one that was asked for.
        shipped: the threshold that the embedder or method comes with; None where nobody measured one.
        before: the threshold that held in this workspace until now.
        recommended: None where no threshold parts the pairs.
        proven: whether the sample shows that the recommended threshold has the precision.
        why: one sentence about the recommendation.
        saved: the threshold that is the embedder's default in this workspace from now on; None where nothing was stored.
        curve: one point for each 0.005.
    """

    run_id: int | None
    method: str
    embedder: str | None
    measure: str
    pairs: int
    same: int
    different: int
    precision: float
    shipped: float | None
    before: float | None
    recommended: float | None
    proven: bool
    why: str
    saved: float | None
    seconds: float
    curve: tuple[Point, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class ResetReport(Report):
    """An embedder has the threshold again that it came with; `before` held until now."""

    run_id: int
    embedder: str
    before: float | None
    threshold: float | None


def calibrate(
    workspace: Workspace,
    pairs: Path | str,
    *,
    method: str | None = None,
    embedder: str | None = None,
    precision: float = PRECISION,
    lower: bool = False,
    save: bool = False,
    yes: bool = False,
) -> CalibrateReport:
    """Measure precision and recall over thresholds, and recommend one that errs to keeping.

    Args:
        pairs: a CSV file with the columns left, right (texts, or paths of images, relative ones from the file's folder) and
            same (1 or 0; duplicate or different).
        method: a deduper; "semantic" by default, "perceptual" where `embedder` is that one.
        embedder: whose vectors `semantic` compares; the workspace's text embedder by default.
        precision: what share of the pairs at or above the recommended threshold must be the same, proven at 95 %.
        lower: recommend less than the default that was measured for the embedder or method too: the pairs labelled different
            are known to be as near as others come in the data.
        save: make the recommended threshold the embedder's default in this workspace; `reset_threshold` takes it back.
        yes: save one too that the sample is too small to prove.

    Raises:
        InputError: the file cannot be read or has other columns or words, or a picture cannot be decoded.
        SettingError: the method does not fit, or its threshold cannot be stored.
        NeedsConfirmation: see `yes`; nothing was stored.
    """
    started = time.monotonic()
    if not 0 < precision < 1:
        raise SettingError(f"precision must be in (0, 1), got {precision:g}", hint="--precision 0.99")
    name, spec, deduper = _choose(workspace, method, embedder)
    if save and name != "semantic":
        raise SettingError(
            f"only an embedder's threshold can be stored, and {name} is not used with a choice of embedders",
            hint=f"leave --save out, and give the threshold: curate dedupe DATASET --threshold {name}=N",
        )
    read = read_pairs(Path(pairs))
    notes: list[str] = []
    shipped: float | None = None if spec else deduper.threshold
    if spec is None:
        similarity = compare_texts(deduper, read)
        row = None
    else:
        with loaded(workspace, spec) as model:
            folder = Path(pairs).absolute().parent
            similarity, known = compare_vectors(workspace.catalog, deduper, model, read, folder, workspace.progress)
            notes += [f"{known:,} of the vectors were in the catalog already"] if known else []
            row = EmbedderRow(model.slug, spec, model.fingerprint, model.dimension, model.description, model.default_threshold)
        shipped = row.threshold if name == "semantic" else deduper.threshold
    before = _threshold_now(workspace, row) if row is not None and name == "semantic" else shipped
    curve = measure_curve(similarity, read.same)
    found = recommend(curve, precision=precision, floor=None if lower else shipped)
    run_id = _save(workspace, row, before, found, read, yes=yes) if save and row is not None else None
    if found.threshold is not None and hasattr(deduper, "candidates_note"):
        notes.append(f"recall here is that of the measure; in dedupe {deduper.candidates_note(found.threshold)}")
    same = int(read.same.sum())
    return CalibrateReport(
        run_id=run_id,
        method=name,
        embedder=spec,
        measure=deduper.measure,
        pairs=len(read.same),
        same=same,
        different=len(read.same) - same,
        precision=precision,
        shipped=shipped,
        before=before,
        recommended=found.threshold,
        proven=found.proven,
        why=found.why,
        saved=found.threshold if save else None,
        seconds=round(time.monotonic() - started, 3),
        curve=curve,
        notes=(*notes, _MIX, *(() if found.threshold is None or lower or found.threshold > (shipped or 0) else (_FLOOR,))),
    )


def reset_threshold(workspace: Workspace, *, embedder: str | None = None) -> ResetReport:
    """Give an embedder the default threshold back that it comes with.

    Raises:
        InputError: the workspace has no vectors of that embedder, and so no threshold of its own.
    """
    spec = canonical_spec(embedder) if embedder else default_spec(workspace, "text")
    row = next((row for row in vectors.embedders(workspace.catalog) if row.spec == spec), None)
    if row is None:
        raise InputError(f"this workspace has stored nothing about {spec}", hint="the threshold that it comes with holds")
    with loaded(workspace, spec) as model:
        shipped = model.default_threshold
    settings = {"embedder": spec, "threshold": shipped, "before": row.threshold, "reset": True}
    with workspace.run("calibrate", dataset=None, settings=settings) as run, workspace.catalog.transaction():
        vectors.set_threshold(workspace.catalog, row.slug, shipped)
        run.commit_counts({})
    return ResetReport(run.run_id, spec, row.threshold, shipped)


def _choose(workspace: Workspace, method: str | None, embedder: str | None) -> tuple[str, str | None, Any]:
    """The deduper's name, the embedder that it needs, and the deduper."""
    spec = canonical_spec(embedder) if embedder else None
    name = method or ("perceptual" if spec == "perceptual" else "semantic")
    kind = plugins.load("dedupers", name)
    if kind.consumes == "hash":
        raise SettingError(f"{name} has no threshold to measure", hint="--method minhash, or --embedder minilm")
    fixed = kind.embedder if kind.consumes == "vectors" else None
    if spec and kind.consumes != "vectors":
        raise SettingError(f"{name} compares texts and uses no embedder, got {embedder!r}", hint="leave --embedder out")
    if spec and fixed and spec != fixed:
        raise SettingError(f"{name} compares vectors of {fixed}, got {embedder!r}", hint="leave --embedder out")
    if kind.consumes == "vectors":
        spec = fixed or spec or default_spec(workspace, "text")
    return name, spec, kind(threshold=1.0) if name == "semantic" else kind()


def _threshold_now(workspace: Workspace, row: EmbedderRow) -> float | None:
    known = next((known for known in vectors.embedders(workspace.catalog) if known.slug == row.slug), row)
    return known.threshold


def _save(
    workspace: Workspace, row: EmbedderRow, before: float | None, found: Recommendation, pairs: Pairs, *, yes: bool
) -> int:
    if found.threshold is None:
        raise InputError(f"nothing was stored: {found.why}", hint="look at the pairs, or try another --embedder")
    if not found.proven and not yes:
        raise NeedsConfirmation(f"nothing was stored: {found.why}", hint="label more pairs, or store it with --yes")
    settings = {
        "embedder": row.spec,
        "threshold": found.threshold,
        "before": before,
        "shipped": row.threshold,
        "proven": found.proven,
    }
    with workspace.run("calibrate", dataset=None, settings=settings) as run, workspace.catalog.transaction():
        vectors.register(workspace.catalog, row)
        vectors.set_threshold(workspace.catalog, row.slug, found.threshold)
        run.commit_counts({"pairs": len(pairs.same), "same": int(pairs.same.sum())})
    return run.run_id
