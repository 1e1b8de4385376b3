"""The draws of one command, window by window: drawn, judged, stored."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from curate.catalog import sources, synthetic, vectors
from curate.catalog.models import ModelRow
from curate.generators import Drawn, DrawRequest, Model
from curate.synthesis.gates import Gates
from curate.synthesis.rows import Draw, Outcome, synthetic_rows
from curate.workspace import Run, Workspace

WINDOW = 128  # draws a transaction


class DrawSession:
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

    def _draw(self, label: str | None, index: int) -> Draw:
        digest = hashlib.sha256(f"{self._seed_stem}|{label}|{index}".encode()).digest()
        return Draw(label, index, int.from_bytes(digest[:8], "big") >> 1)

    def _draw_window(self, window: Sequence[Draw]) -> None:
        outcomes = self._judged(window)
        self._workspace.synthetic.write(
            (o.blob, o.drawn.media) for o in outcomes if o.blob is not None and o.drawn.media is not None
        )
        catalog = self._workspace.catalog
        with catalog.transaction():
            ids = list(sources.reserve_ids(catalog, "sample_ids", len(window)))
            rows = synthetic_rows(outcomes, ids, model=self._row, run_id=self._run.run_id, settings=self._stored)
            synthetic.add(catalog, rows)
            kept = [(i, o.verdict.vector) for i, o in zip(ids, outcomes, strict=True) if o.verdict.refusal is None]
            if kept:
                matrix = np.stack([vector for _, vector in kept if vector is not None])
                vectors.add(catalog, self._gates.slug, np.array([i for i, _ in kept], np.int64), matrix)
            for outcome in outcomes:
                self._known[outcome.draw.seed] = "refused" if outcome.verdict.refusal else "accepted"
                self.tally[outcome.verdict.refusal or "accepted"] += 1
            self._run.commit_counts({"drawn": sum(self.tally.values()), **self.tally})

    def _judged(self, window: Sequence[Draw]) -> list[Outcome]:
        drawn: dict[int, Drawn] = {}
        for item in self._trained.draw([DrawRequest.of_label(d.label, d.seed) for d in window], self._drawing):
            drawn[item.index] = item
        assert drawn.keys() == set(range(len(window))), "the generator skipped a request"
        results = [drawn[index] for index in range(len(window))]
        verdicts = self._gates.judge([item.content for item in results], [item.request.conditions for item in results])
        modality = self._trained.modality
        return [Outcome(*three, modality) for three in zip(window, results, verdicts, strict=True)]


def _windows(draws: Sequence[Draw]) -> Iterator[Sequence[Draw]]:
    for start in range(0, len(draws), WINDOW):
        yield draws[start : start + WINDOW]
