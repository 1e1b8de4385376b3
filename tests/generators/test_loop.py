"""The training loop on a network small enough to be checked by hand."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from curate.errors import SettingError, WorkError
from curate.generators import FitOptions
from curate.generators.training.batch_sampler import BatchSampler, label_numbers
from curate.generators.training.checkpoint import FILE
from curate.generators.training.loop import train
from curate.generators.training.optimisation import learning_rate
from curate.generators.training.settings import TrainSettings
from curate.generators.training.timing import estimate
from curate.records import SILENT

OPTIONS = FitOptions(device="cpu", threads=1, checkpoint_seconds=0, checkpoint_steps=3)


class Line:
    """Fits a line to points; remembers the weights it had before each step."""

    unit = "points"

    def __init__(self, *, held=(), bad_step=None):
        torch.manual_seed(0)
        self.network = nn.Linear(2, 1)
        self.held, self.bad_step, self.seen = list(held), bad_step, []

    def batch(self, step, device):
        self.seen.append(self.network.weight.detach().clone())
        points = torch.randn((8, 2), generator=torch.Generator().manual_seed(step))
        if step == self.bad_step:
            points[3] = math.nan
        return {"points": points}

    def count(self, batch):
        return len(batch["points"])

    def loss(self, network, batch):
        return (network(batch["points"])[:, 0] - batch["points"].sum(1)).square().mean()

    def validation_loss(self, network, device):
        return self.held.pop(0) if self.held else None


def run(task, folder, *, options=OPTIONS, **changes):
    return train(task, TrainSettings(**changes), folder, "same", options=options, progress=SILENT)


def test_a_loss_that_is_not_finite_stops_at_its_step(tmp_path):
    with pytest.raises(WorkError, match="step 7 is nan") as caught:
        run(Line(bad_step=6), tmp_path, steps=40, batch_size=8)
    assert "learning_rate" in (caught.value.hint or "")
    assert (tmp_path / FILE).is_file()


def test_no_checkpoint_holds_weights_from_after_a_bad_step(tmp_path):
    with pytest.raises(WorkError):
        run(Line(bad_step=5), tmp_path, steps=40, batch_size=8)
    task = Line()
    report = run(task, tmp_path, steps=40, batch_size=8)
    assert report.resumed_at == (3,) and task.network.weight.isfinite().all()


def test_the_average_is_the_average_of_the_weights_it_passed(tmp_path):
    task = Line()
    run(task, tmp_path, steps=15, batch_size=8, learning_rate=0.1, ema_decay=0.9)
    live = Line()
    run(live, tmp_path / "live", steps=15, batch_size=8, learning_rate=0.1)
    passed = [*live.seen[1:], live.network.weight.detach()]
    average = live.seen[0].clone()
    for step, weight in enumerate(passed):
        decay = min(0.9, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * weight
    assert torch.allclose(task.network.weight, average, atol=1e-6)
    assert not torch.allclose(task.network.weight, live.network.weight, atol=1e-3)


def test_training_stops_when_validation_does_and_keeps_the_best_weights(tmp_path):
    task = Line(held=[3.0, 1.0, 2.0, 1.5, 0.1])
    report = run(task, tmp_path, steps=50, batch_size=8, learning_rate=0.1, validate_every=4, patience=2, keep="best")
    assert (report.steps, report.best_step, report.best_validation_loss) == (16, 8, 1.0)
    assert report.stop_reason == "validation loss stopped falling"
    assert torch.equal(task.network.weight, task.seen[8])
    assert [row.validation_loss for row in report.curve if row.validation_loss is not None] == [3.0, 1.0, 2.0, 1.5]


def test_going_on_from_any_checkpoint_ends_in_the_same_bits(tmp_path):
    changes = {"steps": 20, "batch_size": 8, "learning_rate": 0.05, "ema_decay": 0.95, "validate_every": 5, "keep": "best"}
    whole = Line(held=[4.0, 3.0, 2.0, 2.5])
    expected = run(whole, tmp_path / "whole", **changes)

    class Stops(Line):
        def batch(self, step, device):
            if step == self.bad_step:
                raise KeyboardInterrupt
            return super().batch(step, device)

    first = Stops(held=[4.0, 3.0, 2.0, 2.5], bad_step=13)
    with pytest.raises(KeyboardInterrupt):
        run(first, tmp_path / "cut", **changes)
    again = Line(held=[2.0, 2.5])  # checkpoints lie at 3, 6, 9 and 12, after two validations
    report = run(again, tmp_path / "cut", **changes)
    assert report.resumed_at == (12,)
    assert torch.equal(again.network.weight, whole.network.weight) and torch.equal(again.network.bias, whole.network.bias)
    assert [(r.step, r.loss, r.validation_loss) for r in report.curve] == [
        (r.step, r.loss, r.validation_loss) for r in expected.curve
    ]


def test_a_checkpoint_of_another_training_and_a_damaged_one_are_refused(tmp_path):
    with pytest.raises(WorkError):
        run(Line(bad_step=9), tmp_path, steps=20, batch_size=8)
    with pytest.raises(SettingError, match="other settings"):
        train(Line(), TrainSettings(), tmp_path, "other", options=OPTIONS, progress=SILENT)
    path = tmp_path / FILE
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(WorkError, match="damaged"):
        run(Line(), tmp_path, steps=20, batch_size=8)
    path.write_bytes(bytes(content[:40]))
    with pytest.raises(WorkError, match="damaged"):
        run(Line(), tmp_path, steps=20, batch_size=8)


def test_training_and_estimating_leave_torch_as_it_was(tmp_path):
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    task = Line()
    torch.random.set_rng_state(state)
    run(task, tmp_path, steps=5, batch_size=8, options=dataclasses.replace(OPTIONS, threads=threads + 1))
    found = estimate(lambda: task, TrainSettings(steps=1000, batch_size=8), OPTIONS)
    assert torch.get_num_threads() == threads and torch.equal(torch.random.get_rng_state(), state)
    assert found.seconds > 0 and "timed" in found.how


def test_the_report_survives_json(tmp_path):
    report = run(Line(held=[1.0]), tmp_path, steps=7, batch_size=8)
    assert json.loads(json.dumps(dataclasses.asdict(report)))["steps"] == 7
    assert report.parameters == 3 and report.curve[-1].step == 7


schedules = st.sampled_from(["one-cycle", "cosine", "constant"])


@given(schedules, st.integers(1, 300), st.floats(0, 1), st.floats(0, 1))
@settings(deadline=None, max_examples=60)
def test_the_rate_stays_between_nothing_and_the_highest(schedule, steps, warmup, final):
    chosen = TrainSettings(steps=steps, schedule=schedule, warmup=warmup, final_rate=final, learning_rate=0.5)
    rates = [learning_rate(chosen, step) for step in range(steps)]
    assert min(rates) >= 0 and max(rates) <= 0.5 + 1e-12
    rise = max(1, round(warmup * steps))
    if warmup > 0:
        assert rates[rise - 1] == pytest.approx(0.5)
        assert rates[:rise] == sorted(rates[:rise])
    if schedule != "constant" and rise < steps:
        assert rates[-1] == pytest.approx(0.5 * final, abs=1e-9)
        assert rates[rise - 1 :] == sorted(rates[rise - 1 :], reverse=True)


@given(st.integers(1, 40), st.integers(1, 17), st.integers(0, 5), st.booleans())
@settings(deadline=None, max_examples=60)
def test_every_epoch_shows_every_row_once_and_a_step_depends_on_nothing_before(rows, batch, seed, by_length):
    lengths = np.arange(rows, dtype=np.int64) % 5 if by_length else None
    order = BatchSampler(rows, batch, seed, lengths=lengths)
    taken = [order.rows(step) for step in range(2 * rows)]
    assert all(len(part) == batch for part in taken)
    flat = np.concatenate(taken)
    for epoch in range(batch):
        assert sorted(flat[epoch * rows : (epoch + 1) * rows]) == list(range(rows))
    step = rows // 2
    assert (BatchSampler(rows, batch, seed, lengths=lengths).rows(step) == taken[step]).all()


def test_an_unknown_label_is_refused_or_counts_as_none():
    assert label_numbers(["b", None, "a"], ("a", "b"), strict=True).tolist() == [1, 2, 0]
    assert label_numbers(["c"], ("a", "b"), strict=False).tolist() == [2]
    with pytest.raises(SettingError, match="'c'"):
        label_numbers(["c"], ("a", "b"), strict=True)
