"""The dataset card: a README.md for people, with the YAML head that Hugging Face reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import yaml

from curate.writers import ExportInfo, Written
from curate.writers.layout.columns import Layout

_LABELS_SHOWN = 200
_HUB_LICENSES = (
    "apache-2.0 mit openrail bsd bsd-2-clause bsd-3-clause cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 "
    "cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 "
    "cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl "
    "ecl-2.0 epl-1.0 epl-2.0 eupl-1.1 eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc mpl-2.0 "
    "odc-by odbl pddl unlicense zlib "
)


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A generator whose draws are in the export.

    Attributes:
        name: as the workspace calls it, which is what the column `model` holds.
        family: the generator plug-in, such as "diffusion".
        trained_on: the frozen part it learned from, such as "digits/train".
        samples: how many rows of the export it drew.
    """

    name: str
    family: str
    trained_on: str
    samples: int


@dataclass(frozen=True, slots=True)
class ProtectionFacts:
    """A set that the data are held apart from.

    Attributes:
        name: the protected set, such as "support-test" or "support@default:1/test".
        methods: by which the two were compared, with their thresholds: "exact, minhash ≥ 0.8".
        matched: how many samples repeated it.
    """

    name: str
    methods: str
    matched: int


@dataclass(frozen=True, slots=True)
class CardFacts:
    """All that the card and the Croissant file say; the export step fills it from the catalog.

    Attributes:
        name: of the set, as the title.
        format: the writer's plug-in name.
        info, written: what the writer was given, and what it did.
        real, synthetic: rows by origin.
        labels: label → part → rows; rows without a label are not in it.
        license: an SPDX identifier or any words; None where nobody stated one.
        source: where the real data came from: an address or words; None where nobody stated it.
        description: a paragraph by the user; may be empty.
        read, rejected: records that ingest read, and refused, over the data sets in the export.
        dropped: dedupe method, or "user", "protect", "filter:length" → samples dropped.
        kept: samples that stand after curation, before the split took its part.
        split: its recipe in words, "" without a split; with its seed and the hash of its members.
        models: whose draws are in it, for synthetic rows.
        protections: the sets that the real data are held apart from.
        created: the day, as 2026-01-31; the caller's, so that a card can be made again.
        url: the page of the set; None where it has none yet.
        creator: who made it; None where nobody is named.
        version: of `curate`.
    """

    name: str
    format: str
    info: ExportInfo
    written: Written
    real: int
    synthetic: int
    created: str
    version: str
    labels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    license: str | None = None
    source: str | None = None
    description: str = ""
    read: int | None = None
    rejected: int | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)
    kept: int | None = None
    split: str = ""
    split_seed: int | None = None
    split_hash: str = ""
    models: tuple[ModelFacts, ...] = ()
    protections: tuple[ProtectionFacts, ...] = ()
    url: str | None = None
    creator: str | None = None

    @property
    def total(self) -> int:
        """Rows in the export."""
        return sum(self.written.rows.values())


def dataset_card(facts: CardFacts) -> str:
    """Write the card: YAML front matter, then Markdown."""
    head = yaml.safe_dump(_front_matter(facts), sort_keys=False, allow_unicode=True, width=1000)
    sections = [
        _opening(facts),
        _origin(facts),
        _curation(facts),
        _synthetic(facts),
        _labels(facts),
        _columns(facts),
        _loading(facts),
    ]
    notes = "\n".join(f"- {_inline(note)}" for note in facts.written.notes)
    sections.append(f"## Notes of the export\n\n{notes}" if notes else "")
    return f"---\n{head}---\n\n" + "\n\n".join(section for section in sections if section) + "\n"


_CLASSIFIED = (("text",), ("image",))
"""The modalities whose classification is a task of the hub's list by that name."""


def _front_matter(facts: CardFacts) -> dict[str, object]:
    # On one line: a line "---" inside a YAML string would end the head for readers that only look for it.
    head: dict[str, object] = {"pretty_name": " ".join(facts.name.split())}
    license_ = (facts.license or "").strip()
    if not license_:
        head["license"] = "unknown"
    elif license_.lower() in _HUB_LICENSES.split():
        head["license"] = license_.lower()
    else:
        head |= {"license": "other", "license_name": re.sub(r"[^a-z0-9.]+", "-", license_.lower()).strip("-") or "other"}
    head["tags"] = ["curate", *(["synthetic"] if facts.synthetic else [])]
    head["size_categories"] = [_size_category(facts.total)]
    labelled = sum(sum(parts.values()) for parts in facts.labels.values())
    if len(facts.labels) > 1 and labelled == facts.total and facts.info.modalities in _CLASSIFIED:
        head["task_categories"] = [f"{facts.info.modalities[0]}-classification"]
    if facts.written.data_files:
        files = [{"split": _split_name(part), "path": path} for part, path in facts.written.data_files.items()]
        head["configs"] = [{"config_name": "default", "data_files": files}]
    return head


def _split_name(part: str) -> str:
    # `datasets` calls the only part of a set "train", and takes letters, digits and underscores.
    return "train" if part == "data" else re.sub(r"\W", "_", part)


def _size_category(rows: int) -> str:
    steps = [(10**3, "1K"), (10**4, "10K"), (10**5, "100K"), (10**6, "1M"), (10**7, "10M"), (10**8, "100M"), (10**9, "1B")]
    steps += [(10**10, "10B"), (10**11, "100B"), (10**12, "1T")]
    low = ""
    for limit, name in steps:
        if rows < limit:
            return f"{low}<n<{name}" if low else f"n<{name}"
        low = name
    return "n>1T"


