"""Questions in SQL: the sandboxed answer, and what there is to ask about."""

from __future__ import annotations

import tomllib
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from curate.catalog import query as queries
from curate.catalog import vectors
from curate.catalog.query import Limits, QueryResult, TextEmbedders, check_expression
from curate.catalog.vectors import EmbedderRow
from curate.embedders import Embedder
from curate.embedding.specs import default_spec, load_embedder, spec_modalities
from curate.errors import CurateError, SettingError
from curate.resources import resource_folder
from curate.workspace import CATALOG_NAME, Workspace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEFAULT_TIMEOUT_S = 300.0
CONDITION_TIMEOUT_S = 20.0
"""What a condition (`--where`) may take: it stands before work that others wait for."""


@dataclass(frozen=True, slots=True)
class ColumnMeaning:
    """A column, its type, and what it holds."""

    name: str
    type: str
    meaning: str


@dataclass(frozen=True, slots=True)
class RelationMeaning:
    """A table or view, what a row of it is, and its columns."""

    name: str
    kind: str
    meaning: str
    columns: tuple[ColumnMeaning, ...]


def describe_catalog(workspace: Workspace) -> tuple[RelationMeaning, ...]:
    """Every view and table that a query may name, with what they mean."""
    return tuple(
        RelationMeaning(
            relation.name,
            relation.kind,
            meaning_of(relation.name),
            tuple(ColumnMeaning(name, kind, meaning_of(relation.name, name)) for name, kind in relation.columns),
        )
        for relation in queries.relations(workspace.catalog)
    )


def meaning_of(relation: str, column: str | None = None) -> str:
    """One line about a relation or one of its columns, from `schemas/sql/meanings.toml`; "" where nobody wrote one."""
    texts = _meanings()
    key = "vectors_*" if relation.startswith("vectors_") else relation
    own = texts.get(key, {})
    return str(own.get("is", "")) if column is None else str(own.get(column) or texts["columns"].get(column, ""))


@cache
def _meanings() -> dict[str, dict[str, str]]:
    return tomllib.loads((resource_folder("schemas") / "sql" / "meanings.toml").read_text(encoding="utf-8"))


def _text_embedders(workspace: Workspace, wait_s: float) -> TextEmbedders:
    with workspace.reading(wait_s=wait_s) if workspace.detached else nullcontext():
        return _offered(workspace)


def _offered(workspace: Workspace) -> TextEmbedders:
    rows = {row.slug: row for row in vectors.embedders(workspace.catalog) if _takes_text(row)}
    preferred = default_spec(workspace, "text")
    default = next((slug for slug, row in rows.items() if row.spec == preferred), next(iter(rows)) if len(rows) == 1 else None)
    loaded = _Loaded(workspace, rows)
    return TextEmbedders({slug: row.dimension for slug, row in rows.items()}, default, loaded.embed, loaded.close)


def _takes_text(row: EmbedderRow) -> bool:
    with suppress(CurateError):  # a plug-in that is no longer installed offers no function
        return "text" in spec_modalities(row.spec)
    return False


class _Loaded:
    """The embedders that a query turned out to need."""

    def __init__(self, workspace: Workspace, rows: dict[str, EmbedderRow]) -> None:
        self._workspace = workspace
        self._rows = rows
        self._open: dict[str, Embedder] = {}

    def embed(self, slug: str, text: str) -> NDArray[np.float32]:
        """(dimension,) the vector of one text."""
        if slug not in self._open:
            self._open[slug] = checked(load_embedder(self._workspace, self._rows[slug].spec), self._rows[slug])
        found: NDArray[np.float32] = self._open[slug].embed_texts([text])[0]
        return found

    def close(self) -> None:
        """Close them."""
        while self._open:
            self._open.popitem()[1].close()


def checked(embedder: Embedder, row: EmbedderRow) -> Embedder:
    """An embedder that makes the vectors which the catalog holds.

    Raises:
        SettingError: it is another model or version by now.
    """
    if embedder.fingerprint != row.fingerprint:
        embedder.close()
        raise SettingError(
            f"the vectors of {row.slug!r} were made by another model or version than the one installed now",
            hint=f"curate embed DATASET --embedder {row.spec} --replace",
        )
    return embedder


def answer(workspace: Workspace, query: str, *, timeout_s: float = DEFAULT_TIMEOUT_S, wait_s: float = 0.0) -> QueryResult:
    """Run one statement that reads, in a process of its own; the step `sql` says what is allowed.

    A workspace that is open for writing lets go of its catalog while the query runs, for DuckDB has one writer or many readers;
    the whole answer is then kept in an unnamed file before the catalog is opened again.

    Raises:
        SettingError: the time limit is not above 0, or the statement is refused or is wrong SQL.
        WorkError: it took too long or too much memory, or a transaction is open.
    """
    if timeout_s <= 0:
        raise SettingError(f"a time limit is above 0 seconds, got {timeout_s:g}", hint="--timeout 300")
    limits = Limits(
        timeout_s=timeout_s,
        memory_bytes=max(workspace.memory_bytes // 2, 256_000_000),
        spill=workspace.root / "indexes" / "spill",
        threads=workspace.threads,
        wait_s=wait_s,
    )
    file = workspace.root / CATALOG_NAME
    embedders = _text_embedders(workspace, wait_s) if "embed" in query.lower() else TextEmbedders()
    if workspace.read_only or workspace.detached:
        return QueryResult(file, query, limits=limits, embedders=embedders)
    with workspace.released(), ExitStack() as undo:
        result = QueryResult(file, query, limits=limits, embedders=embedders)
        undo.callback(result.close)
        result.keep()
        undo.pop_all()
    return result


def matching(
    workspace: Workspace, where: str, *, real_only: bool = False, timeout_s: float = CONDITION_TIMEOUT_S
) -> NDArray[np.int64]:
    """Ids, rising, of the samples for which a person's condition is true; it runs like any other SQL of theirs.

    Args:
        where: a boolean SQL expression over the columns of the view `samples`.

    Raises:
        SettingError: it is no such expression.
        WorkError: it took too long or too much memory.
    """
    check_expression(where)
    scope = "origin = 'real' AND " if real_only else ""
    statement = f"SELECT sample_id FROM samples WHERE {scope}(\n{where}\n) ORDER BY sample_id"
    try:
        with answer(workspace, statement, timeout_s=timeout_s) as result:
            found: NDArray[np.int64] = result.table()["sample_id"].to_numpy().astype("int64")
            return found
    except SettingError as error:
        said = " ".join(str(error).split())
        raise SettingError(f"the condition {where!r} cannot be used: {said}", hint=error.hint) from error
