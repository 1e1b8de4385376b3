"""What a query's process and its parent say to each other.

Frames, in both directions: one byte that says what, eight bytes of length, the payload.
From the parent: Q the request (JSON), V a vector (float32 bytes), N no vector can be made (a message).
To the parent: B a piece of the Arrow stream, E a text to embed (JSON), X an error (JSON), D the end.
"""

from __future__ import annotations

import os
import queue
import struct
import threading
from typing import BinaryIO

HEADER = struct.Struct("<cQ")


class Channel:
    """Frames to and from the parent; ends the process when the parent is gone."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source = source
        self._sink = sink
        self._inbox: queue.SimpleQueue[tuple[bytes, bytes]] = queue.SimpleQueue()
        self._asking = threading.Lock()
        self._sending = threading.Lock()
        threading.Thread(target=self._listen, daemon=True).start()

    def send(self, kind: bytes, payload: bytes) -> None:
        """Write a frame, whole, whoever else writes."""
        with self._sending:
            self._sink.write(HEADER.pack(kind, len(payload)))
            self._sink.write(payload)
            self._sink.flush()

    def receive(self) -> tuple[bytes, bytes]:
        """Wait for the next frame: its kind and what it holds."""
        return self._inbox.get()

    def ask(self, kind: bytes, payload: bytes) -> tuple[bytes, bytes]:
        """Send a frame and wait for the answer to it."""
        with self._asking:
            self.send(kind, payload)
            return self.receive()

    def _listen(self) -> None:
        while header := self._source.read(HEADER.size):
            kind, length = HEADER.unpack(header)
            self._inbox.put((kind, self._source.read(length)))
        os._exit(1)  # the parent is gone: nobody will read the answer
