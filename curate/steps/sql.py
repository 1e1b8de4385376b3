"""`sql`: answers one read-only statement over the catalog."""

from __future__ import annotations

from curate.catalog.query import QueryResult
from curate.retrieval.querying import DEFAULT_TIMEOUT_S, answer
from curate.workspace import Workspace


def sql(workspace: Workspace, query: str, *, timeout_s: float = DEFAULT_TIMEOUT_S, wait_s: float = 0.0) -> QueryResult:
    """Run one statement that reads: SELECT, FROM, WITH, VALUES, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN.

    It runs in a process of its own, without files, network or settings, so another person's SQL can be run too.
    `embed('text')` is the vector of a text by the workspace's text embedder, `embed_<slug>('text')` by another one.

        with sql(workspace, "SELECT label, count(*) FROM curated GROUP BY 1") as result:
            table = result.table()

    Args:
        workspace: read-only or detached, and the answer comes as a stream; or writable, and the answer is complete when
            `sql` returns, for the catalog is let go of while the query runs (`workspace.catalog` is another object after).
        timeout_s: seconds that the query may keep its reader waiting, the embedding of texts included.

        wait_s: seconds to wait for another process that writes to the catalog.

    Raises:
        SettingError: the statement is refused, or is wrong SQL.
        WorkError: it took too long or too much memory, or a transaction is open.
    """
    return answer(workspace, query, timeout_s=timeout_s, wait_s=wait_s)
