"""`search` answers as a full scan over the samples that are allowed would, and says which index answered."""

from __future__ import annotations

import io
import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curate import plugins
from curate.catalog import vectors
from curate.embedders import EmbedderOptions
from curate.embedders.minilm import MiniLM
from curate.errors import InputError, SettingError, WorkError
from curate.indexes import Capabilities
from curate.retrieval import indexing
from curate.retrieval.hits import excerpt
from curate.steps.embed import embed
from curate.steps.ingest import ingest
from curate.steps.search import search
from curate.workspace import create_workspace, open_workspace

TOPICS = ("my card has not arrived", "the exchange rate is wrong", "I forgot my pin", "top up by bank transfer")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    root = create_workspace(folder / "ws")
    with open_workspace(root) as ws:
        for name, count in (("support", 60), ("other", 20)):
            rows = [{"text": f"{TOPICS[i % 4]} ({name} {i})", "label": f"t{i % 4}"} for i in range(count)]
            (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
            ingest(ws, [folder / f"{name}.jsonl"], dataset=name, text=["text"], label="label")
            embed(ws, name)
        (folder / "pictures").mkdir()
        for number in range(6):
            noise = np.random.default_rng(number).integers(0, 256, (6, 6, 3), np.uint8)
            stream = io.BytesIO()
            Image.fromarray(noise).resize((64, 64)).save(stream, "PNG")
            (folder / "pictures" / f"{number}.png").write_bytes(stream.getvalue())
        ingest(ws, [folder / "pictures"], dataset="pictures")
        ws.catalog.execute(
            "INSERT INTO verdicts (sample_id, owner, action, reason, run_id) VALUES (1, 'user', 'drop', 'user', 1)"
        )
    return root


class SqliteStore:
    """What a store of another kind would be: a table, one file, no filter."""

    capabilities = Capabilities(exact=True, persistent=True, filters=False)

    def __init__(self, connection, settings):
        self._connection = connection
        self._settings = settings
        self._name = '"' + settings.collection + '"'
        connection.execute(f"CREATE TABLE IF NOT EXISTS {self._name} (id INTEGER PRIMARY KEY, vector BLOB)")
        connection.execute("CREATE TABLE IF NOT EXISTS stamps (collection TEXT PRIMARY KEY, stamp TEXT)")

    @classmethod
    def open(cls, location, settings):
        location = Path(location)
        location.mkdir(parents=True, exist_ok=True)
        return cls(sqlite3.connect(location / "store.sqlite"), settings)

    @property
    def description(self):
        return f"SQLite, exact scan of {self.count()} vectors"

    @property
    def stamp(self):
        row = self._connection.execute("SELECT stamp FROM stamps WHERE collection = ?", [self._name]).fetchone()
        return row and row[0]

    def count(self):
        return len(self.ids())

    def ids(self):
        return np.array([row[0] for row in self._connection.execute(f"SELECT id FROM {self._name}")], np.int64)

    def upsert(self, entries):
        rows = [(int(i), vector.tobytes()) for i, vector in zip(entries.ids, entries.vectors, strict=True)]
        self._connection.executemany(f"INSERT OR REPLACE INTO {self._name} VALUES (?, ?)", rows)

    def remove(self, ids):
        self._connection.executemany(f"DELETE FROM {self._name} WHERE id = ?", [(int(i),) for i in ids])

    def search(self, queries, k, *, filter=None):
        assert filter is None
        hits, scores = np.full((len(queries), k), -1, np.int64), np.zeros((len(queries), k), np.float32)
        rows = self._connection.execute(f"SELECT id, vector FROM {self._name}").fetchall()
        for at, query in enumerate(queries):
            ranked = sorted((-float(np.frombuffer(vector, np.float32) @ query), i) for i, vector in rows)[:k]
            for place, (score, i) in enumerate(ranked):
                hits[at, place], scores[at, place] = i, -score
        return hits, scores

    def commit(self, stamp):
        self._connection.execute("INSERT OR REPLACE INTO stamps VALUES (?, ?)", [self._name, stamp])
        self._connection.commit()

    def close(self):
        self._connection.close()


class Words:
    """What a keyword index would be: texts, kept nowhere, rated by how many words they share."""

    capabilities = Capabilities(exact=True, persistent=False, filters=True, text=True)
    description = "words, counted"
    stamp = None

    def __init__(self):
        self._texts = {}

    @classmethod
    def open(cls, location, settings):
        return cls()

    def count(self):
        return len(self._texts)

    def ids(self):
        return np.array(sorted(self._texts), np.int64)

    def upsert(self, entries):
        self._texts.update(zip(entries.ids.tolist(), entries.texts, strict=True))

    def remove(self, ids):
        for i in ids.tolist():
            self._texts.pop(i, None)

    def search(self, queries, k, *, filter=None):
        hits, scores = np.full((len(queries), k), -1, np.int64), np.zeros((len(queries), k), np.float32)
        for at, query in enumerate(queries):
            may = self._texts if filter is None else {i: self._texts[i] for i in filter.tolist()}
            ranked = sorted((-len(set(query.split()) & set(text.split())), i) for i, text in may.items())[:k]
            for place, (score, i) in enumerate(ranked):
                hits[at, place], scores[at, place] = i, -score
        return hits, scores

    def commit(self, stamp):
        pass

    def close(self):
        self._texts = {}


@pytest.fixture
def registered():
    """Registers indexes as a notebook would, and takes them back."""
    names = []
    yield lambda name, kind: (plugins.register("indexes", name, kind), names.append(name))
    for name in names:
        plugins.unregister("indexes", name)


@pytest.fixture
def ws(home):
    with open_workspace(home, read_only=True) as workspace:
        yield workspace


def full_scan(ws, query: np.ndarray, k: int, where: str = "true", dropped: bool = False) -> list[int]:
    ids, matrix = vectors.load(ws.catalog, "minilm", dropped=dropped)
    allowed = {row[0] for row in ws.catalog.rows(f"SELECT sample_id FROM samples WHERE {where}")}
    scored = sorted(
        (-float(score), int(i)) for i, score in zip(ids, matrix.astype(np.float64) @ query, strict=True) if i in allowed
    )
    return [i for _, i in scored[:k]]


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({}, "true"),
        ({"dataset": "support"}, "dataset = 'support'"),
        ({"where": "label = 't2' OR size_bytes % 2 = 0"}, "label = 't2' OR size_bytes % 2 = 0"),
        ({"dataset": "other", "where": "label IN ('t1', 't3')"}, "dataset = 'other' AND label IN ('t1', 't3')"),
        ({"dropped": True}, "true"),
    ],
)
def test_hits_are_those_of_a_full_scan(ws, given, where):
    text = "when will my card come"
    query = MiniLM(EmbedderOptions(threads=1)).embed_texts([text])[0].astype(np.float64)
    report = search(ws, text, k=7, **given)
    expected = full_scan(ws, query, 7, where, given.get("dropped", False))
    assert {hit.sample_id for hit in report.hits} == set(expected)
    assert [hit.score for hit in report.hits] == sorted((hit.score for hit in report.hits), reverse=True)
    assert report.exact and "exact" in report.index and report.embedder == "minilm"
    ids, matrix = vectors.load(ws.catalog, "minilm")
    cosine = dict(zip(ids.tolist(), (matrix @ query).tolist(), strict=True))
    assert all(abs(hit.score - cosine[hit.sample_id]) < 1e-5 for hit in report.hits)


