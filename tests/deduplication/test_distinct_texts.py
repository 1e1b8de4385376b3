"""The bare dedupe drops no text that differs from the kept one in what it says, in any language, and still finds edits."""

from __future__ import annotations

import json
import random
import tarfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

from curate import check, dedupe, ingest, open_workspace
from curate.deduplication.report import DedupeReport
from curate.workspace import Workspace, create_workspace


@pytest.fixture
def workspace(tmp_path: Path):
    with open_workspace(create_workspace(tmp_path / "ws")) as opened:
        yield opened


def judged(workspace: Workspace, texts: list[str], name: str = "d", **options: object) -> tuple[DedupeReport, list[str]]:
    """Dedupe texts; the report, and the texts that are kept."""
    source = workspace.root / f"{name}.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    ingest(workspace, [str(source)], dataset=name)
    report = dedupe(workspace, name, yes=True, **options)  # type: ignore[arg-type]
    kept = workspace.catalog.rows("SELECT text FROM samples WHERE dataset = ? AND state = 'kept' ORDER BY sample_id", [name])
    return report, [text for (text,) in kept]


GREETINGS = {
    "th": ["สวัสดีตอนเช้า", "สวัสดีตอนเย็น", "ขอบคุณมาก", "ราตรีสวัสดิ์", "พบกันใหม่พรุ่งนี้", "วันนี้ฝนตก"],
    "zh": ["早上好", "晚上好", "谢谢你", "再见", "明天见", "今天下雨"],
    "lo": ["ສະບາຍດີຕອນເຊົ້າ", "ຂອບໃຈຫຼາຍໆ", "ພົບກັນໃໝ່", "ມື້ນີ້ຝົນຕົກ"],
    "bn": ["শুভ সকাল", "শুভ রাত্রি", "ধন্যবাদ", "আবার দেখা হবে"],
    "ko": ["좋은 아침입니다", "안녕히 주무세요", "감사합니다", "내일 봐요"],
    "emoji": ["🙂", "🙁", "👍", "👎", "🎉", "☀"],
}


@pytest.mark.parametrize("language", GREETINGS)
def test_texts_of_unknown_tokens_are_all_kept(workspace: Workspace, language: str):
    texts = GREETINGS[language]
    report, kept = judged(workspace, texts)
    assert kept == texts and report.dropped == 0
    assert any("does not know" in note for note in report.notes) == (language not in ("ko", "bn"))
    assert judged(workspace, texts, "m", level="meaning")[1] == texts


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Activa un host virtual:", "Desactiva un host virtual:"),
        ("Activa um host virtual:", "Desactiva um host virtual:"),
        ("Installer un paquet depuis un fichier :", "Désinstaller un paquet depuis un fichier :"),
        ("Aktiviere einen virtuellen Host:", "Deaktiviere einen virtuellen Host:"),
        ("Attiva un host virtuale nel server:", "Disattiva un host virtuale nel server:"),
    ],
)
def test_a_prefix_that_turns_a_word_round_parts_two_lines(workspace: Workspace, one: str, other: str):
    assert judged(workspace, [one, other])[1] == [one, other]


def test_a_line_and_the_same_with_a_sign_left_out_are_copies_in_scripts_without_spaces(workspace: Workspace):
    line = "昨日は友達と一緒に駅前の新しいレストランで夕食を食べて、そのあと川沿いの道をゆっくり歩いて家に帰りました。"
    assert judged(workspace, [line, line.replace("ゆっく", "ゆく"), line.replace("夕", "朝")])[1] == [
        line,
        line.replace("夕", "朝"),
    ]


def story(seed: int, words: int) -> str:
    """Words in any order."""
    rng = random.Random(seed)
    syllables = ["ka", "lo", "mi", "ten", "ra", "su", "vel", "dor", "pin", "gas"]
    return " ".join("".join(rng.choices(syllables, k=rng.randint(1, 3))) for _ in range(words))


def test_texts_with_one_head_and_different_bodies_are_kept_and_near_copies_of_long_texts_dropped(workspace: Workspace):
    head = story(0, 220)
    texts = [f"{head} {story(n, 900)}" for n in range(1, 6)]
    edited = texts[0].upper() + "!!"
    for level in ("edits", "meaning"):
        report, kept = judged(workspace, [*texts, edited], level, level=level)
        assert kept == texts
        assert any("longer than minilm reads" in note for note in report.notes)


