"""Refuses draws in which there is nothing to see, as their modality says: blank texts, images of one colour."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

from curate.gates.contract.usual import example
from curate.gates.contract.values import Draws, GateExample, Reference


class Invalid:
    """Keeps the `Gate` contract."""

    rank: ClassVar[int] = 0
    reads: ClassVar[Literal["content"]] = "content"

    def __init__(self, reference: Reference) -> None:
        self.description = "blank texts, images of one colour"

    @classmethod
    def example(cls) -> GateExample:
        """The second draw is blank."""
        usual = example(refused=(1,))
        return replace(usual, draws=replace(usual.draws, blank=[False, True, False, False, False]))

    def judge(self, draws: Draws) -> list[str | None]:
        """By the content alone."""
        return ["invalid" if blank else None for blank in draws.blank]


PLUGIN = Invalid
