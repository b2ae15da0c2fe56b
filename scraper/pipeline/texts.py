"""From a committed capture to its text files: read the WARC, extract, write. CPU-bound, so in processes."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import connection
from pathlib import Path

from scraper import archiver, message
from scraper.model import Article, ParserLimits, SiteRules
from scraper.settings import MIB, Settings
from scraper.state import TextJob

# Below this many pages, starting processes costs more than it saves.
POOL_FROM_PAGES = 16


@dataclass(frozen=True, slots=True)
class TextTask:
    """All that a worker needs; `rules` are already narrowed to the page's host."""

    root: Path
    job: TextJob
    rules: tuple[SiteRules, ...]
    limits: ParserLimits
    decoded_cap_bytes: int
    skipped: str | None = None  # why no extraction is to be tried


@dataclass(frozen=True, slots=True)
class TextMade:
    """What the state keeps of a text; `path` is relative to the collection, without suffix."""

    job: TextJob
    path: str
    title: str | None
    status: int


def make_text(task: TextTask) -> TextMade:
    """Extract one capture's article and write its text files."""
    from scraper.extractor import VERSION, extract, render  # the parsers load only where pages are extracted

    job = task.job
    exchange = archiver.Collection(task.root, job.collection).load(job.page)
    content_type = exchange.header("content-type")
    if task.skipped:
        article = Article(job.final_href, skipped=task.skipped)
    else:
        try:
            body = message.content(
                message.entity(exchange.received), exchange.header("content-encoding"), task.decoded_cap_bytes
            )
            article = extract(
                body,
                job.final_href,
                content_type=content_type,
                captured_at=job.captured_at,
                rules=task.rules,
                limits=task.limits,
            )
        except message.TooLarge:
            article = Article(job.final_href, skipped=f"larger than {task.decoded_cap_bytes >> 20} MiB when decoded")
    fields = {
        "url": job.href,
        "final_url": job.final_href,
        "captured_at": job.captured_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "status": exchange.status,
        "warc": {"file": job.page.warc, "offset": job.page.offset, "length": job.page.length},
        "extractor": VERSION,
        "article": render.as_json(article),
    }
    texts = archiver.Texts(task.root, job.collection)
    path = texts.write(fields, render.markdown(article), job.final_href, job.captured_at)
    return TextMade(job, path, article.title, exchange.status)


class Texts:
    """Makes texts beside the fetching: in this process for a few pages, in worker processes for many."""

    def __init__(
        self,
        root: Path,
        settings: Settings,
        rules: Sequence[SiteRules],
        done: Callable[[TextMade], None],
    ) -> None:
        self._root = root
        self._rules = rules
        self._limits = settings.extract.limits
        self._cap_bytes = settings.fetch.max_decoded_mib * MIB
        self._workers = settings.extract.workers or os.cpu_count() or 1
        self._done = done
        self._pool: ProcessPoolExecutor | None = None
        self._made = 0
        self._queue: deque[TextJob] = deque()
        self._consumers: set[asyncio.Task[None]] = set()

    def submit(self, job: TextJob) -> None:
        """Queue one text. Raises what an earlier text raised: a bug is loud."""
        self._reraise()
        self._queue.append(job)
        if len(self._consumers) < self._workers * 2:
            self._consumers.add(asyncio.create_task(self._consume()))

    async def drain(self) -> None:
        """Wait for all that was submitted."""
        while self._consumers:
            await asyncio.wait(self._consumers)
            self._reraise()

    def abandon(self) -> None:
        """Give up what is not made yet: the next run makes it."""
        self._queue.clear()
        for task in self._consumers:
            task.cancel()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    async def _consume(self) -> None:
        while self._queue:
            await self._make(self._task_of(self._queue.popleft()))
            await asyncio.sleep(0)

    def _reraise(self) -> None:
        for task in [task for task in self._consumers if task.done()]:
            self._consumers.discard(task)
            task.result()

    def _task_of(self, job: TextJob) -> TextTask:
        host = job.final_href.partition("://")[2].partition("/")[0].partition(":")[0]
        rules = tuple(r for r in self._rules if any(host == name or host.endswith("." + name) for name in r.hosts))
        return TextTask(self._root, job, rules, self._limits, self._cap_bytes)

    async def _make(self, task: TextTask) -> None:
        self._made += 1
        if self._made <= POOL_FROM_PAGES:
            self._done(make_text(task))
            return
        try:
            self._done(await self._in(self._shared_pool(), task))
        except BrokenProcessPool:
            self._pool = None
            self._done(await self._alone(task))

    async def _alone(self, task: TextTask) -> TextMade:
        """A worker died (out of memory, say): try the page in a process of its own, and if that dies too, say so."""
        with _new_pool(1) as pool:
            try:
                return await self._in(pool, task)
            except BrokenProcessPool:
                return make_text(replace(task, skipped="the extractor's process died on it"))

    def _shared_pool(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = _new_pool(self._workers)
        return self._pool

    @staticmethod
    async def _in(pool: ProcessPoolExecutor, task: TextTask) -> TextMade:
        return await asyncio.get_running_loop().run_in_executor(pool, make_text, task)


def _new_pool(workers: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)


def _start_worker() -> None:
    # Ctrl-C goes to the whole process group; the parent alone decides what to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    # A worker holds both ends of its queue, so it would outlive a killed parent for ever.
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
