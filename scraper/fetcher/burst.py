"""What a page needs to be seen, fetched in one go: within its budget, host by host, after the page is safe."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from scraper import urls
from scraper.fetcher import politeness, requisites
from scraper.fetcher.judging import Over
from scraper.fetcher.lanes import Lane
from scraper.fetcher.queue import LeftOut, Opening, Stopped, Turn
from scraper.fetcher.requisites import Need
from scraper.fetcher.visit import Means, Terms, Trip
from scraper.fetcher.wire import Purse, Reply
from scraper.model import Capture, Held, Purpose, State, Target, Visit
from scraper.references import Kind
from scraper.settings import MIB, CaptureSettings

# Of so many the run remembers that they were fetched, or of hosts that they are dead; what is forgotten is asked again.
_MOST_REMEMBERED = 20_000
# So many requisites of other pages are noted as needed by a page, and followed to what they name.
_MOST_SHARED = 2_000
# A page with style sheets leaves them this part of its budget: only they know of fonts and backgrounds.
_SHARE_OF_SHEETS = 0.2
_ACCEPT = {Kind.STYLE: "text/css,*/*;q=0.1", Kind.IMAGE: "image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"}
_ASKS_FOR_LESS = frozenset({429, 503})
_NO_SUCH_HOST = "dns"
# What an origin, or the one that its robots.txt was asked of, is called dead for when no connection came about.
_NEVER_REACHED = frozenset({_NO_SUCH_HOST, "refused", "timeout", "reset", "unreachable", "tls"})


@dataclass(frozen=True, slots=True)
class Requisites:
    """How a run fetches what pages need to be seen.

    `held` gives the good capture of an address to revalidate. `shared` is told, of a page and by what `keep` gave for
    them, which requisites it needs that other pages of this run had brought already.
    """

    settings: CaptureSettings
    held: Callable[[str], Held | None] = lambda _: None
    shared: Callable[[object, tuple[object, ...]], None] = lambda _page, _requisites: None


@dataclass(frozen=True, slots=True)
class Done:
    """A requisite that this run has visited: what `keep` gave for it, and what it names itself."""

    kept: object
    names: tuple[Need, ...]


@dataclass(slots=True)
class Known:
    """What a run remembers of requisites: each is fetched once.

    Of a host that cannot be reached only the one that found it out is; the rest are left out and leave no record.
    """

    done: OrderedDict[str, Done] = field(default_factory=OrderedDict)
    dead: OrderedDict[str, None] = field(default_factory=OrderedDict)  # hosts and origins

    def note(self, href: str, done: Done) -> None:
        self.done[href] = done
        _bound(self.done)

    def is_dead(self, target: Target) -> bool:
        return target.host in self.dead or urls.origin(target) in self.dead

    def bury(self, target: Target, reason: str) -> None:
        self.dead[target.host if reason == _NO_SUCH_HOST else urls.origin(target)] = None
        _bound(self.dead)


def _bound(remembered: OrderedDict[str, Any]) -> None:
    while len(remembered) > _MOST_REMEMBERED:
        remembered.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Crew:
    """Who does the work of a burst: `travel` runs a trip, `hand_over` has its capture kept and tells under what."""

    means: Means
    policy: Requisites
    known: Known
    travel: Callable[[Trip], Awaitable[Capture]]
    hand_over: Callable[[Visit, Capture, Trip, object], Awaitable[object]]


class _Shared(Exception):
    """Another page's burst has brought it meanwhile."""


