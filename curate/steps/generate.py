"""`generate`: draws labelled samples, passes them through the gates, and stores them apart from real data."""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from curate.catalog import models, sources, splits, synthetic, vectors
from curate.catalog.models import ModelRow
from curate.errors import SettingError
from curate.generators import Drawn, DrawRequest, Model, load_model
from curate.steps._gates import Gates, Verdict
from curate.workspace import BlobStore, Run, Workspace

WINDOW = 128  # draws a transaction
_ROUNDS = 5  # of --balance: refused draws are replaced so often


@dataclass(frozen=True, slots=True)
class GenerateReport:
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


@dataclass(frozen=True, slots=True)
class _Draw:
    """One draw of a command: the nth of its label."""

    label: str | None
    index: int
    seed: int


def generate(
    workspace: Workspace,
    model: str,
    *,
    labels: Sequence[str] = (),
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
    row = models.find(workspace.catalog, model)
    if (count is None) == (not balance):
        raise SettingError(
            "say how many to draw: a count of each label, or balance", hint=f"curate generate {model} --count 100"
        )
    trained = load_model(workspace.root / "models" / row.folder, device=device)
    unknown = sorted(set(labels) - set(trained.labels))
    if unknown:
        raise SettingError(f"{model} knows no label {unknown[0]!r}", hint="one of: " + ", ".join(trained.labels[:12]))
    asked: list[str | None] = list(dict.fromkeys(labels)) or list(trained.labels) or [None]
    drawing = trained.draw_settings(**_limited(workspace, trained, settings or {}))
    split = next(s for s in splits.every(workspace.catalog) if s.split_id == row.split_id)
    targets = _lacking(workspace, row, split, asked) if balance else dict.fromkeys(asked, count or 0)
    recorded = {"model": model, "targets": {str(k): v for k, v in targets.items()}, "seed": seed, "settings": drawing}
    with workspace.run("generate", dataset=row.dataset, settings=recorded) as run:
        known = synthetic.drawn(workspace.catalog, row.model_id)
        accepted = [d.sample_id for d in known if d.status == "accepted"]
        gates = Gates(workspace, row, split, trained.modality, accepted, label_gate=label_gate)
        try:
            session = _Session(workspace, run, row, trained, gates, drawing, seed, {d.seed: d.status for d in known})
            short = session.draw_all(targets, rounds=_ROUNDS if balance else 1)
        finally:
            gates.close()
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


def _limited(workspace: Workspace, trained: Model, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The caller's draw settings, with no more threads than the workspace allows where nobody asked for a number."""
    limit, own = workspace.settings.limits.threads, trained.draw_settings()["threads"]
    capped = {"threads": 1 << (limit.bit_length() - 1)} if limit and limit < own else {}
    return {**capped, **settings}


def _lacking(workspace: Workspace, row: ModelRow, split: splits.Split, labels: Sequence[str | None]) -> dict[str | None, int]:
    counted = Counter(models.members(workspace.catalog, split, "train")["label"].to_pylist())
    most = max(counted.values(), default=0)
    return {label: most - counted.get(label, 0) for label in labels}


class _Session:
    """The draws of one command, window by window."""

    def __init__(
        self,
        workspace: Workspace,
        run: Run,
        row: ModelRow,
        trained: Model,
        gates: Gates,
        drawing: dict[str, Any],
        seed: int,
        known: dict[int, str],
    ) -> None:
        self._workspace = workspace
        self._run = run
        self._row = row
        self._trained = trained
        self._gates = gates
        self._drawing = drawing
        self._stored = json.dumps({**drawing, "base_seed": seed}, sort_keys=True)
        moving = json.dumps({k: v for k, v in drawing.items() if k != "environment"}, sort_keys=True)
        self._seed_stem = f"{seed}|{moving}"
        self._known = known
        self.tally: Counter[str] = Counter()
        self.accepted: Counter[str | None] = Counter()
        self.already = 0

    def draw_all(self, targets: Mapping[str | None, int], *, rounds: int) -> dict[str | None, int]:
        """Draw every target; with more than one round, replace what was refused.

        The rounds replay from the first draw on, taking stored outcomes for draws that were made before, so that an
        interrupted command ends where an undisturbed one does.

        Returns:
            How many accepted samples each label lacks in the end.
        """
        next_index = dict.fromkeys(targets, 0)
        progress = self._workspace.progress
        for _ in range(rounds):
            wanted = [
                self._draw(label, next_index[label] + n)
                for label, target in targets.items()
                for n in range(target - self.accepted[label])
            ]
            if not wanted:
                break
            for draw in wanted:
                next_index[draw.label] = draw.index + 1
            missing = [draw for draw in wanted if draw.seed not in self._known]
            self.already += len(wanted) - len(missing)
            progress.start("drawing", total=len(missing))
            for window in _windows(missing):
                self._draw_window(window)
                progress.advance(len(window))
            progress.finish()
            for draw in wanted:
                self.accepted[draw.label] += self._known[draw.seed] == "accepted"
        return {label: target - self.accepted[label] for label, target in targets.items()}

    def _draw(self, label: str | None, index: int) -> _Draw:
        digest = hashlib.sha256(f"{self._seed_stem}|{label}|{index}".encode()).digest()
        return _Draw(label, index, int.from_bytes(digest[:8], "big") >> 1)

    def _draw_window(self, window: Sequence[_Draw]) -> None:
        drawn: list[Drawn | None] = [None] * len(window)
        for item in self._trained.draw([DrawRequest(d.label, d.seed) for d in window], self._drawing):
            drawn[item.index] = item
        results = [item for item in drawn if item is not None]
        assert len(results) == len(window), "the generator skipped a request"
        contents = [item.text if item.text is not None else item.media for item in results]
        verdicts = self._gates.judge(contents, [d.label for d in window])  # type: ignore[arg-type]
        hashes = [hashlib.sha256(c.encode() if isinstance(c, str) else c or b"").hexdigest() for c in contents]
        names = [BlobStore.name(h, ".png") if item.media is not None else None for h, item in zip(hashes, results, strict=True)]
        self._workspace.synthetic.write(
            (name, item.media) for name, item in zip(names, results, strict=True) if name is not None and item.media is not None
        )
        catalog = self._workspace.catalog
        with catalog.transaction():
            ids = list(sources.reserve_ids(catalog, "sample_ids", len(window)))
            synthetic.add(catalog, self._table(ids, window, results, verdicts, hashes, names))
            kept = [n for n, verdict in enumerate(verdicts) if verdict.refusal is None]
            if kept:
                matrix = np.stack([v.vector for n in kept if (v := verdicts[n]).vector is not None])
                vectors.add(catalog, self._gates.slug, np.array([ids[n] for n in kept], np.int64), matrix)
            for draw, verdict in zip(window, verdicts, strict=True):
                self._known[draw.seed] = "refused" if verdict.refusal else "accepted"
                self.tally[verdict.refusal or "accepted"] += 1
            self._run.commit_counts({"drawn": sum(self.tally.values()), **self.tally})

    def _table(
        self,
        ids: list[int],
        window: Sequence[_Draw],
        results: Sequence[Drawn],
        verdicts: Sequence[Verdict],
        hashes: Sequence[str],
        names: Sequence[str | None],
    ) -> pa.Table:
        sizes = [_dimensions(item.media) for item in results]
        n = len(window)
        return pa.table(
            {
                "sample_id": pa.array(ids, pa.int64()),
                "dataset_id": pa.array([self._row.dataset_id] * n, pa.int32()),
                "model_id": pa.array([self._row.model_id] * n, pa.int32()),
                "run_id": pa.array([self._run.run_id] * n, pa.int32()),
                "seed": pa.array([d.seed for d in window], pa.int64()),
                "draw_index": pa.array([d.index for d in window], pa.int64()),
                "requested_label": pa.array([d.label for d in window], pa.string()),
                "settings": pa.array([self._stored] * n, pa.string()),
                "depth": pa.array([self._row.depth + 1] * n, pa.int32()),
                "parents": pa.array(["[]"] * n, pa.string()),
                "modality": pa.array([self._trained.modality] * n, pa.string()),
                "content_hash": pa.array(hashes, pa.string()),
                "label": pa.array([d.label for d in window], pa.string()),
                "text": pa.array([item.text for item in results], pa.large_string()),
                "blob": pa.array(names, pa.string()),
                "size_bytes": pa.array(
                    [len(i.media) if i.media is not None else len((i.text or "").encode()) for i in results], pa.int64()
                ),
                "width": pa.array([size[0] if size else None for size in sizes], pa.int32()),
                "height": pa.array([size[1] if size else None for size in sizes], pa.int32()),
                "metadata": pa.array([json.dumps(dict(item.extra)) if item.extra else None for item in results], pa.string()),
                "status": pa.array(["refused" if v.refusal else "accepted" for v in verdicts], pa.string()),
                "refusal": pa.array([v.refusal for v in verdicts], pa.string()),
                "nearest_id": pa.array([v.nearest_id for v in verdicts], pa.int64()),
                "nearest_real": pa.array([v.nearest_real for v in verdicts], pa.float64()),
            }
        )


def _windows(draws: Sequence[_Draw]) -> Iterator[Sequence[_Draw]]:
    for start in range(0, len(draws), WINDOW):
        yield draws[start : start + WINDOW]


def _dimensions(media: bytes | None) -> tuple[int, int] | None:
    if media is None:
        return None
    from PIL import Image

    with Image.open(io.BytesIO(media)) as image:
        return image.size
