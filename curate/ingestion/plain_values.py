"""Values of any kind as JSON can hold them."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any

import orjson

from curate.errors import BadRecord

_MAX_DEPTH = 200


def metadata_json(metadata: Any) -> str:
    """Write JSON-like values as JSON; an integer beyond 64 bits is written as text, NaN and infinities as null.

    Raises:
        BadRecord: `nested-too-deep`; never for what `Selection.pick` gave.
    """
    try:
        return orjson.dumps(metadata, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        return orjson.dumps(plain(metadata), option=orjson.OPT_NON_STR_KEYS).decode()


def plain(value: Any, depth: int = 0) -> Any:
    """Copy a value as JSON can hold it.

    Raises:
        BadRecord: `nested-too-deep`; orjson writes no more than 254 levels.
    """
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value
    if kind is int:
        return value if -(2**63) <= value < 2**64 else str(value)
    if kind is float:
        return value if math.isfinite(value) else None
    if depth > _MAX_DEPTH:
        raise BadRecord("nested-too-deep", f"more than {_MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        return {str(key): plain(held, depth + 1) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [plain(held, depth + 1) for held in value]
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    return str(value)
