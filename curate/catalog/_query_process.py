"""The process that answers a person's SQL, as its parent sees it: a file that holds an Arrow stream."""

from __future__ import annotations

import io
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from curate import errors
from curate.catalog._query_frames import HEADER
from curate.errors import CurateError, SettingError, WorkError, WorkspaceLocked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    EmbedText = Callable[[str, str], NDArray[np.float32]]
    """Given a slug and a text, its vector."""

PIPE_BYTES = 1 << 20
SPILL_BYTES = 20_000_000_000
_SHOWN_LINES = 12


@dataclass(frozen=True, slots=True)
class Limits:
    """What a query may take.

    Attributes:
        timeout_s: seconds that it may keep its reader waiting, in all, the embedding of its texts included.
        memory_bytes: DuckDB's own limit; the process may take some more for what DuckDB does not count.
        spill: folder for what does not fit.
        threads: at least 1.
        wait_s: seconds to wait for a process that writes to the catalog.
    """

    timeout_s: float
    memory_bytes: int
    spill: Path
    threads: int = 1
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class TextEmbedders:
    """What `embed('…')` means in a query.

    Attributes:
        dimensions: of every slug that a text can be embedded with.
        default: the slug that `embed` stands for; None where there is none.
        embed: called in this process, once for each different text.
        close: called when the query ends.
    """

    dimensions: Mapping[str, int] = field(default_factory=dict)
    default: str | None = None
    embed: EmbedText | None = None
    close: Callable[[], None] = lambda: None


class QueryProcess(io.RawIOBase):
    """The worker, seen as a file that holds the Arrow stream."""

    def __init__(self, path: Path, query: str, limits: Limits, embedders: TextEmbedders) -> None:
        self._limits = limits
        self._embedders = embedders
        self._left_s = limits.timeout_s + limits.wait_s
        self._pending = memoryview(b"")
        self._ended = False
        self._failure: BaseException | None = None
        self._path = path
        limits.spill.mkdir(parents=True, exist_ok=True)
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `stop`)
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "curate.catalog._query_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            bufsize=0,
            start_new_session=True,  # Ctrl-C is ours to hear: we kill the child, which might not listen
        )
        request = {
            "path": str(path),
            "query": query,
            "memory_bytes": limits.memory_bytes,
            "threads": limits.threads,
            "wait_s": limits.wait_s,
            "spill": str(limits.spill),
            "spill_bytes": SPILL_BYTES,
            "embedders": dict(embedders.dimensions),
            "default": embedders.default,
        }
        self._send(b"Q", json.dumps(request).encode())

    def guarded(self, read: Callable[[], Any]) -> Any:
        """Read from the stream, raising what went wrong in the worker rather than what Arrow makes of it."""
        try:
            return read()
        except BaseException:
            if self._failure is not None:
                raise self._failure from None
            raise

    def readable(self) -> bool:
        """Say so to `io`."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with what has come; 0 at the end."""
        while not self._pending and not self._ended:
            try:
                self._take_frame()
            except BaseException as error:
                self._failure = error
                raise
        size = min(len(buffer), len(self._pending))
        buffer[:size] = self._pending[:size]
        self._pending = self._pending[size:]
        return size

    def stop(self) -> None:
        """Kill the process where it still runs, and let go of the pipes."""
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()
        for stream in (self._child.stdin, self._child.stdout, self._complaints):
            if stream is not None:
                stream.close()
        self._embedders.close()
        self._embedders = TextEmbedders()
        self._failure = None  # whose traceback holds this object, and whatever its callers had open

    def _take_frame(self) -> None:
        kind, length = HEADER.unpack(self._receive(HEADER.size))
        payload = self._receive(length)
        if kind == b"B":
            self._pending = memoryview(payload)
        elif kind == b"E":
            self._answer_embedding(json.loads(payload))
        elif kind == b"X":
            raise self._as_error(json.loads(payload))
        else:
            self._ended = True

    def _receive(self, length: int) -> bytes:
        """Read exactly so many bytes; only the time spent waiting for the worker counts against its limit."""
        data = bytearray()
        output = cast(io.RawIOBase, self._child.stdout)
        while len(data) < length:
            started = time.monotonic()
            ready = select.select([output], [], [], max(self._left_s, 0))[0]
            self._left_s -= time.monotonic() - started
            if not ready:
                raise self._as_late()
            piece = os.read(output.fileno(), min(length - len(data), PIPE_BYTES))
            if not piece:
                raise self._as_death()
            data += piece
        return bytes(data)

    def _send(self, kind: bytes, payload: bytes) -> None:
        stream = cast(io.RawIOBase, self._child.stdin)
        data = memoryview(HEADER.pack(kind, len(payload)) + payload)
        try:
            while data:
                data = data[stream.write(data) or 0 :]
        except BrokenPipeError:
            raise self._as_death() from None

    def _answer_embedding(self, request: dict[str, str]) -> None:
        assert self._embedders.embed is not None
        started = time.monotonic()
        try:
            vector = self._embedders.embed(request["slug"], request["text"])
            self._left_s -= time.monotonic() - started
            if self._left_s <= 0:
                raise self._as_late()
        except CurateError as error:
            self._failure = error
            self._send(b"N", str(error).encode())
        else:
            self._send(b"V", vector.astype("<f4").tobytes())

    def _as_late(self) -> WorkError:
        return WorkError(f"the query was stopped after {self._limits.timeout_s:g} s", hint="--timeout SECONDS")

    def _as_error(self, error: dict[str, Any]) -> CurateError:
        if isinstance(self._failure, CurateError):  # raised here, while the worker waited for a vector
            return self._failure
        message = "\n".join(error["message"].strip().splitlines()[:_SHOWN_LINES])
        if error["kind"] == "memory":
            return self._as_too_large()
        if error["kind"] == "WorkspaceLocked" and f"process {os.getpid()} " in message:
            return WorkspaceLocked(f"this process is writing to {self._path.parent}", hint="open the workspace read-only")
        if error["kind"].startswith("Workspace"):
            return cast(CurateError, getattr(errors, error["kind"])(message, hint=error["hint"]))
        if error["kind"] == "internal":
            return WorkError(f"DuckDB failed on this query: {message}")
        return SettingError(message, hint=error.get("hint") or "curate sql --schema lists the tables and columns")

    def _as_death(self) -> CurateError:
        status = self._child.wait()
        self._complaints.seek(0)
        said = self._complaints.read().decode(errors="replace").strip().splitlines()
        memory_signs = ("bad_alloc", "MemoryError", "Cannot allocate", "memory")
        if status in (-6, -9, -11) or any(sign in line for line in said for sign in memory_signs):
            return self._as_too_large()
        return WorkError(f"the query's process died (status {status})" + (f": {said[-1]}" if said else ""))

    def _as_too_large(self) -> CurateError:
        return WorkError(
            f"the query needs more memory than it may take ({self._limits.memory_bytes / 1e6:,.0f} MB)",
            hint="select less at a time, or raise [limits] memory in curate.toml",
        )
