"""The checks that ship with the wheel find what they are there to find, and name the law."""

from __future__ import annotations

import json

import numpy as np
import pytest

from curate import plugins, testing
from curate.dedupers import Marks
from curate.metrics import Findings
from curate.records import Record, Reject
from curate.testing import check_deduper, check_embedder, check_metric, check_reader, check_writer

READER, WRITER, EMBEDDER, DEDUPER, METRIC = (
    plugins.load(*which)
    for which in [
        ("readers", "jsonl"),
        ("writers", "jsonl"),
        ("embedders", "perceptual"),
        ("dedupers", "exact"),
        ("metrics", "distinct"),
    ]
)


class Raises(READER):
    def read(self, stream):
        for number, line in enumerate(stream.read().decode().splitlines()):
            yield Record(f"line {number}", fields=json.loads(line))


class SkipsInTheExample(READER):
    def read(self, stream):
        yield from (item if number else Reject("start", "skipped") for number, item in enumerate(super().read(stream)))


class OnePlaceForAll(READER):
    def read(self, stream):
        yield from (item._replace(locator="somewhere") for item in super().read(stream))


class Shouts(READER):
    suffixes = (".JSONL",)


class CutsOff(READER):
    def read(self, stream):
        for number, line in enumerate(stream.read1().splitlines()):
            yield Record(f"line {number}", fields={"line": line.decode(errors="replace")})


@pytest.mark.parametrize("family", plugins.FAMILIES)
def test_every_family_has_a_check(family):
    name = f"check_{plugins.FAMILIES[family].lower()}"
    assert name in testing.__all__ and callable(getattr(testing, name))


@pytest.mark.parametrize(
    ("reader", "law"),
    [
        (Raises, "arbitrary bytes never raise"),
        (SkipsInTheExample, "a valid file gives records and no reject"),
        (OnePlaceForAll, "a valid file gives records"),
        (Shouts, "it is chosen by endings in lower case"),
        (CutsOff, "a stream that breaks off never gives the unfinished record"),
    ],
)
def test_a_wrong_reader_is_found(reader, law):
    with pytest.raises(Exception) as caught:
        check_reader(reader)
    assert law in caught.value.__notes__[0] and reader.__name__ in caught.value.__notes__[0]


class Forgets(WRITER):
    def write(self, rows, folder, info):
        return super().write((row for row in rows if row.sample_id != 3), folder, info)


class Dates(WRITER):
    calls = 0

    def write(self, rows, folder, info):
        written = super().write(rows, folder, info)
        type(self).calls += 1
        with (folder / written.files[0]).open("a") as file:
            file.write(f'{{"call": {self.calls}}}\n')
        return written


@pytest.mark.parametrize(("writer", "law"), [(Forgets, "every file and row is told"), (Dates, "equal rows give equal files")])
def test_a_wrong_writer_is_found(writer, law):
    with pytest.raises(AssertionError) as caught:
        check_writer(writer)
    assert law in caught.value.__notes__[0]


class Unscaled(EMBEDDER):
    def embed_images(self, images, advance=None):
        return super().embed_images(images, advance) * 2


class ByPlace(EMBEDDER):
    def embed_images(self, images, advance=None):
        return np.roll(super().embed_images(images, advance), 1, axis=0)


@pytest.mark.parametrize(("embedder", "law"), [(Unscaled, "a unit vector"), (ByPlace, "depends on its content alone")])
def test_a_wrong_embedder_is_found(embedder, law):
    with pytest.raises(AssertionError) as caught:
        check_embedder(embedder)
    assert law in caught.value.__notes__[0]


class MarksNothing(DEDUPER):
    def mark(self, sketches, order, **options):
        return Marks(np.full(len(sketches), -1, np.int64), np.ones(len(sketches), np.float32), compared=0)


class MarksBackwards(DEDUPER):
    def mark(self, sketches, order, **options):
        return super().mark(sketches, order[::-1], **options)


@pytest.mark.parametrize("deduper", [MarksNothing, MarksBackwards])
def test_a_wrong_deduper_is_found(deduper):
    with pytest.raises(AssertionError) as caught:
        check_deduper(deduper)
    assert "survivors are unlike each other" in caught.value.__notes__[0]


class Dice(METRIC):
    def measure(self, trial):
        found = super().measure(trial)
        moved = [measure.__class__(**{**_fields(measure), "value": np.random.random()}) for measure in found.measures]  # noqa: NPY002
        return Findings(tuple(moved), found.notes)


def _fields(measure):
    return {name: getattr(measure, name) for name in measure.__slots__}


class Silent(METRIC):
    def measure(self, trial):
        return Findings(super().measure(trial).measures)


@pytest.mark.parametrize(("metric", "law"), [(Dice, "the same trial"), (Silent, "too few rows give a note")])
def test_a_wrong_metric_is_found(metric, law):
    with pytest.raises(AssertionError) as caught:
        check_metric(metric)
    assert law in caught.value.__notes__[0]
