"""Which samples of a dataset repeat one of another set, whatever they resemble among themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from curate.columns import as_array, as_truth
from curate.deduplication.contents import Contents
from curate.deduplication.inputs import Materials
from curate.deduplication.methods import Method
from curate.deduplication.rounds import Judgement, Work, as_judgement
from curate.deduplication.ties import Ties
from curate.workspace import Workspace


def judge_apart(workspace: Workspace, contents: Contents, methods: Sequence[Method]) -> Judgement:
    """Tie every sample of the dataset that is equal to a foreign one, or similar to one by any method, to the foreign one.

    The dataset's own samples are not compared with each other, so what is found of one does not depend on the others.
    """
    near = [method for method in methods if method.deduper.consumes != "hash"]
    held = np.zeros(len(contents.first_row), dtype=bool)
    held[contents.content[contents.foreign]] = True
    settled, waiting = np.flatnonzero(held), np.flatnonzero(~held)
    ties, compared, notes = Ties.none(len(held)), 0, dict[str, None]()
    with Materials(workspace, contents, workspace.memory_bytes) as materials:
        for number, method in enumerate(near):
            if not len(waiting) or not len(settled):
                break
            marks = materials.mark(method, np.r_[settled, waiting], len(settled), among=False)
            hit = waiting[marks.stands_for[waiting] >= 0]
            ties.keeper[hit], ties.similarity[hit] = marks.stands_for[hit], marks.similarity[hit]
            ties.method[hit] = number
            waiting = waiting[marks.stands_for[waiting] < 0]
            compared += marks.compared
            notes.update(dict.fromkeys(f"{method.name}: {note}" for note in marks.notes))
    judged = as_judgement(contents, methods, near, ties, Work(compared, 0, tuple(notes)))
    theirs = contents.sample_id[contents.foreign]
    apart = np.isin(as_array(judged.drops["keeper_id"]), theirs)  # the others repeat one of their own
    return replace(judged, drops=judged.drops.filter(as_truth(apart)))
