"""Ctrl-C and SIGTERM end a command alike: with one sentence, and with the record that its run was interrupted.

Installed before anything heavy is imported, because a library may turn the interrupt that meets it at its import, or in the
middle of a statement, into an error of its own: whatever comes out after a signal came is the signal's doing.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import NoReturn

_received: list[int] = []


def install() -> None:
    """Have both signals raise `KeyboardInterrupt`; one that the caller ignores, as `nohup` does, stays ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise)


def received() -> int | None:
    """The first signal that came; None while none has."""
    return _received[0] if _received else None


def leave() -> NoReturn:
    """End the process as the signal wants it: 128 and its number."""
    number = received() or signal.SIGINT
    sys.stdout.flush()
    sys.stderr.write("\ninterrupted; run the same command again to go on\n")
    sys.stderr.flush()
    sys.exit(128 + number)


def _raise(number: int, _: FrameType | None) -> None:
    _received.append(number)
    raise KeyboardInterrupt
