"""The accelerator under which a training runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from curate.errors import SettingError
from curate.generators.contract.reports import FitOptions
from curate.generators.training.repeatable import pick_device
from curate.generators.training.settings import TrainSettings


@contextmanager
def accelerated(settings: TrainSettings, options: FitOptions) -> Iterator[Any]:
    """An Accelerator, whose process-wide state is put away again unless somebody else had made it."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, PartialState

    device = pick_device(options.device)
    foreign = bool(PartialState._shared_state)
    precision = settings.precision
    if precision == "auto":
        precision = "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "no"
    try:
        accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision=precision)
    except ValueError as error:
        raise SettingError(f"accelerate refused: {error}", hint="train in a process of its own") from None
    try:
        yield accelerator
    finally:
        if not foreign and "RANK" not in os.environ:
            AcceleratorState._reset_state(reset_partial_state=True)
