"""What a draw must pass before it is accepted.

Near-copies are judged by how near real samples lie to each other: the limit is a high quantile of real samples' similarity
to their own nearest neighbour, so a draw is refused if it is nearer to a real sample than nearly all real ones are. This
finds copies; it proves nothing about privacy.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from curate.catalog import models, vectors
from curate.catalog.models import ModelRow
from curate.catalog.splits import Split
from curate.embedding.missing import embed_dataset
from curate.embedding.specs import default_spec, loaded
from curate.indexes import index_in_memory
from curate.modalities import load_modality
from curate.workspace import Workspace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from curate.embedders import Embedder

USUAL = 0.995  # quantile of the real nearest-neighbour similarities
_MEASURED_ROWS = 2000
_CLASSIFIER_ROWS = 20_000


class Verdict:
    """What the gates say of one draw."""

    __slots__ = ("nearest_id", "nearest_real", "refusal", "vector")

    def __init__(
        self, refusal: str | None, nearest_id: int | None, nearest_real: float | None, vector: NDArray[np.float32] | None
    ) -> None:
        self.refusal = refusal
        self.nearest_id = nearest_id
        self.nearest_real = nearest_real
        self.vector = vector


class Gates:
    """The gates of one model: what it learned from, what was held out, what was accepted before, and the classifier.

    Args:
        split: the frozen split whose train part the model learned from.
        accepted: ids of its accepted draws so far, whose vectors are stored.
        label_gate: whether draws that look like another label are refused.
    """

    def __init__(
        self, workspace: Workspace, model: ModelRow, split: Split, modality: str, accepted: Sequence[int], *, label_gate: bool
    ) -> None:
        spec = default_spec(workspace, modality)
        embed_dataset(workspace, model.dataset, embedder=spec)
        self.slug = next(row.slug for row in vectors.embedders(workspace.catalog) if row.spec == spec)
        self._context = loaded(workspace, spec)
        self._embedder: Embedder = self._context.__enter__()
        self._modality, self._kind = modality, load_modality(modality)
        train_ids, train, labels = self._part(workspace, split, ["train"])
        held_ids, held, held_labels = self._part(workspace, split, ["validation", "test"])
        self._train = index_in_memory("flat", train_ids, train, threads=workspace.threads)
        self._held = index_in_memory("flat", held_ids, held, threads=workspace.threads) if len(held_ids) else None
        sample = _spread(len(train_ids), _MEASURED_ROWS)
        own = self._train.search(train[sample], 2)[1]
        self.copy_limit = float(np.quantile(own[:, 1], USUAL)) if len(train_ids) > 1 else 1.0
        self.leak_limit = float(np.quantile(self._held.search(train[sample], 1)[1][:, 0], USUAL)) if self._held else 1.0
        self._accepted = [
            vectors.load(workspace.catalog, self.slug, sample_ids=np.array(accepted, np.int64), origin="synthetic")[1]
        ]
        found = _classifier(train, labels) if label_gate else None
        self._classify = found[0] if found else None
        self._label_gate = "label-mismatch: off" + (", fewer than two labels" if label_gate else "")
        if found:
            self._label_gate = found[1] + _agreement(found[0], held, held_labels)
        self.descriptions = self._describe(spec, len(train_ids), len(held_ids), len(sample))

    def close(self) -> None:
        """Give the embedder back."""
        self._context.__exit__(None, None, None)

    def judge(self, contents: Sequence[str] | Sequence[bytes], labels: Sequence[str | None]) -> list[Verdict]:
        """Judge draws in order; a later one is a duplicate of an earlier one that was accepted, never the other way round.

        Args:
            contents: n texts or encoded images.
            labels: the label that each was asked for.
        """
        malformed = [self._kind.is_blank(content) for content in contents]
        sound = [n for n, bad in enumerate(malformed) if not bad]
        verdicts = [Verdict("invalid", None, None, None) for _ in contents]
        if not sound:
            return verdicts
        chosen = [contents[n] for n in sound]
        embedded = self._kind.embed(self._embedder, chosen)
        near_ids, near = (found[:, 0] for found in self._train.search(embedded, 1))
        held_ids, held = (
            (found[:, 0] for found in self._held.search(embedded, 1)) if self._held else (near_ids, np.full(len(near), -1.0))
        )
        looks = self._classify(embedded) if self._classify else [labels[n] for n in sound]
        for row, n in enumerate(sound):
            nearest = (
                (int(near_ids[row]), float(near[row])) if near[row] >= held[row] else (int(held_ids[row]), float(held[row]))
            )
            refusal = self._refusal(
                embedded[row], float(near[row]), float(held[row]), looks[row] == labels[n] or labels[n] is None
            )
            verdicts[n] = Verdict(refusal, *nearest, embedded[row])
            if refusal is None:
                self._accepted.append(embedded[row : row + 1])
        return verdicts

    def _refusal(self, vector: NDArray[np.float32], near: float, held: float, looks_right: bool) -> str | None:
        if near > self.copy_limit:
            return "copy-of-train"
        if held > self.leak_limit:
            return "leak-of-test"
        if not looks_right:
            return "label-mismatch"
        if len(self._accepted) > 64:
            self._accepted = [np.concatenate(self._accepted)]
        if any(len(piece) and float((piece @ vector).max()) > self.copy_limit for piece in self._accepted):
            return "duplicate"
        return None

    def _part(
        self, workspace: Workspace, split: Split, parts: list[str]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], list[str | None]]:
        labels: dict[int, str | None] = {}
        for part in parts:
            table = models.members(workspace.catalog, split, part)
            labels.update(
                (i, label)
                for i, label, m in zip(
                    table["sample_id"].to_pylist(), table["label"].to_pylist(), table["modality"].to_pylist(), strict=True
                )
                if m == self._modality
            )
        ids, matrix = vectors.load(workspace.catalog, self.slug, sample_ids=np.array(sorted(labels), np.int64))
        return ids, matrix, [labels[int(i)] for i in ids]

    def _describe(self, spec: str, train: int, held: int, measured: int) -> tuple[str, ...]:
        gates = [
            f"copy-of-train and duplicate: cosine of {spec} vectors above {self.copy_limit:.4f}, the {USUAL:.1%} quantile over"
            f" {measured:,} of {train:,} real training samples and their own nearest neighbours"
        ]
        if held:
            gates.append(
                f"leak-of-test: above {self.leak_limit:.4f}, the same between training samples and the {held:,} held-out ones"
            )
        gates.append(self._label_gate)
        return tuple(gates)


def _classifier(
    train: NDArray[np.float32], labels: Sequence[str | None]
) -> tuple[Callable[[NDArray[np.float32]], list[str]], str] | None:
    """A function from vectors to labels, learned from real samples, and a sentence about it; None with fewer than two labels.

    Where there are more rows than it learns from, every label gives equally many, so that none is left out: all
    draws of a label that the classifier has never seen would be refused.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    by_label: dict[str, list[int]] = {}
    for row, label in enumerate(labels):
        if label is not None:
            by_label.setdefault(label, []).append(row)
    if len(by_label) < 2:
        return None
    most = max(1, _CLASSIFIER_ROWS // len(by_label))
    rows = np.concatenate([np.array(found)[_spread(len(found), most)] for _, found in sorted(by_label.items())])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        # unit vectors: weak penalty
        fitted = LogisticRegression(C=160.0, max_iter=300).fit(train[rows], [labels[n] for n in rows])
    early = ", stopped before it had converged" if any(issubclass(w.category, ConvergenceWarning) for w in caught) else ""
    known = sum(map(len, by_label.values()))
    return (
        lambda vectors: fitted.predict(vectors).tolist(),
        f"label-mismatch: a logistic regression on {len(rows):,} of {known:,} real training vectors{early} reads another label",
    )


def _agreement(
    classify: Callable[[NDArray[np.float32]], list[str]], held: NDArray[np.float32], labels: Sequence[str | None]
) -> str:
    """How often the classifier is right about held-out real samples: it refuses good draws as often as it is wrong."""
    labelled = np.array([row for row, label in enumerate(labels) if label is not None], np.int64)
    if not len(labelled):
        return ""
    rows = labelled[_spread(len(labelled), _MEASURED_ROWS)]
    right = np.mean([said == labels[row] for said, row in zip(classify(held[rows]), rows, strict=True)])
    return f"; it reads the right one on {right:.1%} of {len(rows):,} held-out real samples"


def _spread(count: int, limit: int) -> NDArray[np.int64]:
    """At most `limit` row numbers, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, limit)).round().astype(np.int64)) if count else np.zeros(0, np.int64)
