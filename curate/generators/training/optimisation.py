"""The optimiser, and how its learning rate rises and falls."""

from __future__ import annotations

import math

import torch
from torch import nn

from curate.generators.training.settings import TrainSettings


def learning_rate(settings: TrainSettings, step: int) -> float:
    """The rate of a step, from 0: a rise over the warm-up, then the schedule's fall.

    "one-cycle" is the two-cosine form of Smith & Topin 2018 (arXiv:1708.07120), which starts at 1/25 of the highest rate;
    "cosine" is SGDR's single period (Loshchilov & Hutter 2017, arXiv:1608.03983) after a linear rise.
    """
    high, rise = settings.learning_rate, max(1, round(settings.warmup * settings.steps))
    if step < rise and settings.warmup > 0:
        share = (step + 1) / rise
        if settings.schedule == "one-cycle":
            return high / 25 + (high - high / 25) * (1 - math.cos(math.pi * share)) / 2
        return high * share
    if settings.schedule == "constant":
        return high
    low = high * settings.final_rate
    share = min(1.0, (step + 1 - rise) / max(1, settings.steps - rise))
    return low + (high - low) * (1 + math.cos(math.pi * share)) / 2


def make_optimizer(settings: TrainSettings, live: dict[str, nn.Parameter]) -> torch.optim.Optimizer:
    """AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101) with decay on matrices only; gains and biases are left alone."""
    matrices = [p for p in live.values() if p.ndim >= 2]
    others = [p for p in live.values() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, settings.beta2), fused=True)
