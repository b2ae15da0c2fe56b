"""Batches of CPU-bound work in processes of their own; what kills a worker is found, and costs only itself."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

from scraper.errors import ScraperError
from scraper.pipeline.workers import new_pool, signals_held

_LOOK_SECONDS = 0.2  # so often is looked whether a stop was asked for

Stopping = Callable[[], bool]


class Divisible(Protocol):
    """A batch: its size, a part of it, and what it is called in a sentence."""

    def __len__(self) -> int: ...
    def part(self, start: int, end: int) -> Self: ...
    @property
    def label(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Failure:
    """One item that could not be worked on: `bug` is what was raised, None where the process died on it."""

    label: str
    bug: BaseException | None


_B = TypeVar("_B", bound=Divisible)
_R = TypeVar("_R")


class _Workers:
    """A pool which is made again when one of its processes has died."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool: ProcessPoolExecutor | None = None

    def submit(self, work: Callable[[_B], _R], batch: _B) -> Future[_R]:
        with signals_held():  # it may start a worker
            if self._pool is None:
                self._pool = new_pool(self._count)
            try:
                return self._pool.submit(work, batch)
            except BrokenProcessPool:
                self.renew()
                return self.submit(work, batch)

    def renew(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = None

    def kill(self) -> None:
        """End the processes at once."""
        self.renew()
        for worker in multiprocessing.active_children():
            worker.kill()


def results(work: Callable[[_B], _R], batches: Sequence[_B], workers: int, stopped: Stopping) -> Iterator[_R | Failure]:
    """What `work` gives for each batch, as it comes; ends early when a stop is asked for.

    A batch on which `work` raises or its process dies is tried again in halves, so that all but the one item at
    fault are done. A `ScraperError` or `OSError` ends all.
    """
    waiting, suspects = deque(batches), deque[_B]()
    running: dict[Future[_R], tuple[_B, bool]] = {}
    pool = _Workers(max(1, min(workers, len(batches))))
    try:
        while (waiting or suspects or running) and not stopped():
            while waiting and not suspects and len(running) < workers * 2:
                batch = waiting.popleft()
                running[pool.submit(work, batch)] = batch, False
            if suspects and not running:  # alone, so that a death is its own
                batch = suspects.popleft()
                running[pool.submit(work, batch)] = batch, True
            for future in wait(running, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED).done:
                batch, was_alone = running.pop(future)
                error = future.exception()
                if error is None:
                    yield future.result()
                elif isinstance(error, ScraperError | OSError):
                    raise error
                elif len(batch) > 1:
                    half = len(batch) // 2
                    suspects += [batch.part(0, half), batch.part(half, len(batch))]
                elif isinstance(error, BrokenProcessPool) and not was_alone:
                    suspects.append(batch)
                else:
                    yield Failure(batch.label, None if isinstance(error, BrokenProcessPool) else error)
    finally:
        pool.kill()
