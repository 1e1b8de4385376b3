"""MinHash marks against Python sets, character by character."""

from __future__ import annotations

import os
import subprocess
import sys
import unicodedata
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curate.dedupers import MarkOptions, Marks
from curate.dedupers.minhash import MinHashDeduper, choose_bands, expected_recall
from curate.dedupers.shingling import shingles as shingle_rule
from curate.dedupers.shingling.buckets import Budget
from curate.errors import SettingError
from curate.records import SILENT
from curate.spill import TOUCH_BYTES

UNSPACED = (
    *("HIRAGANA", "KATAKANA", "COMBINING KATAKANA", "HALFWIDTH KATAKANA", "CJK", "BOPOMOFO", "THAI", "LAO"),
    *("HENTAIGANA", "IDEOGRAPHIC ITERATION", "IDEOGRAPHIC CLOSING", "IDEOGRAPHIC NUMBER"),
    *("KHMER", "MYANMAR", "TAI", "NEW TAI LUE", "BUGINESE", "JAVANESE", "BALINESE"),
)
"""How the names of letters begin that are tokens by themselves."""


class Texts:
    """Texts by row number, and how many were asked for."""

    def __init__(self, texts: list[str]) -> None:
        self.array = pa.array(texts, pa.large_string())
        self.taken = 0

    def take(self, rows: np.ndarray) -> pa.LargeStringArray:
        self.taken += len(rows)
        return self.array.take(pa.array(rows, pa.int64()))


def mark(deduper: MinHashDeduper, texts: list[str], order: Any = None, settled: int = 0, **options: Any) -> Marks:
    access = Texts(texts)
    chosen = MarkOptions(**{"threads": 1, **options})
    places = np.arange(len(texts)) if order is None else np.asarray(order, np.int64)
    return deduper.mark(deduper.sketch(access.array), places, settled=settled, texts=access, options=chosen, progress=SILENT)


def invisible(c: str) -> bool:
    return unicodedata.category(c) == "Cf" or unicodedata.name(c, "").startswith("VARIATION SELECTOR-")


def visible(text: str) -> list[str]:
    return [c for c in text if not invisible(c) and unicodedata.category(c)[0] != "Z" and unicodedata.category(c) != "Cc"]


def unspaced(c: str) -> bool:
    """Whether a letter is a token by itself; one without a name goes with the named ones about it."""
    if unicodedata.category(c) == "Cn":
        return any(low <= ord(c) <= high for low, high in shingle_rule._UNSPACED)
    return unicodedata.name(c, "").startswith(UNSPACED)


def tokens(text: str) -> list[str]:
    """The token rule, one character after the other."""
    made, run = [], ""
    for c in text:
        category = unicodedata.category(c)
        if invisible(c):
            continue
        letter = category[0] in "LMN" or c == "_" or category in ("Cn", "Co")
        if letter and not unspaced(c):
            run += c
            continue
        made += [run] if run else []
        run = ""
        if letter or category in ("Sm", "Sc", "So") or c in "#%&*/@\\^":
            made.append(c)
    return made + ([run] if run else [])


def shingles(text: str, n: int = 5) -> set[tuple[str, ...]]:
    text = unicodedata.normalize("NFKC", text).casefold()
    cut, kind = tokens(text), "words"
    if len(cut) < n:
        cut, kind = visible(text), "characters"
    n = min(n, len(cut))
    return {(kind, *cut[i : i + n]) for i in range(len(cut) - n + 1)} if cut else set()


def jaccard(left: str, right: str, n: int = 5) -> float:
    a, b = shingles(left, n), shingles(right, n)
    return len(a & b) / len(a | b) if a | b else 1.0


def greedy(texts: list[str], order: list[int], settled: int, threshold: float, n: int) -> list[int]:
    """Point each row at the most similar kept row before it, or keep it; rows of equal shingles share their fate."""
    kept = order[:settled]
    stands_for = [-1] * len(texts)
    fate = {frozenset(shingles(texts[row], n)): row for row in reversed(kept)}
    for row in order[settled:]:
        kind = frozenset(shingles(texts[row], n))
        if kind not in fate:
            scored = [(jaccard(texts[row], texts[other], n), -at, other) for at, other in enumerate(kept)]
            best = max(scored, default=(0.0, 0, -1))
            fate[kind] = best[2] if best[0] >= threshold else row
        if fate[kind] == row:
            kept.append(row)
        else:
            stands_for[row] = fate[kind]
    return stands_for