def _opening(facts: CardFacts) -> str:
    parts = ", ".join(f"{count:,} in `{part}`" for part, count in facts.written.rows.items())
    kinds = f"{facts.real:,} real and {facts.synthetic:,} synthetic" if facts.synthetic else "all real"
    opening = f"# {_inline(facts.name)}\n\n{facts.total:,} {facts.info.noun} ({kinds}): {parts}."
    opening += f" Exported as {facts.format} by curate {facts.version} on {facts.created}."
    return f"{opening}\n\n{facts.description.strip()}" if facts.description.strip() else opening


def _origin(facts: CardFacts) -> str:
    source = _inline(facts.source) if facts.source else "not stated"
    license_ = _inline(facts.license) if facts.license else "not stated: ask the owner of the source before you use it"
    return f"## Source and licence\n\n- Source: {source}\n- Licence: {license_}"


def _curation(facts: CardFacts) -> str:
    lines = []
    if facts.read is not None:
        lines.append(f"| records read | {facts.read:,} |")
    if facts.rejected is not None:
        lines.append(f"| rejected as unreadable or malformed | {facts.rejected:,} |")
    lines += [f"| {_dropped(cause)} | {count:,} |" for cause, count in sorted(facts.dropped.items())]
    if facts.kept is not None:
        lines.append(f"| kept | {facts.kept:,} |")
    lines.append(f"| in this export | {facts.total:,} |")
    text = "## How it was curated\n\n| step | samples |\n| --- | ---: |\n" + "\n".join(lines)
    if facts.split:
        seed = f", seed {facts.split_seed}" if facts.split_seed is not None else ""
        hash_ = f" The hash of its members is `{facts.split_hash}`." if facts.split_hash else ""
        text += f"\n\nThe split is frozen: {_inline(facts.split)}{seed}.{hash_}"
    if facts.protections:
        rows = "\n".join(f"| {_cell(p.name)} | {_cell(p.methods)} | {p.matched:,} |" for p in facts.protections)
        text += (
            "\n\nIt is held apart from these sets: what repeats one of their samples was dropped.\n\n"
            f"| protected set | compared by | samples that repeated it |\n| --- | --- | ---: |\n{rows}"
        )
    return text


def _dropped(cause: str) -> str:
    """A line for what a dedupe method, the user, a filter or a protection dropped."""
    if cause == "user":
        return "dropped by hand"
    if cause == "protect":
        return "dropped because they repeat a protected set"
    if cause.startswith("filter:"):
        return f"dropped by the filter `{_cell(cause.removeprefix('filter:'))}`"
    return f"dropped as duplicates by `{_cell(cause)}`"


def _synthetic(facts: CardFacts) -> str:
    if not facts.synthetic:
        return ""
    text = (
        f"## Synthetic samples\n\n{facts.synthetic:,} of {facts.total:,} rows were drawn by a model. "
        "Each says so in `origin`, with the "
        "`model` and the `seed` it was drawn with. Images carry the IPTC digital source type `trainedAlgorithmicMedia` in "
        "their XMP where their format can hold it."
    )
    if facts.models:
        rows = "\n".join(
            f"| {_cell(m.name)} | {_cell(m.family)} | {_cell(m.trained_on)} | {m.samples:,} |" for m in facts.models
        )
        text += f"\n\n| model | family | trained on | rows |\n| --- | --- | --- | ---: |\n{rows}"
    return text


def _labels(facts: CardFacts) -> str:
    if not facts.labels:
        return ""
    parts = list(facts.written.rows)
    shown = sorted(facts.labels)[:_LABELS_SHOWN]
    lines = [f"| label | {' | '.join(map(_cell, parts))} |", "| --- |" + " ---: |" * len(parts)]
    lines += [
        f"| {_cell(label)} | " + " | ".join(f"{facts.labels[label].get(p, 0):,}" for p in parts) + " |" for label in shown
    ]
    more = len(facts.labels) - len(shown)
    return "## Labels\n\n" + "\n".join(lines) + (f"\n\n… and {more:,} labels more." if more else "")


def _columns(facts: CardFacts) -> str:
    lines = [f"| {_cell(c.name)} | {c.type} | {_cell(c.about)} |" for c in Layout(facts.info).columns]
    return "## Columns\n\n| column | type | what it holds |\n| --- | --- | --- |\n" + "\n".join(lines)


def _loading(facts: CardFacts) -> str:
    if facts.format == "webdataset":
        first = next((file for file in facts.written.files if file.endswith(".tar")), "")
        loop = f'for sample in webdataset.WebDataset("{first}"):\n    print(sample["__key__"], sample["json"])'
        code = f"import webdataset\n\n{loop}"
    else:
        code = 'from datasets import load_dataset\n\ndata = load_dataset("PATH/OF/THIS/FOLDER")'
    return f"## How to load it\n\n```python\n{code}\n```"


def _inline(text: str) -> str:
    """Put text from outside on one line and keep it from being read as HTML."""
    return " ".join(text.split()).replace("<", "&lt;")


def _cell(text: str) -> str:
    return _inline(text).replace("|", "\\|").replace("`", "'") if text else '""'
