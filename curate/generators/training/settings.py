"""Settings of trainings and draws: frozen, flat and JSON-like, so that a configuration file and `name=value` can carry them.

pydantic checks them; what is wrong is told as a `SettingError` that names the setting, its value, and what it may be.
"""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from curate.errors import SettingError

if TYPE_CHECKING:
    from curate.generators.contract.examples import Examples


class Settings(BaseModel):
    """The base of all settings.

    Raises:
        SettingError: a name is not a setting, one is missing, or a value is not what it must be.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    RENAMED: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    """By setting: the words of release 0.1.0, and today's for the same."""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _explain(type(self), error) from None

    @classmethod
    def from_stored(cls, values: Mapping[str, Any]) -> Self:
        """Read settings that a model folder holds, in the words of any release."""
        return cls(**_translated(values, cls.RENAMED))

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """The same settings with some others in their place, checked again."""
        return type(self)(**{**self.model_dump(), **changes})

    def stored(self) -> dict[str, Any]:
        """What a configuration file holds: JSON-like."""
        return self.model_dump(mode="json")

    def in_first_words(self) -> dict[str, Any]:
        """`stored` in the words of release 0.1.0, by which the catalog knows a training, also one that was begun then."""
        return _translated(
            self.stored(), {name: {new: old for old, new in words.items()} for name, words in self.RENAMED.items()}
        )

    def require(self, name: str, holds: bool, what: str) -> None:
        """Raise SettingError unless a setting's value is what it must be, beside others."""
        if not holds:
            raise SettingError(f"{name} must be {what}, got {getattr(self, name)!r}")


def _translated(values: Mapping[str, Any], words: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    return {name: words[name].get(value, value) if name in words else value for name, value in values.items()}


def _power_of_two(value: int) -> int:
    if value < 1 or value & (value - 1):
        raise ValueError("a power of two")
    return value


def as_tuple(value: Any) -> Any:
    """JSON's lists stand for tuples, and one number for a tuple of it."""
    if isinstance(value, list):
        return tuple(value)
    return (value,) if isinstance(value, int) and not isinstance(value, bool) else value


PowerOfTwo = Annotated[int, AfterValidator(_power_of_two)]
Numbers = Annotated[tuple[int, ...], BeforeValidator(as_tuple)]


class TrainSettings(Settings):
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

    steps: int = Field(default=1000, ge=1)
    batch_size: int = Field(default=64, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    schedule: Literal["one-cycle", "cosine", "constant"] = "cosine"
    warmup: float = Field(default=0.05, ge=0, le=1)
    final_rate: float = Field(default=0.0, ge=0, le=1)
    weight_decay: float = Field(default=0.0, ge=0)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    clip_norm: float = Field(default=1.0, ge=0)
    ema_decay: float = Field(default=0.0, ge=0, lt=1)
    validate_every: int = Field(default=0, ge=0)
    validation_limit: int = Field(default=1024, ge=0)
    patience: int = Field(default=0, ge=0)
    keep: Literal["best", "last"] = "last"
    seed: int = Field(default=0, ge=0)
    precision: Literal["auto", "no", "bf16"] = "auto"


class DrawSettings(Settings):
    """What every draw can be told.

    Attributes:
        batch: samples a network call; part of what makes a draw repeatable.
        threads: CPU threads, likewise.
        environment: versions, processor and device of the first draw; it moves nothing.
    """

    batch: PowerOfTwo
    threads: PowerOfTwo
    environment: dict[str, str]


@dataclass(frozen=True, slots=True)
class Preset:
    """Settings with the result that was measured with them.

    Attributes:
        settings: complete.
        measured: what was reached, on which data, in what time and on which machine; says so where nothing was measured.
    """

    settings: TrainSettings
    measured: str


@dataclass(frozen=True, slots=True)
class TinyTraining:
    """A training of a second or two, and what can be drawn after it.

    Attributes:
        settings: of the family, with at least ten steps.
        train, validation: the examples.
        draw: draw settings that make a draw cheap.
    """

    settings: TrainSettings
    train: Examples
    validation: Examples
    draw: Mapping[str, Any]


def _explain(kind: type[Settings], error: ValidationError) -> SettingError:
    """Say the first thing that is wrong."""
    first = error.errors()[0]
    name, known = str(first["loc"][0]) if first["loc"] else "", list(kind.model_fields)
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, known, n=1)
        advice = f"did you mean {near[0]!r}?" if near else "one of: " + ", ".join(known)
        return SettingError(f"no setting is called {name!r}", hint=advice)
    if first["type"] == "missing":
        return SettingError(f"the settings lack {name!r}", hint="one of: " + ", ".join(known))
    given = first["input"]
    hint: str | None = None
    if isinstance(given, str) and given in kind.RENAMED.get(name, {}):
        hint = f"{name}={kind.RENAMED[name][given]} is today's word for it"
    rule = str(first["ctx"]["error"]) if first["type"] == "value_error" else _spell(kind.model_fields[name])
    return SettingError(f"{name} must be {rule}, got {given!r}", hint=hint)


def _spell(field: FieldInfo) -> str:
    """What a setting may be: "a whole number, at least 1", "one of 'best', 'last'"."""
    return _bounded(_spell_type(field.annotation), field.metadata)


def _bounded(what: str, metadata: Sequence[Any]) -> str:
    marks = ("ge", "gt", "le", "lt", "min_length")
    bounds = {mark: getattr(item, mark) for item in metadata for mark in marks if getattr(item, mark, None) is not None}
    low, high = bounds.get("ge", bounds.get("gt")), bounds.get("le", bounds.get("lt"))
    if low is not None and high is not None:
        return f"{what} in {'[' if 'ge' in bounds else '('}{low}, {high}{']' if 'le' in bounds else ')'}"
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below", "min_length": "with so many or more:"}
    return ", ".join([what, *(f"{words[mark]} {value}" for mark, value in bounds.items())])


def _spell_type(hint: Any) -> str:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        inner = [m for item in args[1:] for m in (item.metadata if isinstance(item, FieldInfo) else [item])]
        return _bounded(_spell_type(args[0]), inner)
    if origin is Literal:
        return "one of " + ", ".join(map(repr, args))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(_spell_type, args))
    if origin is tuple:
        return f"a list of numbers, each {_spell_type(args[0])}"
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false", type(None): "null"}
    return names.get(hint, str(hint))