class Burst:
    """The requisites of one page. `page` is what `keep` gave for it."""

    def __init__(self, crew: Crew, page: object) -> None:
        self.crew = crew
        settings = crew.policy.settings
        self.ends_at = crew.means.loop_time() + settings.max_requisites_seconds
        budget_bytes = settings.max_requisites_mib * MIB
        self.purse = Purse(budget_bytes, budget_bytes // 2)
        self._page = page
        self._left = settings.max_requisites
        self._seen: set[str] = set()
        self._shared: dict[object, None] = {}
        self._lanes: dict[str, Lane] = {}
        self._group = asyncio.TaskGroup()
        self._stopped = False

    async def run(self, needs: list[Need], staying: tuple[Turn, Opening] | None) -> None:
        """Fetch them; the turn that was kept after the page is gone on with, and given back in any case."""
        own = None
        if staying is not None:
            own = self._lanes[staying[0].host] = self._lane(staying[0].host)
            own.begin_with(*staying)
            own.enter(self)
        try:
            async with self._group:
                self._add(needs, self._first_share(needs))
                await asyncio.sleep(0)  # those of the page's own host are in their lane now
                if own is not None:
                    own.leave(self)
        finally:
            if own is not None:
                own.leave(self)
        if self._shared:
            self.crew.policy.shared(self._page, tuple(self._shared))

    def stop(self) -> None:
        """Send nothing more."""
        self._stopped = True
        for lane in self._lanes.values():
            lane.close(Stopped())

    def lane(self, host: str) -> Lane:
        """The lane at a host."""
        lane = self._lanes.get(host)
        if lane is None:
            lane = self._lanes[host] = self._lane(host)
            if self._stopped:
                lane.close(Stopped())
        return lane

    def _lane(self, host: str) -> Lane:
        return Lane(host, self.crew.means.queue, self.ends_at, self.spawn)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the rest; the burst waits for it."""
        self._group.create_task(work)

    def _first_share(self, needs: Iterable[Need]) -> int:
        has_sheets = any(need.kind is Kind.STYLE for need in needs)
        return int(self._left * (1 - _SHARE_OF_SHEETS)) if has_sheets else self._left

    def _add(self, needs: Iterable[Need], most: int) -> None:
        self._add_known(self._add_new(needs, most))

    def _add_known(self, known: Iterable[Done]) -> None:
        """What was fetched for another page: of a sheet, everything that it names is needed, too.

        A circle of imports ends, since what was seen is not added again; so does a chain that many pages lengthen.
        """
        waiting = deque(known)
        while waiting and len(self._shared) < _MOST_SHARED:
            done = waiting.popleft()
            if done.kept is not None:
                self._shared[done.kept] = None
            waiting.extend(self._add_new(done.names, self._left))

    def _add_new(self, needs: Iterable[Need], most: int) -> list[Done]:
        """Fetch what this page has not seen yet; gives what this run has fetched already."""
        found: list[Done] = []
        for need in needs:
            if need.target.href in self._seen or self._stopped or self.crew.known.is_dead(need.target):
                continue
            known = self.crew.known.done.get(need.target.href)
            if known is not None:
                self._seen.add(need.target.href)
                found.append(known)
            elif most > 0 and self._left > 0:
                self._seen.add(need.target.href)
                self._left -= 1
                most -= 1
                self.spawn(self._fetch(need))
        return found

    async def _fetch(self, need: Need) -> None:
        crew, href = self.crew, need.target.href
        seat = _Seat(self, need)
        accept = _ACCEPT.get(need.kind, "*/*")
        # What a style sheet names must be known: it is asked for whole. The same again costs no room in the archive.
        held = None if need.kind is Kind.STYLE else crew.policy.held(href)
        visit = Visit(need.target, held)
        trip = Trip(
            crew.means, visit, Purpose.REQUISITE, None, Terms(self.ends_at, seat, seat.heed, accept, self.purse)
        )
        try:
            capture = await crew.travel(trip)
            self._judge(capture)
            kept = await crew.hand_over(visit, capture, trip, self._page)
            names = _names(need, capture)
            crew.known.note(href, Done(kept, names))
            self._add(names, self._left)
            await asyncio.sleep(0)  # so that what it names finds the lane still held
        except _Shared:
            self._add_known([crew.known.done[href]])
        except (LeftOut, Stopped):
            pass
        finally:
            trip.let_go()
            seat.leave()

    def _judge(self, capture: Capture) -> None:
        """Leave out what came to nothing at a host known to be dead; the first one there tells of it."""
        crew, final, outcome = self.crew, capture.final, capture.outcome
        failed = outcome.state is State.FAILED and outcome.reason in _NEVER_REACHED
        if capture.exchanges or not (failed or outcome.reason == politeness.HOST_DOWN):
            return
        if crew.known.is_dead(final):
            raise LeftOut
        # A time-out at the end of the budget says more of the budget.
        if outcome.reason != "timeout" or crew.means.loop_time() < self.ends_at:
            crew.known.bury(final, outcome.reason)


def _names(need: Need, capture: Capture) -> tuple[Need, ...]:
    page = capture.page
    if need.kind is not Kind.STYLE or capture.outcome.state is not State.CAPTURED or page is None:
        return ()
    return tuple(requisites.of_sheet(page))


class _Seat:
    """The place of one requisite: in the lane of the host that it is to ask next, and in no other."""

    def __init__(self, burst: Burst, need: Need) -> None:
        self._burst = burst
        self._need = need
        self._lane: Lane | None = None

    async def turn(self, host: str, not_before: float = 0.0) -> Turn:
        lane = self._burst.lane(host)
        if lane is not self._lane:
            self.leave()
            lane.enter(self)
            self._lane = lane
        self._judge()
        turn = await lane.turn(self._need.rank)
        try:
            self._judge()
        except BaseException:
            if not turn.held:
                lane.release(None)
            raise
        return turn

    def _judge(self) -> None:
        """Is it still to be asked for? Things change while one waits."""
        crew = self._burst.crew
        if self._need.target.href in crew.known.done:
            raise _Shared
        if self._burst.purse.left_bytes <= 0 or crew.means.loop_time() >= self._burst.ends_at:
            raise LeftOut

    def release(self, turn: Turn, opening: Opening | None) -> None:
        """The request has ended."""
        assert self._lane is not None and self._lane.host == turn.host
        self._lane.release(opening)

    def crowded(self, turn: Turn, address: str) -> None:
        """Nothing was sent: another host speaks with the address."""
        assert self._lane is not None and self._lane.host == turn.host
        self._lane.crowded(address)

    def heed(self, host: str, reply: Reply) -> None:
        """A host that asks for less, or cannot be reached, is asked no more for this page."""
        fault, exchange = reply.fault, reply.exchange
        if exchange is None:
            if fault is not None and fault.reason in _NEVER_REACHED:
                self._burst.lane(host).close(Over(State.FAILED, fault.reason, fault.detail))
            return
        held = politeness.hold_until(exchange, datetime.now(UTC)) is not None
        if held or exchange.status in _ASKS_FOR_LESS:
            until = self._burst.crew.means.hosts.until(host)
            detail = f"{host} asked for fewer requests ({exchange.status}): this one was not sent"
            self._burst.lane(host).close(Over(State.DEFERRED, "held", detail, until))

    def leave(self) -> None:
        """Nothing more is wanted of the host."""
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.leave(self)
