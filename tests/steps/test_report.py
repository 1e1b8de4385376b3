"""The laws of the report: exact numbers, one file that needs nothing, hostile words that stay words, and caps that are said."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import report_house
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from curate.cli import app
from curate.differences import differences, excerpt, visible
from curate.errors import InputError
from curate.reporting import media as _report_media
from curate.reporting.charts import MAP_SIZE, fit_in_map, gauge, loss_chart, nice_ticks, principal_plane, thin
from curate.reporting.flow import Link, Node, lay_out
from curate.reporting.media import Thumbnails
from curate.steps.ingest import ingest
from curate.steps.report import report
from curate.workspace import create_workspace, open_workspace

TEMPLATES = Path(_report_media.__file__).parent / "templates"
VOID = {"meta", "link", "img", "br", "input"}


class Page(HTMLParser):
    """Reads a page as a browser would: elements with their attributes, texts, and the cells of tables by caption."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.scripts: list[str] = []
        self.words: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self._rows: list[list[str]] = []
        self._caption = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")
        if tag == "table":
            self._rows, self._caption = [], ""
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th"):
            self._rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"{tag} closes {self.open[-3:]}"
        self.open.pop()
        if tag == "table":
            assert self._caption, "a table without a caption"
            self.tables[self._caption.strip()] = self._rows

    def handle_data(self, data: str) -> None:
        where = self.open[-1] if self.open else ""
        if where == "script":
            self.scripts[-1] += data
        elif where != "style":
            self.words.append(data)
        if where == "caption":
            self._caption += data
        elif ("td" in self.open or "th" in self.open) and self._rows and self._rows[-1]:
            self._rows[-1][-1] += data

    @property
    def text(self) -> str:
        return "".join(self.words)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report_house.build(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def html(house: Path) -> str:
    out = house.parent / "report.html"
    with open_workspace(house, read_only=True) as workspace:
        report(workspace, out=out)
    return out.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def number(cell: str) -> int:
    return int(cell.replace(",", ""))


def test_every_element_is_closed(page: Page) -> None:
    assert page.open == []


def test_the_flow_says_what_the_catalog_says(house: Path, page: Page) -> None:
    for name, read, samples in (("tales", 74, 72), ("photos", 25, 24)):
        flow = {row[0]: number(row[1]) for row in page.tables[f"Flow of {name}"][1:]}
        with open_workspace(house, read_only=True) as workspace:
            curated = workspace.catalog.scalar("SELECT count(*) FROM curated WHERE dataset = ?", [name])
            parts = dict(workspace.catalog.rows("SELECT part, count(*) FROM parts WHERE dataset = ? GROUP BY 1", [name]))
        assert flow["records read"] == read == flow["kept"] + flow["dropped: exact"] + flow["rejected"]
        assert flow["kept"] == curated == samples - flow["dropped: exact"]
        assert {part: flow[f"{name}@default:1/{part}"] for part in parts} == parts
        model = {"tales": "poet", "photos": "painter"}[name]
        assert flow[f"{model}: accepted"] == 9
        assert flow[f"{model}: refused, {report_house.HOSTILE}"] == 1


def test_the_label_balance_counts_each_label(house: Path, page: Page) -> None:
    rows = page.tables["Samples by label, most read first; parts of tales@default:1"][1:]
    with open_workspace(house, read_only=True) as workspace:
        for label, _, read, kept, train, validation, test, drawn in rows:
            real = workspace.catalog.rows("SELECT sample_id, state FROM samples WHERE origin = 'real' AND label = ?", [label])
            real = [
                r
                for r in real
                if workspace.catalog.scalar("SELECT dataset FROM samples WHERE sample_id = ?", [r[0]]) == "tales"
            ]
            assert number(read) == len(real)
            assert number(kept) == sum(state == "kept" for _, state in real) == sum(map(number, (train, validation, test)))
            assert number(drawn) == workspace.catalog.scalar(
                "SELECT count(*) FROM accepted WHERE dataset = 'tales' AND label = ?", [label]
            )
    assert {row[0] for row in rows} == set(report_house.LABELS)


def test_the_page_asks_nothing_of_the_world(html: str, page: Page) -> None:
    for tag, attributes in page.elements:
        for name in ("src", "href", "action", "data", "srcset", "poster", "formaction"):
            assert attributes.get(name, "#").startswith(("#", "data:")), (tag, attributes)
        assert tag not in ("iframe", "object", "embed", "base", "form")
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
    style = re.search(r"<style>(.*?)</style>", html, re.S)
    assert style and "url(" not in style[1] and "@import" not in style[1]
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(page.scripts[-1].encode()).digest()).decode()
    assert "default-src 'none'" in policy and f"script-src 'sha256-{digest}'" in policy


