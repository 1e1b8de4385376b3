"""WebDataset: tar shards `train-000000.tar`, the files of a sample under one key.

`KEY.png` or `KEY.txt` is the content, `KEY.cls` the label's index in `labels.json` (-1 where the sample has none), `KEY.json`
all columns, null where there is no value. The tars hold no time and no owner, so that equal rows give equal files.

`datasets` infers types from the first few samples of a tar, and so refuses a set in which `model` is null at first and a word
later; the format `huggingface` is for it.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar

from curate.errors import WorkError
from curate.records import ANY
from curate.writers import ExportInfo, ExportRow, Written
from curate.writers.layout.columns import Layout, to_json
from curate.writers.layout.files import Outbox, check_request, class_index, sample_name, size_option, write_new

SHARD_BYTES = 1_000_000_000
"""Size of a tar after which the next begins, as WebDataset's own tools have it."""

_LABELS = "labels.json"


class WebDatasetWriter:
    """Tar shards for training that reads in order."""

    modalities: ClassVar[frozenset[str]] = ANY
    options: ClassVar[dict[str, str]] = {"shard_size": "size of a tar at most, such as 1GB (the default)"}

    def write(self, rows: Iterator[ExportRow], folder: Path, info: ExportInfo) -> Written:
        """Write every row; see `Writer.write`."""
        check_request("webdataset", info, self.modalities, self.options)
        size = size_option(info, "shard_size", default=SHARD_BYTES)
        layout, outbox, index = Layout(info), Outbox(info), class_index(info.labels)
        shards = {part: _Shards(folder, outbox.parts[part], size) for part in info.parts}
        with ExitStack() as stack:
            for part in shards.values():
                stack.callback(part.close)
            self._fill(outbox, rows, shards, layout, index)
        files = [name for part in shards.values() for name in part.close()]
        if info.labels:
            write_new(folder / _LABELS, json.dumps(list(info.labels), ensure_ascii=False, indent=0).encode() + b"\n")
            files.append(_LABELS)
        return Written(tuple(sorted(files)), outbox.rows, tuple(outbox.notes()))

    def _fill(
        self,
        outbox: Outbox,
        rows: Iterator[ExportRow],
        shards: dict[str | None, _Shards],
        layout: Layout,
        index: dict[str, int],
    ) -> None:
        for row, _, media, suffix in outbox.take(rows):
            key = sample_name(row.sample_id, "")
            members = {}
            if media is not None:
                members[suffix if suffix not in (".json", ".cls", ".txt") else ".bin"] = media
            if row.text is not None:
                members[".txt"] = row.text.encode()
            if not members:
                raise WorkError(f"sample {row.sample_id} has neither text nor media")
            if index:
                members[".cls"] = str(-1 if row.label is None else index[row.label]).encode()
            values = layout.values(row, None if media is None else key + suffix)
            described = {n: v for n, v in zip(layout.names, values, strict=True) if n != "text"}
            members[".json"] = to_json(described).encode()
            shards[row.part].add(key, members)


class _Shards:
    """One part's tars, of which the last is open."""

    def __init__(self, folder: Path, name: str, size: int) -> None:
        self._folder, self._name, self._size = folder, name, size
        self._files: list[str] = []
        self._open()

    def add(self, key: str, members: dict[str, bytes]) -> None:
        """Write a sample's members; a sample is never cut in two."""
        coming = sum(tarfile.BLOCKSIZE + -(-len(body) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE for body in members.values())
        if self._tar.offset and self._tar.offset + coming + 2 * tarfile.BLOCKSIZE > self._size:
            self._tar.close()
            self._open()
        for suffix in sorted(members):
            member = tarfile.TarInfo(key + suffix)  # its defaults are time 0, owner 0, mode 644
            member.size = len(members[suffix])
            self._tar.addfile(member, io.BytesIO(members[suffix]))

    def close(self) -> list[str]:
        """Finish the last tar and return the names of all; a second call changes nothing."""
        self._tar.close()
        return self._files

    def _open(self) -> None:
        self._files.append(f"{self._name}-{len(self._files):06d}.tar")
        self._tar = tarfile.open(self._folder / self._files[-1], "x", format=tarfile.USTAR_FORMAT)  # noqa: SIM115


PLUGIN = WebDatasetWriter
