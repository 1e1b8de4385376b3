"""Which samples belong together, so that no part of a split learns what another one is tested on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curate.catalog import Catalog, splits

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups of a dataset's samples.

    Attributes:
        group: (n,) int64, the group's number of each row of the population, 0 to len(keys) - 1.
        keys: (g,) the name of each group, made of its content: it does not depend on ids or on the order of ingest.
    """

    group: NDArray[np.int64]
    keys: list[str]


def connected_components(nodes: int, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """Name every node after the smallest node that it is connected with.

    Each round hooks every root that has a smaller neighbour under the smallest of them, then flattens all paths.

    Args:
        nodes: how many there are, numbered from 0.
        left, right: (m,) the two ends of each edge.

    Returns:
        (nodes,) int64.

    Source: Shiloach and Vishkin, "An O(log n) parallel connectivity algorithm", Journal of Algorithms 3 (1982), simplified.
    """
    root = np.arange(nodes)
    while True:
        a, b = root[left], root[right]
        apart = a != b
        if not apart.any():
            return root
        left, right, a, b = left[apart], right[apart], a[apart], b[apart]
        np.minimum.at(root, np.maximum(a, b), np.minimum(a, b))
        while True:
            flat = root[root]
            if np.array_equal(flat, root):
                break
            root = flat


def group_samples(
    catalog: Catalog, population: pa.Table, *, found: pa.Table | None = None, up_to_run: int | None = None
) -> Groups:
    """Find the groups of a dataset by the evidence that the catalog holds; see `find_groups`.

    Args:
        population: as `catalog.splits.population` gives it.
        found: sample_id and keeper_id of further pairs.
        up_to_run: only by evidence that was found up to this run.
    """
    import pyarrow as pa

    pairs = splits.evidence(catalog, up_to_run=up_to_run)
    if found is not None:
        pairs = pa.concat_tables([pairs, found.select(["sample_id", "keeper_id"]).cast(pairs.schema)])
    named = np.union1d(_numpy(pairs["sample_id"]), _numpy(pairs["keeper_id"]))
    foreign = np.setdiff1d(named, _numpy(population["sample_id"]))
    return find_groups(population, pairs, splits.content_hashes(catalog, pa.table({"sample_id": foreign})))


def find_groups(population: pa.Table, evidence: pa.Table, others: pa.Table) -> Groups:
    """Join samples that are equal, were ever found to be duplicates, or share the user's group, through any chain of those.

    A chain may lead over dropped samples and, through evidence, over samples of other datasets.

    Args:
        population: sample_id, content_hash and group_value of every real sample of the dataset, dropped ones too.
        evidence: sample_id and keeper_id of each pair of duplicates, over all datasets.
        others: sample_id and content_hash of the samples outside the population that the evidence names.
    """
    import pyarrow as pa

    ids = _numpy(pa.concat_arrays([*population["sample_id"].chunks, *others["sample_id"].chunks]))
    order = np.argsort(ids)
    pairs = [_rows_of(ids, order, _numpy(evidence[name])) for name in ("sample_id", "keeper_id")]
    known = (pairs[0] >= 0) & (pairs[1] >= 0)
    hashes = pa.chunked_array([*population["content_hash"].chunks, *others["content_hash"].chunks], pa.string())
    content, contents = _codes(hashes)
    shared, shares = _codes(population["group_value"])
    grouped = np.flatnonzero(shared >= 0)
    # equal values hang on a node of their own behind the samples: a star instead of all pairs
    left = np.concatenate([pairs[0][known], np.arange(len(ids)), grouped])
    right = np.concatenate([pairs[1][known], len(ids) + content, len(ids) + contents + shared[grouped]])
    root = connected_components(len(ids) + contents + shares, left, right)[: population.num_rows]
    names, group = np.unique(root, return_inverse=True)
    return Groups(group.astype(np.int64), _keys(population, group, len(names)))


def _keys(population: pa.Table, group: NDArray[np.int64], count: int) -> list[str]:
    """The group's smallest content hash, or the hash of its smallest user value where it has one."""
    import pyarrow as pa

    values = pa.table({"group": group, "content": population["content_hash"], "value": population["group_value"]})
    least = values.group_by("group").aggregate([("content", "min"), ("value", "min")]).sort_by("group")
    assert least.num_rows == count
    return [
        content if value is None else hashlib.sha256(b"group " + value.encode()).hexdigest()
        for content, value in zip(least["content_min"].to_pylist(), least["value_min"].to_pylist(), strict=True)
    ]


def _codes(values: pa.ChunkedArray) -> tuple[NDArray[np.int64], int]:
    """Number equal values alike: (n,) codes, -1 for NULL, and how many there are."""
    encoded = values.combine_chunks().dictionary_encode()
    return _numpy(encoded.indices.fill_null(-1)).astype(np.int64), len(encoded.dictionary)


def _rows_of(ids: NDArray[np.int64], order: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """(m,) the row of each wanted id, or -1 where it is not among `ids`."""
    if not len(ids):
        return np.full(len(wanted), -1, np.int64)
    place = np.minimum(np.searchsorted(ids, wanted, sorter=order), len(ids) - 1)
    rows = order[place]
    return np.where(ids[rows] == wanted, rows, -1)


def _numpy(array: Any) -> NDArray[np.int64]:
    return np.asarray(array.to_numpy(zero_copy_only=False) if hasattr(array, "buffers") else array.to_numpy()).astype(np.int64)