def test_a_hit_says_what_and_where_it_is(ws):
    (hit,) = search(ws, TOPICS[2] + " (other 2)", dataset="other", k=1).hits
    assert (hit.origin, hit.dataset, hit.label, hit.state, hit.path) == ("real", "other", "t2", "kept", None)
    assert hit.excerpt == TOPICS[2] + " (other 2)" and hit.score > 0.999


def test_dropped_samples_are_hits_only_when_asked_for(ws):
    text = ws.catalog.scalar("SELECT text FROM real_samples WHERE sample_id = 1")
    assert 1 not in [hit.sample_id for hit in search(ws, text, k=80).hits]
    first = search(ws, text, k=80, dropped=True)
    assert first.hits[0].sample_id == 1 and first.hits[0].state == "dropped" and first.candidates == 80


def test_like_finds_neighbours_and_not_the_sample_itself(ws):
    report = search(ws, like=5, k=200)
    assert 5 not in [hit.sample_id for hit in report.hits] and len(report.hits) == report.candidates == 78
    with pytest.raises(InputError, match="no sample 99999"):
        search(ws, like=99999)


def test_real_and_synthetic_are_told_apart(ws):
    assert search(ws, "x", origin="synthetic").hits == ()
    assert search(ws, "x", origin="real", k=3).hits == search(ws, "x", k=3).hits


def test_a_breakout_from_where_is_refused(ws):
    for where in ("1=1) UNION (SELECT 1", "true; SELECT 1", "sample_id, 2", ""):
        with pytest.raises(SettingError):
            search(ws, "x", where=where)
    with pytest.raises(SettingError, match="no_such_column"):
        search(ws, "x", where="no_such_column = 1")


