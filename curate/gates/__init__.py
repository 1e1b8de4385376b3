"""Gates decide which draws are accepted.

A gate plug-in (`curate/gates/<name>.py`, `PLUGIN = TheClass`) keeps the `Gate` contract. `generate` builds every registered
gate once, from what its model learned and what was held out, and shows it each batch of draws. The gates are asked by rank, and
a gate is shown only what those of lower rank let pass, so that the first refusal is the one that is stored with the draw.

The laws, which `curate.testing.check_gate` tries on every gate. `judge` answers once a draw, in order: None, or a reason of a
few words joined by hyphens. What it says of a draw depends neither on the draws after it nor on how draws are cut into
batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, Protocol

from curate.gates.contract.values import Draws, GateExample, Real, Reference

__all__ = ["Draws", "Gate", "GateExample", "Real", "Reference"]


class Gate(Protocol):
    """One rule over draws."""

    rank: ClassVar[int]
    """Gates of lower rank are asked first: 0 for those that read contents, 10 to 80 for vectors, 90 for what remembers."""
    reads: ClassVar[Literal["content", "vectors"]]
    """Whether it needs the draws' vectors; one that reads contents alone is asked before anything is embedded."""
    description: str
    """One sentence for the report: what it compares, and its limit."""

    def __init__(self, reference: Reference) -> None:
        """Learn what is usual from real samples."""
        ...

    @classmethod
    def example(cls) -> GateExample:
        """A small reference, and draws of which some are refused, for those who test the gate."""
        ...

    def judge(self, draws: Draws) -> Sequence[str | None]:
        """Say of each draw why it is refused, or None where it may pass."""
        ...
