"""Cards and Croissant files say what is in the export, in the shape that their readers expect."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from curate import plugins
from curate.testing.export_rows import NASTY_LABELS, export_row, info_of, picture
from curate.writers import ExportInfo, Written
from curate.writers.cards.croissant import croissant
from curate.writers.cards.dataset_card import CardFacts, ModelFacts, dataset_card
from curate.writers.layout.files import file_facts

# The properties that Croissant 1.1 requires of every data set.
REQUIRED = {
    "@context",
    "@type",
    "conformsTo",
    "description",
    "license",
    "name",
    "url",
    "creator",
    "datePublished",
    "distribution",
}


def facts_of(**changes: Any) -> CardFacts:
    info = ExportInfo("support/train", ("text",), ("train",), ("a|b", "c"), ("topic",), {"topic": "string"}, noun="texts")
    written = Written(("train.parquet",), {"train": 1234}, ("a note",), {"train": "train.parquet"})
    labels = {"a|b": {"train": 1000}, "c": {"train": 234}}
    facts = CardFacts(
        name="support: train",
        format="parquet",
        info=info,
        written=written,
        real=1234,
        synthetic=0,
        labels=labels,
        created="2026-01-31",
        version="0.1.0",
        license="CC-BY-4.0",
        source="https://example.org/support",
        read=2000,
        rejected=3,
        dropped={"exact": 400, "minhash": 63},
        kept=1534,
        split="ratios train=0.8, test=0.2",
        split_seed=7,
        split_hash="abc123",
    )
    return replace(facts, **changes)


def front_matter(card: str) -> dict[str, Any]:
    empty, head, _ = card.split("---\n", 2)
    assert empty == ""
    return yaml.safe_load(head)


def test_the_head_is_yaml_that_the_hub_reads() -> None:
    assert front_matter(dataset_card(facts_of())) == {
        "pretty_name": "support: train",
        "license": "cc-by-4.0",
        "tags": ["curate"],
        "size_categories": ["1K<n<10K"],
        "task_categories": ["text-classification"],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "train.parquet"}]}],
    }


@pytest.mark.parametrize(
    ("license_", "wanted"),
    [
        (None, {"license": "unknown"}),
        ("MIT", {"license": "mit"}),
        ("Our own: ask\nus", {"license": "other", "license_name": "our-own-ask-us"}),
    ],
)
def test_a_licence_the_hub_does_not_list_is_other(license_: str | None, wanted: dict[str, str]) -> None:
    head = front_matter(dataset_card(facts_of(license=license_)))
    assert {key: head[key] for key in head if key.startswith("license")} == wanted


@pytest.mark.parametrize(
    ("rows", "wanted"), [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (10**6, "1M<n<10M"), (10**12, "n>1T")]
)
def test_size_categories(rows: int, wanted: str) -> None:
    written = replace(facts_of().written, rows={"train": rows})
    assert front_matter(dataset_card(facts_of(written=written)))["size_categories"] == [wanted]


@pytest.mark.parametrize("labels", [{}, {"c": {"train": 1234}}, {"a|b": {"train": 1}, "c": {"train": 2}}])
def test_a_task_is_named_only_where_every_row_has_one_of_several_labels(labels: dict[str, dict[str, int]]) -> None:
    assert "task_categories" not in front_matter(dataset_card(facts_of(labels=labels)))


def test_the_body_tells_every_count() -> None:
    card = dataset_card(facts_of())
    for told in (
        "| records read | 2,000 |",
        "| dropped as duplicates by `minhash` | 63 |",
        "| kept | 1,534 |",
        "seed 7",
        "`abc123`",
    ):
        assert told in card
    assert "| a\\|b | 1,000 |" in card and "| topic | string |" in card and "- a note" in card
    assert "ynthetic samples" not in card and "all real" in card


def test_synthetic_rows_are_said_in_tag_and_words_with_their_models() -> None:
    models = (ModelFacts("support-lm-1", "causal-lm", "support/train", 34),)
    card = dataset_card(facts_of(real=1200, synthetic=34, models=models))
    assert front_matter(card)["tags"] == ["curate", "synthetic"]
    assert "| support-lm-1 | causal-lm | support/train | 34 |" in card and "1,200 real and 34 synthetic" in card


def test_names_from_outside_cannot_break_out_of_the_card() -> None:
    evil = "x\n---\n# <script>alert(1)</script> | `"
    card = dataset_card(facts_of(name=evil, source=evil, license=evil, labels={evil: {"train": 1}}))
    assert front_matter(card)["pretty_name"] == "x --- # <script>alert(1)</script> | `"
    body = card.split("\n---\n\n", 1)[1]
    assert "<script>" not in body and "\n---\n" not in body


def test_a_long_label_table_says_how_many_it_leaves_out() -> None:
    card = dataset_card(facts_of(labels={f"label {n:04d}": {"train": 1} for n in range(250)}))
    assert "… and 50 labels more." in card


def exported(format_: str, folder: Path) -> tuple[CardFacts, dict[str, Any]]:
    synthetic = {"model": "m", "seed": 3}
    rows = [
        export_row(
            n,
            media=picture(n),
            label=label,
            part=["train", "test"][n % 2],
            metadata={"weight": n / 2},
            **(synthetic if n == 2 else {}),
        )
        for n, label in enumerate(NASTY_LABELS)
    ]
    info = info_of(rows, "image")
    folder.mkdir(exist_ok=True)
    written = plugins.load("writers", format_)().write(iter(rows), folder, info)
    models = (ModelFacts("m", "diffusion", "birds/train", 1),)
    facts = facts_of(
        name="birds: all", format=format_, info=info, written=written, real=len(rows) - 1, synthetic=1, models=models
    )
    return facts, croissant(facts, file_facts(folder, written.files))


@pytest.mark.parametrize("format_", plugins.names("writers"))
def test_croissant_has_what_the_specification_requires(format_: str, tmp_path: Path) -> None:
    facts, document = exported(format_, tmp_path)
    document = json.loads(json.dumps(document))
    assert document.keys() >= REQUIRED and document["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    ids = [thing["@id"] for thing in [*document["distribution"], *document["recordSet"]]]
    ids += [field["@id"] for record_set in document["recordSet"] for field in record_set["field"]]
    assert len(set(ids)) == len(ids)
    objects = {thing["@id"]: thing for thing in document["distribution"] if thing["@type"] == "cr:FileObject"}
    sets = [thing["includes"] for thing in document["distribution"] if thing["@type"] == "cr:FileSet"]
    covered = set(objects) | {path.relative_to(tmp_path).as_posix() for pattern in sets for path in tmp_path.glob(pattern)}
    assert covered == set(facts.written.files)
    for fact in file_facts(tmp_path, objects):
        assert objects[fact.path]["sha256"] == fact.sha256
    for record_set in document["recordSet"]:
        assert all(field["source"]["fileObject"]["@id"] in objects for field in record_set["field"])
    assert bool(document["recordSet"]) == (format_ != "webdataset")


def test_croissant_tells_the_provenance_of_synthetic_rows(tmp_path: Path) -> None:
    _, document = exported("parquet", tmp_path)
    assert document["@context"]["prov"] == "http://www.w3.org/ns/prov#"
    assert document["prov:wasDerivedFrom"] == "https://example.org/support"
    assert [a.get("prov:used") for a in document["prov:wasGeneratedBy"]] == [None, "birds/train"]


@pytest.mark.parametrize("format_", plugins.names("writers"))
def test_mlcroissant_accepts_it_and_reads_the_rows(format_: str, tmp_path: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed")
    facts, document = exported(format_, tmp_path)
    (tmp_path / "croissant.json").write_text(json.dumps(document), encoding="utf-8")
    dataset = mlcroissant.Dataset(str(tmp_path / "croissant.json"))
    assert not dataset.metadata.ctx.issues.errors
    ids = [int(row[f"{rs['@id']}/id"]) for rs in document["recordSet"] for row in dataset.records(rs["@id"])]
    if format_ != "webdataset":
        assert sorted(ids) == list(range(facts.total))
