"""The catalog: the one DuckDB file that knows what is in a workspace.

Only this package imports duckdb, and all SQL but the DDL (`schemas/sql/`) is here. `Catalog` is the connection; each module
beside it holds the statements about one noun and takes the catalog as its first argument.
"""

from curate.catalog._connection import Catalog

__all__ = ["Catalog"]
