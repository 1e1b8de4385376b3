"""The options by which commands choose how samples are compared."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from curate.cli.pairs import read_settings

MethodOption = Annotated[
    str | None,
    typer.Option(help="minhash, semantic or perceptual; by default semantic for text and perceptual for images."),
]
MethodsOption = Annotated[
    list[str] | None,
    typer.Option("--method", help="exact, minhash, semantic or perceptual (repeatable); all that fit by default."),
]
ThresholdsOption = Annotated[
    list[str] | None,
    typer.Option("--threshold", metavar="N|METHOD=N", help="Least similarity of near-duplicates (repeatable)."),
]
EmbedderOption = Annotated[str | None, typer.Option(help="Whose vectors the semantic method compares.")]
InvariantOption = Annotated[
    str | None, typer.Option(metavar="flip,rotate", help="Images: find mirrored and turned copies too.")
]
SettingOption = Annotated[
    list[str] | None, typer.Option(metavar="NAME=VALUE", help="Another setting of a method, such as ngram=7 (repeatable).")
]
AgainstOption = Annotated[
    list[str] | None,
    typer.Option(metavar="DATASET[/PART]", help="Also drop what this other dataset has already (repeatable)."),
]
ProtectOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="DATASET[/PART]",
        help="Protect from this eval set from now on, as `curate protect` does, by these methods (repeatable).",
    ),
]
KeepOption = Annotated[str, typer.Option(metavar="first|longest|largest", help="Which of several duplicates is kept.")]


def method_settings(setting: list[str] | None, invariant: str | None) -> dict[str, Any]:
    """The settings that `--setting` and `--invariant` name."""
    return read_settings(setting) | ({"invariant": invariant} if invariant else {})
