"""Measures of text, each against a slow and obvious oracle and its closed cases."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.metrics import Samples, Trial
from curate.metrics.bits_per_byte import BitsPerByte, _first
from curate.metrics.distinct import Distinct, distinct
from curate.metrics.self_bleu import SelfBleu, self_bleu
from curate.metrics.texts.byte_model import ORDER, ByteModel
from curate.metrics.texts.spans import longest_spans
from curate.metrics.texts.words import ngrams, words
from curate.metrics.verbatim import Verbatim
from curate.testing.metrics import trial

tokenised = st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=9), min_size=2, max_size=7)
texts = st.lists(st.text("ab é\n", max_size=14), min_size=1, max_size=6)


def of(*sides: list[str], **more) -> Trial:
    return Trial(*(Samples([None] * len(side), texts=side) for side in sides), **more)


def test_words_are_lower_case_and_punctuation_stands_alone():
    assert words("It's Ünder £5, ok?") == ["it", "'", "s", "ünder", "£", "5", ",", "ok", "?"]
    assert ngrams("abc", 2) == [("a", "b"), ("b", "c")] and ngrams("a", 2) == []


def test_distinct_is_the_share_of_different_runs():
    assert distinct([["a", "b", "a", "b"]], 1, 4) == 0.5
    assert distinct([["a", "b", "a", "b"]], 2, 3) == pytest.approx(2 / 3)
    assert distinct([["a"], ["a", "c"]], 1, 2) == 0.5


def test_repeating_one_text_lowers_distinct_and_raises_self_bleu():
    base = trial(np.random.default_rng(0))
    same = ["the same words in every single text"] * 40
    for metric, sign in ((Distinct(), -1), (SelfBleu(), 1)):
        repeated = metric.measure(of(list(base.train.texts), list(base.test.texts), same)).measures[-1]
        assert sign * (repeated.value - repeated.reference) > 0.1


def bleu(text: list[str], others: list[list[str]]) -> float:
    """BLEU-4 by the book, orders of two and more raised by one."""
    logs = []
    for n in range(1, 5):
        own = Counter(ngrams(text, n))
        best = Counter()
        for other in others:
            for gram, count in Counter(ngrams(other, n)).items():
                best[gram] = max(best[gram], count)
        hit, total = sum(min(count, best[gram]) for gram, count in own.items()), sum(own.values())
        if n == 1 and not hit:
            return 0.0
        logs.append(math.log((hit + (n > 1)) / (total + (n > 1))))
    closest = min((abs(len(o) - len(text)), len(o)) for o in others)[1]
    return min(1.0, math.exp(1 - closest / len(text))) * math.exp(sum(logs) / 4)


@given(tokenised)
@settings(deadline=None, max_examples=100)
def test_self_bleu_is_bleu_against_all_the_others(sets):
    expected = [bleu(text, sets[:n] + sets[n + 1 :]) for n, text in enumerate(sets)]
    assert self_bleu(sets) == pytest.approx(expected)


def test_equal_texts_have_self_bleu_one():
    assert self_bleu([list("abcdef")] * 3) == pytest.approx([1, 1, 1])
    assert self_bleu([list("abcd"), list("efgh")]) == [0, 0]


@given(texts, texts)
@settings(deadline=None, max_examples=150)
def test_the_longest_span_is_found_as_by_trying_every_substring(own, corpus):
    def longest(text):
        spans = [text[i:j] for i in range(len(text)) for j in range(i, len(text) + 1)]
        return max((len(s) for s in spans if any(s in other for other in corpus)), default=0)

    assert longest_spans(own, corpus).tolist() == [longest(text) for text in own]


def test_spans_never_cross_from_text_to_text():
    assert longest_spans(["abcdef"], ["abc", "def"]).tolist() == [3]
    assert longest_spans(["🙂🙃x"], ["y🙂🙃"]).tolist() == [2]
    assert longest_spans(["ab"], []).tolist() == [0]


def test_a_passage_learned_by_heart_is_the_longest_span():
    base = trial(np.random.default_rng(1))
    whole = max(base.train.texts, key=len)
    drawn = ["zq " * 5, f"xx {whole} yy"]
    found = {m.name: m for m in Verbatim().measure(of(list(base.train.texts), list(base.test.texts), drawn)).measures}
    assert found["longest-verbatim-span"].value >= len(whole)
    assert found["longest-verbatim-span"].value > found["longest-verbatim-span"].reference
    assert found["verbatim-share"].sizes == {"synthetic": 2, "test": 2, "train": 90}


def test_a_corpus_above_the_cap_is_cut_and_counted(monkeypatch):
    monkeypatch.setattr("curate.metrics.verbatim.MOST_CHARACTERS", 25)
    found = Verbatim().measure(of(["a" * 20, "b" * 20], ["aa"], ["bb"]))
    assert "25 characters" in found.notes[0] and "15 were left out" in found.notes[0]


def oracle(train: list[str], history: bytes, byte: int, order: int) -> float:
    """Witten-Bell by recursion over counted dictionaries."""
    if order < 0:
        return 1 / 256
    seen: dict[bytes, Counter] = defaultdict(Counter)
    for text in train:
        padded = b"\0" * ORDER + text.encode() + b"\0"
        for i in range(ORDER, len(padded)):
            seen[padded[i - order : i]][padded[i]] += 1
    shorter = oracle(train, history, byte, order - 1)
    found = seen[history[len(history) - order :]]
    total = sum(found.values())
    return shorter if not total else (found[byte] + len(found) * shorter) / (total + len(found))


@given(texts, texts)
@settings(deadline=None, max_examples=25)
def test_the_byte_model_is_witten_bell_by_recursion(train, read):
    bits, sizes = ByteModel(train).bits(read)
    for text, spent, size in zip(read, bits, sizes, strict=True):
        padded = b"\0" * ORDER + text.encode() + b"\0"
        likely = [oracle(train, padded[:i], padded[i], ORDER) for i in range(ORDER, len(padded))]
        assert spent == pytest.approx(-sum(map(math.log2, likely))) and size == len(text.encode())


def test_the_probabilities_of_all_bytes_sum_to_one():
    train = ["abab", "abc", "é"]
    for history in (b"", b"ab", b"zz"):
        padded = b"\0" * ORDER + history
        assert sum(oracle(train, padded, byte, ORDER) for byte in range(256)) == pytest.approx(1)


def test_copied_text_needs_fewer_bits_under_the_real_model_and_foreign_text_more():
    base = trial(np.random.default_rng(0))
    train, test = list(base.train.texts), list(base.test.texts)
    copied, foreign = (
        {m.name: m for m in BitsPerByte().measure(of(train, test, drawn)).measures}
        for drawn in (train[:50], [text[::-1].upper() for text in train[:50]])
    )
    given_real = "bits-per-byte/synthetic-given-real"
    assert copied[given_real].value < copied[given_real].reference < foreign[given_real].value
    crossed = "bits-per-byte/real-given-synthetic"
    assert foreign[crossed].value > 2 * foreign[crossed].reference
    assert copied[crossed].value == pytest.approx(copied[crossed].reference, rel=0.3)


def test_the_model_itself_is_asked_with_labels():
    asked = []

    def model(texts, labels):
        asked.append((tuple(texts), tuple(labels)))
        return float(len(asked))

    sides = [Samples(["x", None], texts=[f"{name} one", f"{name} two"]) for name in ("train", "test", "drawn")]
    found = {m.name: m for m in BitsPerByte().measure(Trial(*sides, bits_per_byte=model)).measures}
    assert {frozenset(zip(t, labels, strict=True)) for t, labels in asked} == {
        frozenset({(f"{name} one", "x"), (f"{name} two", None)}) for name in ("train", "test", "drawn")
    }
    assert found["bits-per-byte/real-given-model"].value == 2 and found["bits-per-byte/real-given-model"].reference == 1
    assert found["bits-per-byte/synthetic-given-model"].value == 3


@given(st.lists(st.text("aé🙂", min_size=1, max_size=6), min_size=1, max_size=6), st.integers(1, 40))
@settings(deadline=None, max_examples=100)
def test_texts_are_cut_to_so_many_bytes_at_a_character(many, limit):
    kept = [text for text, _ in _first([(text, None) for text in many], limit)]
    joined, whole = "".join(kept), "".join(many)
    assert kept and whole.startswith(joined)
    assert len(joined.encode()) <= limit or joined == whole[0]
    assert joined == whole or len(joined.encode()) > limit - 4
