"""One filter over all samples of a dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curate.catalog import Catalog, samples
from curate.catalog.datasets import Dataset
from curate.errors import WorkError
from curate.filters import Filter
from curate.records import Progress, takes

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 4_096


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a filter said.

    Attributes:
        drops: sample_id, reason; in id order.
        reasons: how many samples each reason is given for, the most frequent first.
        judged: how many samples it was asked about.
        others: how many are of a modality that it does not judge.
    """

    drops: pa.Table
    reasons: dict[str, int]
    judged: int
    others: int


def sweep(catalog: Catalog, dataset: Dataset, chosen: Filter, progress: Progress) -> Sweep:
    """Ask a filter about every real sample of a dataset, dropped ones too, so that its word does not depend on other rules.

    Raises:
        WorkError: the filter breaks its contract.
    """
    import pyarrow as pa

    ids: list[int] = []
    reasons: list[str] = []
    judged = 0
    total = samples.count(catalog, dataset.dataset_id)
    progress.start("filtering", total=total, unit="samples")
    for batch in _batches(catalog, dataset, chosen):
        said = chosen.judge(batch)
        if len(said) != batch.num_rows or not all(reason is None or (isinstance(reason, str) and reason) for reason in said):
            raise WorkError(f"{type(chosen).__name__} must answer None or a reason for each of {batch.num_rows:,} samples")
        for sample_id, reason in zip(batch["sample_id"].to_pylist(), said, strict=True):
            if reason is not None:
                ids.append(sample_id)
                reasons.append(reason)
        judged += batch.num_rows
        progress.advance(batch.num_rows)
    progress.finish()
    drops = pa.table({"sample_id": pa.array(ids, pa.int64()), "reason": pa.array(reasons, pa.string())})
    return Sweep(drops, dict(Counter(reasons).most_common()), judged, total - judged)


def judged_modalities(catalog: Catalog, dataset: Dataset, chosen: Filter) -> list[str]:
    """The modalities of a dataset that a filter judges."""
    return [name for name in samples.modalities(catalog, dataset.dataset_id) if takes(chosen.modalities, name)]


def _batches(catalog: Catalog, dataset: Dataset, chosen: Filter) -> Iterator[pa.Table]:
    import pyarrow as pa

    judged = judged_modalities(catalog, dataset, chosen)
    for batch in samples.rows_for_filters(catalog, dataset.dataset_id, judged, batch_rows=BATCH_ROWS) if judged else ():
        yield pa.Table.from_batches([batch])
