"""The contents of a dataset, kept between runs: a cache in `indexes/contents`, so that a dedupe reads the new samples alone.

A sample's content never changes, and its id is never given twice. The catalog's own hash over all ids and contents says that
the first samples are still those that were read then, also where the file of the catalog was put back from a copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from curate.catalog import samples, verdicts
from curate.columns import as_array
from curate.dedupers.rows.runs import find_keys
from curate.deduplication.contents import KEY_BYTES, Contents, hash_bytes, number_keys
from curate.workspace import Workspace
from curate.workspace.append_table import GrowingTable

if TYPE_CHECKING:
    from numpy.typing import NDArray


def known_contents(workspace: Workspace, dataset_id: int, modality: str) -> Contents:
    """What `distinct_contents` makes of all real samples of a modality in a dataset, compared with no other, kept "first"."""
    catalog = workspace.catalog
    table = GrowingTable(workspace.root / "indexes" / "contents" / f"{dataset_id}-{modality}")
    last = int(table.note.get("last", 0))
    before, after = samples.digests(catalog, dataset_id, modality, last)
    if before != (len(table), table.note.get("digest", 0)):
        table.clear()
        last, before, after = 0, (0, 0), samples.digests(catalog, dataset_id, modality, 0)[1]
    sample_id, content, keys = _kept(table)
    if after[0]:
        fresh = samples.hashes(catalog, dataset_id, modality, last)
        ids, row_keys = as_array(fresh["sample_id"]), hash_bytes(fresh["content_hash"], KEY_BYTES)
        numbers, new_keys = _continued(keys, row_keys)
        if not workspace.read_only:
            columns = {"sample_id": ids[:, None], "content": numbers[:, None], "key": row_keys}
            table.extend([columns], {"last": int(ids[-1]), "digest": before[1] ^ after[1]})
        sample_id, content = np.r_[sample_id, ids], np.r_[content, numbers]
        keys = np.concatenate([keys, new_keys])
    user_kept, user_dropped = (np.zeros(len(content), np.bool_) for _ in range(2))
    for number, dropped in verdicts.by_user(catalog, dataset_id, modality):
        (user_dropped if dropped else user_kept)[np.searchsorted(sample_id, number)] = True
    return Contents(
        sample_id=sample_id,
        content=content,
        first_row=_first_rows(content),
        keys=keys,
        rank=np.arange(len(content)),
        foreign=np.zeros(len(content), np.bool_),
        user_kept=user_kept,
        user_dropped=user_dropped,
    )


def _kept(table: GrowingTable) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]:
    """(n,) sample ids, (n,) contents and (u, 16) keys of what was read before."""
    if not len(table):
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, KEY_BYTES), np.uint8)
    content = table.read("content")[:, 0]
    return table.read("sample_id")[:, 0], content, table.read("key")[_first_rows(content)]


def _first_rows(content: NDArray[np.int64]) -> NDArray[np.int64]:
    """(u,) where each content appears first; they are numbered in the order in which they do."""
    return np.flatnonzero(np.diff(np.maximum.accumulate(content), prepend=-1))


def _continued(keys: NDArray[np.uint8], row_keys: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Number the contents of (m, 16) rows on from (u, 16) known keys: (m,) the number of each, and the keys that are new."""
    local, first = number_keys(row_keys)
    distinct = row_keys[first]
    place = find_keys(keys.view(np.uint64), distinct.view(np.uint64))
    new = place < 0
    place[new] = len(keys) + np.arange(int(new.sum()))
    return place[local], distinct[new]
