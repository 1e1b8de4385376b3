"""Names for files and folders that every file system takes, and that no two labels share."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable

UNLABELLED = "_unlabelled"
"""The folder of rows without a label; no label is ever given this name."""

_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f\ud800-\udfff]')
_DEVICE = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?")
_SUFFIX = re.compile(r"\.[a-z0-9]{1,8}")
_LONGEST = 120  # bytes: file systems stop at 255, archives of them often at 100 to 150


def safe_names(labels: Iterable[str]) -> dict[str, str]:
    """Give each label a file name of its own.

    A label that is a good file name keeps it. One that is not (a slash, a device name of Windows, a leading or trailing
    dot, more than 120 bytes), or that another one equals but for case or Unicode form, gets its nearest good name
    and the start of its SHA-256.

    Returns:
        label → name; the names differ even where the file system ignores case and normalises Unicode.
    """
    names: dict[str, str] = {}
    taken = {_folded(UNLABELLED)}
    wanting = []
    for label in sorted(set(labels)):
        if _nearest(label) == label and _folded(label) not in taken:
            names[label] = label
            taken.add(_folded(label))
        else:
            wanting.append(label)
    for label in wanting:
        digest = hashlib.sha256(label.encode("utf-8", "surrogatepass")).hexdigest()
        length = next(n for n in range(8, 65) if _folded(f"{_nearest(label)}-{digest[:n]}") not in taken)
        names[label] = f"{_nearest(label)}-{digest[:length]}"
        taken.add(_folded(names[label]))
    return names


def safe_suffix(suffix: str) -> str:
    """Return the suffix in lower case, or ".bin" where it is not a dot and a few letters."""
    suffix = suffix.lower()
    return suffix if _SUFFIX.fullmatch(suffix) else ".bin"


def _nearest(label: str) -> str:
    name = _UNSAFE.sub("_", unicodedata.normalize("NFC", label)).lstrip(" .").rstrip(" .")
    while len(name.encode()) > _LONGEST:
        name = name[:-1].rstrip(" .")
    if not name or name.startswith("__") or name == UNLABELLED or _DEVICE.fullmatch(name):
        # Loaders skip what starts with two underscores, so no safe name does.
        name = "x" + name
    return name


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
