"""No near-duplicate stands on two sides of a split, whether a dedupe found it or nobody did."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from curate.catalog import datasets, vectors
from curate.catalog.vectors import EmbedderRow
from curate.dedupers.minhash import MinHashDeduper
from curate.deduplication import across_parts
from curate.errors import InputError
from curate.steps.check import check
from curate.steps.dedupe import dedupe
from curate.steps.export import export
from curate.steps.ingest import ingest
from curate.steps.split import split
from curate.workspace import Workspace, create_workspace, open_workspace

HALVES = {"train": 0.5, "validation": 0.25, "test": 0.25}
WORDS = ["".join(letters) for letters in itertools.islice(itertools.product("bdfgklmnprst", "aeiou", "mnrst", "aeo"), 400)]
"""Without digits: two texts whose numbers differ are never one by meaning."""


@pytest.fixture
def workspace(tmp_path: Path):
    with open_workspace(create_workspace(tmp_path / "ws")) as opened:
        yield opened


def put(workspace: Workspace, texts: list[str]) -> None:
    path = workspace.root.parent / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    ingest(workspace, [path], dataset="d")


def with_vectors(workspace: Workspace, matrix: np.ndarray) -> np.ndarray:
    """Give the samples these vectors, in the order of their ids, as if MiniLM had made them; returns the ids."""
    unit = (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)
    vectors.register(workspace.catalog, EmbedderRow("minilm", "minilm", "f", unit.shape[1], "made by the test", 0.95))
    ids = np.array([row[0] for row in workspace.catalog.rows("SELECT sample_id FROM real_samples ORDER BY 1")])
    with workspace.catalog.transaction():
        vectors.add(workspace.catalog, "minilm", ids, unit)
    return ids


def drifting(chains: int, links: int, seed: int) -> list[str]:
    """Chains of texts: each is a near-duplicate of the next, and the first none of the last."""
    draw = random.Random(seed)
    texts = []
    for _ in range(chains):
        words = draw.choices(WORDS, k=90)
        for _ in range(links):
            words[draw.randrange(90)] = draw.choice(WORDS)
            texts.append(" ".join(words))
    draw.shuffle(texts)
    return texts


def rows(workspace: Workspace) -> list[tuple[int, str, str]]:
    return workspace.catalog.rows(
        "SELECT p.sample_id, p.part, s.text FROM parts p JOIN real_samples s USING (sample_id) ORDER BY p.sample_id"
    )


def crossing(parts: list[str], similarity, threshold: float) -> list[tuple[int, int]]:
    """Slow oracle: every pair of rows in different parts that is similar enough."""
    return [
        (left, right)
        for left in range(len(parts))
        for right in range(left)
        if parts[left] != parts[right] and similarity(left, right) >= threshold
    ]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_pair_of_near_texts_crosses_and_check_proves_it(workspace, seed):
    put(workspace, drifting(12, 8, seed))
    report = split(workspace, "d", ratios=HALVES)
    found = rows(workspace)
    deduper = MinHashDeduper()
    texts = [text for _, _, text in found]

    def jaccard(left: int, right: int) -> float:
        return float(deduper.similarity(pa.array([texts[left]]), pa.array([texts[right]]))[0])

    assert report.near_pairs > 0 and "minhash" in report.compared
    assert crossing([part for _, part, _ in found], jaccard, deduper.threshold) == []
    assert check(workspace).findings == ()
    again = split(workspace, "d", ratios=HALVES)
    assert not again.changed and again.near_pairs == 0


def test_vectors_are_compared_across_parts_although_the_dedupe_compared_none(workspace):
    put(workspace, [f"a text about {WORDS[n]}" for n in range(60)])
    draw = np.random.default_rng(3)
    centres = draw.normal(size=(15, 32)).repeat(4, 0)
    matrix = centres + 0.05 * draw.normal(size=centres.shape)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    ids = with_vectors(workspace, matrix)
    dedupe(workspace, "d", methods=["exact", "minhash"])
    report = split(workspace, "d", ratios=HALVES)
    place = {int(i): n for n, i in enumerate(ids)}
    found = rows(workspace)
    chosen = matrix[[place[i] for i, _, _ in found]]
    assert "semantic ≥ 0.95" in report.compared and report.near_pairs > 0
    assert crossing([part for _, part, _ in found], lambda a, b: float(chosen[a] @ chosen[b]), 0.95) == []


def test_a_sample_that_resembles_many_of_its_own_part_is_still_asked_about_the_others(workspace):
    """29 vectors of train resemble the one of test, but lie nearer to one of their own part, which does not."""
    put(workspace, [f"a text about {WORDS[n]}" for n in range(31)])
    draw = np.random.default_rng(0)
    centre, aside = np.eye(64)[0], np.eye(64)[1]
    alike = [centre + 0.01 * draw.normal(size=64) for _ in range(29)]
    ids = with_vectors(workspace, np.stack([centre - 0.15 * aside, *alike, centre + 0.25 * aside]))
    members = pa.table({"sample_id": ids, "part": ["train"] * 30 + ["test"]})
    dataset = datasets.find(workspace.catalog, "d")
    comparison = across_parts.comparison_of(workspace, dataset)
    pairs, _ = across_parts.pairs_across_parts(workspace, dataset, members, comparison)
    assert sorted(pairs["sample_id"].to_pylist()) == ids[1:30].tolist()


def test_records_of_one_form_that_differ_in_their_numbers_are_not_one_group(workspace):
    put(workspace, [f"station {n} reports {n * 7 % 100} degrees and {n * 13 % 97} percent" for n in range(40)])
    with_vectors(workspace, np.eye(40) * 0.05 + np.ones((40, 40)))
    report = split(workspace, "d")
    assert "semantic" in report.compared and report.groups == 40 and report.parts["train"].samples == 32


def test_without_near_what_nobody_found_may_cross_and_the_export_repeats_it(workspace, tmp_path):
    put(workspace, drifting(12, 8, 0))
    report = split(workspace, "d", ratios=HALVES, near=False)
    assert report.compared == "" and any("--no-near" in note for note in report.notes)
    exported = export(workspace, "d/", format="jsonl", out=tmp_path / "out")
    assert any("--no-near" in note for note in exported.notes)


def test_a_part_that_has_a_share_and_gets_nothing_is_an_error_unless_allowed(workspace):
    put(workspace, ["one and only"])
    with pytest.raises(InputError, match="validation and test would be empty"):
        split(workspace, "d")
    assert split(workspace, "d", allow_empty=True).parts["train"].samples == 1
