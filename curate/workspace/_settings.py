"""`curate.toml`: the few settings of a workspace."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate import plugins
from curate.errors import SettingError

if TYPE_CHECKING:
    from pydantic import ConfigDict

FILE_NAME = "curate.toml"
_STRICT: ConfigDict = {"extra": "forbid"}

TEMPLATE = """\
# A curate workspace. `catalog.duckdb` is the truth; `indexes/` are caches and may be deleted at any time.
# Every setting may be left out.

[embedders]
# text = "minilm"          # or "static", or "sentence-transformers:PATH_OR_HUB_NAME"
# image = "perceptual"     # or "clip:PATH_OR_HUB_NAME"

[index]
# name = "auto"            # "flat" (exact), "ivf" or "hnsw"; auto: flat up to 200,000 vectors, ivf above
# location = "indexes"     # a folder, seen from the workspace, or the address of a store
# options = {}             # settings of that index

[limits]
# memory = "2GB"           # what the catalog and the dedupe methods may hold
# threads = 0              # 0: every core
"""


@dataclass(frozen=True, slots=True)
class IndexChoice:
    """Which index answers a search where none is named, where it lies, and its own settings."""

    __pydantic_config__ = _STRICT

    name: str = "auto"
    location: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the machine may be asked for.

    Attributes:
        memory: a size, as `parse_bytes` reads it.
        threads: 0 for every core.
    """

    __pydantic_config__ = _STRICT

    memory: str = "2GB"
    threads: int = 0

    def __post_init__(self) -> None:
        """Check the ranges, by a ValueError as pydantic wants it."""
        try:
            parse_bytes(self.memory)
        except SettingError as error:
            raise ValueError(f"limits.memory: {error}") from error
        if self.threads < 0:
            raise ValueError(f"limits.threads must be 0 or more, got {self.threads}")


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole file.

    Attributes:
        embedders: by modality, which embedder is used where none is named; a modality that is missing has a default of its own.
    """

    __pydantic_config__ = _STRICT

    embedders: dict[str, str] = field(default_factory=dict)
    index: IndexChoice = field(default_factory=IndexChoice)
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        """Check that every modality is one, by a ValueError as pydantic wants it."""
        known = plugins.names("modalities") if self.embedders else ()
        for name in self.embedders:
            if name not in known:
                raise ValueError(f"embedders: no modality is called {name!r}; there are {', '.join(known)}")


def read_settings(root: Path) -> Settings:
    """Read a workspace's settings.

    Raises:
        SettingError: the file is no TOML, or a setting is unknown or out of range.
    """
    file = root / FILE_NAME
    try:
        said = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{file} is not valid TOML: {error}") from error
    sections = {section.name for section in fields(Settings)}
    return Settings() if all(name in sections and value == {} for name, value in said.items()) else _checked(said, file)


def _checked(said: dict[str, Any], file: Path) -> Settings:
    from pydantic import TypeAdapter, ValidationError  # 60 ms, and most workspaces set nothing

    try:
        return TypeAdapter(Settings).validate_python(said)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingError(f"{file}: {where}: {first['msg']}", hint=f"mend or remove the line in {file}") from error


def parse_bytes(text: str) -> int:
    """Read a size: "2GB", "512 MiB", "1.5g"; K, M, G and T count in 1,000 with "B", in 1,024 with "iB".

    Raises:
        SettingError: it is no size, or not above 0.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", text, re.IGNORECASE)
    size = float(found[1]) * (1024 if found[3] else 1000) ** " kmgt".index(found[2].lower() or " ") if found else 0
    if size < 1:
        raise SettingError(f"not a memory size: {text!r}", hint="for example --memory 2GB")
    return int(size)
