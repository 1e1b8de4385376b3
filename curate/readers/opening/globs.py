"""Glob patterns over slash-separated paths: `*`, `?`, `[…]` within one part, `**` over any number of parts."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from curate.errors import SettingError

Wanted = Callable[[str], bool]

_SPECIAL = re.compile(r"[*?\[]")


def is_pattern(text: str) -> bool:
    """Say whether a text holds a glob character."""
    return _SPECIAL.search(text) is not None


def part_regex(part: str) -> str:
    """Translate one part of a pattern (no slash in it)."""
    out: list[str] = []
    i = 0
    while i < len(part):
        char = part[i]
        i += 1
        if char == "*":
            out.append("[^/]*")
        elif char == "?":
            out.append("[^/]")
        elif char == "[" and (end := part.find("]", i + (2 if part[i : i + 1] in ("!", "^") else 1))) >= 0:
            body = part[i:end].replace("\\", "\\\\").replace("[", "\\[")
            negated = body[0] in "!^"
            out.append(f"(?!/)[{'^' if negated else ''}{body[1:] if negated else body}]")
            i = end + 1
        else:
            out.append(re.escape(char))
    return "".join(out)


def compile_glob(pattern: str) -> re.Pattern[str]:
    """Compile a pattern that must cover a whole path, or a folder above it.

    Raises:
        SettingError: the pattern has an impossible range, such as `[z-a]`.
    """
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    out = ""
    for i, part in enumerate(parts):
        last = i == len(parts) - 1
        if part == "**":
            out += ".*" if last else "(?:[^/]+/)*"
        else:
            out += part_regex(part) + ("" if last else "/")
    try:
        return re.compile(f"(?s:{out})(?:/.*)?\\Z", re.DOTALL)
    except re.error as error:
        raise SettingError(f"the pattern {pattern!r} cannot be read: {error}") from None


def path_filter(include: Sequence[str], exclude: Sequence[str]) -> Wanted | None:
    """Make one test out of `--include` and `--exclude`; None where there is nothing to test.

    A pattern without a slash is held against each part of the path ("*.png", "thumbs"); one with a slash
    against the path from its beginning. A path is wanted if some include pattern takes it (or there is none) and no exclude
    pattern does.
    """
    if not include and not exclude:
        return None
    takes = _any_of(include) if include else None
    drops = _any_of(exclude) if exclude else None

    def wanted(path: str) -> bool:
        return (takes is None or takes(path)) and (drops is None or not drops(path))

    return wanted


def _any_of(patterns: Sequence[str]) -> Wanted:
    regexes = [compile_glob(p if "/" in p.strip("/") else "**/" + p.strip("/")) for p in patterns]

    def matches(path: str) -> bool:
        return any(regex.match(path) for regex in regexes)

    return matches
