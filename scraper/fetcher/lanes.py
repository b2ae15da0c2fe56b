"""A host's turn, shared by what one page needs to be seen: two requests at a time, without a delay between them.

This is the one exception to one request in flight. A lane holds its host's turn only while somebody is in it, so that
no visit which waits for one host ever holds another.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable

from scraper.fetcher.queue import LeftOut, Opening, Queue, Stopped, Turn

REQUESTS_AT_ONCE = 2


class Lane:
    """The turn at one host, for the requisites of one page. Nobody is let in after `ends_at` (loop time)."""

    def __init__(self, host: str, queue: Queue, ends_at: float, spawn: Callable[..., object]) -> None:
        self.host = host
        self._queue = queue
        self._ends_at = ends_at
        self._spawn = spawn
        self._turn: Turn | None = None
        self._opening: Opening | None = None
        self._crowded_at: str | None = None
        self._asking = False
        self._closed: Exception | None = None
        self._active = 0
        self._guests: set[object] = set()
        self._waiting: list[tuple[int, int, asyncio.Future[Turn]]] = []
        self._number = itertools.count()

    def begin_with(self, turn: Turn, opening: Opening) -> None:
        """Go on with a turn that was used already."""
        self._turn, self._opening = turn, opening

    def enter(self, guest: object) -> None:
        """While a guest is in, the turn is not given back."""
        self._guests.add(guest)

    def leave(self, guest: object) -> None:
        """A guest wants nothing more of this host for now; the last one gives the turn back."""
        self._guests.discard(guest)
        self._give_back()

    async def turn(self, rank: int) -> Turn:
        """Wait for leave to send one request; low ranks go first. Raises what the lane was closed with."""
        if self._closed is not None:
            raise self._closed
        future: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (rank, next(self._number), future))
        self._serve()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None and not future.result().held:
                self.release(None)
            raise

    def release(self, opening: Opening | None) -> None:
        """A request has ended; with the host's next opening if one was sent."""
        self._active -= 1
        self._opening = opening or self._opening
        self._serve()
        self._give_back()

    def crowded(self, address: str) -> None:
        """A request was not sent: the address is another host's for now. The turn goes back until it is not."""
        self._crowded_at = address
        self.release(None)

    def close(self, reason: Exception) -> None:
        """Let nobody in any more: whoever waits, or comes, gets `reason`."""
        self._closed = self._closed or reason
        waiting, self._waiting = self._waiting, []
        for _, _, future in waiting:
            if not future.done():
                future.set_exception(self._closed)

    def _serve(self) -> None:
        while self._waiting and self._waiting[0][2].done():
            heapq.heappop(self._waiting)
        if self._turn is None:
            if self._waiting and not self._asking:
                self._asking = True
                self._spawn(self._ask())
            return
        while self._waiting and self._active < REQUESTS_AT_ONCE and self._crowded_at is None:
            future = heapq.heappop(self._waiting)[2]
            if not future.done():
                self._active += not self._turn.held
                future.set_result(self._turn)

    async def _ask(self) -> None:
        try:
            async with asyncio.timeout_at(self._ends_at):
                self._turn = await self._queue.turn(self.host)
        except TimeoutError:
            self.close(LeftOut())
        except Stopped as stopped:
            self.close(stopped)
        finally:
            self._asking = False
        self._serve()
        self._give_back()

    def _give_back(self) -> None:
        if self._turn is None or self._active or (self._guests and self._crowded_at is None):
            return
        turn, self._turn = self._turn, None
        opening, self._opening = self._opening, None
        address, self._crowded_at = self._crowded_at, None
        if address is None:
            self._queue.release(turn, opening)
        else:
            self._queue.crowded(turn, address, opening)
            self._serve()