def test_the_snapshot_is_used_while_it_holds_and_rebuilt_when_it_does_not(home, monkeypatch):
    with open_workspace(home, read_only=True) as ws:
        before = search(ws, "pin", dataset="support", k=5).hits
        monkeypatch.setattr(vectors, "load", lambda *_, **__: pytest.fail("built again"))
        assert search(ws, "pin", dataset="support", k=5).hits == before
        monkeypatch.undo()
        for file in (home / "indexes" / "minilm" / "support" / "flat").glob("*.index"):
            file.write_bytes(file.read_bytes()[:-4] + b"\x00\x00\x80\x3f")
        assert search(ws, "pin", dataset="support", k=5).hits == before
    with open_workspace(home) as ws:
        with pytest.raises(ZeroDivisionError), ws.catalog.transaction():
            ws.catalog.execute("DELETE FROM vectors_minilm WHERE sample_id = ?", [before[0].sample_id])
            found = search(ws, "pin", dataset="support", k=4).hits
            assert [hit.sample_id for hit in found] == [hit.sample_id for hit in before[1:]]
            raise ZeroDivisionError  # and the row is there again
        assert search(ws, "pin", dataset="support", k=5).hits == before


def test_a_larger_set_gets_an_approximate_index_and_that_is_said(ws, monkeypatch):
    exact = search(ws, "pin", dataset="other", k=3, dropped=True)
    monkeypatch.setattr(indexing, "FLAT_UP_TO", 10)
    report = search(ws, "pin", dataset="other", k=3, dropped=True)
    assert report.hits[0].sample_id in [hit.sample_id for hit in exact.hits]
    assert exact.exact and "exact" in exact.index and not report.exact and report.index.startswith("IVF")


@pytest.mark.parametrize("name", list(plugins.names("indexes")))
def test_the_index_that_is_asked_for_answers(ws, name):
    default = search(ws, TOPICS[1], dataset="support", k=5)
    report = search(ws, TOPICS[1], dataset="support", k=5, index=name, where="label <> 't0'")
    assert (ws.root / "indexes" / "minilm" / "support" / name).is_dir()
    assert {hit.sample_id for hit in report.hits} == {hit.sample_id for hit in default.hits}  # all of topic t1
    assert report.exact == (name == "flat")
    with pytest.raises(SettingError, match="no indexes plug-in is called 'faiss'"):
        search(ws, "x", index="faiss")


def test_the_settings_choose_an_index_its_place_and_its_options(home, tmp_path):
    before = (home / "curate.toml").read_text()
    try:
        (home / "curate.toml").write_text("[index]\nname = 'hnsw'\nlocation = 'nearby'\noptions = {links = 8}\n")
        with open_workspace(home, read_only=True) as ws:
            assert search(ws, "pin").index == "HNSW of 80 vectors, 8 links, 128 candidates"
            assert list((home / "nearby" / "minilm" / "_all" / "hnsw").glob("*.index"))
            assert search(ws, "pin", index="flat").exact
        (home / "curate.toml").write_text("[index]\nname = 'hnsw'\noptions = {linsk = 8}\n")
        with open_workspace(home, read_only=True) as ws, pytest.raises(SettingError, match="linsk"):
            search(ws, "pin")
    finally:
        (home / "curate.toml").write_text(before)


def test_an_index_follows_the_catalog_by_what_changed(tmp_path, registered):
    told = []

    class Told(SqliteStore):
        def upsert(self, entries):
            told.append(("upsert", sorted(entries.ids.tolist())))
            super().upsert(entries)

        def remove(self, ids):
            told.append(("remove", sorted(ids.tolist())))
            super().remove(ids)

    registered("told", Told)
    root = create_workspace(tmp_path / "ws")
    (tmp_path / "a.jsonl").write_text("".join(f'{{"text": "text {i}"}}\n' for i in range(4)))
    with open_workspace(root) as ws:
        ingest(ws, [tmp_path / "a.jsonl"], dataset="d", text=["text"])
        made = vectors.EmbedderRow("tiny", "static", "one", 4, "", None)
        vectors.register(ws.catalog, made)
        vectors.add(ws.catalog, "tiny", np.array([1, 2]), np.eye(4, dtype=np.float32)[:2])
        assert [hit.sample_id for hit in search(ws, like=1, index="told").hits] == [2]
        vectors.add(ws.catalog, "tiny", np.array([3]), np.eye(4, dtype=np.float32)[2:3])
        assert [hit.sample_id for hit in search(ws, like=1, index="told").hits] == [2, 3]
        ws.catalog.execute("DELETE FROM vectors_tiny WHERE sample_id = 2")
        for _ in range(2):
            assert [hit.sample_id for hit in search(ws, like=1, index="told").hits] == [3]
        vectors.register(ws.catalog, made._replace(fingerprint="two"), replace=True)
        vectors.add(ws.catalog, "tiny", np.array([1, 3]), -np.eye(4, dtype=np.float32)[:2])
        assert [hit.sample_id for hit in search(ws, like=1, index="told").hits] == [3]
    assert told == [("upsert", [1, 2]), ("upsert", [3]), ("remove", [2]), ("remove", [1, 3]), ("upsert", [1, 3])]


