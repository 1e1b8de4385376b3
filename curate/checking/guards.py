"""No verdict stands that a guard of its own method would have refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from curate import plugins
from curate.catalog import checks, readings
from curate.checking.look import JUDGE_ANEW, Look, Some
from curate.errors import SettingError

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


def no_guard_parts_a_verdict(look: Look) -> int:
    """Ask the guards again about every standing drop by vectors."""
    asked = 0
    for method, settings, _ in checks.evidence_kinds(look.catalog):
        if method not in plugins.names("dedupers"):
            continue  # the evidence's law notes it
        chosen = json.loads(settings)
        slug = chosen.pop("slug", None)
        try:
            deduper = plugins.load("dedupers", method)(**chosen)
        except SettingError:
            continue  # likewise
        if slug is None or not getattr(deduper, "wants_texts", False):
            continue
        parted = Some()
        for batch in readings.standing_pairs(look.catalog, method, settings, slug):
            asked += batch.num_rows
            count = batch.num_rows
            guard = deduper.guard(2 * count, _Pairs(batch))
            refused = guard.refusals(np.arange(count), np.arange(count, 2 * count)) > 0
            parted.extend(batch["duplicate_id"].to_numpy()[refused])
        if parted.count:
            message = f"{parted.count:,} samples were dropped by {method} though a guard parts them (ids of `duplicates`)"
            look.broken(message, ids=parted.ids, count=parted.count, hint=JUDGE_ANEW)
    return asked


class _Pairs:
    """The texts of a batch of pairs, the dropped ones first; what nobody counted passes for read."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        import pyarrow as pa

        self._texts = pa.concat_arrays([batch[f"{side}_text"].cast(pa.large_string()) for side in "ab"])
        columns = [[batch[f"{side}_{name}"].fill_null(0).to_numpy() for side in "ab"] for name in ("tokens", "unknown", "cut")]
        self._readings = np.stack([np.concatenate(pair) for pair in columns], axis=1).astype(np.int32)
        labels = [label for side in "ab" for label in batch[f"{side}_label"].to_pylist()]
        numbers = {label: number for number, label in enumerate(dict.fromkeys(labels))}
        self._labels = np.array([-1 if label is None else numbers[label] for label in labels], np.int64)

    def take(self, rows: NDArray[np.int64]) -> Any:
        """The texts."""
        return self._texts.take(rows)

    def readings(self, rows: NDArray[np.int64]) -> NDArray[np.int32]:
        """(r, 3) tokens seen, unknown, cut."""
        return self._readings[rows]

    def labels(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """(r,) numbers."""
        return self._labels[rows]
