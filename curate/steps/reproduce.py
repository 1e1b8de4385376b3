"""`reproduce`: draws synthetic samples again, and compares them with what is stored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from curate.arguments import as_items
from curate.catalog import models, synthetic
from curate.catalog.synthetic import DrawnRow
from curate.errors import InputError, WorkspaceDamaged
from curate.generators import DrawRequest, load_model, weights_file
from curate.reports import Report
from curate.workspace import Workspace
from curate.workspace.sealed_files import require_sealed


@dataclass(frozen=True, slots=True, repr=False)
class ReproduceReport(Report):
    """How many samples came out the same, bit for bit, and which did not."""

    samples: int
    same: int
    different: tuple[int, ...]
    notes: tuple[str, ...] = ()


def reproduce(
    workspace: Workspace,
    sample_ids: int | Sequence[int] = (),
    *,
    model: str | None = None,
    limit: int = 100,
    device: str = "auto",
) -> ReproduceReport:
    """Draw synthetic samples again from their model, label, seed and settings.

    Args:
        sample_ids: which.
        model: every sample of this model instead, at most `limit` of them, evenly spread.

    Raises:
        InputError: an id is no synthetic sample, or nothing was named.
        WorkspaceDamaged: the model's weights are not those that drew them.
    """
    sample_ids = as_items(sample_ids)
    if model is not None:
        rows = synthetic.drawn(workspace.catalog, models.find(workspace.catalog, model).model_id)
        rows = [rows[n * len(rows) // min(limit, len(rows))] for n in range(min(limit, len(rows)))]
    else:
        rows = synthetic.by_ids(workspace.catalog, sample_ids)
        missing = sorted(set(sample_ids) - {row.sample_id for row in rows})
        if missing:
            raise InputError(
                f"no synthetic sample has the id {missing[0]}", hint='curate sql "SELECT sample_id FROM accepted LIMIT 5"'
            )
    if not rows:
        raise InputError("no synthetic sample was named", hint="curate reproduce ID, or curate reproduce --all MODEL")
    different: list[int] = []
    notes: dict[str, None] = {}
    groups: dict[tuple[int, str], list[DrawnRow]] = {}
    for row in rows:
        groups.setdefault((row.model_id, json.dumps(row.settings, sort_keys=True)), []).append(row)
    workspace.progress.start("drawing again", total=len(rows))
    for (model_id, _), group in groups.items():
        different += _differing(workspace, model_id, group, device, notes)
    workspace.progress.finish()
    return ReproduceReport(len(rows), len(rows) - len(different), tuple(sorted(different)), tuple(notes))


def _differing(workspace: Workspace, model_id: int, rows: list[DrawnRow], device: str, notes: dict[str, None]) -> list[int]:
    row = models.by_id(workspace.catalog, model_id)
    folder = require_sealed(workspace.root, workspace.catalog, row.model_id, row.folder)
    if hashlib.sha256(weights_file(folder).read_bytes()).hexdigest() != row.checkpoint_hash:
        raise WorkspaceDamaged(f"the weights of {row.name} are not those that were trained", hint="curate check")
    trained = load_model(folder, device=device)
    settings = {key: value for key, value in rows[0].settings.items() if key != "base_seed"}
    if settings.get("environment") != trained.draw_settings().get("environment"):
        notes["drawn in another environment then (versions, processor or device), which may round otherwise"] = None
    different = []
    for item in trained.draw([DrawRequest.of_label(r.requested_label, r.seed) for r in rows], settings):
        content = item.text.encode() if item.text is not None else item.media or b""
        if hashlib.sha256(content).hexdigest() != rows[item.index].content_hash:
            different.append(rows[item.index].sample_id)
        workspace.progress.advance(1)
    return different
