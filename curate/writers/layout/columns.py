"""The columns of an export, the same in every format: content, label, provenance, then what `metadata` held."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from curate.errors import WorkError
from curate.writers import ExportInfo, ExportRow

_PYTHON = {"string": (str,), "int64": (int,), "float64": (float, int), "bool": (bool,)}
_EXACT_INTEGERS = 2**53  # a float64 holds every integer up to here

_ABOUT = {
    "id": "The sample's id in the workspace that exported it.",
    "text": "The text.",
    "label": "The label; empty where the sample has none.",
    "origin": "`real` or `synthetic`.",
    "model": "The model that drew a synthetic sample; empty for real ones.",
    "seed": "The seed a synthetic sample was drawn with; empty for real ones.",
    "dataset": "The data set it was ingested into.",
    "part": "The part of the split; empty where no split was exported.",
    "external_id": "The id it had in its source.",
    "content_hash": "The hash of its content as ingested or drawn, before any mark was put into the file.",
    "locator": "The source, and the place in it.",
    "metadata": "The other fields of its source, as a JSON object.",
}


class Column(NamedTuple):
    """One column: its name, its type as Arrow calls it ("media" for files), and what it holds."""

    name: str
    type: str
    about: str


class Layout:
    """Which columns an export has, and the values of a row in their order.

    Args:
        info: `types` become columns of their own, the rest of `columns` shares the JSON column `metadata`.
        taken: names the format needs for itself.
        shun: a suffix of names that the format would misread; such keys go into the JSON column.
    """

    def __init__(self, info: ExportInfo, *, taken: Collection[str] = (), shun: str | None = None) -> None:
        base = ["id"]
        base += ["text"] if info.texts else []
        base += [info.media.name] if info.media else []
        base += ["label", "origin", "model", "seed", "dataset", "part", "external_id", "content_hash", "locator"]
        types, about = {"id": "int64", "seed": "int64"}, dict(_ABOUT)
        if info.media:
            types[info.media.name], about[info.media.name] = "media", info.media.about
        columns = [Column(name, types.get(name, "string"), about[name]) for name in base]
        used = {name.casefold() for name in (*base, *taken, "metadata")}
        self._keys: dict[str, str] = {}
        for key in sorted(info.types):
            if shun and key.endswith(shun):
                continue
            name = key
            while name.casefold() in used or not name:
                name = f"meta_{name}"
            used.add(name.casefold())
            self._keys[key] = info.types[key]
            columns.append(Column(name, info.types[key], f"`{key}` of its source."))
        self._has_json = bool(set(info.columns) - self._keys.keys())
        if self._has_json:
            columns.append(Column("metadata", "string", _ABOUT["metadata"]))
        self.columns = tuple(columns)
        self.names = tuple(column.name for column in columns)
        self._base = tuple(base)
        self.media = info.media

    def values(self, row: ExportRow, media: Any) -> list[Any]:
        """Return the row's values in the order of `columns`; `media` stands for its media in this format.

        Raises:
            WorkError: the row holds what `info` did not announce.
        """
        if (row.text is not None and "text" not in self._base) or (row.media is not None and self.media is None):
            raise WorkError(f"sample {row.sample_id} is of a modality that the export did not announce")
        own = {"id": row.sample_id, **({self.media.name: media} if self.media else {})}
        values = [own[name] if name in own else getattr(row, name) for name in self._base]
        values += [self._checked(row, key) for key in self._keys]
        rest = {key: value for key, value in row.metadata.items() if key not in self._keys}
        if self._has_json:
            values.append(to_json(rest) if rest else None)
        elif rest:
            raise WorkError(f"sample {row.sample_id} has metadata that the export did not announce: {', '.join(sorted(rest))}")
        return values

    def _checked(self, row: ExportRow, key: str) -> Any:
        value, type_ = row.metadata.get(key), self._keys[key]
        if value is None or (isinstance(value, _PYTHON[type_]) and isinstance(value, bool) == (type_ == "bool")):
            return value
        raise WorkError(f"metadata {key!r} of sample {row.sample_id} is {value!r}, announced as {type_}")


class ColumnTypes:
    """Finds `ExportInfo.columns` and `types` in one pass over the metadata of the rows."""

    def __init__(self) -> None:
        self._seen: dict[str, set[str]] = {}

    def add(self, metadata: Mapping[str, Any]) -> None:
        """Look at one row's metadata."""
        for key, value in metadata.items():
            kinds = self._seen.setdefault(key, set())
            if value is not None:
                kinds.add(_kind(value))

    @property
    def columns(self) -> tuple[str, ...]:
        """Every key seen, sorted."""
        return tuple(sorted(self._seen))

    @property
    def types(self) -> dict[str, str]:
        """The keys whose values are scalars of one type; whole and broken numbers together are `float64`."""
        kinds = {key: _joint(seen) for key, seen in sorted(self._seen.items())}
        return {key: kind for key, kind in kinds.items() if kind is not None}


def to_json(value: Any) -> str:
    """Write JSON on one line: sorted keys, Unicode as it is; NaN and infinities raise ValueError, as JSON has none."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False, separators=(",", ":"))


def _joint(seen: set[str]) -> str | None:
    if not seen:
        return "string"
    if seen == {"small", "float64"}:
        return "float64"
    if seen <= {"small", "int64"}:
        return "int64"
    return next(iter(seen)) if len(seen) == 1 and seen <= _PYTHON.keys() else None


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        if abs(value) <= _EXACT_INTEGERS:
            return "small"
        return "int64" if -(2**63) <= value < 2**63 else "json"
    if isinstance(value, float):
        return "float64"
    return "string" if isinstance(value, str) else "json"
