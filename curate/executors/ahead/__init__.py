"""What the executors over the standard library's pools share: results in order, a bounded number of windows ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor as Pool
from concurrent.futures import Future
from types import TracebackType
from typing import Self, TypeVar

Window = TypeVar("Window")
Result = TypeVar("Result")


class OverPool:
    """An executor over a pool of `concurrent.futures`."""

    def __init__(self, pool: Pool, workers: int) -> None:
        self._pool = pool
        self._workers = workers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Drop what was not begun, wait for the rest, and give the workers back."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def map(self, function: Callable[[Window], Result], windows: Iterable[Window]) -> Iterator[Result]:
        """Yield the results in order; see `Executor.map`."""
        waiting: deque[Future[Result]] = deque()
        try:
            for window in windows:
                waiting.append(self._pool.submit(function, window))
                if len(waiting) > self._workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