def test_hostile_words_stay_words(page: Page) -> None:
    tags = [tag for tag, _ in page.elements]
    assert tags.count("script") == 3, "two maps and the page's own"
    assert all("onerror" not in attributes for _, attributes in page.elements)
    assert page.text.count(report_house.HOSTILE) > 30
    points = [json.loads(script) for script in page.scripts[:-1]]
    assert any(point[4] == report_house.HOSTILE for points_of in points for point in points_of)
    alts = [attributes["alt"] for tag, attributes in page.elements if tag == "img"]
    assert any(report_house.HOSTILE in alt for alt in alts)


def test_every_picture_has_words_and_no_heading_level_is_skipped(page: Page) -> None:
    for tag, attributes in page.elements:
        if tag == "img":
            assert attributes["alt"]
        if tag == "svg":
            assert attributes.get("aria-hidden") == "true" or (attributes["role"] == "img" and attributes["aria-label"])
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {attributes["href"][1:] for tag, attributes in page.elements if tag == "a"}
    assert targets <= set(ids)


def test_metrics_losses_rejects_and_provenance_are_there(page: Page) -> None:
    assert "0.8125 ± 0.03125" in page.text and "0.9688" in page.text and "test 1,234" in page.text
    assert "validation: last 1.25, best 1.25" in page.text
    rejected = page.tables["Rejected records by reason"]
    assert rejected[1][1] == "2" and report_house.HOSTILE in rejected[1][2]
    frozen = page.tables["Frozen splits; the hash is over content and part of every member"][1:]
    assert [row[0] for row in frozen] == ["photos@default:1", "tales@default:1"] and {row[2] for row in frozen} == {"3"}
    assert all(re.fullmatch("[0-9a-f]{64}", row[4]) for row in frozen)
    trained = page.tables["Trained generators; generation depth 0 learned from real data alone"][1:]
    assert [row[4] for row in trained] == ["11 (12 draws)"] * 2
    assert "c0ffee" in trained[0][5]


def test_a_synthetic_sample_stands_beside_the_nearest_real_one(house: Path, page: Page) -> None:
    assert "synthetic " in page.text and "nearest real 1" in page.text
    with open_workspace(house, read_only=True) as workspace:
        for cosine, text in workspace.catalog.rows(
            """SELECT nearest_real, r.text FROM accepted a JOIN real_samples r ON r.sample_id = a.nearest_id
               WHERE a.model = 'poet'"""
        ):
            assert f"cosine {cosine:.3f}" in page.text and text in page.text


def test_nothing_is_written_but_the_page_and_the_same_catalog_gives_the_same_bytes(
    house: Path, html: str, tmp_path: Path
) -> None:
    before = (house / "catalog.duckdb").read_bytes()
    written = {}
    for name, seed in (("a", 0), ("b", 5)):
        with open_workspace(house, read_only=True) as workspace:
            found = report(workspace, out=tmp_path / name, seed=seed)
        written[name] = (tmp_path / name).read_bytes()
        assert found.bytes == len(written[name]) and (found.datasets, found.models, found.notes) == (2, 2, ())
    assert written["a"] == html.encode() != written["b"]
    assert (house / "catalog.duckdb").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_one_dataset_alone(house: Path, tmp_path: Path) -> None:
    with open_workspace(house, read_only=True) as workspace:
        report(workspace, out=tmp_path / "r.html", dataset="photos")
        text = Page((tmp_path / "r.html").read_text()).text
        assert "painter" in text and "poet" not in text and "tale 3" not in text
        with pytest.raises(InputError, match="no dataset is called 'none'"):
            report(workspace, out=tmp_path / "r.html", dataset="none")
        with pytest.raises(InputError, match="is a folder"):
            report(workspace, out=tmp_path)
        with pytest.raises(InputError, match="there is no folder"):
            report(workspace, out=tmp_path / "missing" / "r.html")


