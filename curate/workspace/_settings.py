"""`curate.toml`: the few settings of a workspace."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from curate import plugins
from curate.errors import SettingError

FILE_NAME = "curate.toml"

TEMPLATE = """\
# A curate workspace. `catalog.duckdb` is the truth; `indexes/` are caches and may be deleted at any time.
# Every setting may be left out.

[embedders]
# text = "minilm"          # or "static", or "sentence-transformers:PATH_OR_HUB_NAME"
# image = "perceptual"     # or "clip:PATH_OR_HUB_NAME"

[index]
# name = "auto"            # "flat" (exact), "ivf" or "hnsw"; auto: flat up to 200,000 vectors, ivf above
# location = "indexes"     # where a store outside the workspace lies
# options = {}             # settings of that index

[limits]
# memory = "2GB"           # what the catalog and the dedupe methods may hold
# threads = 0              # 0: every core
"""


class IndexChoice(BaseModel):
    """Which index answers a search where none is named, where it lies, and its own settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = "auto"
    location: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)


class Limits(BaseModel):
    """What the machine may be asked for."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    memory: str = "2GB"
    threads: int = Field(default=0, ge=0)

    @field_validator("memory")
    @classmethod
    def _is_a_size(cls, value: str) -> str:
        try:
            parse_bytes(value)
        except SettingError as error:  # as pydantic wants it, so that the file and the line are named
            raise ValueError(str(error)) from error
        return value


class Settings(BaseModel):
    """The whole file.

    Attributes:
        embedders: by modality, which embedder is used where none is named; a modality that is missing has a default of its own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    embedders: dict[str, str] = Field(default_factory=dict)
    index: IndexChoice = IndexChoice()
    limits: Limits = Limits()

    @field_validator("embedders")
    @classmethod
    def _are_of_modalities(cls, value: dict[str, str]) -> dict[str, str]:
        known = plugins.names("modalities") if value else ()
        for name in value:
            if name not in known:
                raise ValueError(f"no modality is called {name!r}; there are {', '.join(known)}")
        return value


def read_settings(root: Path) -> Settings:
    """Read a workspace's settings.

    Raises:
        SettingError: the file is no TOML, or a setting is unknown or out of range.
    """
    file = root / FILE_NAME
    try:
        return Settings.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{file} is not valid TOML: {error}") from error
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
