"""Says of how many texts an embedder saw too little for its vectors to count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from curate.catalog import readings
from curate.catalog.datasets import Dataset
from curate.dedupers.guards.guard import MOSTLY_UNKNOWN
from curate.deduplication.methods import Method
from curate.workspace import Workspace


def say_unread(workspace: Workspace, dataset: Dataset, methods: Sequence[Method]) -> Iterator[str]:
    """A sentence for each embedder that does not know a tenth of some texts, or whose window some exceed."""
    for method in methods:
        if method.slug is None or method.recorded.get("guards", "none") == "none":
            continue
        texts, unknown, cut = readings.unread(workspace.catalog, method.slug, dataset.dataset_id, share=MOSTLY_UNKNOWN)
        if unknown:
            yield (
                f"{method.embedder} does not know a tenth or more of {unknown:,} of {texts:,} texts, so that its vectors tell"
                " nothing of them; minhash compares them. A multilingual model reads them: text ="
                ' "sentence-transformers:MODEL" under [embedders] in curate.toml, and curate calibrate for its threshold'
            )
        if cut:
            yield (
                f"{cut:,} of {texts:,} texts are longer than {method.embedder} reads; of these only what the whole texts show"
                " to be edits is dropped"
            )
