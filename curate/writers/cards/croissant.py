"""Croissant 1.1: the machine-readable description of an export, as JSON-LD.

Source: Croissant format specification 1.1 (http://mlcommons.org/croissant/1.1), with W3C PROV-O for where the data comes from.
"""

from __future__ import annotations

import fnmatch
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

from curate.writers.cards.dataset_card import CardFacts
from curate.writers.layout.columns import Layout
from curate.writers.layout.files import FileFacts

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_MEDIA_TYPES = {
    ".parquet": "application/x-parquet",
    ".jsonl": "application/jsonlines",
    ".csv": "text/csv",
    ".tar": "application/x-tar",
    ".json": "application/json",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
}
_TABLES = (".parquet", ".jsonl", ".csv")
_TYPES = {"string": "sc:Text", "int64": "sc:Integer", "float64": "sc:Float", "bool": "sc:Boolean"}


def croissant(facts: CardFacts, files: Iterable[FileFacts]) -> dict[str, Any]:
    """Describe an export.

    Tables and archives are listed one by one with their SHA-256, loose images as one set a folder and kind. Every table has its
    columns described.

    Args:
        files: of the export, as `_files.file_facts` gives them; a loose image's hash is not used.

    Returns:
        JSON-LD; `_columns.to_json` or `json.dumps` writes it.
    """
    files = [file for file in files if PurePosixPath(file.path).name != "README.md"]
    document: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": re.sub(r"[^A-Za-z0-9_-]+", "-", facts.name).strip("-") or "dataset",
        "description": facts.description.strip()
        or f"{facts.total:,} samples of {facts.name}, exported by curate {facts.version}.",
        "url": facts.url or "./",
        "license": facts.license or "not stated",
        "creator": {"@type": "sc:Organization", "name": facts.creator or "not stated"},
        "datePublished": facts.created,
        "version": "1.0.0",
        "keywords": ["curate", *(["synthetic"] if facts.synthetic else [])],
        "distribution": [*_objects(files), *_image_sets(files)],
        "recordSet": [_record_set(facts, file) for file in files if _suffix(file) in _TABLES],
    }
    return document | _provenance(facts)


def _suffix(file: FileFacts) -> str:
    return PurePosixPath(file.path).suffix


def _is_image(file: FileFacts) -> bool:
    return _MEDIA_TYPES.get(_suffix(file), "").startswith("image/")


def _objects(files: Iterable[FileFacts]) -> list[dict[str, Any]]:
    return [
        {
            "@type": "cr:FileObject",
            "@id": file.path,
            "name": file.path,
            "contentUrl": file.path,
            "contentSize": f"{file.size} B",
            "encodingFormat": _MEDIA_TYPES.get(_suffix(file), "application/octet-stream"),
            "sha256": file.sha256,
        }
        for file in files
        if not _is_image(file)
    ]


def _image_sets(files: Iterable[FileFacts]) -> list[dict[str, Any]]:
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for file in files:
        if _is_image(file):
            counts[PurePosixPath(file.path).parts[0], _suffix(file)] += 1
    return [
        {
            "@type": "cr:FileSet",
            "@id": f"{top}-{suffix[1:]}",
            "name": f"{top}-{suffix[1:]}",
            "description": f"{count} files",
            "encodingFormat": _MEDIA_TYPES[suffix],
            "includes": f"{top}/**/*{suffix}",
        }
        for (top, suffix), count in sorted(counts.items())
    ]


def _record_set(facts: CardFacts, file: FileFacts) -> dict[str, Any]:
    name = file.path.removesuffix(_suffix(file)).replace("/", "-")
    part = next((p for p, pattern in facts.written.data_files.items() if fnmatch.fnmatch(file.path, pattern)), "")
    folders = facts.format == "imagefolder"
    layout = Layout(facts.info, taken=("file_name",), shun="file_name") if folders else Layout(facts.info)
    fields = []
    for column in layout.columns:
        extract: dict[str, Any] = {"fileObject": {"@id": file.path}, "extract": {"column": column.name}}
        type_: str | list[str] = _TYPES[column.type] if column.type != "media" else _media_type(layout)
        if column.type == "media" and _suffix(file) == ".parquet" and not folders:
            extract["transform"] = {"jsonPath": "bytes"}
        elif column.type == "media":
            type_ = "sc:Text"  # a path to the file
            extract["extract"] = {"column": "file_name" if folders else column.name}
        if column.name == "label":
            class_index = facts.format == "huggingface" and facts.info.labels
            type_ = ["sc:Integer" if class_index else "sc:Text", "cr:Label"]
        fields.append(
            {"@type": "cr:Field", "@id": f"{name}/{column.name}", "name": f"{name}/{column.name}", "description": column.about}
            | {"dataType": type_, "source": extract}
        )
    about = f"The rows of {part}." if part else "The rows."
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "description": about, "field": fields}


def _media_type(layout: Layout) -> str:
    return layout.media.schema_type if layout.media else "sc:MediaObject"


def _provenance(facts: CardFacts) -> dict[str, Any]:
    provenance: dict[str, Any] = {}
    if facts.source:
        provenance["prov:wasDerivedFrom"] = facts.source
    activities = [{"@type": "prov:Activity", "prov:label": f"curated by curate {facts.version}"}]
    activities += [
        {
            "@type": "prov:Activity",
            "prov:label": f"{model.samples} samples drawn by the generator {model.name} ({model.family})",
            "prov:used": f"{model.trained_on}",
        }
        for model in facts.models
    ]
    if facts.synthetic and not facts.models:
        activities.append({"@type": "prov:Activity", "prov:label": f"{facts.synthetic} samples drawn by generators"})
    provenance["prov:wasGeneratedBy"] = activities
    return provenance
