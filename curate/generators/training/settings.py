"""Settings of a training: frozen, flat and JSON-like, so that a configuration file and `name=value` can carry them."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from curate.errors import SettingError


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """What every generator's training can be told.

    Attributes:
        steps: optimiser steps.
        batch_size: rows a step, over all processes together.
        learning_rate: the highest.
        schedule: "one-cycle" (cosine up, cosine down), "cosine" (linear up, cosine down) or "constant" (linear up).
        warmup: share of the steps that the rate rises.
        final_rate: share of the highest rate that is left at the end.
        weight_decay: of AdamW, on matrices only.
        beta2: of AdamW.
        clip_norm: largest norm of the gradient; 0 for no limit.
        ema_decay: of the exponential moving average of the weights, reached by (1 + t) / (10 + t); 0 for none.
        validate_every: steps between validations; 0 for the end only.
        validation_limit: validation rows used, evenly spaced; 0 for all.
        patience: validations without a new lowest loss before training stops; 0 never stops.
        keep: "best" keeps the weights with the lowest validation loss, "last" the final ones.
        seed: of weights, order and noise.
        precision: "no" (32 bits), "bf16", or "auto": bf16 where a GPU has it.
    """

    steps: int = 1000
    batch_size: int = 64
    learning_rate: float = 1e-3
    schedule: Literal["one-cycle", "cosine", "constant"] = "cosine"
    warmup: float = 0.05
    final_rate: float = 0.0
    weight_decay: float = 0.0
    beta2: float = 0.999
    clip_norm: float = 1.0
    ema_decay: float = 0.0
    validate_every: int = 0
    validation_limit: int = 1024
    patience: int = 0
    keep: Literal["best", "last"] = "last"
    seed: int = 0
    precision: Literal["auto", "no", "bf16"] = "auto"

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("steps", "batch_size"):
            require(self, name, getattr(self, name) >= 1, "at least 1")
        for name in ("clip_norm", "weight_decay", "validate_every", "validation_limit", "patience", "seed"):
            require(self, name, getattr(self, name) >= 0, "at least 0")
        require(self, "learning_rate", self.learning_rate > 0, "above 0")
        for name in ("warmup", "final_rate"):
            require(self, name, 0 <= getattr(self, name) <= 1, "in [0, 1]")
        for name in ("ema_decay", "beta2"):
            require(self, name, 0 <= getattr(self, name) < 1, "in [0, 1)")


@dataclasses.dataclass(frozen=True, slots=True)
class Preset:
    """Settings with the result that was measured with them.

    Attributes:
        settings: complete.
        measured: what was reached, on which data, in what time and on which machine; says so where nothing was measured.
    """

    settings: TrainSettings
    measured: str


S = TypeVar("S", bound=TrainSettings)


def require(settings: object, name: str, holds: bool, what: str) -> None:
    """Raise SettingError unless a setting's value is what it must be."""
    if not holds:
        raise SettingError(f"{name} must be {what}, got {getattr(settings, name)!r}")


def check_types(settings: Any) -> None:
    """Raise SettingError where a dataclass's value is not of its field's type.

    JSON's lists stand for tuples, and one number for a tuple of it.
    """
    hints = typing.get_type_hints(type(settings))
    for item in dataclasses.fields(settings):
        value = getattr(settings, item.name)
        listed = typing.get_origin(hints[item.name]) is tuple
        if isinstance(value, list) or (listed and isinstance(value, int)):
            value = tuple(value) if isinstance(value, list) else (value,)
            object.__setattr__(settings, item.name, value)
        if not _fits(value, hints[item.name]):
            raise SettingError(f"{item.name} must be {_spell(hints[item.name])}, got {value!r}")


def configure(preset: Preset, overrides: Mapping[str, Any]) -> Any:
    """Change some of a preset's settings.

    Raises:
        SettingError: a name is not a setting, or a value is outside its range.
    """
    known = [item.name for item in dataclasses.fields(preset.settings)]
    for name in overrides:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise SettingError(
                f"no setting is called {name!r}",
                hint=f"did you mean {near[0]!r}?" if near else "one of: " + ", ".join(known),
            )
    return dataclasses.replace(preset.settings, **dict(overrides))


def _fits(value: Any, hint: Any) -> bool:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return value in args
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, arg) for arg in args)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(item, args[0]) for item in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and value == value
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint if hint is not None else type(None))


def _spell(hint: Any) -> str:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return "one of " + ", ".join(map(repr, args))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_spell(arg) for arg in args)
    if origin is tuple:
        return f"a list of {_spell(args[0])}"
    return {"int": "a whole number", "float": "a number", "str": "text", "bool": "true or false", "NoneType": "null"}.get(
        getattr(hint, "__name__", ""), str(hint)
    )
