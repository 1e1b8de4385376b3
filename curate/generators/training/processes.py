"""The processes that `accelerate launch` starts: each runs the same command, and they wait for each other at agreed places.

Read from the environment that torch's launcher sets, so that a command knows its place before it imports torch.
"""

from __future__ import annotations

import os


def is_main_process() -> bool:
    """Whether this process writes: the first of those that `accelerate launch` started; alone it always does."""
    return int(os.environ.get("RANK", "0")) == 0


def launched() -> int:
    """How many processes train together, on all machines; 1 for one that was started by hand."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def share_of_threads(threads: int) -> int:
    """What each process on this machine may use of its CPU threads."""
    return max(1, threads // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def barrier(device: str) -> None:
    """Wait until every launched process has come here; alone, go on at once.

    Args:
        device: as in `FitOptions`; CPU processes meet over gloo, GPU processes over NCCL.
    """
    if launched() == 1:
        return
    import torch
    from accelerate import PartialState

    PartialState(cpu=device == "cpu" or not torch.cuda.is_available()).wait_for_everyone()
