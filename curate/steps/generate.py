"""`generate`: draws labelled samples, passes them through the gates, and stores them apart from real data."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curate.arguments import as_items
from curate.catalog import models, splits, synthetic
from curate.catalog.models import ModelRow
from curate.errors import SettingError
from curate.generators import load_model
from curate.reports import Report
from curate.synthesis.gates import Gates
from curate.synthesis.session import DrawSession
from curate.workspace import Workspace
from curate.workspace.sealed_files import require_sealed

_ROUNDS = 5  # of --balance: refused draws are replaced so often


@dataclass(frozen=True, slots=True, repr=False)
class GenerateReport(Report):
    """What was drawn now; `drawn = accepted + refused`.

    Attributes:
        refused: by reason: copy-of-train, leak-of-test, duplicate, invalid, label-mismatch.
        already: draws of this command that were made before.
        by_label: accepted samples of this command, drawn now or before.
        gates: what each gate compared, and its limit.
    """

    run_id: int
    model: str
    model_id: int
    drawn: int
    accepted: int
    refused: dict[str, int]
    already: int
    by_label: dict[str, int]
    seed: int
    seconds: float
    gates: tuple[str, ...]
    notes: tuple[str, ...] = ()


def generate(
    workspace: Workspace,
    model: str,
    *,
    labels: str | Sequence[str] = (),
    count: int | None = None,
    balance: bool = False,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    label_gate: bool = True,
    device: str = "auto",
) -> GenerateReport:
    """Draw samples of a model; every one is stored, accepted or refused with its reason, and can be drawn again.

    A draw is known by the model, the label, its number, the seed and the settings: the same command draws nothing
    twice, goes on after a kill, and with a larger count adds the rest.

    Args:
        labels: which to draw; all that the model knows by default.
        count: draws of each label.
        balance: draw each label until its accepted samples fill what its real training samples lack to the most
            frequent label; refused draws are replaced, in at most five rounds.
        settings: of the draw, such as guidance or temperature.
        label_gate: refuse draws that a classifier trained on real samples gives another label.

    Raises:
        InputError: there is no such model.
        SettingError: an unknown label or setting, or neither a count nor `balance`.
    """
    started = time.monotonic()
    labels = as_items(labels)
    row = models.find(workspace.catalog, model)
    if (count is None) == (not balance):
        raise SettingError(
            "say how many to draw: a count of each label, or balance", hint=f"curate generate {model} --count 100"
        )
    trained = load_model(require_sealed(workspace.root, workspace.catalog, row.model_id, row.folder), device=device)
    unknown = sorted(set(labels) - set(trained.labels))
    if unknown:
        raise SettingError(f"{model} knows no label {unknown[0]!r}", hint="one of: " + ", ".join(trained.labels[:12]))
    asked: list[str | None] = list(dict.fromkeys(labels)) or list(trained.labels) or [None]
    drawing = trained.draw_settings(settings or {}, most_threads=workspace.settings.limits.threads)
    split = next(s for s in splits.every(workspace.catalog) if s.split_id == row.split_id)
    targets = _lacking(workspace, row, split, asked) if balance else dict.fromkeys(asked, count or 0)
    recorded = {"model": model, "targets": {str(k): v for k, v in targets.items()}, "seed": seed, "settings": drawing}
    with workspace.run("generate", dataset=row.dataset, settings=recorded) as run:
        known = synthetic.drawn(workspace.catalog, row.model_id)
        accepted = [d.sample_id for d in known if d.status == "accepted"]
        skip = () if label_gate else ("label-mismatch",)
        with Gates(workspace, row, split, trained.modality, accepted, skip=skip) as gates:
            session = DrawSession(workspace, run, row, trained, gates, drawing, seed, {d.seed: d.status for d in known})
            short = session.draw_all(targets, rounds=_ROUNDS if balance else 1)
    return GenerateReport(
        run_id=run.run_id,
        model=model,
        model_id=row.model_id,
        drawn=sum(session.tally.values()),
        accepted=session.tally["accepted"],
        refused={k: v for k, v in session.tally.most_common() if k != "accepted"},
        already=session.already,
        by_label={str(label): n for label, n in session.accepted.items()},
        seed=seed,
        seconds=round(time.monotonic() - started, 2),
        gates=gates.descriptions,
        notes=tuple(
            f"{label}: {n} fewer accepted than wanted after {_ROUNDS} rounds" for label, n in short.items() if balance and n
        ),
    )


def _lacking(workspace: Workspace, row: ModelRow, split: splits.Split, labels: Sequence[str | None]) -> dict[str | None, int]:
    counted = Counter(models.members(workspace.catalog, split, "train")["label"].to_pylist())
    most = max(counted.values(), default=0)
    return {label: most - counted.get(label, 0) for label in labels}
