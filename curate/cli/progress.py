"""Progress on stderr: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time

from curate.cli.formatting import say, seconds, visible
from curate.records import Progress

_LINE_EVERY_S = 10.0
_BAR_EVERY_S = 0.1
_BAR_CELLS = 24


class TerminalProgress:
    """One phase at a time, with its rate and the time left.

    Args:
        bar: redraw one line in place; otherwise print a line every ten seconds, so that logs stay readable.
    """

    def __init__(self, *, bar: bool) -> None:
        self._bar = bar
        self._what = ""
        self._unit = ""
        self._total: int | None = None
        self._done = 0
        self._started = 0.0
        self._shown = 0.0
        self._drawn = False

    def start(self, what: str, *, total: int | None = None, unit: str = "samples") -> None:
        """Begin a phase."""
        if self._what:
            self.finish()
        self._what, self._unit, self._total, self._done = what, unit, total, 0
        self._started = self._shown = time.monotonic()

    def advance(self, count: int) -> None:
        """Move on; draws only now and then."""
        self._done += count
        now = time.monotonic()
        if now - self._shown >= (_BAR_EVERY_S if self._bar else _LINE_EVERY_S):
            self._shown = now
            self._draw(now)

    def note(self, message: str) -> None:
        """Print a line above the bar."""
        self._erase()
        say(visible(message, one_line=True), to=sys.stderr)

    def finish(self) -> None:
        """End the phase; a long one leaves a line behind."""
        elapsed = time.monotonic() - self._started
        self._erase()
        if self._what and elapsed >= _LINE_EVERY_S:
            say(f"{self._what}: {self._amount(self._done)} in {seconds(elapsed)}", to=sys.stderr)
        self._what = ""

    def _draw(self, now: float) -> None:
        elapsed = max(now - self._started, 1e-6)
        speed = self._done / elapsed
        text = f"{self._what}: {self._amount(self._done)}"
        if self._total:
            share = min(self._done / self._total, 1.0)
            left = (self._total - self._done) / speed if speed > 0 else 0.0
            filled = round(share * _BAR_CELLS)
            cells = f"[{'█' * filled}{'·' * (_BAR_CELLS - filled)}] " if self._bar else ""
            pace = f"{self._amount(speed)}/s, {seconds(max(left, 0))} left"
            text = f"{self._what} {cells}{share:4.0%} of {self._amount(self._total)}, {pace}"
        else:
            text += f", {self._amount(speed)}/s"
        if self._bar:
            print(f"\r\x1b[2K{visible(text)}", end="", file=sys.stderr, flush=True)
            self._drawn = True
        else:
            say(text, to=sys.stderr)

    def _erase(self) -> None:
        if self._drawn:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
            self._drawn = False

    def _amount(self, count: float) -> str:
        if self._unit == "bytes":
            return f"{count / 1e6:,.1f} MB"
        return f"{count:,.0f} {self._unit}"


def make_progress() -> Progress:
    """The progress display for this process's stderr."""
    return TerminalProgress(bar=sys.stderr.isatty())
