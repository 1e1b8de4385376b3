"""What libtiff and Pillow's logger say while a TIFF is decoded: heard by the thread that decodes, and never printed.

libtiff prints errors to the process's standard error, without the file's name, unless it is given a handler; Pillow gives it
none. Pillow's own log goes to standard error too where nobody has set up logging. Where the libtiff that Pillow uses cannot be
found (it is linked statically on Windows), its words are printed as before.
"""

from __future__ import annotations

import ctypes
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

_LONGEST = 500
_MAPS = Path("/proc/self/maps")
_heard = threading.local()


@contextmanager
def listening() -> Iterator[list[str]]:
    """A list that grows by each error that libtiff reports in this thread while the block runs."""
    _handler()
    _silence_log()
    before = getattr(_heard, "words", None)
    words: list[str] = []
    _heard.words = words
    try:
        yield words
    finally:
        _heard.words = before


@cache
def _silence_log() -> None:
    """Take the log of Pillow from Python's handler of last resort; handlers that a program sets up still see it."""
    logging.getLogger("PIL").addHandler(logging.NullHandler())


@cache
def _handler() -> Any:
    """Set libtiff's error handler, once in a process; kept here, because libtiff holds its address."""
    found = _library()
    if found is None:
        return None
    try:
        library, libc = ctypes.CDLL(found), ctypes.CDLL(None)
        # A va_list is a pointer, or is passed as one, on every platform where the library is found.
        kind = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
        write, set_handler = libc.vsnprintf, library.TIFFSetErrorHandler
    except (OSError, AttributeError, TypeError):
        return None
    write.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_void_p]

    def hear(module: bytes | None, pattern: bytes, values: int) -> None:
        words = getattr(_heard, "words", None)
        if words is not None:
            said = ctypes.create_string_buffer(_LONGEST)
            write(said, _LONGEST, pattern, values)
            words.append(b": ".join(part for part in (module, said.value) if part).decode(errors="replace"))

    handler = kind(hear)
    set_handler.argtypes, set_handler.restype = [kind], ctypes.c_void_p
    set_handler(handler)
    return handler


def _library() -> str | None:
    """Where the libtiff lies that Pillow's decoder is linked to."""
    from PIL import _imaging

    folder = Path(_imaging.__file__).parent
    bundled = [*folder.parent.glob("[pP]illow.libs/libtiff*.so*"), *folder.glob(".dylibs/libtiff*.dylib")]
    if bundled:
        return str(bundled[0])
    lines = _MAPS.read_text().splitlines() if _MAPS.exists() else []
    return next((line.split(maxsplit=5)[-1] for line in lines if "/libtiff" in line), None)
