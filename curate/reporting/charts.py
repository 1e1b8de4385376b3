"""Geometry of the report's curves and of its map of vectors, as SVG path data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CURVE_POINTS = 300
_W, _H = 560.0, 260.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 56.0, 12.0, 12.0, 34.0
_LOG_FROM = 30.0  # a curve that falls so many times is drawn on a logarithmic axis
MAP_SIZE = (760.0, 480.0)
_MAP_EDGE = 14.0


class Tick(NamedTuple):
    """A mark on an axis: where, and its words."""

    at: float
    label: str


class Series(NamedTuple):
    """One curve."""

    name: str
    path: str
    dots: tuple[tuple[float, float], ...]
    points: int
    drawn: int
    last: float
    best: float


class Chart(NamedTuple):
    """Curves in a frame, in units of the view box."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    series: tuple[Series, ...]
    logarithmic: bool


def loss_chart(losses: Iterable[tuple[int, str, float]]) -> Chart | None:
    """Draw loss curves; None where there is no finite value.

    Args:
        losses: (step, name, value).
    """
    curves: dict[str, list[tuple[float, float]]] = {}
    for step, name, value in losses:
        if math.isfinite(value):
            curves.setdefault(name, []).append((float(step), value))
    if not curves:
        return None
    values = [v for curve in curves.values() for _, v in curve]
    steps = [s for curve in curves.values() for s, _ in curve]
    logarithmic = min(values) > 0 and max(values) / min(values) > _LOG_FROM
    low, high = min(values), max(values)
    if logarithmic:
        y_values = _powers(low, high)
        low, high = math.log10(min(low, y_values[0])), math.log10(max(high, y_values[-1]))
    else:
        y_values = nice_ticks(low, high)
        low, high = min(low, y_values[0]), max(high, y_values[-1])
    x_values = nice_ticks(0.0, max(steps), whole=True)
    x_high = max(1.0, *steps)

    def x_at(step: float) -> float:
        return _LEFT + (_W - _LEFT - _RIGHT) * step / x_high

    def y_at(value: float) -> float:
        share = ((math.log10(value) if logarithmic else value) - low) / ((high - low) or 1.0)
        return _H - _BOTTOM - (_H - _TOP - _BOTTOM) * share

    series = []
    for name, curve in curves.items():
        curve.sort()
        thinned = thin(curve, CURVE_POINTS)
        places = [(round(x_at(s), 1), round(y_at(v), 1)) for s, v in thinned]
        path = "M" + "L".join(f"{x:g} {y:g}" for x, y in places) if len(places) > 1 else ""
        dots = tuple(places) if len(places) <= 40 else ()
        series.append(Series(name, path, dots, len(curve), len(thinned), curve[-1][1], min(v for _, v in curve)))
    return Chart(
        _W, _H, _LEFT, _W - _RIGHT, _TOP, _H - _BOTTOM,
        tuple(Tick(round(x_at(x), 1), f"{x:,.0f}") for x in x_values if x <= x_high),
        tuple(Tick(round(y_at(y), 1), f"{y:g}") for y in y_values),
        tuple(series), logarithmic,
    )  # fmt: skip


def thin(curve: Sequence[tuple[float, float]], limit: int) -> list[tuple[float, float]]:
    """Cut a curve into at most `limit` stretches and take the mean of each; a short one stays as it is."""
    if len(curve) <= limit:
        return list(curve)
    pieces = np.array_split(np.asarray(curve, dtype=np.float64), limit)
    return [(float(piece[:, 0].mean()), float(piece[:, 1].mean())) for piece in pieces]


def nice_ticks(low: float, high: float, *, whole: bool = False) -> list[float]:
    """Four to seven round numbers from at or below `low` to at or above `high`."""
    span = high - low or abs(high) or 1.0
    raw = span / 4
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * m for m in (1, 2, 2.5, 5, 10) if size * m >= raw)
    if whole:
        step = max(1.0, round(step))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(n * step, 12) for n in range(first, last + 1)]


class Gauge(NamedTuple):
    """A figure beside its reference on one axis that holds 0, in percent of the width."""

    value: float
    low: float
    high: float
    reference: float | None


def gauge(value: float | None, spread: float | None, reference: float | None) -> Gauge | None:
    """Place a figure, its spread and its reference; None where there is no figure."""
    if value is None or not math.isfinite(value):
        return None
    around = spread if spread is not None and math.isfinite(spread) else 0.0
    beside = reference if reference is not None and math.isfinite(reference) else None
    marks_at = [0.0, value - around, value + around] + ([] if beside is None else [beside])
    low, high = min(marks_at), max(marks_at)

    def at(number: float) -> float:
        return round(3 + 94 * (number - low) / ((high - low) or 1.0), 1)

    return Gauge(at(value), at(value - around), at(value + around), None if beside is None else at(beside))


def _powers(low: float, high: float) -> list[float]:
    return [10.0**n for n in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]


def principal_plane(matrix: NDArray[np.float32], fit: NDArray[np.bool_]) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """Project rows on the two directions along which the chosen rows vary most.

    The sign of each direction is fixed by its largest weight, so that the same vectors give the same picture.

    Args:
        matrix: (n, d).
        fit: (n,) the rows that decide the directions; at least one.

    Returns:
        (n, 2) places, and the shares of the chosen rows' variance that the two directions hold.
    """
    centred = matrix.astype(np.float64)
    centred -= centred[fit].mean(axis=0)
    chosen = centred[fit]
    values, directions = np.linalg.eigh(chosen.T @ chosen)  # (d,), (d, d), rising
    best = directions[:, ::-1][:, :2]
    if best.shape[1] < 2:
        best = np.pad(best, ((0, 0), (0, 2 - best.shape[1])))
    signs = np.sign(best[np.abs(best).argmax(axis=0), range(2)])
    total = float(values.clip(min=0).sum()) or 1.0
    held = [float(v) / total for v in (*values.clip(min=0)[::-1][:2], 0.0, 0.0)]
    return centred @ (best * np.where(signs == 0, 1.0, signs)), (held[0], held[1])


def fit_in_map(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale places into the map, both axes alike, so that distances can be compared; y points down."""
    low, high = places.min(axis=0), places.max(axis=0)
    room = np.array(MAP_SIZE) - 2 * _MAP_EDGE
    span = np.where(high > low, high - low, 1.0)
    scale = float((room / span).min())
    offset = (np.array(MAP_SIZE) - (high - low) * scale) / 2
    drawn = (places - low) * scale + offset
    drawn[:, 1] = MAP_SIZE[1] - drawn[:, 1]
    found: NDArray[np.float64] = drawn.round(1)
    return found


_MARKS: Mapping[str, str] = {"kept": "h0", "dropped": "m-2.5-2.5l5 5m0-5l-5 5", "synthetic": "m0-4l3.8 6.6h-7.6z"}


def marks(kind: str, places: NDArray[np.float64]) -> str:
    """One path of all points of a kind: dots, crosses or triangles."""
    return "".join(f"M{x:g} {y:g}{_MARKS[kind]}" for x, y in places)
