"""The fetcher: many visits at once, politely, each handed over as soon as it has ended."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from scraper import urls
from scraper.fetcher import requisites
from scraper.fetcher.addresses import Addresses
from scraper.fetcher.burst import Burst, Crew, Known, Requisites
from scraper.fetcher.doubts import Doubts
from scraper.fetcher.guard import Guard
from scraper.fetcher.hosts import Hosts
from scraper.fetcher.memory import Memories
from scraper.fetcher.permission import Permissions, Ruling
from scraper.fetcher.queue import Queue, Stopped, Turn
from scraper.fetcher.requisites import Need
from scraper.fetcher.robots import Rules
from scraper.fetcher.visit import Means, Terms, Trip, Verdict
from scraper.fetcher.wire import Wire
from scraper.model import Capture, HostMemory, Purpose, State, Target, Visit
from scraper.settings import FetchSettings

# What is in flight when the run is stopped may end by itself for so long.
_GRACE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """A visit that has ended, and the memory, after it, of every host it touched.

    `page` is, for a requisite, what `keep` gave for the page that needs it.
    """

    visit: Visit
    capture: Capture
    hosts: tuple[HostMemory, ...]
    page: object = None


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands. `host` is what is waited for until `until`; None when nothing is."""

    in_flight: int
    waiting: int
    done: int
    host: str | None = None
    until: datetime | None = None

    def __str__(self) -> str:
        said = f"{self.in_flight} in flight, {self.waiting} waiting"
        return f"{said} (for {self.host} until {self.until:%H:%M:%S} UTC)" if self.host and self.until else said


# What it gives for a page comes back with the page's requisites; None: none are wanted.
Keep = Callable[[Fetched], Awaitable[object]]


class Fetcher:
    """The only door to the network. One instance does one run.

    `recall` gives the memory that earlier runs left of a host. The product token that robots.txt files are searched
    for is the first word of the User-Agent, up to its slash. With `requisites`, each page that was captured is followed
    by what it needs to be seen.
    """

    def __init__(
        self,
        settings: FetchSettings,
        user_agent: str,
        recall: Callable[[str], HostMemory | None],
        requisites: Requisites | None = None,
    ) -> None:
        wanted = requisites is not None and requisites.settings.requisites == "page"
        self._requisites = requisites if wanted else None
        self._settings = settings
        self._user_agent = user_agent
        self._memories = Memories(recall)
        self._guard = Guard.of(settings)
        self._stopping = False
        self._run: _Run | None = None

    async def run(self, visits: Iterable[Visit], keep: Keep) -> None:
        """Fetch all, politely, hosts in parallel; await `keep` once for each visit that has ended.

        The visits to robots.txt files are handed over as well, each before the pages it rules, and those of a page's
        requisites after it. Calls of `keep` may
        overlap; while many are under way no new request starts. `visits` may be long and lazy. An exception in
        `keep` or in `visits` ends the run and is raised.
        """
        addresses = Addresses()
        wire = Wire(self._settings, self._guard, addresses)
        means = _Means(self._settings, self._user_agent, self._guard, self._memories, wire, addresses, self._requisites)
        self._run = run = _Run(means, keep)
        try:
            if not self._stopping:
                await run.all(iter(visits))
        finally:
            await wire.aclose()

    def stop(self) -> None:
        """Start no new request; those in flight get 5 s, then are broken off. Unvisited targets get no capture."""
        self._stopping = True
        if self._run is not None:
            self._run.stop()

    def gone_down(self) -> Iterator[tuple[HostMemory, str]]:
        """The hosts that were taken for down in this run and are still, each with its last failure's reason."""
        return self._run.gone_down() if self._run else iter(())

    def progress(self) -> Progress:
        """Where the run stands now."""
        return self._run.progress() if self._run else Progress(0, 0, 0)


@dataclass(frozen=True, slots=True)
class _Means:
    """What a run is made with."""

    settings: FetchSettings
    user_agent: str
    guard: Guard
    memories: Memories
    wire: Wire
    addresses: Addresses
    requisites: Requisites | None


