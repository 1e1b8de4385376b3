"""A modality that curate has never heard of goes the whole way: ingested, embedded, deduplicated, split, exported, checked."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Literal

import numpy as np
import pyarrow.parquet as pq
import pytest

from curate import plugins
from curate.embedders import EmbedderOptions
from curate.errors import BadRecord, SettingError
from curate.modalities import Content, Facts, Limits, Preview
from curate.readers import ReadOptions
from curate.records import MediaColumn, Record, Reject
from curate.steps.check import check
from curate.steps.dedupe import dedupe
from curate.steps.embed import embed
from curate.steps.export import export
from curate.steps.ingest import ingest
from curate.steps.split import split
from curate.steps.status import status
from curate.workspace import create_workspace, open_workspace

MAGIC = b"TUNE"


def tune(*notes: int) -> bytes:
    """An encoded tune: the magic, the number of notes, a byte each."""
    return MAGIC + struct.pack("<I", len(notes)) + bytes(notes)


class Tune:
    """The toy modality: a few notes in a file."""

    stored: ClassVar[Literal["text", "blob"]] = "blob"
    plural: ClassVar[str] = "tunes"
    column: ClassVar[MediaColumn | None] = MediaColumn("tune", "tunes", "The tune.")
    embedder: ClassVar[str] = "pitches"
    dedupe_methods: ClassVar[tuple[str, ...]] = ("exact", "semantic")
    tuned_method: ClassVar[str] = "semantic"
    window: ClassVar[int] = 16
    pictured: ClassVar[bool] = False
    features: ClassVar[Literal["words", "pixels", "vectors"]] = "vectors"

    def recognises(self, data: bytes) -> bool:
        return data.startswith(MAGIC)

    def inspect(self, content: Content, limits: Limits) -> Facts:
        data = content if isinstance(content, bytes) else content.encode()
        if not data.startswith(MAGIC) or len(data) < 8:
            raise BadRecord("not-a-tune")
        (notes,) = struct.unpack("<I", data[4:8])
        if len(data) != 8 + notes:
            raise BadRecord("truncated-tune", f"{len(data) - 8} of {notes} notes")
        return Facts(".tune", others={"notes": notes})

    def embed(self, embedder: Any, contents: Sequence[Content], advance: Callable[[int], None] | None = None) -> Any:
        return embedder.embed_tunes(contents, advance)

    def is_blank(self, content: Content) -> bool:
        return len(content) <= 8

    def preview(self, data: bytes, side: int) -> Preview | None:
        return None

    def examples(self) -> Sequence[Content]:
        return (tune(1, 2), tune(3), tune(4, 5, 6))


class TuneReader:
    """Reads `.tune` files."""

    suffixes: ClassVar[tuple[str, ...]] = (".tune",)
    kind: ClassVar[str] = "tune"

    def __init__(self, options: ReadOptions) -> None: ...

    @classmethod
    def example(cls) -> bytes:
        return tune(1, 2, 3)

    def read(self, stream: BinaryIO) -> Iterator[Record | Reject]:
        yield Record("", media=stream.read(), modality="tune")


class Pitches:
    """Embeds a tune as how often it has each of eight notes."""

    modalities: ClassVar[frozenset[str]] = frozenset({"tune"})
    default_threshold, dimension, fingerprint = 0.999, 8, "pitches-1"
    slug, description = "pitches", "counts of notes"

    def __init__(self, options: EmbedderOptions) -> None: ...

    def embed_texts(self, texts: Sequence[str], advance: Callable[[int], None] | None = None) -> Any:
        raise SettingError("pitches embeds tunes", hint="--embedder minilm")

    def embed_images(self, images: Sequence[bytes], advance: Callable[[int], None] | None = None) -> Any:
        raise SettingError("pitches embeds tunes", hint="--embedder perceptual")

    def embed_tunes(self, tunes: Sequence[bytes], advance: Callable[[int], None] | None = None) -> Any:
        counts = np.array([np.bincount(np.frombuffer(data, np.uint8, offset=8) % 8, minlength=8) for data in tunes], np.float32)
        if advance:
            advance(len(tunes))
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)

    def close(self) -> None: ...


@pytest.fixture(autouse=True)
def registered():
    family_of = {"modalities": Tune, "readers": TuneReader, "embedders": Pitches}
    names = {"modalities": "tune", "readers": "tune", "embedders": "pitches"}
    for family, plugin in family_of.items():
        plugins.register(family, names[family], plugin)
    yield
    for family in family_of:
        plugins.unregister(family, names[family])


def test_a_registered_modality_goes_the_whole_way(tmp_path: Path):
    corpus = tmp_path / "tunes"
    for number in range(30):
        place = corpus / "ab"[number % 2] / f"{number}.tune"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(tune(*np.random.default_rng(number % 25).integers(1, 9, 60).tolist()))
    (corpus / "a" / "cut.tune").write_bytes(tune(1, 2, 3)[:-1])
    with open_workspace(create_workspace(tmp_path / "ws")) as ws:
        came = ingest(ws, corpus, dataset="songs", label_from="folder")
        assert (came.added, came.reject_reasons) == (30, {"truncated-tune": 1})
        assert ws.catalog.rows("SELECT DISTINCT modality, width, facts ->> 'notes' FROM real_samples") == [("tune", None, "60")]
        assert ingest(ws, corpus, dataset="songs", label_from="folder").added == 0
        assert embed(ws, "songs").embedded == 25
        cleaned = dedupe(ws, "songs", methods=["exact"])
        assert cleaned.dropped == 5
        frozen = split(ws, "songs", seed=1)
        assert sum(part.samples for part in frozen.parts.values()) == 25
        out = export(ws, "songs/", format="parquet", out=tmp_path / "out")
        assert (out.real, sum(out.rows.values())) == (25, 25)
        table = pq.read_table(next((tmp_path / "out").rglob("train*.parquet")))
        assert "text" not in table.column_names
        assert all(row["bytes"].startswith(MAGIC) and row["path"].endswith(".tune") for row in table["tune"].to_pylist())
        export(ws, "songs", format="jsonl", out=tmp_path / "lines")
        first = json.loads(next((tmp_path / "lines").glob("*.jsonl")).read_text().splitlines()[0])
        assert (tmp_path / "lines" / first["tune"]).read_bytes().startswith(MAGIC) and first["tune"].startswith("tunes/")
        assert status(ws).datasets[0].modalities == {"tune": 30}
        assert check(ws).findings == ()


def test_its_bytes_in_rows_are_recognised(tmp_path: Path):
    with open_workspace(create_workspace(tmp_path / "ws")) as ws:
        report = ingest(ws, [{"sound": tune(1, 2), "who": 1}, {"sound": tune(3), "who": 2}], dataset="songs")
        assert report.added == 2
        assert ws.catalog.rows("SELECT DISTINCT modality FROM real_samples") == [("tune",)]
        assert ws.settings.embedders == {}