ALPHABET = st.sampled_from(list("aAbBéßﬁ１ _-+*/.,!?\n\u00ad\u200bñ你好吗たカ가ไทย😀c̈´"))
WORDS = st.lists(
    st.sampled_from(["a", "the", "Cat", "don't", "x_1", "+", "ﬁne", "你好", "ไทย", "naïve", "e.g.", "😀"]), max_size=12
)
ANY_TEXT = st.one_of(st.text(ALPHABET, max_size=30), WORDS.map(" ".join), st.text(max_size=20))


@settings(deadline=None, max_examples=300)
@example([("?", "?\ud7fc")], 1)  # not assigned: a letter
@example([("?", "?\ue000")], 1)  # private use: a letter
@example([("a\ufe0fb", "ab")], 2)  # a variation selector is not there
@example([("a\u30fcb", "ab")], 3)  # a letter of kana is a token by itself
@given(st.lists(st.tuples(ANY_TEXT, ANY_TEXT), min_size=1, max_size=8), st.integers(1, 6))
def test_similarity_is_the_jaccard_of_python_sets(pairs: list[tuple[str, str]], n: int) -> None:
    left, right = (pa.array([pair[side] for pair in pairs], pa.large_string()) for side in (0, 1))
    found = MinHashDeduper(ngram=n).similarity(left, right)
    assert found.tolist() == pytest.approx([jaccard(a, b, n) for a, b in pairs], abs=1e-6)


def test_every_code_point_follows_the_rule() -> None:
    points = [chr(c) for c in (*range(0xD800), *range(0xE000, 0x40000), *range(0xE0000, 0xE0200))]
    texts = [f"a{c}b?" for c in points]
    for other, n in (("ab", 1), ("a b", 1), ("ab?", 4), ("a?b?", 3)):
        sides = (pa.array(side, pa.large_string()) for side in (texts, [other] * len(texts)))
        found = MinHashDeduper(ngram=n).similarity(*sides).tolist()
        expected = shingles(other, n)
        wrong = [
            f"U+{ord(c):04X}"
            for c, text, ours in zip(points, texts, found, strict=True)
            for own in [shingles(text, n)]
            if abs(ours - len(own & expected) / len(own | expected)) > 1e-6
        ]
        assert wrong == []


def test_what_composes_meets_what_is_composed() -> None:
    pairs = []
    for point in (*range(0x80, 0xD800), *range(0xF900, 0x20000)):
        parts = unicodedata.decomposition(chr(point)).split(" ")
        if len(parts) == 2 and not parts[0].startswith("<"):
            pairs.append((chr(point), "".join(chr(int(part, 16)) for part in parts)))
    pairs += [("각", "\u1100\u1161\u11a8"), ("각", "가\u11a8"), ("ΐ", "ϊ\u0301"), ("Ǆ", "ǆ"), ("ẞ", "ss"), ("Ⅷ", "viii")]
    assert len(pairs) > 1000
    texts = ([f"a{pair[side]}b" for pair in pairs] for side in (0, 1))
    found = MinHashDeduper(ngram=1).similarity(*(pa.array(side, pa.large_string()) for side in texts))
    assert [pair for pair, same in zip(pairs, found.tolist(), strict=True) if same != 1] == []


@st.composite
def families(draw: st.DrawFn) -> list[str]:
    """A few texts, and edits of each by one word; or strangers."""
    made = draw(st.lists(ANY_TEXT, max_size=4))
    for _ in range(draw(st.integers(0, 10))):
        words = [f"w{i}" for i in range(draw(st.integers(1, 40)))]
        for at in draw(st.lists(st.integers(0, len(words) - 1), max_size=3)):
            words[at] = draw(st.sampled_from(["x", "y"]))
        made.append(" ".join(words))
    return made


@settings(deadline=None, max_examples=100)
@given(families(), st.sampled_from([0.3, 0.5, 0.8, 1.0]), st.integers(0, 2**32), st.integers(0, 4), st.integers(1, 5))
@example(["a b d e g", "a b e f", "a c e f", "a b e f"], 0.5, 1, 0, 1)  # in this order; 2 is nearer to the copy, 3, of 1
def test_marks_are_those_of_a_greedy_pass_over_all_pairs(
    texts: list[str], threshold: float, seed: int, settled: int, n: int
) -> None:
    order = np.random.default_rng(seed).permutation(len(texts)).tolist()
    settled = min(settled, len(order))
    deduper = MinHashDeduper(threshold=threshold, ngram=n, bands=256, rows=1)  # so many bands that no pair is missed
    marks = mark(deduper, texts, order, settled)
    assert marks.stands_for.tolist() == greedy(texts, order, settled, threshold, n)
    for row in np.flatnonzero(marks.stands_for >= 0):
        truth = jaccard(texts[row], texts[marks.stands_for[row]], n)
        assert truth >= threshold
        assert marks.similarity[row] == np.float32(truth)
        assert marks.stands_for[marks.stands_for[row]] == -1


