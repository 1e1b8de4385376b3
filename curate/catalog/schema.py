"""The schema that the migrations make, and how a catalog's own differs from it."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from curate.catalog._connection import Catalog
from curate.catalog._engine import duckdb
from curate.catalog._migrations import migrate, vectors_table_ddl

_DEFINED = """
    SELECT 'table' AS kind, table_name AS name, sql FROM duckdb_tables() WHERE NOT internal AND NOT temporary
    UNION ALL SELECT 'view', view_name, sql FROM duckdb_views() WHERE NOT internal AND NOT temporary
    UNION ALL SELECT 'index', index_name, sql FROM duckdb_indexes()
    UNION ALL SELECT 'sequence', sequence_name, regexp_replace(sql, 'START [0-9]+', '')
        FROM duckdb_sequences() WHERE NOT temporary
    UNION ALL SELECT 'macro', function_name, macro_definition FROM duckdb_functions() WHERE NOT internal
    UNION ALL SELECT 'type', type_name, logical_type FROM duckdb_types() WHERE NOT internal
    UNION ALL SELECT 'schema', schema_name, '' FROM duckdb_schemas()
        WHERE NOT internal AND schema_name <> 'main' AND database_name = current_database()"""

_SOUND_EMBEDDERS = """
    SELECT slug, dimension FROM embedders e JOIN duckdb_columns() c
    ON c.table_name = 'vectors_' || e.slug AND c.column_name = 'vector' AND c.data_type = 'FLOAT[' || e.dimension || ']'"""


class Difference(NamedTuple):
    """Something that is defined otherwise than the migrations define it: state is 'missing', 'altered' or 'unknown'."""

    kind: str
    name: str
    state: str


def differences(catalog: Catalog) -> list[Difference]:
    """Compare every table, view, index, sequence, macro and type with those of a fresh catalog.

    A table of vectors is compared with the template, where its embedder is known and has its dimension; `check` names the
    others among the vectors.
    """
    here = _definitions(catalog.rows(_DEFINED))
    wanted = dict(_fresh())
    for slug, dimension in catalog.rows(_SOUND_EMBEDDERS):
        wanted |= _vectors(slug, dimension)
    names = {name for name in here.keys() | wanted.keys() if name in wanted or not name[1].startswith("vectors_")}
    found = []
    for kind, name in sorted(names):
        mine, theirs = here.get((kind, name)), wanted.get((kind, name))
        if mine != theirs:
            state = "missing" if mine is None else "unknown" if theirs is None else "altered"
            found.append(Difference(kind, name, state))
    return found


def defined(catalog: Catalog) -> int:
    """How many definitions the catalog has."""
    return len(catalog.rows(_DEFINED))


@cache
def _fresh() -> dict[tuple[str, str], str]:
    with duckdb.connect(":memory:") as connection:
        migrate(connection)
        return _definitions(connection.execute(_DEFINED).fetchall())


def _vectors(slug: str, dimension: int) -> dict[tuple[str, str], str]:
    with duckdb.connect(":memory:") as connection:
        connection.execute(vectors_table_ddl(slug, dimension))
        return _definitions(connection.execute(_DEFINED).fetchall())


def _definitions(rows: list[tuple[str, str, str]]) -> dict[tuple[str, str], str]:
    return {(kind, name): sql for kind, name, sql in rows}
