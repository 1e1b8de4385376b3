"""How a training is asked for, foretold and told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FitOptions:
    """How the work is done; on a CPU nothing here but the number of threads moves a result.

    Attributes:
        device: "auto", "cpu" or "cuda"; "auto" takes what accelerate finds.
        threads: CPU threads; 0 for torch's own choice. A resumed run takes the number it began with.
        checkpoint_seconds: longest time between checkpoints; 0 for none by time.
        checkpoint_steps: steps between checkpoints; 0 for none by steps.
    """

    device: str = "auto"
    threads: int = 0
    checkpoint_seconds: float = 60.0
    checkpoint_steps: int = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a training will take, measured before it starts.

    Attributes:
        seconds: expected wall-clock time of the whole training.
        how: one sentence: how many steps were timed, on what.
        threads: the number of CPU threads that was fastest, of those that were tried; the one asked for, if one was.
    """

    seconds: float
    how: str
    threads: int = 0


@dataclass(frozen=True, slots=True)
class CurveRow:
    """One row of the loss curve.

    Attributes:
        step: steps done, from 1.
        seconds: wall-clock seconds of training until here, over all runs.
        loss: mean training loss since the last row.
        validation_loss: with the averaged weights where there are any; None where it was not measured.
        learning_rate: at this step.
    """

    step: int
    seconds: float
    loss: float
    validation_loss: float | None
    learning_rate: float


@dataclass(frozen=True, slots=True)
class FitReport:
    """What a training did.

    Attributes:
        steps: steps done.
        seconds: wall-clock time of training over all runs, without the time between them.
        units_per_second: images or tokens a second, while training steps ran.
        unit: "images" or "tokens".
        curve: the loss curve.
        best_validation_loss: and the step it was reached at; None without a validation part.
        stop_reason: "all steps done" or "validation loss stopped falling".
        resumed_at: the steps at which an interrupted run went on.
        parameters: how many numbers were trained.
        metrics: further figures by name, such as "validation_bits_per_byte".
        notes: caps, cuts and fallbacks, a sentence each.
    """

    steps: int
    seconds: float
    units_per_second: float
    unit: str
    curve: tuple[CurveRow, ...]
    best_validation_loss: float | None
    best_step: int | None
    stop_reason: str
    resumed_at: tuple[int, ...] = ()
    parameters: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
