"""Refuses draws that lie nearer to a training sample than real samples lie to each other."""

from __future__ import annotations

from typing import ClassVar, Literal

from curate.gates.contract.usual import USUAL, example, usual_limit
from curate.gates.contract.values import Draws, GateExample, Reference


class CopyOfTrain:
    """Keeps the `Gate` contract."""

    rank: ClassVar[int] = 10
    reads: ClassVar[Literal["vectors"]] = "vectors"

    def __init__(self, reference: Reference) -> None:
        self.limit = usual_limit(reference.own_nearest)
        self.description = (
            f"cosine of {reference.embedder} vectors above {self.limit:.4f}, the {USUAL:.1%} quantile over"
            f" {len(reference.own_nearest):,} of {len(reference.train.labels):,} real training samples and their own nearest"
            " neighbours"
        )

    @classmethod
    def example(cls) -> GateExample:
        """The first draw repeats a training vector."""
        return example(refused=(0,))

    def judge(self, draws: Draws) -> list[str | None]:
        """By the nearest training sample."""
        assert draws.nearest_train is not None
        return ["copy-of-train" if near > self.limit else None for near in draws.nearest_train.tolist()]


PLUGIN = CopyOfTrain
