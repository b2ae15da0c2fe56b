"""Hosts in doubt: one visit finds out whether they still answer, the others wait for what it finds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from scraper.fetcher.queue import Queue


@dataclass(frozen=True, slots=True)
class _Doubt:
    visit: object
    settled: asyncio.Future[None]


class Doubts:
    """The hosts at which a visit has failed and tries again.

    Until it is settled no other page is asked of them: a dead host sees the tries of one visit at a time, however long
    the list of its URLs.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._by_host: dict[str, _Doubt] = {}

    def begin(self, host: str, visit: object) -> None:
        """A visit has failed at a host and will try again."""
        if host not in self._by_host:
            self._queue.pause(host)
            self._by_host[host] = _Doubt(visit, asyncio.get_running_loop().create_future())

    def end(self, host: str, visit: object) -> None:
        """The visit asks this host no more; without effect if the doubt is not its own."""
        doubt = self._by_host.get(host)
        if doubt is not None and doubt.visit is visit:
            del self._by_host[host]
            doubt.settled.set_result(None)
            self._queue.resume(host)

    def of(self, host: str, visit: object) -> asyncio.Future[None] | None:
        """What a visit has to wait for before it may ask a host; None if it may."""
        doubt = self._by_host.get(host)
        return None if doubt is None or doubt.visit is visit else doubt.settled