def test_an_empty_workspace_has_a_page(tmp_path: Path) -> None:
    root = create_workspace(tmp_path / "ws")
    result = CliRunner().invoke(app, ["report", "-w", str(root), "-o", str(tmp_path / "r.html"), "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["datasets"], found["images"]) == (0, 0)
    assert "Nothing was ingested yet" in Page((tmp_path / "r.html").read_text()).text


def test_labels_beyond_the_cap_are_summed_and_said(tmp_path: Path) -> None:
    rows = [{"text": f"text {n} {label}", "label": f"label {label}"} for label in range(40) for n in range(label + 1)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with open_workspace(create_workspace(tmp_path / "ws")) as workspace:
        ingest(workspace, [tmp_path / "a.jsonl"], dataset="many", text=["text"], label="label")
        found = report(workspace, out=tmp_path / "r.html")
    table = Page((tmp_path / "r.html").read_text()).tables["Samples by label, most read first"][1:]
    assert [row[0] for row in table[:2]] == ["label 39", "label 38"] and table[-1][0] == "10 other labels"
    assert number(table[-1][2]) == sum(range(1, 11)) and sum(number(row[2]) for row in table) == len(rows)
    assert any("10 labels beyond the 30 largest" in note for note in found.notes)


def test_a_lost_image_is_counted_and_the_page_is_written(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for n in range(3):
        (tmp_path / "photos" / f"{n}.png").write_bytes(report_house.picture(n))
    with open_workspace(create_workspace(tmp_path / "ws")) as workspace:
        ingest(workspace, [tmp_path / "photos"], dataset="photos")
        gone, broken, _ = (row[0] for row in workspace.catalog.rows("SELECT blob FROM real_samples ORDER BY sample_id"))
        workspace.real.path(gone).unlink()
        workspace.real.path(broken).write_bytes(b"no image")
        found = report(workspace, out=tmp_path / "r.html")
    assert found.images == 1 and found.notes == ("2 images could not be read from the workspace; curate check names them",)
    assert "2 images could not be read" in Page((tmp_path / "r.html").read_text()).text


def test_thumbnails_stay_within_their_budget_and_small_ones_keep_their_pixels(tmp_path: Path) -> None:
    with open_workspace(create_workspace(tmp_path / "ws")) as workspace:
        store = workspace.real
        store.write([("aa/small", report_house.picture(1)), ("aa/large", report_house.picture(2, 400))])
        thumbnails = Thumbnails(20_000)
        small, large = thumbnails.of(store, "aa/small"), thumbnails.of(store, "aa/large")
        assert small and large and (small.is_tiny, large.is_tiny) == (True, False) and (large.width, large.height) == (400, 400)
        with Image.open(store.path("aa/small")) as before, Image.open(_bytes_of(small.uri)) as after:
            assert before.tobytes() == after.tobytes()
        with Image.open(_bytes_of(large.uri)) as after:
            assert after.size == (_report_media.SIDE, _report_media.SIDE)
        used = len(small.uri) + len(large.uri)
        while thumbnails.of(store, "aa/large"):
            used += len(large.uri)
        assert used <= 20_000 < used + len(large.uri) and thumbnails.over_budget == 1


def _bytes_of(uri: str):
    import io

    return io.BytesIO(base64.b64decode(uri.partition(",")[2]))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
def test_every_kind_of_image_becomes_a_thumbnail(mode: str, tmp_path: Path) -> None:
    suffix = {"CMYK": "jpg", "F": "tiff"}.get(mode, "png")
    Image.new("RGB" if mode in ("CMYK", "I;16") else "L", (70, 40), 0).convert("L").convert(mode).save(tmp_path / f"a.{suffix}")
    with open_workspace(create_workspace(tmp_path / "ws")) as workspace:
        workspace.real.write([("aa/a", (tmp_path / f"a.{suffix}").read_bytes())])
        found = Thumbnails(99_999).of(workspace.real, "aa/a")
    assert found is not None and (found.width, found.height) == (70, 40)


words = st.lists(st.sampled_from(["road", "sea", "a", "b", ".", "?", "<i>"]), max_size=18).map(" ".join)


@given(words, words)
@settings(deadline=None, max_examples=60)
def test_marked_differences_hold_both_texts(keeper: str, other: str) -> None:
    pieces = differences(keeper, other)
    assert "".join(p.text for p in pieces if p.kind in ("same", "removed")) == keeper
    assert "".join(p.text for p in pieces if p.kind in ("same", "added")) == other


def test_long_equal_stretches_are_left_out_and_said() -> None:
    stretch = " ".join(f"w{n}" for n in range(400))
    pieces = differences(f"one {stretch} two", f"uno {stretch} due")
    assert [p.kind for p in pieces] == ["removed", "added", "same", "gap", "same", "removed", "added"]
    assert sum(len(p.text) for p in pieces) < 300
    assert "only the first 1,000" in differences("a " * 2000, "b " * 2000)[-1].text


@given(st.text(max_size=30), st.integers(1, 20))
@settings(deadline=None, max_examples=60)
def test_excerpts_count_what_they_cut_and_show_no_control_characters(text: str, limit: int) -> None:
    shown = excerpt(text, limit)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown)
    if len(text) <= limit:
        assert shown == visible(text) and len(shown) == len(text)
    else:
        assert shown.endswith(f"… ({len(text) - limit:,} more characters)") and shown.startswith(visible(text[:limit]))


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=8).filter(any))
@settings(deadline=None, max_examples=60)
def test_a_flow_is_to_scale_and_nothing_overlaps(counts: list[int]) -> None:
    nodes = [Node("all", 0, "all", sum(counts), "read")] + [Node(str(n), 1, str(n), c, "kept") for n, c in enumerate(counts)]
    flow = lay_out(nodes, [Link("all", str(n), c, "kept") for n, c in enumerate(counts)], ["from", "to"])
    assert [node.key for node in flow.nodes] == ["all"] + [str(n) for n, c in enumerate(counts) if c]
    unit = flow.nodes[0].height / sum(counts)
    assert all(abs(node.height - max(2.0, node.count * unit)) < 1e-6 for node in flow.nodes)
    column = flow.nodes[1:]
    assert all(a.y + a.height < b.y for a, b in pairwise(column)) and column[-1].y + column[-1].height <= flow.height
    assert len(flow.ribbons) == len(column)
    assert flow.nodes[0].right == pytest.approx(flow.nodes[0].height)
    assert all(node.left == pytest.approx(node.height) for node in column)


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
@settings(deadline=None, max_examples=100)
def test_ticks_are_few_even_and_around_the_range(low: float, span: float) -> None:
    high = low + span
    if high == low:
        return
    ticks = nice_ticks(low, high)
    slack = 1e-6 * (high - low) + 1e-9
    assert ticks[0] <= low + slack and ticks[-1] >= high - slack and 2 <= len(ticks) <= 7
    steps = np.diff(ticks)
    assert np.allclose(steps, steps[0], rtol=1e-3, atol=1e-9)


@given(st.floats(-1e3, 1e3), st.none() | st.floats(0, 1e3), st.none() | st.floats(-1e3, 1e3))
@settings(deadline=None, max_examples=60)
def test_a_gauge_keeps_the_order_of_figure_and_reference(value: float, spread: float | None, reference: float | None) -> None:
    g = gauge(value, spread, reference)
    assert g is not None and 0 <= g.low <= g.value <= g.high <= 100
    if reference is not None:
        assert g.reference is not None and 0 <= g.reference <= 100
        assert g.value <= g.reference if value <= reference else g.value >= g.reference
    assert gauge(None, spread, reference) is None and gauge(float("nan"), spread, reference) is None


def test_a_long_curve_is_thinned_to_means_and_says_so() -> None:
    curve = [(float(n), float(n % 2)) for n in range(3000)]
    assert thin(curve, 300) == [(10 * n + 4.5, 0.5) for n in range(300)] and thin(curve[:300], 300) == curve[:300]
    chart = loss_chart([(int(s), "train", v) for s, v in curve] + [(5, "train", float("nan"))])
    assert chart is not None and (chart.series[0].points, chart.series[0].drawn) == (3000, 300)
    assert loss_chart([]) is None and loss_chart([(1, "train", float("inf"))]) is None
    assert loss_chart([(1, "train", 2.0)]) is not None


def test_the_plane_is_that_of_greatest_variance_whatever_the_order_of_rows() -> None:
    random = np.random.default_rng(0)
    matrix = (random.normal(size=(200, 7)) * np.arange(1, 8)).astype(np.float32)
    fit = np.arange(200) < 150
    places, shares = principal_plane(matrix, fit)
    centred = matrix[fit] - matrix[fit].mean(axis=0)
    singular = np.linalg.svd(centred.astype(np.float64), compute_uv=False) ** 2
    assert np.allclose(shares, singular[:2] / singular.sum(), rtol=1e-4)
    assert np.allclose((places[fit] ** 2).sum(axis=0), singular[:2], rtol=1e-4)
    order = random.permutation(200)
    assert np.allclose(principal_plane(matrix[order], fit[order])[0], places[order], atol=1e-3)
    drawn = fit_in_map(places)
    assert (drawn >= 0).all() and (drawn <= np.array(MAP_SIZE)).all()
    assert principal_plane(np.ones((3, 1), np.float32), np.ones(3, bool))[0].shape == (3, 2)
    assert np.isfinite(fit_in_map(np.zeros((4, 2)))).all()


def _colours(scheme: str) -> dict[str, str]:
    css = (TEMPLATES / "page.css").read_text()
    light, dark = re.findall(r":root \{(.*?)\}", css, re.S)[:2]
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", light if scheme == "light" else dark))


def _luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_and_marks_can_be_told_from_their_ground(scheme: str) -> None:
    colours = _colours(scheme)
    for ground in ("paper", "panel"):
        for ink in ("ink", "soft", "link", "dropped", "refused", "synthetic"):
            assert _contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
    for mark in ("kept", "dropped", "synthetic", "refused", "rejected", "read"):
        assert _contrast(colours[mark], colours["track"]) >= 3, mark
    for ink, ground in (("ins-ink", "ins"), ("del-ink", "del"), ("ink", "warn"), ("soft", "track")):
        assert _contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
