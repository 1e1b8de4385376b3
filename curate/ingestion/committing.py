"""Commits batches: which of their records are new is decided by what the catalog and this run have of each content."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curate.catalog import changes, samples, sources
from curate.ingestion.batch import Batch, Taken
from curate.ingestion.identity import KeyCounter, identity_keys, occurrences
from curate.ingestion.tables import again_table, blob_name, reject_table, sample_table, source_table
from curate.ingestion.tally import Tally
from curate.workspace import Run, Workspace


class Committer:
    """Writes batches into a workspace, in the order in which they were read.

    Args:
        update: take over what changed of records that are samples already.
    """

    def __init__(
        self, workspace: Workspace, run: Run, dataset_id: int, settings_hash: str, tally: Tally, *, update: bool
    ) -> None:
        self._workspace = workspace
        self._run = run
        self._dataset_id = dataset_id
        self._settings_hash = settings_hash
        self._tally = tally
        self._update = update
        self._existing = KeyCounter()
        self._seen = KeyCounter()

    def load_existing(self, source_ids: Iterable[int]) -> None:
        """Learn what the catalog has of sources that are read again."""
        again = pa.table({"source_id": pa.array(list(source_ids), pa.int64())})
        if again.num_rows:
            for part in samples.identities(self._workspace.catalog, again):
                self._existing.add(identity_keys(part["source_id"].to_numpy(), part["content_hash"].to_pylist()))

    def commit(self, batch: Batch) -> None:
        """Write blobs, then rows, source states and counts in one transaction."""
        nth, is_new = self._places(batch.taken)
        new = [record for record, fresh in zip(batch.taken, is_new.tolist(), strict=True) if fresh]
        old = [record for record, fresh in zip(batch.taken, is_new.tolist(), strict=True) if not fresh]
        self._workspace.real.write(
            (name, media) for record in new if (name := blob_name(record)) and (media := record.picked.media)
        )
        catalog, run_id = self._workspace.catalog, self._run.run_id
        with catalog.transaction():
            sources.put(
                catalog,
                source_table(batch, dataset_id=self._dataset_id, settings_hash=self._settings_hash, run_id=run_id),
            )
            if batch.rejects:
                sources.add_rejects(catalog, reject_table(batch.rejects, run_id))
            ids = sources.reserve_ids(catalog, "sample_ids", len(new))
            samples.add(catalog, sample_table(new, nth[is_new], ids, dataset_id=self._dataset_id, run_id=run_id))
            self._take_again(old, nth[~is_new])
            self._count(batch, len(new), len(old))
            self._run.commit_counts(self._tally.counts())

    def _places(self, taken: list[Taken]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """(n,) how many equal records of its source stand before each record, and (n,) whether it is new."""
        ids = np.array([record.source.source_id for record in taken], dtype=np.int64)
        keys = identity_keys(ids, [record.examined.content_hash for record in taken])
        nth = self._seen.count(keys) + occurrences(keys)
        is_new = nth >= self._existing.count(keys)
        self._seen.add(keys)
        return nth, is_new

    def _take_again(self, old: list[Taken], nth: NDArray[np.int64]) -> None:
        if not old:
            return
        again = again_table(old, nth)
        self._tally.changed += changes.count(self._workspace.catalog, again)
        if self._update:
            self._tally.updated += changes.take_over(self._workspace.catalog, self._run.run_id, again)

    def _count(self, batch: Batch, added: int, unchanged: int) -> None:
        tally = self._tally
        tally.read += added + unchanged + len(batch.rejects)
        tally.added += added
        tally.unchanged += unchanged
        tally.rejected += len(batch.rejects)
        tally.reasons.update(reject.reason for reject in batch.rejects)
        tally.skipped.update(batch.skipped)
        tally.empty += batch.empty
