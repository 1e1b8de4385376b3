"""Commands that decide about samples: embed, dedupe, duplicates, restore, drop, split."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Put the commands on the app."""
