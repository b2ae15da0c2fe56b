"""From a committed capture to its text files: read the WARC, extract, write. CPU-bound, so in processes."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

from scraper.errors import ScraperError
from scraper.model import SiteRules
from scraper.pipeline.making import LargePage, Maker, TextMade, TextTask, make_text
from scraper.pipeline.workers import new_pool, signals_held
from scraper.settings import Settings
from scraper.state import TextJob

# Below this many pages, starting processes costs more than it saves.
POOL_FROM_PAGES = 16


class Texts:
    """Makes texts beside the fetching: in this process for a few pages, in worker processes for many.

    A page on which the extractor fails gets a text that says so, so that no later run fails on it again; `bugs` are
    what was raised, for the end of the run.
    """

    def __init__(
        self,
        root: Path,
        settings: Settings,
        rules: Sequence[SiteRules],
        done: Callable[[TextMade], None],
    ) -> None:
        self._maker = Maker.of(root, settings, rules)
        self._workers = settings.extract.workers or os.cpu_count() or 1
        self._done = done
        self._pool: ProcessPoolExecutor | None = None
        self._one_alone = asyncio.Semaphore(1)
        self._large: list[TextTask] = []
        self._in_process = 0
        self._queue: deque[tuple[TextJob, bool]] = deque()
        self._consumers: set[asyncio.Task[None]] = set()
        self.bugs: list[BaseException] = []

    def submit(self, job: TextJob, suspect: bool = False) -> None:
        """Queue one text; a `suspect` (an earlier run ended before it was made) never runs in this process."""
        self._raise_faults()
        self._queue.append((job, suspect))
        if len(self._consumers) < self._workers * 2:
            self._consumers.add(asyncio.create_task(self._consume()))

    async def drain(self) -> None:
        """Wait for all that was submitted; the large pages come last, when no other worker holds memory."""
        while self._consumers:
            await asyncio.wait(self._consumers)
            self._raise_faults()
        if self._large and self._pool is not None:
            self._pool.shutdown()
            self._pool = None
        while self._large:
            task = replace(self._large.pop(), may_be_large=True)
            await self._finish(task, self._alone(task))

    def abandon(self) -> None:
        """Give up what is not made yet, at once: the next run makes it."""
        self._queue.clear()
        self._large.clear()
        for task in self._consumers:
            task.cancel()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        for worker in multiprocessing.active_children():
            worker.kill()

    async def _consume(self) -> None:
        while self._queue:
            job, suspect = self._queue.popleft()
            task = self._maker.task(job)
            await self._finish(task, self._make(task, suspect))

    async def _finish(self, task: TextTask, work: Coroutine[None, None, TextMade]) -> None:
        """Tell of a text when it is made."""
        making = asyncio.create_task(work)
        try:
            await asyncio.wait({making})
        finally:
            making.cancel()
        bug = making.exception()
        if bug is None:
            self._done(making.result())
        elif isinstance(bug, LargePage):
            self._large.append(task)
        elif isinstance(bug, ScraperError | OSError):
            raise bug
        else:
            self.bugs.append(bug)
            self._done(make_text(replace(task, skipped=f"the extractor failed on it: {type(bug).__name__}")))

    def _raise_faults(self) -> None:
        for task in [task for task in self._consumers if task.done()]:
            self._consumers.discard(task)
            task.result()

    async def _make(self, task: TextTask, suspect: bool) -> TextMade:
        if not suspect and self._in_process < POOL_FROM_PAGES:
            self._in_process += 1
            return make_text(task)
        try:
            return await in_pool(self._shared_pool(), task)
        except BrokenProcessPool:
            self._pool = None
            return await self._alone(task)

    async def _alone(self, task: TextTask) -> TextMade:
        """A large page, or one on which a worker may have died (out of memory, say): in a process of its own, no other
        such beside it; if that dies too, the text says so."""
        async with self._one_alone:
            pool = new_pool(1)
            try:
                return await in_pool(pool, task)
            except BrokenProcessPool:
                return make_text(replace(task, skipped="the extractor's process died on it"))
            finally:
                pool.shutdown(wait=False)

    def _shared_pool(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = new_pool(self._workers)
        return self._pool


async def in_pool(pool: ProcessPoolExecutor, task: TextTask) -> TextMade:
    with signals_held():  # it may start a worker
        future = asyncio.get_running_loop().run_in_executor(pool, make_text, task)
    return await future