RECORDS = [
    json.dumps({"machine": "press 7", "time": f"2031-04-{day:02} 08:{minute:02}", "oil": 60 + minute / 10, "state": "running"})
    for day in (3, 4, 5)
    for minute in range(5)
]
FACTS = [
    "Pay 250 francs from my purse to the landlord of the corner house before Tuesday noon.",
    "Pay 260 francs from my purse to the landlord of the corner house before Tuesday noon.",
    "Pay 250 francs from my purse to the landlord of the corner house before Thursday noon.",
    "Do not pay 250 francs from my purse to the landlord of the corner house before Tuesday noon.",
    "Pay 250 francs to my purse from the landlord of the corner house before Tuesday noon.",
    "Camera Olynx DX-410 with zoom lens 18-55 mm, black",
    "Camera Olynx DX-420 with zoom lens 18-55 mm, black",
    "Camera Olynx DX-410 with zoom lens 18-105 mm, black",
    "The nurse helped the old farmer across the wide yard",
    "The old farmer helped the nurse across the wide yard",
    "if (level < limit) { open(valve); }",
    "if (level > limit) { open(valve); }",
    "if (level < limit) { close(valve); }",
    "if (level != limit) { open(valve); }",
]


@pytest.mark.parametrize("texts", [RECORDS, FACTS], ids=["records", "facts"])
@pytest.mark.parametrize("level", ["edits", "meaning"])
def test_records_and_sentences_of_other_facts_are_kept_and_the_report_says_which_guard_kept_them(
    workspace: Workspace, texts: list[str], level: str
):
    report, kept = judged(workspace, texts, level=level)
    assert kept == texts and report.kinds == {}
    assert report.guarded["numbers"] > 0 and sum(report.guarded.values()) < len(texts)
    assert any("differ in what counts: numbers" in note for note in report.notes)
    assert check(workspace).findings == ()


def test_the_levels_drop_copies_then_edits_then_paraphrases_and_the_report_counts_each(workspace: Workspace):
    texts = [
        "How long does it take until my new card arrives?",
        "How long does it take until my new card arrives?",
        "how long does it take until my new card arrives",
        "How long does it take for my new card to arrive?",
        "What is the weather like in Lisbon?",
    ]
    loose = {"semantic": 0.9}
    assert judged(workspace, texts, "c", level="copies")[0].kinds == {"copies": 1}
    assert judged(workspace, texts, "e", threshold=loose)[0].kinds == {"copies": 1, "edits": 1}
    loose_guards = {"guards": "meaning,-opposites"}
    report, kept = judged(workspace, texts, "m", level="meaning", threshold=loose, settings=loose_guards)
    assert report.kinds == {"copies": 1, "edits": 1, "paraphrases": 1} and kept == [texts[0], texts[4]]


def test_a_second_dedupe_counts_the_guarded_of_the_first_and_compares_nothing(workspace: Workspace):
    first, _ = judged(workspace, FACTS)
    again = dedupe(workspace, "d")
    assert again.guarded == first.guarded and (again.compared, again.dropped) == (0, 0)
    report, kept = judged(workspace, [*FACTS, FACTS[5].upper()])
    assert report.dropped == 1 and kept == FACTS and report.guarded == first.guarded


def tldr_lines(corpora: Path, lines: int) -> Mapping[str, list[str]]:
    """So many lines of each language that are distinct also without their case, spaces and punctuation."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    with tarfile.open(corpora / "tldr_pages.tar.gz") as tar:
        for member in tar:
            language = next((part for part in member.name.split("/") if part.startswith("pages")), "")
            if not member.isfile() or not member.name.endswith(".md") or not language:
                continue
            text = tar.extractfile(member).read().decode("utf-8", "replace")  # type: ignore[union-attr]
            for line in (line[2:].strip() for line in text.splitlines() if line.startswith("- ")):
                found[language].setdefault("".join(sign for sign in line.casefold() if sign.isalnum()), line)
    chosen = {name: sorted(distinct.values()) for name, distinct in sorted(found.items())}
    return {name: random.Random(0).sample(all_, min(lines, len(all_))) for name, all_ in chosen.items()}


def dropped_of_all(workspace: Workspace, corpora: Path, lines: int) -> tuple[int, int]:
    """How many lines there are, and how many the bare dedupe drops, language by language."""
    total = dropped = 0
    for language, texts in tldr_lines(corpora, lines).items():
        report, kept = judged(workspace, texts, language.replace(".", "-"))
        total, dropped = total + len(texts), dropped + report.dropped
        assert len(texts) - len(kept) <= max(3, len(texts) // 50), (language, sorted({*texts} - {*kept}))
    return total, dropped


@pytest.mark.corpora
def test_hardly_a_distinct_line_of_any_language_is_dropped(workspace: Workspace, corpora: Path):
    total, dropped = dropped_of_all(workspace, corpora, 40)
    assert total > 1_300 and dropped <= total / 1_000


@pytest.mark.corpora
@pytest.mark.slow
def test_of_300_lines_a_language_hardly_one_is_dropped(workspace: Workspace, corpora: Path):
    """Ten of 7,930 before words that a prefix turns round were known; most of those seen are slips of the pen."""
    total, dropped = dropped_of_all(workspace, corpora, 300)
    assert total > 7_500 and dropped <= total / 600
