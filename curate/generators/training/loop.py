"""The training loop that all generators share.

Everything random is a function of the seed and the step, so a run that goes on from a checkpoint repeats what an undisturbed
one does. The loop runs under accelerate: one CPU, one GPU, or the processes of the user's own `accelerate launch`, each of
which takes every n-th row of the same global batch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from curate.errors import SettingError, WorkError
from curate.generators.contract.reports import CurveRow, FitOptions, FitReport
from curate.generators.training.accelerated import accelerated
from curate.generators.training.checkpoint import FILE, Position, Weights, restore, resume, save
from curate.generators.training.optimisation import learning_rate, make_optimizer
from curate.generators.training.repeatable import NETWORK, stream_seed, threads
from curate.generators.training.settings import TrainSettings
from curate.records import Progress

LOOK_EVERY = 10
"""Steps between looks at the losses: on a GPU each look waits for all queued work."""
CURVE_ROWS = 100
NOTE_SECONDS = 20.0

Batch = dict[str, torch.Tensor]


class Task(Protocol):
    """What is learned: a network, its batches and its loss."""

    network: nn.Module
    unit: str
    """What is counted for speed: "images" or "tokens"."""

    def batch(self, step: int, device: torch.device) -> Batch:
        """The global batch of a step with its noise, rows first in every tensor; a function of the step alone."""
        ...

    def count(self, batch: Batch) -> int:
        """How many units a batch holds."""
        ...

    def loss(self, network: nn.Module, batch: Batch) -> torch.Tensor:
        """The mean loss, a scalar of 32 bits."""
        ...

    def validation_loss(self, network: nn.Module, device: torch.device) -> float | None:
        """The loss on the validation part with fixed noise, or None where there is no such part."""
        ...


def train(
    task: Task, settings: TrainSettings, folder: Path, fingerprint: str, *, options: FitOptions, progress: Progress
) -> FitReport:
    """Train a task's network in place, going on from the checkpoint in `folder` where there is one.

    Afterwards the network holds the weights to keep (averaged or best), and the checkpoint still lies there: the caller
    deletes it when the model is written.

    Raises:
        SettingError: the batch does not divide among the processes, or the checkpoint is of another training.
        WorkError: the loss or the gradient is not finite.
    """
    found = resume(folder, fingerprint)
    position = found[0] if found else Position(fingerprint, options.threads or torch.get_num_threads())
    cuda = list(range(torch.cuda.device_count())) if options.device != "cpu" else []
    with threads(position.threads), torch.random.fork_rng(devices=cuda), accelerated(settings, options) as accelerator:
        run = Run(task, settings, position, accelerator)
        if found:
            restore(found[1], run.weights, run.optimizer)
            position.resumed_at.append(position.step)
            progress.note(f"going on at step {position.step} of {settings.steps}")
        progress.start("train", total=settings.steps, unit="steps")
        progress.advance(position.step)
        reason = run.work(folder, options, progress)
        progress.finish()
        run.keep()
    return run.report(reason)


class Run:
    """One process's share of a training."""

    def __init__(self, task: Task, settings: TrainSettings, position: Position, accelerator: Any) -> None:
        self.task, self.settings, self.at, self.accelerator = task, settings, position, accelerator
        self.world, self.rank = accelerator.num_processes, accelerator.process_index
        if settings.batch_size % self.world:
            raise SettingError(
                f"batch_size {settings.batch_size} does not divide among {self.world} processes",
                hint=f"batch_size={-(-settings.batch_size // self.world) * self.world}",
            )
        task.network.train()
        task.network.to(accelerator.device)
        live = {name: p for name, p in task.network.named_parameters() if p.requires_grad}
        self.optimizer = make_optimizer(settings, live)
        self.network = accelerator.prepare_model(task.network)
        averaged = {name: p.detach().clone() for name, p in live.items()} if settings.ema_decay else {}
        self.weights = Weights(live, averaged, {})
        self.parameters = list(live.values())
        self.pending: list[torch.Tensor] = []
        self.saved_step, self.saved_time, self.noted = position.step, time.monotonic(), time.monotonic()

    def work(self, folder: Path, options: FitOptions, progress: Progress) -> str:
        """Step until all steps are done or validation says stop; say which."""
        settings, at = self.settings, self.at
        row_every = max(1, settings.steps // CURVE_ROWS)
        while at.step < settings.steps:
            clock = time.monotonic()
            self.step()
            last = at.step == settings.steps
            validate = last or (settings.validate_every > 0 and at.step % settings.validate_every == 0)
            row, due = at.step % row_every == 0, self.due(options)
            if validate or row or due or at.step % LOOK_EVERY == 0:
                self.look()
            spent = time.monotonic() - clock
            at.step_seconds += spent
            validation_loss = self.validate() if validate else None
            at.seconds += time.monotonic() - clock
            if validate or row:
                self.add_row(validation_loss)
                self.tell(progress, force=validate)
            progress.advance(1)
            if settings.patience and at.stale >= settings.patience:
                return "validation loss stopped falling"
            if due and not last:
                self.save(folder)
        return "all steps done"

    def step(self) -> None:
        """One optimiser step; the loss and the gradient's norm stay on the device until the next look."""
        at, settings = self.at, self.settings
        torch.manual_seed(stream_seed(settings.seed, NETWORK, at.step * self.world + self.rank))
        batch = self.task.batch(at.step, self.accelerator.device)
        at.units += self.task.count(batch)
        if self.world > 1:
            batch = {name: tensor[self.rank :: self.world] for name, tensor in batch.items()}
        rate = learning_rate(settings, at.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with self.accelerator.autocast():
            loss = self.task.loss(self.network, batch)
        self.accelerator.backward(loss)
        norm = nn.utils.clip_grad_norm_(self.parameters, settings.clip_norm or math.inf)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if settings.ema_decay:
            decay = min(settings.ema_decay, (1 + at.step) / (10 + at.step))
            torch._foreach_lerp_(list(self.weights.averaged.values()), [p.data for p in self.parameters], 1 - decay)
        self.pending.append(torch.stack((loss.detach().float(), norm.detach().float())))
        at.step += 1

    def look(self) -> None:
        """Read the losses that wait on the device, and stop at the first that is not finite."""
        if not self.pending:
            return
        values = torch.stack(self.pending).cpu()  # (steps, 2)
        first = self.at.step - len(self.pending) + 1
        self.pending = []
        bad = (~values.isfinite()).any(dim=1).nonzero()
        if len(bad):
            row = int(bad[0])
            raise WorkError(
                f"the loss at step {first + row} is {values[row, 0]:g} with a gradient of norm {values[row, 1]:g}; "
                "training stopped, and the last checkpoint is from before it",
                hint=f"learning_rate={self.settings.learning_rate / 3:.0e}, and look for odd samples in the part",
            )
        self.at.recent.extend(values[:, 0].tolist())

    def validate(self) -> float | None:
        """Measure the validation loss with the weights that will be kept, and remember the best."""
        with self.showing():
            loss = self.task.validation_loss(self.task.network, self.accelerator.device)
        if loss is None:
            return None
        if self.world > 1:
            from accelerate.utils import broadcast

            # Every process must come to the same decision, even where two GPUs round otherwise.
            loss = float(broadcast(torch.tensor(loss, dtype=torch.float64, device=self.accelerator.device)))
        if not math.isfinite(loss):
            raise WorkError(f"the validation loss at step {self.at.step} is {loss:g}", hint="look for odd samples in the part")
        at = self.at
        if at.best_loss is None or loss < at.best_loss:
            at.best_loss, at.best_step, at.stale = loss, at.step, 0
            if self.settings.keep == "best":
                self.weights.best = {name: tensor.detach().clone() for name, tensor in self.weights.shown().items()}
        else:
            at.stale += 1
        return loss

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Run with the averaged weights in the network, in evaluation mode and without gradients."""
        network, live = self.task.network, [p.data for p in self.parameters]
        if self.weights.averaged:
            for parameter, averaged in zip(self.parameters, self.weights.averaged.values(), strict=True):
                parameter.data = averaged
        network.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            network.train()
            for parameter, data in zip(self.parameters, live, strict=True):
                parameter.data = data

    def add_row(self, validation_loss: float | None) -> None:
        """Close a row of the curve."""
        at = self.at
        mean = math.fsum(at.recent) / len(at.recent)
        if self.world > 1:
            shares = self.accelerator.reduce(torch.tensor(mean, device=self.accelerator.device), reduction="mean")
            mean = float(shares)
        at.curve.append(CurveRow(at.step, at.seconds, mean, validation_loss, learning_rate(self.settings, at.step - 1)))
        at.recent = []

    def tell(self, progress: Progress, *, force: bool) -> None:
        """Say loss, rate and time left, at most every few seconds unless a validation was made."""
        if not force and time.monotonic() - self.noted < NOTE_SECONDS:
            return
        self.noted = time.monotonic()
        at, row = self.at, self.at.curve[-1]
        shown = f", validation {row.validation_loss:.4f}" if row.validation_loss is not None else ""
        left = at.seconds / at.step * (self.settings.steps - at.step)
        rate = at.units / max(at.step_seconds, 1e-9)
        progress.note(f"step {at.step}: loss {row.loss:.4f}{shown}, {rate:.0f} {self.task.unit}/s, about {left:.0f} s left")

    def due(self, options: FitOptions) -> bool:
        """Whether a checkpoint is due by steps or by time."""
        by_steps = options.checkpoint_steps and self.at.step - self.saved_step >= options.checkpoint_steps
        by_time = options.checkpoint_seconds and time.monotonic() - self.saved_time >= options.checkpoint_seconds
        return bool(by_steps or by_time)

    def save(self, folder: Path) -> None:
        """Write a checkpoint, from the first process only."""
        clock = time.monotonic()
        if self.accelerator.is_main_process:
            save(folder, self.at, self.weights, self.optimizer)
        self.saved_step, self.saved_time = self.at.step, time.monotonic()
        self.at.seconds += time.monotonic() - clock

    def keep(self) -> None:
        """Put the weights to keep into the network."""
        kept = self.weights.best or self.weights.averaged
        for name, tensor in kept.items():
            self.weights.live[name].data.copy_(tensor)
        self.task.network.eval()

    def report(self, reason: str) -> FitReport:
        """Sum up."""
        at = self.at
        return FitReport(
            steps=at.step,
            seconds=at.seconds,
            units_per_second=at.units / max(at.step_seconds, 1e-9),
            unit=self.task.unit,
            curve=tuple(at.curve),
            best_validation_loss=at.best_loss,
            best_step=at.best_step,
            stop_reason=reason,
            resumed_at=tuple(at.resumed_at),
            parameters=sum(p.numel() for p in self.parameters),
        )


def finish(folder: Path) -> None:
    """Delete the checkpoint of a training whose model is written."""
    with suppress(FileNotFoundError):
        (folder / FILE).unlink()
