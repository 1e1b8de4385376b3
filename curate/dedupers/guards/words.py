"""Cuts a text into words, and names the facts in it: numbers, denials, signs, opposites, characters of other scripts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from curate.dedupers.guards.lexicon import COURTESY, HARMLESS, NEGATION, NEGATION_PARTS, OPPOSITES

FACTS = ("numbers", "negation", "operators", "opposites", "characters")
"""The kinds of fact, in the order in which one is named where several differ."""

_SIGNS = "<>=+*%^|&~≠≤≥±×÷¬√∞∈∉⊂⊃∀∃∂∑∏∫→←↑↓↔⇒⇐⇔$€£¥₹₽₩¢@#\\[]{}°′″²³"
_PUNCTUATION = (
    r"\s!-/:-@\[-^`{-~\u00a1-\u00a9\u00ab-\u00b1\u00b4\u00b6-\u00b8\u00bb\u00bf\u00d7\u00f7\u02c2-\u02df"
    r"\u05be\u05c0\u05c3\u060c\u061b\u061f\u066a-\u066d\u06d4\u0964\u0965\u0e4f\u0e5a\u0e5b"
    r"\u2000-\u206f\u20a0-\u20cf\u2190-\u2bff\u3000-\u3004\u3008-\u303f\u30fb\ufe00-\ufe0f\ufe30-\ufe6f\U0001f000-\U0001faff"
)
_WORD = rf"(?:[^{_PUNCTUATION}]|(?<=\d)[.,:/](?=\d)|(?<=[^{_PUNCTUATION}])['\-](?=[^{_PUNCTUATION}]))+"
_UNSPACED = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a00-\u1aad\u3041-\u30ff\u3105-\u312f\u31a0-\u31ff"
    r"\u3400-\u4dbf\u4e00-\u9fff\uaa60-\uaadf\uf900-\ufaff\U00020000-\U0003ffff"
)
_PIECES = re.compile(rf"[{_UNSPACED}]|[^{_UNSPACED}]+")
_HAS_UNSPACED = re.compile(rf"[{_UNSPACED}]")
_FOREIGN = re.compile(r"[\u0370-\u1dff\u1f00-\u1fff\u2c00-\U0003ffff]")
_OTHER_SYMBOL = re.compile(
    r"[\u2190-\u2bff\u3004\U0001f000-\U0001faff\u00a9\u00ae\u2122](?:[\ufe0f\u200d\U0001f3fb-\U0001f3ff]*)"
)
_FLAG = re.compile(r"(?<![^\s\[(`'\"])-{1,2}[A-Za-z][\w-]*")
_SIGN = re.compile(
    rf"[{re.escape(_SIGNS)}]|!=|->|(?<![^\s(\[])!(?=[\w(])|(?<=\s)/(?=\s)|(?<=\d)\s?/(?=\s?\d)"
    r"|(?<![\w)\]])-(?=[\d.])|(?<=[\d)])\s-(?=\s[\d(])"
)
_TOKEN = re.compile(rf"(?P<word>{_WORD})|(?P<sign>{_SIGN.pattern})")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_COURTESY = re.compile("|".join(rf"\b{re.escape(phrase)}\b" for phrase in COURTESY))
_JOINERS = str.maketrans("", "", "'-")
_SHORT_UNIT = 3
_HARMLESS_BESIDE_SIGNS = frozenset(word for word in HARMLESS if len(word) > 1)
"""Where a text has signs, a letter by itself may be a name: a < b."""
_FOLDED = dict[int, str | None]({0xAD: None, 0x200B: None, 0x2060: None, 0xFEFF: None, ord("’"): "'", ord("ʼ"): "'"}) | {
    ord(dash): "-" for dash in "‐‑‒–—−"
}
"""Nothing invisible, one dash, one apostrophe."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What the guards see of a text.

    Attributes:
        words: in their order, folded, without the harmless ones; a sign of a script without spaces is a word.
        bags: a digest for each kind in `FACTS`, whatever the order of its facts.
        sequences: likewise, of the facts in their order.
        odd: a digest of everything outside ASCII, in its order: what a model may not know.
        stream: all that is visible but punctuation, in its order, without spaces.
        letters: a digest of what is in the stream, whatever the order.
    """

    words: tuple[str, ...]
    bags: tuple[int, ...]
    sequences: tuple[int, ...]
    odd: int
    stream: str
    letters: int


def fold(text: str) -> str:
    """One form for what differs in case or in Unicode only, and nothing invisible."""
    return unicodedata.normalize("NFKC", text).translate(_FOLDED)


def read_statement(text: str, *, foreign: bool) -> Statement:
    """Cut a text into words and facts.

    Args:
        foreign: whether letters of other scripts than the Latin one are facts, because the model was not made for them.
    """
    plain = fold(text)
    lower = _COURTESY.sub(" ", plain.casefold())
    words, numbers, denials, opposites, letters = list[str](), list[str](), list[str](), list[str](), list[str]()
    signs, after_number = list[str](), False
    stream = list[str]()
    harmless = _HARMLESS_BESIDE_SIGNS if _SIGN.search(lower) else HARMLESS
    for found, sign in _pieces(lower):
        stream.append(found)
        word = NEGATION.get(found, found)
        if sign:
            signs.append(word)
        elif found in NEGATION:
            denials.append(word)
        elif word in OPPOSITES:
            opposites.append(word)
        is_number = not sign and any(map(str.isnumeric, word))
        if is_number or (after_number and not sign and len(word) <= _SHORT_UNIT):
            numbers.append(word)  # or its unit: 5 mg is not 5 g
        after_number = is_number
        if not word.isascii() and _FOREIGN.search(word):
            letters.append(word)
        if word not in harmless:
            words.append(word)
    signs += _FLAG.findall(plain)
    symbols = list[str]()
    if not lower.isascii():
        denials += [part for part in NEGATION_PARTS for _ in range(lower.count(part))]
        symbols = _without_repeats(_OTHER_SYMBOL.findall(plain))
    facts: tuple[list[str], ...] = (numbers, denials, signs, opposites, symbols)
    bags, sequences = [digest(sorted(found)) for found in facts], [digest(found) for found in facts]
    if foreign and letters:
        spelled = digest(["".join(letters)])
        bags[-1], sequences[-1] = bags[-1] ^ spelled, sequences[-1] ^ spelled
    odd = "" if lower.isascii() else "".join(c for c in lower if not c.isascii() and not c.isspace())
    run = "".join(stream)
    return Statement(tuple(words), tuple(bags), tuple(sequences), digest([odd]), run, _letter_bag(run))


def _letter_bag(run: str) -> int:
    """63 bits of the code points of a string, whatever their order."""
    points = np.frombuffer(run.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    mixed = (points + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xC4CEB9FE1A85EC53)
    return int((mixed ^ (mixed >> np.uint64(32))).sum(dtype=np.uint64) >> np.uint64(1))


def _pieces(lower: str) -> Iterator[tuple[str, bool]]:
    """The words and signs of a folded text, in their order, each with whether it is a sign."""
    for found in _TOKEN.finditer(lower):
        word = found[0]
        if found.lastgroup == "sign":
            yield word.strip(), True
            continue
        if _THOUSANDS.fullmatch(word):
            word = word.replace(",", "")
        elif not word.isalnum():
            word = _without_joiners(word) if any(map(str.isdigit, word)) else word.translate(_JOINERS)
        if not word:
            continue
        if word.isascii() or not _HAS_UNSPACED.search(word):
            yield word, False
        else:
            for piece in _PIECES.findall(word):
                yield piece, False


def _without_joiners(word: str) -> str:
    """A word with digits without the hyphens that stand beside a letter: kx-tg9342 is kxtg9342, and 10-12 is not 1012."""
    return re.sub(r"(?<=\D)['\-]|['\-](?=\D)", "", word).strip("'-")


def _without_repeats(symbols: list[str]) -> list[str]:
    return [symbol for at, symbol in enumerate(symbols) if at == 0 or symbols[at - 1] != symbol]


def digest(parts: Iterable[str]) -> int:
    """63 bits of a list of strings; 0 for the empty one."""
    joined = "\x1f".join(parts)
    return (
        int.from_bytes(blake2b(joined.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little") >> 1 if joined else 0
    )
