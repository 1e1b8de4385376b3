"""Metrics say what a model's accepted samples are worth, always beside what real data reach.

A metric plug-in (`curate/metrics/<name>.py`, `PLUGIN = TheClass`) keeps the `Metric` contract: it is given one `Trial`, which
holds the real train part, the held-out real test part and the synthetic samples as arrays, and returns one `Measure` for each
figure. A measure of features is taken in each feature space of the trial and is named "measure/space".

The laws. A measure's `reference` is the same measure with real samples in the place of the synthetic ones, at equal sizes
wherever size moves it. The same trial gives the same findings: everything random comes from the trial's seed. What a metric
leaves out (rows above its cap, labels with too few rows) is counted in the sizes or said in a note. None of these figures
proves that nothing private was learned: nearness measures find copies, they cannot show that there are none.

`curate.testing.check_metric` makes the trials itself, so a metric brings no example.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol

from curate.errors import SettingError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Space:
    """One kind of features.

    Attributes:
        name: "pixels", "small-network", "tfidf-svd", or an embedder's slug.
        description: what the features are, and on what whatever was learned for them was learned.
        supervised: labels of the real train part shaped it, so that a classifier on it would flatter real data.
    """

    name: str
    description: str
    supervised: bool = False


@dataclass(frozen=True, slots=True)
class Samples:
    """One side of a comparison.

    Attributes:
        labels: a label per row, or None.
        features: (n, d) float32 by the name of the space.
        texts: the texts, where these are texts.
        pixels: (n, H, W, C) uint8, where these are images.

    Raises:
        SettingError: lengths differ.
    """

    labels: Sequence[str | None]
    features: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    texts: Sequence[str] | None = None
    pixels: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        given = {f"features {name!r}": len(matrix) for name, matrix in self.features.items()}
        given |= {} if self.texts is None else {"texts": len(self.texts)}
        given |= {} if self.pixels is None else {"pixels": len(self.pixels)}
        for name, rows in given.items():
            if rows != len(self.labels):
                raise SettingError(f"Samples got {rows} rows of {name} for {len(self.labels)} labels")

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Trial:
    """What is compared.

    Attributes:
        train: real samples that the model learned from.
        test: real samples that it never saw.
        synthetic: its accepted samples.
        spaces: the feature spaces that all three have.
        seed: everything random comes from it.
        threads: cores to use.
        bits_per_byte: of texts with these labels under the evaluated model itself; None where it is no language model.
    """

    train: Samples
    test: Samples
    synthetic: Samples
    spaces: Sequence[Space] = ()
    seed: int = 0
    threads: int = 1
    bits_per_byte: Callable[[Sequence[str], Sequence[str | None]], float] | None = None

    def random(self, purpose: str) -> np.random.Generator:
        """A random stream of its own for each purpose, so that no metric moves another's figures."""
        import numpy as np

        return np.random.default_rng([self.seed, zlib.crc32(purpose.encode())])


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure.

    Attributes:
        name: "coverage/pixels".
        label: of which label; None over all.
        value: the figure; None where it cannot be told.
        spread: its standard deviation, over what the definition says; None where there is none.
        reference: the same with real samples for the synthetic ones.
        sizes: how many rows of what it rests on.
        definition: what it is, in a sentence or two.
        source: the paper.
        reading: how to read it, in a few words.
    """

    name: str
    label: str | None
    value: float | None
    spread: float | None
    reference: float | None
    sizes: Mapping[str, int]
    definition: str
    source: str
    reading: str


@dataclass(frozen=True, slots=True)
class Findings:
    """What a metric found; `notes` says what it left out, a sentence each."""

    measures: tuple[Measure, ...] = ()
    notes: tuple[str, ...] = ()


class Metric(Protocol):
    """One kind of question about synthetic samples."""

    modalities: ClassVar[frozenset[str]]
    """Names of modalities, or `ANY`."""

    def measure(self, trial: Trial) -> Findings:
        """Answer it; too few rows for an answer give a note, not an error."""
        ...
