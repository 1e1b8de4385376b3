"""What every step's report can do beside holding its figures: be read by a person, by a program and in a notebook."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

SHOWN = 20
"""Rows of a list that a notebook shows; `to_dict` has all."""
_WIDTH = 100


class Report:
    """Base of the frozen dataclasses that steps return; they are declared with `repr=False`, so that this one shows them."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """The report in JSON-like values, the same that `--json` prints."""
        return {name: plain(value) for name, value in _facts(self).items()}

    def __repr__(self) -> str:
        """A line a fact, long ones cut; what is empty is left out."""
        facts = {name: _in_a_line(value) for name, value in _facts(self).items() if not _is_empty(value)}
        width = max(map(len, facts), default=0)
        return "\n".join([type(self).__name__, *(f"  {name:<{width}}  {said}" for name, said in facts.items())])

    def _repr_html_(self) -> str:
        """A table for a notebook: a row a fact, lists of records as tables inside it."""
        facts = {name: value for name, value in _facts(self).items() if not _is_empty(value)}
        return f"<b>{type(self).__name__}</b>{_table_of_facts(facts)}"


def plain(value: Any) -> Any:
    """A value as JSON knows it, reports and records as objects; what JSON lacks stays (`json.dumps` is told `default=str`)."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: plain(item) for name, item in value._asdict().items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    return str(value) if isinstance(value, PurePath) else value


def _facts(report: Any) -> dict[str, Any]:
    return {field.name: getattr(report, field.name) for field in dataclasses.fields(report)}


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | tuple | list | Mapping) and not value)


def _in_a_line(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, str | PurePath):
        said = str(value)
    elif isinstance(value, list | tuple) and any(isinstance(plain(item), dict) for item in value):
        return f"{len(value):,} of {type(value[0]).__name__}"
    elif isinstance(value, list | tuple):
        said = ", ".join(str(plain(item)) for item in value)
    elif isinstance(value, Mapping):
        said = ", ".join(f"{name}: {_in_a_line(item)}" for name, item in value.items())
    else:
        said = str(plain(value))
    said = " ".join(said.split())
    return said if len(said) <= _WIDTH else said[: _WIDTH - 1] + "…"


def _table_of_facts(facts: Mapping[str, Any]) -> str:
    rows = "".join(f"<tr><th>{html.escape(str(name))}</th><td>{_cell(value)}</td></tr>" for name, value in facts.items())
    return f"<table>{rows}</table>"


def _cell(value: Any) -> str:
    told = plain(value)
    if isinstance(told, dict):
        return _table_of_facts(told)
    if isinstance(told, list) and told and all(isinstance(item, dict) for item in told):
        return table_of_records(told)
    return html.escape(_in_a_line(value))


def table_of_records(records: list[dict[str, Any]]) -> str:
    """An HTML table with a row a record, at most `SHOWN` of them; every value is escaped."""
    names = list(dict.fromkeys(name for record in records for name in record))
    head = "".join(f"<th>{html.escape(str(name))}</th>" for name in names)
    rows = (
        "".join(f"<td>{html.escape(_in_a_line(record.get(name, '')))}</td>" for name in names) for record in records[:SHOWN]
    )
    more = f"<tr><td>and {len(records) - SHOWN:,} more</td></tr>" if len(records) > SHOWN else ""
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}{more}</table>"
