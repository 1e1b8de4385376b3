"""Refuses draws that lie nearer to a held-out sample than training samples do."""

from __future__ import annotations

from typing import ClassVar, Literal

from curate.gates.contract.usual import example, usual_limit
from curate.gates.contract.values import Draws, GateExample, Reference


class LeakOfTest:
    """Keeps the `Gate` contract."""

    rank: ClassVar[int] = 20
    reads: ClassVar[Literal["vectors"]] = "vectors"

    def __init__(self, reference: Reference) -> None:
        self.limit = usual_limit(reference.held_nearest)
        held = len(reference.held.labels)
        self.description = f"above {self.limit:.4f}, the same between training samples and the {held:,} held-out ones"
        if not held:
            self.description = "off, nothing was held out"

    @classmethod
    def example(cls) -> GateExample:
        """The second draw repeats a held-out vector."""
        return example(refused=(1,))

    def judge(self, draws: Draws) -> list[str | None]:
        """By the nearest held-out sample."""
        assert draws.nearest_held is not None
        return ["leak-of-test" if near > self.limit else None for near in draws.nearest_held.tolist()]


PLUGIN = LeakOfTest