def test_a_store_of_another_kind_answers_as_faiss_does(ws, registered):
    registered("sqlite", SqliteStore)
    for given in ({}, {"dataset": "support"}, {"where": "label = 't2' OR size_bytes % 2 = 0"}, {"like": 5}, {"dropped": True}):
        text = () if "like" in given else ("when will my card come",)
        expected, found = search(ws, *text, k=7, **given), search(ws, *text, k=7, index="sqlite", **given)
        assert [hit.score for hit in found.hits] == pytest.approx([hit.score for hit in expected.hits], abs=1e-5)
        assert found.candidates == expected.candidates and found.index.startswith("SQLite")


def test_an_index_of_words_needs_no_vectors(ws, registered):
    registered("words", Words)
    report = search(ws, "bank transfer", dataset="support", index="words", k=3, where="sample_id > 20")
    assert report.embedder is None and report.exact and report.candidates == 40
    assert all("bank transfer" in (hit.excerpt or "") and hit.sample_id > 20 for hit in report.hits) and len(report.hits) == 3
    for question in ({"like": 5}, {"text": "x", "embedder": "minilm"}):
        with pytest.raises(SettingError, match="holds words"):
            search(ws, index="words", **question)


def test_what_cannot_be_searched_is_said_with_a_way_out(home, tmp_path):
    with open_workspace(home, read_only=True) as ws:
        with pytest.raises(InputError, match="no vectors") as caught:
            search(ws, "x", dataset="pictures")
        assert caught.value.hint == "curate embed pictures"
        for wrong in ({}, {"text": "x", "like": 1}):
            with pytest.raises(SettingError, match="one of"):
                search(ws, **wrong)
        with pytest.raises(SettingError, match="k is"):
            search(ws, "x", k=0)
        with pytest.raises(SettingError, match="not by image"):
            search(ws, image=tmp_path / "none.png", dataset="support")
        for blank in ("", " \n\t"):
            with pytest.raises(SettingError, match="blank"):
                search(ws, blank)


def test_a_writable_workspace_is_searched_as_a_read_only_one_is_and_can_be_written_to_after(home):
    condition = "label = 't2' AND length(text) > 3"
    with open_workspace(home, read_only=True) as ws:
        expected = search(ws, "pin", where=condition).hits
    with open_workspace(home) as ws:
        assert search(ws, "pin", where=condition).hits == expected
        embed(ws, "other")
        assert search(ws, "pin", where=condition).hits == expected


def test_a_condition_can_change_nothing_and_take_no_longer_than_it_may(home):
    with open_workspace(home) as ws:
        with pytest.raises(SettingError, match="read-only"):
            search(ws, "x", where="nextval('sample_ids') > 0")
        endless = "(SELECT count(*) FROM range(100000) a, range(100000) b, range(1000) c WHERE hash(a, b, c) = 1) = sample_id"
        with pytest.raises(WorkError, match=r"stopped after 0\.5 s"):
            search(ws, "x", where=endless, timeout_s=0.5)
        assert search(ws, "x", k=1).hits


def test_images_are_found_by_an_image(home, tmp_path):
    with open_workspace(home) as ws:
        embed(ws, "pictures")
        locator, blob = ws.catalog.row("SELECT sample_id, blob FROM real_samples WHERE modality = 'image' LIMIT 1")
        path = ws.real.path(blob)
        with Image.open(path) as picture:
            picture.resize((50, 50)).convert("RGB").save(tmp_path / "again.jpg", quality=80)
        report = search(ws, image=tmp_path / "again.jpg", dataset="pictures", k=2)
        assert report.hits[0].sample_id == locator and report.hits[0].path == str(path) and report.hits[0].excerpt is None
        with pytest.raises(SettingError, match="not by text"):
            search(ws, "a hat", dataset="pictures")
        (tmp_path / "no.png").write_text("no image")
        for file in ("no.png", "missing.png"):
            with pytest.raises(InputError, match="cannot be read"):
                search(ws, image=tmp_path / file, dataset="pictures")


def test_an_excerpt_is_one_line_of_at_most_so_many_characters():
    assert excerpt(" a\n\tb  c ") == "a b c"
    assert excerpt("x" * 500) == "x" * 199 + "…"