class _Run:
    """One run: its queue, its rulings, and a task for every visit under way."""

    def __init__(self, given: _Means, keep: Keep) -> None:
        self._settings = settings = given.settings
        self._memories = memories = given.memories
        self._keep = keep
        self._loop = asyncio.get_running_loop()
        product = given.user_agent.partition("/")[0]
        self._permissions = Permissions(product, settings.robots_hours, memories, self._fetch_robots, self._spawn)
        self._hosts = Hosts(settings, memories, self._loop.time, random.Random().random, self._crawl_delay)
        self._queue = Queue(settings.parallel_hosts, self._hosts.opening, self._start, given.addresses)
        self._means = Means(
            settings, given.user_agent, given.guard, given.wire, self._queue, self._hosts, Doubts(self._queue),
            self._rules, self._permissions.crawl_delay, self._loop.time, given.requisites is not None,
        )  # fmt: skip
        self._crew = (
            Crew(self._means, given.requisites, Known(), self._travel, self._hand_over) if given.requisites else None
        )
        self._bursts: set[Burst] = set()
        self._group = asyncio.TaskGroup()
        self._trips: dict[Trip, asyncio.Task[None]] = {}
        self._stopping = False
        self._broken_off = False
        self._done = 0

    async def all(self, visits: Iterator[Visit]) -> None:
        """Every visit, until none is left or the run is stopped."""
        try:
            async with self._group:
                await self._queue.run(visits)
        except BaseExceptionGroup as group:
            raise _first(group) from None

    def stop(self) -> None:
        if self._stopping:
            return
        self._stopping = True
        self._queue.stop()
        for burst in self._bursts:
            burst.stop()
        self._loop.call_later(_GRACE_SECONDS, self._break_off)

    def gone_down(self) -> Iterator[tuple[HostMemory, str]]:
        return self._hosts.gone_down()

    def progress(self) -> Progress:
        due = self._queue.next_due()
        wait = timedelta(seconds=max(0.0, due[0] - self._loop.time())) if due else None
        until = datetime.now(UTC) + wait if wait else None
        return Progress(self._queue.in_flight, self._queue.waiting(), self._done, due[1] if due else None, until)

    def _start(self, visit: Visit, turn: Turn) -> None:
        self._group.create_task(self._visit(visit, turn))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._group.create_task(work)

    async def _visit(self, visit: Visit, turn: Turn) -> None:
        trip = Trip(self._means, visit, Purpose.PAGE, turn)
        try:
            capture = await self._travel(trip)
            await self._hang_up(trip)
            kept = await self._hand_over(visit, capture, trip)
            self._done += 1
            if self._crew is not None and kept is not None and capture.outcome.state is State.CAPTURED:
                needs = requisites.of_page(capture.exchanges[-1])
                del capture  # a page waits for many hosts; its bytes are safe
                await self._see_to(Burst(self._crew, kept), needs, trip)
            trip.leave()
            await self._hang_up(trip)
        except Stopped:
            pass
        finally:
            trip.leave()
            self._queue.ended()

    async def _see_to(self, burst: Burst, needs: list[Need], trip: Trip) -> None:
        """Fetch what a page needs to be seen; nothing of the page depends on it any more."""
        if self._stopping or not needs:
            return
        self._bursts.add(burst)
        try:
            await burst.run(needs, trip.stay())
        finally:
            self._bursts.discard(burst)

    async def _hang_up(self, trip: Trip) -> None:
        """Keep no line to a host that nobody waits for."""
        for host in trip.hosts:
            if not self._queue.wants(host):
                await self._means.wire.hang_up(host)

    async def _fetch_robots(self, target: Target, turn: Turn | None, terms: Terms | None = None) -> Ruling | None:
        visit = Visit(target)
        trip = Trip(self._means, visit, Purpose.ROBOTS, turn, terms)
        try:
            capture = await self._travel(trip)
            ruling = self._permissions.learn(capture, lightly=terms is not None)
            self._obey(capture, ruling)
            await self._hand_over(visit, capture, trip)
        finally:
            trip.let_go()
        return ruling

    def _obey(self, capture: Capture, ruling: Ruling | None) -> None:
        """The answer that brought a Crawl-delay is the first one that it follows."""
        if isinstance(ruling, Rules) and ruling.crawl_delay_seconds is not None:
            host = urls.host_key(capture.target)
            self._queue.reopen(host, self._hosts.obey(host, ruling.crawl_delay_seconds))

    async def _travel(self, trip: Trip) -> Capture:
        """Run a trip in this task; when the run is stopped and the grace is over, it ends as `Stopped`."""
        task = asyncio.current_task()
        assert task is not None
        self._trips[trip] = task
        try:
            return await trip.run()
        except asyncio.CancelledError:
            if self._broken_off and task.cancelling() == 1:
                task.uncancel()
                raise Stopped from None
            raise
        finally:
            del self._trips[trip]

    def _break_off(self) -> None:
        self._broken_off = True
        for trip, task in self._trips.items():
            # Only what is on the wire: a capture that is being kept is let through.
            if trip.in_flight:
                task.cancel()

    async def _hand_over(self, visit: Visit, capture: Capture, trip: Trip, page: object = None) -> object:
        hosts = tuple(self._memories.of(host) for host in trip.hosts)
        self._queue.unkept += 1
        try:
            return await self._keep(Fetched(visit, capture, hosts, page))
        finally:
            self._queue.unkept -= 1
            trip.let_go()

    async def _rules(self, target: Target, trip: Trip) -> Rules | Verdict:
        return await self._permissions.rules(target, trip, self._queue)

    def _crawl_delay(self, memory: HostMemory) -> float | None:
        return self._permissions.parsed(memory).crawl_delay_seconds


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The exception that ended a run, out of its wrapping."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
