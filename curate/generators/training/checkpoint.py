"""The state of an unfinished training: one safetensors file, so that it is there whole or not at all.

There is no random state in it: the order of the data and all noise are functions of the seed and the step.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import nn

from curate.errors import SettingError, WorkError
from curate.generators.contract.reports import CurveRow
from curate.generators.training.artifacts import read_tensors, write_tensors

FILE = "checkpoint.safetensors"


@dataclass
class Position:
    """Where a training stands, beside its tensors.

    Attributes:
        fingerprint: of settings and examples; another one is another training.
        threads: CPU threads that the training began with.
        step: steps done.
        units: images or tokens seen.
        seconds: training time so far; `step_seconds` without validation and checkpoints.
        stale: validations since the best one.
    """

    fingerprint: str
    threads: int
    step: int = 0
    units: int = 0
    seconds: float = 0.0
    step_seconds: float = 0.0
    curve: list[CurveRow] = field(default_factory=list)
    best_loss: float | None = None
    best_step: int | None = None
    stale: int = 0
    resumed_at: list[int] = field(default_factory=list)
    recent: list[float] = field(default_factory=list)


@dataclass
class Weights:
    """Every tensor that training moves.

    Attributes:
        live: the trained parameters by name.
        averaged: their moving average; empty where none is kept.
        best: those with the lowest validation loss; empty until the first validation, or where the last are kept.
    """

    live: dict[str, nn.Parameter]
    averaged: dict[str, torch.Tensor]
    best: dict[str, torch.Tensor]

    def shown(self) -> dict[str, torch.Tensor]:
        """The weights that validation and draws use: the averaged ones where there are any."""
        return self.averaged or {name: parameter.data for name, parameter in self.live.items()}


def save(folder: Path, position: Position, weights: Weights, optimizer: torch.optim.Optimizer) -> None:
    """Write the checkpoint in place of the last one."""
    tensors = {f"live/{name}": parameter.data for name, parameter in weights.live.items()}
    tensors |= {f"averaged/{name}": tensor for name, tensor in weights.averaged.items()}
    tensors |= {f"best/{name}": tensor for name, tensor in weights.best.items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{number}/{key}": value for key, value in state.items()}
    write_tensors(folder / FILE, tensors, note=json.dumps(asdict(position)))


def resume(folder: Path, fingerprint: str) -> tuple[Position, dict[str, torch.Tensor]] | None:
    """Read the checkpoint of a folder, or None where there is none.

    Raises:
        SettingError: it belongs to a training with other settings or other examples.
        WorkError: it is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    tensors, note = read_tensors(path)
    try:
        position = Position(**json.loads(note))
    except (TypeError, ValueError) as error:
        raise WorkError(f"{path} was not written by this version ({error})", hint=f"delete {folder} and train again") from None
    if position.fingerprint != fingerprint:
        raise SettingError(
            f"{folder} holds an unfinished training with other settings or other examples, or of an earlier release",
            hint="train under another name, or delete that folder",
        )
    position.curve = [CurveRow(**row) for row in position.curve]  # type: ignore[arg-type]
    return position, tensors


def restore(tensors: dict[str, torch.Tensor], weights: Weights, optimizer: torch.optim.Optimizer) -> None:
    """Put the tensors of `resume` back, copying: a mapped file's alignment could change how products round."""
    weights.best = {}
    for name, tensor in tensors.items():
        kind, _, rest = name.partition("/")
        if kind == "live":
            weights.live[rest].data.copy_(tensor)
        elif kind == "averaged":
            weights.averaged[rest].copy_(tensor)
        elif kind == "best":
            weights.best[rest] = tensor.clone()
    state = optimizer.state_dict()
    for name, tensor in tensors.items():
        kind, _, rest = name.partition("/")
        if kind == "optimizer":
            number, _, key = rest.partition("/")
            state["state"].setdefault(int(number), {})[key] = tensor.clone()
    optimizer.load_state_dict(state)
