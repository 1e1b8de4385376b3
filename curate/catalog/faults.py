"""Faults on demand, so that tests need neither a full disk nor a stop watch.

`CURATE_FAULT=POINT:NUMBER:WHAT` makes the NUMBERth passing of a point fail, in the process that has it in its environment:

    POINT   open     the catalog was opened
            commit   a transaction is about to be committed
            done     a transaction was committed
            blob     a batch of blobs lies under temporary names and is about to be renamed
            folder   an export is written and about to take its place
    WHAT    kill         SIGKILL: the process is gone
            interrupt    SIGINT, as Ctrl-C
            terminate    SIGTERM
            disk-full    what DuckDB or the system raises on a full disk; at `done`: after the commit became durable
            corrupt      what DuckDB raises on a damaged block

Without the variable, which is read once, a point costs the call of an empty function.
"""

from __future__ import annotations

import errno
import os
import signal
from collections import Counter
from collections.abc import Callable

from curate.catalog._engine import duckdb

_SIGNALS = {"kill": signal.SIGKILL, "interrupt": signal.SIGINT, "terminate": signal.SIGTERM}


class fault:
    """A fault by its spec, POINT:NUMBER:WHAT."""

    def __init__(self, spec: str) -> None:
        self._point, number, self._what = spec.split(":")
        self._number = int(number)
        self._passed: Counter[str] = Counter()

    def __call__(self, point: str) -> None:
        self._passed[point] += 1
        if point != self._point or self._passed[point] != self._number:
            return
        if self._what in _SIGNALS:
            os.kill(os.getpid(), _SIGNALS[self._what])
        elif self._what == "corrupt":
            raise duckdb.Error(
                "Corrupt database file: computed checksum 1 does not match stored checksum 2 in block at location 3"
            )
        elif point == "blob":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        elif point == "done":
            raise duckdb.FatalException("FATAL Error: COMMIT succeeded and is durable, but: No space left on device")
        else:
            raise duckdb.TransactionException(
                "TransactionContext Error: Failed to commit: could not write: No space left on device"
            )


def nothing(point: str) -> None:
    """No fault is wanted."""


passing: Callable[[str], None] = fault(os.environ["CURATE_FAULT"]) if "CURATE_FAULT" in os.environ else nothing
"""Called at a point, by its name."""
