"""The laws of `curate.gates.Gate`, on the draws that its example brings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from curate.gates import Draws, Gate, GateExample
from curate.testing.laws import hold, require


def check_gate(gate: type[Gate]) -> None:
    """Hold a gate, built from the reference of its `example`, to the laws of its family.

    Raises:
        AssertionError: a law is broken.
    """
    hold(LAWS, _Case(gate), gate.__name__)


@dataclass(frozen=True)
class _Case:
    """A gate's class, and what it can be tried on."""

    kind: type[Gate]

    @cached_property
    def example(self) -> GateExample:
        return self.kind.example()

    def build(self) -> Gate:
        return self.kind(self.example.reference)

    def one_by_one(self, draws: Draws) -> list[str | None]:
        gate = self.build()
        return [answer for row in range(len(draws)) for answer in gate.judge(draws.take([row]))]


def _it_answers_each_draw_once_and_refuses_those_of_its_example(case: _Case) -> None:
    answers = list(case.build().judge(case.example.draws))
    require(len(answers) == len(case.example.draws), f"{len(answers)} answers for {len(case.example.draws)} draws")
    refused = tuple(row for row, answer in enumerate(answers) if answer is not None)
    require(refused == case.example.refused, f"refused are {refused}, and should be {case.example.refused}")
    require(0 < len(refused) < len(answers), "an example has draws of both kinds")


def _a_reason_is_a_few_words_joined_by_hyphens(case: _Case) -> None:
    for answer in case.build().judge(case.example.draws):
        require(answer is None or re.fullmatch(r"[a-z]+(-[a-z]+)*", answer), f"{answer!r} is no reason")


def _how_draws_are_cut_into_batches_changes_nothing(case: _Case) -> None:
    whole = list(case.build().judge(case.example.draws))
    require(case.one_by_one(case.example.draws) == whole, "one by one, the draws are judged otherwise")


def _no_draw_is_no_work(case: _Case) -> None:
    require(list(case.build().judge(case.example.draws.take([]))) == [], "no draw, and an answer")


def _it_says_what_it_compares(case: _Case) -> None:
    require(case.build().description, "the description is empty")
    require(case.kind.reads in ("content", "vectors"), f"it reads {case.kind.reads!r}")
    require(0 <= case.kind.rank <= 90, f"its rank is {case.kind.rank}")


LAWS = (
    _it_answers_each_draw_once_and_refuses_those_of_its_example,
    _a_reason_is_a_few_words_joined_by_hyphens,
    _how_draws_are_cut_into_batches_changes_nothing,
    _no_draw_is_no_work,
    _it_says_what_it_compares,
)