def perturbed(rng: np.random.Generator, groups: int, copies: int) -> list[str]:
    """Documents of 20 to 300 words in groups whose members differ by single words, so that Jaccard runs from 0.5 to 1."""
    made = []
    for _ in range(groups):
        words = [f"w{i}" for i in rng.integers(0, 5000, rng.integers(20, 300))]
        for _ in range(copies):
            edited = list(words)
            for at in rng.integers(0, len(words), rng.integers(0, max(len(words) // 25, 2))):
                edited[at] = f"e{rng.integers(10**9)}"
            made.append(" ".join(edited))
    return made


def test_bands_agree_for_at_least_the_promised_share_of_pairs() -> None:
    texts = perturbed(np.random.default_rng(1), groups=250, copies=8)
    deduper = MinHashDeduper()
    bands = deduper.sketch(pa.array(texts, pa.large_string()))[:, :-2]
    similar = missed = 0
    for low in range(0, len(texts), 8):
        sets = [shingles(text) for text in texts[low : low + 8]]
        for a in range(8):
            for b in range(a):
                if len(sets[a] & sets[b]) / len(sets[a] | sets[b]) >= 0.8:
                    similar += 1
                    missed += not (bands[low + a] == bands[low + b]).any()
    assert similar > 2000
    assert missed / similar <= 0.001


@pytest.mark.parametrize("words", [1, 3, 12, 60, 2000])
def test_a_signature_row_agrees_as_often_as_the_jaccard_whatever_the_size(words: int) -> None:
    rng = np.random.default_rng(words)
    own = words // 3
    deduper = MinHashDeduper(ngram=1, bands=64, rows=1)
    left, right = [], []
    for _ in range(200):
        drawn = [f"w{i}" for i in rng.permutation(10**4)[: words + 2 * own]]
        left.append(" ".join(drawn[: words + own]))
        right.append(" ".join(drawn[:words] + drawn[words + own :]))
    a, b = (deduper.sketch(pa.array(side, pa.large_string()))[:, :-2] for side in (left, right))
    assert (a == b).mean() == pytest.approx(words / (words + 2 * own), abs=0.02)


def test_case_punctuation_and_form_of_unicode_do_not_matter_but_symbols_do() -> None:
    same = [
        "The quick brown fox jumps over it.",
        "the QUICK, brown fox (jumps) over\n it",
        "ｔｈｅ quick brown fox jumps over\u200b it",
    ]
    assert (mark(MinHashDeduper(), same).stands_for == [-1, 0, 0]).all()
    different = ["what is the sum 2+2 here", "what is the sum 2*2 here", "C", "C++", "C#", "!!!", "???", "no", "yes"]
    assert (mark(MinHashDeduper(), different).stands_for == -1).all()


def test_scripts_without_spaces_are_compared_by_character_and_others_by_word() -> None:
    chinese = "人工智能是计算机科学的一个分支它企图了解智能的实质并生产出一种新的能以人类智能相似的方式做出反应的智能机器"
    thai = "ปัญญาประดิษฐ์คือความฉลาดเทียมที่สร้างขึ้นให้กับสิ่งที่ไม่มีชีวิต"
    texts = [chinese, chinese + "人", thai, thai.replace("ชีวิต", "ชีวา"), chinese[::-1]]
    assert mark(MinHashDeduper(), texts).stands_for.tolist() == [-1, 0, -1, 2, -1]
    assert mark(MinHashDeduper(unit="words"), [chinese, "人" + chinese[1:]]).stands_for.tolist() == [-1, 0]
    mixed = pa.array([f"read {chinese} now please do it"], pa.large_string())
    assert MinHashDeduper().similarity(mixed, mixed).tolist() == [1.0]


def test_unit_characters_sees_punctuation_and_ignores_white_space() -> None:
    left, right = (pa.array([t], pa.large_string()) for t in ("if (a == b) { return c; }", "if(a==b){\n\treturn c;\n}"))
    assert MinHashDeduper(unit="characters").similarity(left, right).tolist() == [1.0]
    other = pa.array(["if (a != b) { return c; }"], pa.large_string())
    assert MinHashDeduper(unit="characters").similarity(left, other)[0] < 1


def test_empty_texts_equal_each_other_and_the_report_says_so() -> None:
    marks = mark(MinHashDeduper(), ["", "a", " \n", "\u200b", "b"])
    assert marks.stands_for.tolist() == [-1, -1, 0, 0, -1]
    assert any("3 texts have no visible character" in note for note in marks.notes)


def test_one_word_texts_are_compared_by_their_characters() -> None:
    texts = ["yes", "no", "YES", "yes!", "international", "internationals", "日本", "日本", "ไทย", ""]
    assert mark(MinHashDeduper(threshold=0.75), texts).stands_for.tolist() == [-1, -1, 0, -1, -1, 4, -1, 6, -1, -1]


@pytest.mark.parametrize("rows", [0, 1, 3000])
def test_texts_that_are_all_different_are_all_kept(rows: int) -> None:
    marks = mark(MinHashDeduper(), [" ".join(f"{row}x{word}" for word in range(8)) for row in range(rows)])
    assert (marks.stands_for == -1).all()
    assert (marks.similarity == 1).all()


def test_a_twenty_megabyte_text_is_found_again() -> None:
    rng = np.random.default_rng(2)
    words = np.char.add("some", rng.integers(10**5, 10**6, 1_700_000).astype("U6")).tolist()
    text = " ".join(words)
    assert len(text) > 18_000_000
    marks = mark(MinHashDeduper(), [text, "short", text + " one more word here", " ".join(words[: len(words) // 2])])
    assert marks.stands_for.tolist() == [-1, -1, 0, -1]
    assert marks.similarity[2] == pytest.approx(1, abs=1e-5)


def test_a_huge_group_of_near_equal_rows_costs_about_one_comparison_a_row() -> None:
    base = [f"w{i}" for i in range(60)]
    texts = [" ".join([*base, str(i)]) for i in range(5000)]
    marks = mark(MinHashDeduper(), texts)
    assert (marks.stands_for[1:] == 0).all()
    assert marks.compared < 2 * 5000


def test_rows_that_meet_nobody_are_never_fetched() -> None:
    texts = Texts([" ".join(f"{i}-{j}" for j in range(30)) for i in range(500)])
    deduper = MinHashDeduper()
    deduper.mark(deduper.sketch(texts.array), np.arange(500), texts=texts, progress=SILENT)
    assert texts.taken < 10


def test_little_memory_and_more_threads_give_the_same_marks_and_the_spill_is_told(tmp_path: Path) -> None:
    texts = perturbed(np.random.default_rng(3), groups=300, copies=6)
    deduper = MinHashDeduper()
    one = mark(deduper, texts)
    small = mark(deduper, texts, memory_bytes=100_000, folder=tmp_path, threads=2)
    assert (one.stands_for == small.stands_for).all()
    assert (one.similarity == small.similarity).all()
    assert (one.stands_for >= 0).sum() > 500
    assert any("disk" in note for note in small.notes)
    assert not any("disk" in note for note in one.notes)
    assert list(tmp_path.iterdir()) == []
    assert (deduper.sketch(pa.array(texts, pa.large_string()), threads=1) == deduper.sketch(pa.array(texts), threads=2)).all()


@pytest.mark.parametrize("bands", [None, 3])
def test_a_few_new_rows_meet_many_old_ones_as_if_all_were_looked_at(monkeypatch: pytest.MonkeyPatch, bands: int | None) -> None:
    texts = ["", "...", *perturbed(np.random.default_rng(8), groups=250, copies=4), "", "one", "!"]
    rng = np.random.default_rng(9)
    order = rng.permutation(len(texts)).tolist()
    settled = len(texts) - 60
    deduper = MinHashDeduper(threshold=0.7, bands=bands)
    looked = mark(deduper, texts, order, settled)
    monkeypatch.setattr("curate.dedupers.minhash.MANY_SETTLED", len(texts))
    plain = mark(deduper, texts, order, settled)
    assert (looked.stands_for == plain.stands_for).all() and (looked.similarity == plain.similarity).all()
    assert looked.compared == plain.compared
    assert 20 < (looked.stands_for >= 0).sum() < 60


class Numbers:
    """A text for each row that is like no other."""

    def take(self, rows: np.ndarray) -> pa.LargeStringArray:
        return pa.array([f"{row} {row + 1} {row + 2} {row + 3} {row + 4}" for row in rows.tolist()], pa.large_string())


def test_the_process_grows_by_less_than_the_memory_limit(tmp_path: Path) -> None:
    """Sketches in a mapped file, with bands that meet by chance, take more than the limit; kernels are compiled before."""
    rows, deduper = 250_000, MinHashDeduper()
    assert mark(deduper, ["one two three four five six seven eight"] * 2 + ["One two three four five six seven"]).compared > 0
    drawn = np.random.default_rng(4).integers(0, 2**32, (rows, deduper.settings["bands"] + 2), np.uint32)
    drawn.tofile(tmp_path / "sketches")
    grown, found = {}, []
    for limit in (45 * 2**20, 2**31):
        sketches = np.memmap(tmp_path / "sketches", np.uint32, "r", shape=drawn.shape)
        options = MarkOptions(threads=1, memory_bytes=limit, folder=tmp_path)
        before = peak_bytes(anew=True)
        found.append(deduper.mark(sketches, np.arange(rows), texts=Numbers(), options=options, progress=SILENT))
        grown[limit] = peak_bytes() - before
    small, _ = grown
    # What the second run grows by says little: it takes what the first one, and other tests, have given back to the heap.
    assert grown[small] < small
    assert any("went to disk" in note for note in found[0].notes)
    assert not any("went to disk" in note for note in found[1].notes)
    assert found[0].compared == found[1].compared > 0
    assert (found[0].stands_for == found[1].stands_for).all()


def peak_bytes(*, anew: bool = False) -> int:
    """The most resident bytes of this process, since the start or since they were counted anew."""
    try:
        if anew:
            Path("/proc/self/clear_refs").write_text("5")
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        pytest.skip("only Linux tells the peak of a process")
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])


def test_a_limit_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    notes = mark(MinHashDeduper(), ["a b c d e", "f g h i j"], memory_bytes=2**20, folder=tmp_path).notes
    assert any("more than the limit" in note for note in notes)
    assert not any("more than the limit" in note for note in mark(MinHashDeduper(), ["a b c d e"]).notes)


@given(st.floats(0.05, 1.0))
def test_the_chosen_bands_find_the_promised_share_with_at_most_256_permutations(threshold: float) -> None:
    bands, rows = choose_bands(threshold)
    assert bands * rows <= 256
    assert expected_recall(threshold, bands=bands, rows=rows) >= 0.999
    assert MinHashDeduper(threshold=threshold).recall >= 0.999


def test_expected_recall_falls_with_the_similarity() -> None:
    curve = [expected_recall(s / 20, bands=30, rows=7) for s in range(21)]
    assert all(a < b for a, b in pairwise(curve[:16]))
    assert (curve[0], curve[-1]) == (0, 1)
    assert expected_recall(0.8, bands=14, rows=8) == pytest.approx(0.9236, abs=1e-4)


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 0},
        {"threshold": True},
        {"ngram": 0},
        {"ngram": 2.5},
        {"bands": 5000},
        {"rows": 0},
        {"seed": -1},
        {"unit": "bytes"},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingError):
        MinHashDeduper(**wrong)


def test_what_cannot_be_compared_is_refused() -> None:
    deduper, texts = MinHashDeduper(), Texts(["a", "b"])
    sketches = deduper.sketch(texts.array)
    with pytest.raises(SettingError, match="needs the texts"):
        deduper.mark(sketches, np.arange(2), progress=SILENT)
    with pytest.raises(SettingError, match="bands"):
        MinHashDeduper(threshold=0.5).mark(sketches, np.arange(2), texts=texts, progress=SILENT)
    with pytest.raises(SettingError, match="1 of 2 texts are null"):
        deduper.sketch(pa.array(["a", None], pa.large_string()))
    with pytest.raises(SettingError, match="strings"):
        deduper.sketch(pa.array([1]))


def test_it_runs_where_no_cache_folder_can_be_written(tmp_path: Path) -> None:
    """Numba refuses to cache there; the kernels are then compiled for this process alone."""
    code = "from curate.dedupers.shingling.kernels import _mix\nimport numpy as np\nprint(_mix(np.uint64(1)))"
    blocked = tmp_path / "file"
    blocked.write_text("")
    outcomes = []
    for cache in (tmp_path / "cache", blocked / "cache"):
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
        outcomes.append(
            subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        )
    assert outcomes[0].stdout == outcomes[1].stdout != ""


@pytest.mark.parametrize("bands", [1, 30, 256])
@pytest.mark.parametrize("memory_bytes", [2**30, 2**33])
def test_what_a_window_touches_in_files_is_within_the_memory(bands, memory_bytes):
    window = Budget(memory_bytes, 10**6, bands).window(spilled=True)
    assert 0 < window * bands * TOUCH_BYTES <= memory_bytes // 2
