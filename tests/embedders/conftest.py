"""Tiny models as fixtures."""

from __future__ import annotations

from pathlib import Path

import pytest

from curate.embedders.static import Static
from curate.embedders.transformer.tiny import save_tiny_clip, save_tiny_sentence_transformer


@pytest.fixture(scope="session")
def tiny_sentence_transformer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_sentence_transformer(tmp_path_factory.mktemp("st"), seed=1)


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_clip(tmp_path_factory.mktemp("clip"), seed=2)


@pytest.fixture(scope="session")
def static_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a token table as a distillation leaves it, but seeded: the real one is made by a slow test."""
    folder = Static.example(tmp_path_factory.mktemp("static")).folder
    assert folder is not None
    return folder
