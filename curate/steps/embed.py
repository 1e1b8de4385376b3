"""`embed`: gives every sample of a dataset a vector, computing only those whose content has none yet."""

from __future__ import annotations

from curate.embedding.missing import EmbedReport, embed_dataset
from curate.workspace import Workspace


def embed(workspace: Workspace, dataset: str, *, embedder: str | None = None, replace: bool = False) -> EmbedReport:
    """Give every real sample of a dataset a vector.

    A second run computes nothing; what is made is committed every ten seconds or so, and a killed run goes on after that.

    Args:
        embedder: `name` or `name:model`; None for the workspace's default of each modality.
        replace: where the catalog holds vectors of another model or version under the same slug, delete them first.

    Raises:
        InputError: the dataset is unknown or empty, or the model cannot be read.
        SettingError: the embedder cannot be shown any of the dataset's modalities, or its slug has other vectors.
    """
    return embed_dataset(workspace, dataset, embedder=embedder, replace=replace)
