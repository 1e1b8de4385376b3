"""Which contents there are, which copy of them goes first, and their texts wherever they lie."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.deduplication import content_texts
from curate.deduplication.content_texts import ContentTexts
from curate.deduplication.contents import distinct_contents
from curate.steps.ingest import ingest
from curate.workspace import create_workspace, open_workspace

TEXTS = 40


@st.composite
def rows(draw):
    """Samples of few contents and fewer lengths, in id order; equal contents are equally long."""
    made = []
    for sample_id in range(1, draw(st.integers(1, 20)) + 1):
        content = draw(st.integers(0, 12))
        digest = hashlib.sha256(str(content).encode()).hexdigest()
        made.append({"sample_id": sample_id, "content_hash": digest, "size_bytes": 1 + content % 2, "length": 1 + content % 3})
    return made


def table_of(made: list[dict[str, object]]) -> pa.Table:
    plain = pa.array([None] * len(made), pa.string())
    return pa.Table.from_pylist(made).append_column("action", plain).append_column("owner", plain)


@given(rows(), st.sampled_from(["longest", "largest"]), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=60)
def test_the_longest_goes_first_and_ties_fall_by_size_then_hash_whatever_came_first(made, keep, rng):
    contents = distinct_contents(table_of(made), None, keep)
    expected = sorted(made, key=lambda r: (-r["length"], -r["size_bytes"], r["content_hash"], r["sample_id"]))
    assert contents.sample_id[np.argsort(contents.rank)].tolist() == [row["sample_id"] for row in expected]

    def order_of_contents(arrived: list[dict[str, object]]) -> list[str]:
        renumbered = [row | {"sample_id": n + 1} for n, row in enumerate(arrived)]
        ranks = distinct_contents(table_of(renumbered), None, keep).rank
        return list(dict.fromkeys(str(renumbered[row]["content_hash"]) for row in np.argsort(ranks)))

    assert order_of_contents(rng.sample(made, len(made))) == order_of_contents(made)


@given(rows())
@settings(deadline=None, max_examples=30)
def test_contents_are_numbered_as_they_appear_and_keyed_by_their_hash(made):
    contents = distinct_contents(table_of(made), None, "first")
    seen = list(dict.fromkeys(row["content_hash"] for row in made))
    assert contents.content.tolist() == [seen.index(row["content_hash"]) for row in made]
    assert [bytes(key) for key in contents.keys] == [bytes.fromhex(digest)[16:] for digest in seen]
    assert contents.rank.tolist() == list(range(len(made)))
    assert [made[row]["content_hash"] for row in contents.first_row] == seen


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("texts")
    texts = [f"{n} " + "ä" * random.Random(n).randint(0, 50) for n in range(TEXTS)]
    (folder / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    with open_workspace(create_workspace(folder / "ws")) as opened:
        ingest(opened, [folder / "texts.jsonl"], dataset="d")
        yield opened


@pytest.mark.parametrize("memory_bytes", [0, 10**9])
@pytest.mark.parametrize("read_rows", [7, 10_000])
@pytest.mark.parametrize("at_once", [True, False])
def test_texts_are_the_same_wherever_they_lie(workspace, monkeypatch, memory_bytes, read_rows, at_once):
    monkeypatch.setattr(content_texts, "READ_ROWS", read_rows)
    found = workspace.catalog.rows("SELECT sample_id, text FROM real_samples ORDER BY sample_id")
    ids, expected = np.array([row[0] for row in found]), [row[1] for row in found]
    texts, rng = ContentTexts(workspace, ids, memory_bytes), np.random.default_rng(3)
    spill = workspace.folder("indexes", "spill")
    if at_once:
        assert [text for piece in texts.pieces(np.arange(TEXTS)) for text in piece.to_pylist()] == expected
        assert any(spill.glob("texts-*")) == (memory_bytes == 0)
    for size in (0, 1, 3, 5, 40, 2):  # the fifth asks for so many that all are read
        wanted = rng.integers(0, TEXTS, size)
        assert texts.take(wanted).to_pylist() == [expected[row] for row in wanted]
        some = np.unique(wanted)
        assert [text for piece in texts.pieces(some) for text in piece.to_pylist()] == [expected[row] for row in some]
    assert any(spill.glob("texts-*")) == (memory_bytes == 0)
    texts.close()
    assert not any(spill.glob("texts-*"))
