"""Which guards are on: `edits` and `meaning` are the two levels, a list adds single ones or takes them away."""

from __future__ import annotations

from curate.dedupers.guards.words import FACTS
from curate.errors import SettingError

GUARDS = (*FACTS, "order", "wording", "unread", "labels")
"""All of them, in the order in which one is named where several refuse a pair."""

SAYS = {
    "numbers": "other numbers, or words with digits",
    "negation": "one denies and the other does not",
    "operators": "other signs or options",
    "opposites": "other words of direction, degree, time, unit or person",
    "characters": "other characters, which the model cannot tell apart",
    "order": "the same words in an order that may mean something else",
    "wording": "other words: paraphrases at most, which --level meaning drops",
    "unread": "the model saw only a part of one, or did not know its characters",
    "labels": "labels that contradict",
}
"""What two texts have that a guard keeps apart, for the report."""

LEVELS = {
    "none": frozenset[str](),
    "read": frozenset({"characters", "unread"}),
    "edits": frozenset(GUARDS) - {"labels"},
    "meaning": frozenset(GUARDS) - {"labels", "wording"},
}
"""`read` is for what should rather take too many for alike: the two sides of a split. It only asks that the model read both."""


def choose_guards(setting: object) -> frozenset[str]:
    """The guards that a setting names: a level or guards by name, `-name` to leave one out, with commas between.

    Raises:
        SettingError: a name is neither.
    """
    chosen = frozenset[str]()
    for name in str(setting).split(","):
        plain = name.strip().removeprefix("-")
        found = LEVELS.get(plain, frozenset({plain}))
        if not found <= frozenset(GUARDS):
            raise SettingError(f"there is no guard {plain!r}", hint="one of: " + ", ".join([*LEVELS, *GUARDS]))
        chosen = chosen - found if name.strip().startswith("-") else chosen | found
    return chosen
