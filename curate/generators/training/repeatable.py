"""What makes a computation give the same bits again: threads, kernels, and streams of random numbers with names.

On a CPU a network's output for one row depends, in the last bit, on the number of threads and on the shape of the batch: the
vectorised loops finish with a scalar remainder, and where it lies follows from both. So draws always run full batches of one
fixed size, a power of two, on a number of threads that is a power of two, and both are kept in the draw settings.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version

import numpy as np
import torch
from torch import nn

from curate.errors import SettingError
from curate.generators.training.processes import is_main_process

ORDER, NOISE, NETWORK, VALIDATION = range(4)
"""Purposes of random streams, so that no two share one."""


def stream_seed(seed: int, purpose: int, step: int = 0) -> int:
    """The seed of the stream for one purpose and step; 32 bits, which is all that torch's CPU generator takes."""
    return int(np.random.SeedSequence([seed, purpose, step]).generate_state(1, np.uint32)[0])


def pick_device(name: str) -> torch.device:
    """Turn "auto", "cpu", "cuda" or "cuda:1" into a device.

    Raises:
        SettingError: there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.partition(":")[0] not in ("cpu", "cuda"):
        raise SettingError(f"device must be auto, cpu or cuda, got {name!r}")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise SettingError(f"device {name!r} was asked for, and torch finds no GPU", hint="--device cpu")
    return torch.device(name)


SMALL_NETWORK = 16_000_000
"""Parameters under which a draw takes one thread: more of them wait for each other longer than they work."""


def draw_threads(network: nn.Module) -> int:
    """One for a small network; else the largest power of two that is not above torch's number of threads."""
    if sum(p.numel() for p in network.parameters()) < SMALL_NETWORK:
        return 1
    found: int = 1 << (torch.get_num_threads().bit_length() - 1)
    return found


def environment(device: torch.device) -> dict[str, str]:
    """What may round otherwise elsewhere: library versions, processor, device."""
    found = {name: version(name) for name in ("torch", "diffusers", "transformers", "numpy", "pillow")}
    found |= {"machine": platform.machine(), "cpu": torch.backends.cpu.get_cpu_capability(), "device": device.type}
    if device.type == "cuda":
        found["device"] = torch.cuda.get_device_name(device)
    return found


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Run with so many CPU threads (0: as it is), then put torch back as it was."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def pinned(count: int) -> Iterator[None]:
    """Run on so many threads, without gradients, in full 32 bits and with deterministic kernels."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = (cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32)
    cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = True, False, False, False
    try:
        with threads(count), torch.inference_mode():
            yield
    finally:
        cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = before


def sample_stream(seed: int) -> np.random.Generator:
    """The random stream of one drawn sample: NumPy's, because torch's CPU generator forgets the upper 32 bits of a seed.

    Raises:
        SettingError: the seed is outside [0, 2**63).
    """
    if not 0 <= seed < 2**63:
        raise SettingError(f"a seed must be in [0, 2**63), got {seed}")
    return np.random.Generator(np.random.PCG64(seed))


class Streams:
    """One random stream a row of a batch: what a row draws depends on its own seed, and on nothing beside it.

    Args:
        seeds: one a row, each in [0, 2**63).
        device: where the numbers are wanted; they are always drawn on the CPU.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device | str = "cpu") -> None:
        self._streams, self.device = [sample_stream(seed) for seed in seeds], device

    def __len__(self) -> int:
        return len(self._streams)

    def normal(self, shape: tuple[int, ...]) -> torch.Tensor:
        """(B, *shape) float32, the next standard normal numbers of each row."""
        rows = [stream.standard_normal(shape, dtype=np.float32) for stream in self._streams]
        return torch.from_numpy(np.stack(rows)).to(self.device)

    def uniform(self) -> torch.Tensor:
        """(B,) float64, the next number in [0, 1) of each row; on the CPU."""
        return torch.from_numpy(np.array([stream.random() for stream in self._streams]))


@contextmanager
def main_process_writes() -> Iterator[bool]:
    """Give True to the main process, which writes; every process leaves only when that one has."""
    try:
        yield is_main_process()
    finally:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.barrier()


def seeded(seed: int, make: Callable[[], nn.Module]) -> nn.Module:
    """Build a network from a seed without moving the caller's random stream."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()
