"""Refuses draws that lie as near to an accepted draw as only copies do; the earlier one stays."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from curate.gates.contract.usual import example, usual_limit
from curate.gates.contract.values import Draws, GateExample, Reference

_PIECES = 64


class Duplicate:
    """Keeps the `Gate` contract; remembers what it let pass, so it is asked last."""

    rank: ClassVar[int] = 90
    reads: ClassVar[Literal["vectors"]] = "vectors"

    def __init__(self, reference: Reference) -> None:
        self.limit = usual_limit(reference.own_nearest)
        self.description = f"above {self.limit:.4f} to a draw that was accepted before"
        self._accepted = [reference.accepted]

    @classmethod
    def example(cls) -> GateExample:
        """The last draw repeats the one before."""
        return example(refused=(4,))

    def judge(self, draws: Draws) -> list[str | None]:
        """By every draw that passed before, those of this batch among them."""
        assert draws.vectors is not None
        return [self._judge(draws.vectors[row : row + 1]) for row in range(len(draws))]

    def _judge(self, vector: np.ndarray) -> str | None:
        if len(self._accepted) > _PIECES:
            self._accepted = [np.concatenate(self._accepted)]
        if any(len(piece) and float((piece @ vector[0]).max()) > self.limit for piece in self._accepted):
            return "duplicate"
        self._accepted.append(vector)
        return None


PLUGIN = Duplicate
