"""The laws of `curate.writers.Writer`."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate import plugins
from curate.errors import SettingError, WorkError
from curate.records import takes
from curate.testing.export_rows import NASTY_LABELS, NASTY_TEXTS, empty_info, export_row, info_of, picture
from curate.testing.laws import hold, refused, require
from curate.writers import ExportInfo, ExportRow, Writer, Written

ReadBack = Callable[[Path, ExportInfo], Mapping[int, Mapping[str, Any]]]
"""Reads an export with code that shares nothing with the writer: sample id → its columns, an image's bytes as `image`."""


def check_writer(writer: type[Writer], read_back: ReadBack | None = None) -> None:
    """Hold a writer to the laws of its family, on rows that are made here.

    Args:
        read_back: reads what was written; without it, nobody looks whether every row is found again.

    Raises:
        AssertionError: a law is broken.
    """
    hold(LAWS, _Case(writer, read_back), writer.__name__)


@dataclass(frozen=True)
class _Case:
    """A writer's class, and a way to read what it wrote."""

    kind: type[Writer]
    read_back: ReadBack | None

    @property
    def modality(self) -> str:
        return "image" if takes(self.kind.modalities, "image") else "text"

    def rows(self, count: int) -> list[ExportRow]:
        """Rows of what the writer can hold."""
        made = []
        for n in range(1, count + 1):
            content: dict[str, Any] = {"media": picture(n)} if self.modality == "image" else {"text": f"text {n}"}
            more: dict[str, Any] = {"label": "ab"[n % 2], "part": ["train", "test"][n % 3 == 0], "metadata": {"z": n, "a": [n]}}
            made.append(export_row(n, **content, **more))
        return made


def _write(case: _Case, rows: list[ExportRow], folder: Path, info: ExportInfo) -> Written:
    return case.kind().write(iter(rows), folder, info)


@contextmanager
def _written(case: _Case, rows: list[ExportRow], info: ExportInfo) -> Iterator[tuple[Path, Written]]:
    with tempfile.TemporaryDirectory(prefix="curate-check-") as folder:
        yield Path(folder), _write(case, rows, Path(folder), info)


def hashes(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file in a folder, by its path in it."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _every_file_and_row_is_told(case: _Case) -> None:
    rows = case.rows(19)
    with _written(case, rows, info_of(rows, case.modality)) as (folder, written):
        require(set(written.files) == set(hashes(folder)), f"it tells of {written.files} and left {sorted(hashes(folder))}")
        counts = {part: sum(row.part == part for row in rows) for part in ("train", "test")}
        require(written.rows == counts, f"it tells of rows {written.rows}, and was given {counts}")


def _equal_rows_give_equal_files(case: _Case) -> None:
    rows = case.rows(19)
    info = info_of(rows, case.modality)
    with _written(case, rows, info) as (one, _), _written(case, rows, info) as (other, _):
        require(hashes(one) == hashes(other), "written again, files differ")


def _nothing_at_all_is_an_export_too(case: _Case) -> None:
    info = empty_info(case.modality, parts=("train", "test"))
    with _written(case, [], info) as (folder, written):
        require(written.rows == {"train": 0, "test": 0}, f"no rows are told as {written.rows}")
        require(set(written.files) == set(hashes(folder)), "it tells of files that are not there")
        require(not case.read_back or not case.read_back(folder, info), "no rows are found again as some")


def _a_wrong_option_or_modality_is_refused_before_anything_is_written(case: _Case) -> None:
    with tempfile.TemporaryDirectory(prefix="curate-check-") as name:
        folder = Path(name)
        with refused(SettingError, "the option no_such") as met:
            _write(case, [], folder, empty_info(case.modality, no_such=1))
        require("no_such" in str(met[0]), f"the refusal of an option does not name it: {met[0]}")
        for modality in plugins.names("modalities"):
            if takes(case.kind.modalities, modality):
                continue
            with refused(SettingError, f"a modality that it cannot hold ({modality})"):
                _write(case, [], folder, empty_info(modality))
        require(not hashes(folder), "a refused export leaves files")


def _a_row_that_contradicts_what_was_announced_stops_the_export(case: _Case) -> None:
    (row,) = case.rows(1)
    plain = row._replace(part=None, label=None, metadata={})
    changes: list[dict[str, Any]] = [{"part": "elsewhere"}, {"metadata": {"unknown": 1}}, {"origin": "synthetic"}]
    for change in changes:
        wrong = plain._replace(**change)
        with tempfile.TemporaryDirectory(prefix="curate-check-") as folder:
            with refused(WorkError, f"a row with {change}") as met:
                _write(case, [wrong], Path(folder), empty_info(case.modality))
            require("sample 1" in str(met[0]), f"the refusal of a row does not name the sample: {met[0]}")


def _every_text_is_found_again_with_its_label_and_origin(case: _Case) -> None:
    if case.read_back is None or not takes(case.kind.modalities, "text"):
        return
    rows = [export_row(n, text=text, label=NASTY_LABELS[n], part="train") for n, text in enumerate(NASTY_TEXTS)]
    rows += [export_row(99, text="drawn", label="cat", part="train", model="m-1", seed=2**40)]
    info = info_of(rows, "text", **({"raw": True} if "raw" in case.kind.options else {}))
    with _written(case, rows, info) as (folder, _):
        found = case.read_back(folder, info)
    require(found.keys() == {row.sample_id for row in rows}, "samples are lost, or invented")
    for row in rows:
        for field in ("text", "label", "origin", "dataset", "part", "content_hash", "locator", "external_id", "model", "seed"):
            wanted, got = getattr(row, field), found[row.sample_id][field]
            known = {wanted, str(wanted), "" if wanted is None else wanted}  # CSV knows neither numbers nor None
            require(got in known, f"{field} of a row went out as {wanted!r} and came back as {got!r}")


def _every_image_comes_back_byte_for_byte_under_awkward_labels(case: _Case) -> None:
    if case.read_back is None or not takes(case.kind.modalities, "image"):
        return
    for part in (None, "train"):
        rows = [export_row(n, media=picture(n), label=label, part=part) for n, label in enumerate([*NASTY_LABELS, None], 1)]
        info = info_of(rows, "image")
        with _written(case, rows, info) as (folder, written):
            found = case.read_back(folder, info)
        require(found.keys() == {row.sample_id for row in rows}, "samples are lost, or invented")
        require(all(found[row.sample_id]["image"] == row.media for row in rows), "an image's bytes have changed")
        folded = {name.casefold() for name in written.files}
        require(len(folded) == len(written.files), "two file names differ by case alone")


LAWS = (
    _every_file_and_row_is_told,
    _equal_rows_give_equal_files,
    _nothing_at_all_is_an_export_too,
    _a_wrong_option_or_modality_is_refused_before_anything_is_written,
    _a_row_that_contradicts_what_was_announced_stops_the_export,
    _every_text_is_found_again_with_its_label_and_origin,
    _every_image_comes_back_byte_for_byte_under_awkward_labels,
)
