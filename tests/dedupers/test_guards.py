"""What parts two similar texts, and what does not; and the law of `mark` where a guard has a say."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.dedupers.guards.choice import GUARDS, choose_guards
from curate.dedupers.guards.guard import Guard
from curate.dedupers.minhash import MinHashDeduper
from curate.dedupers.semantic import Semantic
from curate.errors import SettingError
from curate.records import SILENT


class Read:
    """Texts in memory, of which a model saw all, or what `readings` say."""

    def __init__(self, texts: list[str], readings: list[tuple[int, int, int]] | None = None, labels: list[int] | None = None):
        self.array = pa.array(texts, pa.large_string())
        self.counts = np.array(readings or [(9, 0, 0)] * len(texts), np.int32)
        self.numbers = np.array(labels or [-1] * len(texts))

    def take(self, rows: np.ndarray) -> pa.LargeStringArray:
        return self.array.take(pa.array(rows, pa.int64()))

    def readings(self, rows: np.ndarray) -> np.ndarray:
        return self.counts[rows]

    def labels(self, rows: np.ndarray) -> np.ndarray:
        return self.numbers[rows]


def parted(left: str, right: str, level: str = "edits", *, foreign: bool = True, **read: list) -> str | None:
    """The guard that parts two texts."""
    guard = Guard(2, Read([left, right], **read), choose_guards(level), foreign=foreign)
    (code,), (again,) = (guard.refusals(np.array([a]), np.array([b])) for a, b in ((0, 1), (1, 0)))
    assert code == again, "a guard does not look at the order of two texts"
    return GUARDS[code - 1] if code else None


DIFFERENT = [
    ("numbers", "Room 204 has a window and two desks.", "Room 205 has a window and two desks."),
    ("numbers", "cordless phone panasonic kx-tg6511b black", "Cordless phone Panasonic KX-TG6512B black"),
    ("numbers", "usb stick 8gb sandisk", "usb stick 4gb sandisk"),
    ("numbers", "Give the child 5 mg of it.", "Give the child 5 g of it."),
    ("numbers", '{"pump": 3, "pressure": 2.41}', '{"pump": 3, "pressure": 2.14}'),
    ("negation", "The bridge is closed to lorries.", "The bridge is not closed to lorries."),
    ("negation", "You can pay by cheque", "You can't pay by cheque"),
    ("negation", "Der Zug ist pünktlich", "Der Zug ist nicht pünktlich"),
    ("negation", "Je suis content", "Je ne suis pas content"),
    ("operators", "return left < right", "return left > right"),
    ("operators", "if (a == b) stop", "if (a != b) stop"),
    ("operators", "total = price + tax", "total = price - tax"),
    ("operators", "rm -r folder", "rm -R folder"),
    ("opposites", "Turn left after the church.", "Turn right after the church."),
    ("opposites", "Sales increased in spring", "Sales decreased in spring"),
    ("opposites", "The shop opens on Friday evening", "The shop opens on Monday evening"),
    ("opposites", "a red shirt of cotton", "a blue shirt of cotton"),
    ("characters", "Good game 🙂", "Good game 🙁"),
    ("characters", "我喜欢猫", "我喜欢狗"),
    ("characters", "สวัสดีตอนเช้า", "สวัสดีตอนเย็น"),
    ("order", "the teacher praised the pupil", "the pupil praised the teacher"),
    ("order", "Move 5 boxes and 3 chairs over there", "Move 3 boxes and 5 chairs over there"),
    ("wording", "She bought a small house in Lyon for her son", "She bought a small horse in Lyon for her son"),
    ("wording", "the patient is allergic to penicillin", "the patient is allergic to aspirin"),
]
ALIKE = [
    ("Where is my parcel?", "WHERE IS MY PARCEL"),
    ("Where is my parcel?", "Hello, where is my parcel? Thanks in advance!"),
    ("The price is 1,200 euros", "the price is 1200 euros."),
    ("Can I re-order the blue one", "can i reorder the blue one!!!"),
    ("Don't open it", "dont open it"),
    ("the patient is allergic to penicillin", "the patient is allergic to penicilin"),
    ("What is the fee for a transfer abroad", "What is the fee for a trasnfer abroad"),
    ("Please tell me where my new bank card is now", "Please tell me where my new card bank is now"),
    ("I lost my card yesterday. Can you send another one?", "Can you send another one? I lost my card yesterday."),
    ("How long does it normally take for the parcel to arrive", "How long does it take for the parcel to arrive"),
]


@pytest.mark.parametrize(("guard", "left", "right"), DIFFERENT)
def test_texts_that_say_something_else_are_parted(guard: str, left: str, right: str):
    assert parted(left, right) == guard
    if guard != "wording":
        assert parted(left, right, "meaning") == guard
        assert parted(left, right, "none") is None


@pytest.mark.parametrize(("left", "right"), ALIKE)
@pytest.mark.parametrize("level", ["edits", "meaning"])
def test_edits_of_a_text_are_not_parted_from_it(left: str, right: str, level: str):
    assert parted(left, right, level) is None


def test_other_words_are_parted_for_edits_and_not_for_meaning():
    left, right = "My parcel has not arrived so far", "My package still has not arrived"
    assert parted(left, right) == "wording" and parted(left, right, "meaning") is None


def test_for_meaning_a_text_that_was_cut_or_not_known_needs_the_same_words():
    left, right = "a long report about the harbour of Genoa", "a long report on the port of Genoa"
    assert parted(left, right, "meaning,-opposites") is None
    for readings in ([(254, 0, 9), (254, 0, 0)], [(10, 2, 0), (10, 0, 0)]):
        assert parted(left, right, "meaning,-opposites", readings=readings) == "unread"
        assert parted(left, left.upper(), "meaning", readings=readings) is None


def test_where_a_model_does_not_know_a_token_all_but_ascii_must_be_equal():
    readings = [(8, 1, 0), (8, 1, 0)]
    assert parted("das Straßenschild an der Ecke", "das Straßenschildë an der Ecke", foreign=False, readings=readings)
    assert parted("ein Schild an der Ecke", "EIN SCHILD an der Ecke!", foreign=False, readings=readings) is None


def test_labels_part_only_if_asked_for():
    both = {"labels": [1, 2]}
    assert parted("the same words", "the same words", **both) is None
    assert parted("the same words", "the same words", "edits,labels", **both) == "labels"
    assert parted("the same words", "the same words", "edits,labels", labels=[1, -1]) is None


def test_guards_are_chosen_by_level_and_by_name():
    assert choose_guards("edits") - choose_guards("meaning") == {"wording"}
    assert choose_guards("edits,-order") == choose_guards("edits") - {"order"}
    with pytest.raises(SettingError, match="no guard"):
        choose_guards("edit")


VOCABULARY = ["where", "is", "my", "new", "card", "and", "the", "old", "ones", "from", "Lyon", "to", "Rome", "please"]
words = st.lists(st.sampled_from(VOCABULARY), min_size=1)
sentences = st.builds(lambda a, n, b: " ".join([*a, str(n), *b]), words, st.integers(0, 10**6), words)


@given(st.text(max_size=60) | sentences, st.data())
def test_a_digit_that_differs_is_always_a_fact_that_differs(text: str, data: st.DataObject):
    places = [at for at, letter in enumerate(text) if letter in "0123456789"]
    if not places:
        return
    at = data.draw(st.sampled_from(places))
    other = data.draw(st.sampled_from([digit for digit in "0123456789" if digit != text[at]]))
    assert parted(text, text[:at] + other + text[at + 1 :]) is not None


@given(sentences, st.data())
def test_case_and_white_space_never_part(text: str, data: st.DataObject):
    spaces = data.draw(st.lists(st.sampled_from([" ", "  ", "\n", "\t "]), min_size=text.count(" "), max_size=text.count(" ")))
    parts = [part.upper() if data.draw(st.booleans()) else part for part in text.split(" ")]
    changed = "".join(itertools.chain.from_iterable(itertools.zip_longest(parts, spaces, fillvalue="")))
    assert parted(text, changed) is None and parted(text, changed, "meaning") is None


def some_rows(seed: int, rows: int) -> tuple[list[str], np.ndarray]:
    """Short texts of few facts, and vectors that are near for no reason of theirs."""
    rng, numbers = random.Random(seed), np.random.default_rng(seed)
    texts = [
        f"the {rng.choice(['pump', 'valve'])} of line {rng.randrange(3)} {rng.choice(['is', 'is not'])} hot"
        for _ in range(rows)
    ]
    centres = numbers.standard_normal((3, 24))
    made = centres[numbers.integers(0, 3, rows)] + 0.15 * numbers.standard_normal((rows, 24))
    made[rows // 2] = made[0]
    return texts, (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("settled", [0, 20])
@pytest.mark.parametrize("guards", ["edits", "meaning", "numbers"])
@pytest.mark.parametrize("exact_up_to", [10**6, 5])
def test_marks_follow_the_most_similar_kept_row_that_no_guard_parts(settled: int, guards: str, exact_up_to: int):
    texts, vectors = some_rows(settled + 1, 90)
    deduper = Semantic(threshold=0.9, guards=guards, exact_up_to=exact_up_to)
    order = np.random.default_rng(3).permutation(90)
    marks = deduper.mark(vectors, order, settled=settled, texts=Read(texts), progress=SILENT)
    stands_for, kept = {}, list(order[:settled])
    for row in order[settled:]:  # the law, pair by pair
        found = [
            (-deduper.similarity(vectors[[row]], vectors[[other]])[0], place, other)
            for place, other in enumerate(kept)
            if deduper.similarity(vectors[[row]], vectors[[other]])[0] >= 0.9
            and parted(texts[row], texts[other], guards) is None
        ]
        if found:
            stands_for[row] = min(found)[2]
        else:
            kept.append(row)
    assert {row: keeper for row, keeper in enumerate(marks.stands_for) if keeper >= 0} == stands_for
    assert marks.parted is not None and set(np.flatnonzero(marks.parted)) <= set(kept[settled:])
    for row in kept[settled:]:
        before = kept[: kept.index(row)]
        near = [other for other in before if deduper.similarity(vectors[[row]], vectors[[other]])[0] >= 0.9]
        assert (marks.parted[row] > 0) == bool(near)
        if near:
            assert GUARDS[marks.parted[row] - 1] == parted(texts[row], texts[near[0]], guards)


def test_guards_need_the_texts():
    with pytest.raises(SettingError, match="need the texts"):
        Semantic(threshold=0.9, guards="edits").mark(np.eye(4, dtype=np.float32), np.arange(4), progress=SILENT)


def shared(texts: list[str], **settings: str) -> int:
    """How many of some texts MinHash drops."""
    deduper = MinHashDeduper(threshold=0.8, **settings)
    array = pa.array(texts, pa.large_string())
    marks = deduper.mark(deduper.sketch(array), np.arange(len(texts)), texts=Read(texts), progress=SILENT)
    return int((marks.stands_for >= 0).sum())


LINE = "the pump of the third line stands in the hall beside the old boiler and it was looked after by the same two people " * 2


@pytest.mark.parametrize(
    "other",
    [
        LINE.replace("third", "fourth", 1),
        LINE.replace("was", "was not", 1),
        LINE.replace("old", "new", 1),
        LINE + "= 4",
        LINE + "x != 4",
    ],
)
def test_minhash_keeps_short_texts_of_other_facts_and_drops_pages(other: str):
    assert shared([LINE, other], guards="edits") == 0 and shared([LINE, other]) == 1
    assert shared([LINE * 8, LINE * 7 + other], guards="edits") == 1
    assert shared([LINE, LINE.upper() + "!"], guards="edits") == 1


def test_minhash_drops_a_line_without_spaces_only_if_signs_were_left_out_or_put_in():
    line = "昨日は友達と一緒に駅前の新しいレストランで夕食を食べて、そのあと川沿いの道をゆっくり歩いて家に帰りました。"
    assert (
        shared([line, line.replace("しま", "しまい")], guards="edits")
        == 1
        == shared([line, line[:-4] + line[-3:]], guards="edits")
    )
    assert shared([line, line.replace("夕", "朝")], guards="edits") == 0 and shared([line, line.replace("夕", "朝")]) == 1
    assert shared([line, line.replace("夕食を食べて", "夕食を食べない")], guards="edits") == 0
