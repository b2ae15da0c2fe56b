"""May we ask? Fetches each origin's robots.txt once, ahead of its first page, and remembers it for a day."""

from __future__ import annotations

import asyncio
import zlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from scraper import message, urls
from scraper.fetcher import robots
from scraper.fetcher.memory import Memories
from scraper.fetcher.queue import LeftOut, Opening, Queue, Stopped, Turn
from scraper.fetcher.robots import Rules
from scraper.fetcher.visit import Terms, Trip, Verdict
from scraper.model import Capture, HostMemory, Outcome, State, Target, Truncation

# RFC 9309, 2.4: a copy should not be used for longer than a day, unless the file is unreachable.
_LONGEST_HOURS = 24.0
_MOST_RULINGS = 20_000
# So many bytes of rules are held; those of origins not asked for long are parsed again from their host's memory.
_RULES_BUDGET_BYTES = 16 * 1024 * 1024
_BYTES_OF_A_PATTERN = 144  # beside its characters: a str and a pair of CPython's, and their places
_LARGEST_UNPACKED_BYTES = 64 * 1024
_MOST_GIVEN_UP = 20_000

Ruling = Rules | Verdict


@dataclass(frozen=True, slots=True)
class _Packed:
    """Rules with thousands of patterns: as objects 500 KiB of text take 5 MB, and to parse them takes five times as
    long as to unpack them."""

    patterns: bytes
    crawl_delay_seconds: float | None

    @classmethod
    def of(cls, rules: Rules) -> _Packed:
        # No pattern holds a line end: control characters are escaped in it.
        lines = (f"{'+' if allow else '-'}{pattern}" for pattern, allow in rules.patterns)
        return cls(zlib.compress("\n".join(lines).encode("ascii"), 1), rules.crawl_delay_seconds)

    def unpacked(self) -> Rules:
        lines = zlib.decompress(self.patterns).decode("ascii").split("\n")
        return Rules(tuple((line[1:], line[0] == "+") for line in lines), self.crawl_delay_seconds)


class Permissions:
    """The rulings of every origin met.

    `fetch` visits a robots.txt (with the turn given), has it learnt and kept, and gives what `learn` gave.
    """

    def __init__(
        self,
        product: str,
        robots_hours: float,
        memories: Memories,
        fetch: Callable[[Target, Turn | None, Terms | None], Awaitable[Ruling | None]],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._product = product
        self._keep_for = timedelta(hours=min(robots_hours, _LONGEST_HOURS))
        self._memories = memories
        self._fetch = fetch
        self._rulings: OrderedDict[str, Ruling | _Packed] = OrderedDict()
        self._rules_bytes = 0
        self._delays: dict[str, float] = {}  # kept when the rules have to go: every answer asks for it
        self._spawn = spawn
        self._on_the_way: dict[str, asyncio.Future[Ruling | None]] = {}
        self._given_up: OrderedDict[str, Verdict] = OrderedDict()  # asked once, for something nothing depends on

    def crawl_delay(self, target: Target) -> float | None:
        """The Crawl-delay of an origin as far as it is known."""
        return self._delays.get(urls.origin(target))

    def parsed(self, memory: HostMemory) -> Rules:
        """The rules in a memory, however old."""
        return robots.parse(memory.robots_body, self._product)

    async def rules(self, target: Target, trip: Trip, queue: Queue) -> Ruling:
        """The ruling for an address's origin; while its robots.txt is on the way, no turn is held."""
        if trip.terms is not None:
            return await self._rules_on_terms(target, trip.terms, queue)
        origin = urls.origin(target)
        ruling = self._known(target)
        if ruling is None and (pending := self._on_the_way.get(origin)) is not None:
            trip.give_back()
            # None: it was asked for on behalf of something that does not try twice; a page does.
            return await asyncio.shield(pending) or await self.rules(target, trip, queue)
        if ruling is None:
            return await self._asked(target, trip, queue)
        return ruling

    async def _rules_on_terms(self, target: Target, terms: Terms, queue: Queue) -> Ruling:
        """The ruling, if it is known or can be had in one try and in time; a failure counts for such visits only."""
        origin = urls.origin(target)
        ruling = self._known(target)
        if ruling is not None:
            return ruling
        if (verdict := self._verdict(target)) is not None:
            return verdict
        pending = self._on_the_way.get(origin)
        if pending is None:
            pending = self._on_the_way[origin] = asyncio.get_running_loop().create_future()
            self._spawn(self._ask_once(target, terms, queue, pending))
        try:
            async with asyncio.timeout_at(terms.ends_at):
                ruling = await asyncio.shield(pending) or self._verdict(target)
        except TimeoutError:
            ruling = None
        if ruling is None:
            raise LeftOut
        return ruling

    async def _ask_once(
        self, target: Target, terms: Terms, queue: Queue, pending: asyncio.Future[Ruling | None]
    ) -> None:
        origin, host = urls.origin(target), urls.host_key(target)
        ruling: Ruling | None = None
        queue.pause(host)
        try:
            in_time = Terms(terms.ends_at, _InTime(queue, terms.ends_at, lambda: self._verdict(target) is not None))
            ruling = await self._fetch(urls.target("/robots.txt", target.href), None, in_time)
            if asyncio.get_running_loop().time() >= terms.ends_at:
                self._given_up.pop(origin, None)  # the end of one page's budget says nothing of the host
        except (LeftOut, Stopped):
            pass
        finally:
            del self._on_the_way[origin]
            if not pending.done():
                pending.set_result(ruling)
            queue.resume(host)

    def _verdict(self, target: Target) -> Verdict | None:
        """What came of the one try; a name that does not exist has no other origins either."""
        return self._given_up.get(urls.origin(target)) or self._given_up.get(target.host)

    def _known(self, target: Target) -> Ruling | None:
        """The ruling of this run, else of an earlier one that is still fresh."""
        origin = urls.origin(target)
        held = self._rulings.get(origin)
        if held is not None:
            self._rulings.move_to_end(origin)
            return held.unpacked() if isinstance(held, _Packed) else held
        ruling = self._remembered(target)
        if ruling is not None:
            self._note(origin, ruling)
        return ruling

    def _remembered(self, target: Target) -> Ruling | None:
        memory = self._memories.of(urls.host_key(target))
        if memory.robots_at is None or memory.robots_status is None or memory.robots_status >= 500:
            return None
        if memory.robots_schemes and target.scheme not in memory.robots_schemes.split():
            return None
        if datetime.now(UTC) - memory.robots_at >= self._keep_for:
            return None
        return self.parsed(memory)

    async def _asked(self, target: Target, trip: Trip, queue: Queue) -> Ruling:
        origin, host = urls.origin(target), urls.host_key(target)
        pending: asyncio.Future[Ruling | None] = asyncio.get_running_loop().create_future()
        self._on_the_way[origin] = pending
        queue.pause(host)
        try:
            # Not looked up: others may have taken its room meanwhile.
            ruling = await self._fetch(urls.target("/robots.txt", target.href), trip.hand_over(), None)
            assert ruling is not None
            pending.set_result(ruling)
        finally:
            pending.cancel()
            del self._on_the_way[origin]
            queue.resume(host)
        return ruling

    def _note(self, origin: str, ruling: Ruling) -> None:
        self._forget(origin)
        is_large = isinstance(ruling, Rules) and _weight(ruling) > _LARGEST_UNPACKED_BYTES
        held = _Packed.of(ruling) if isinstance(ruling, Rules) and is_large else ruling
        self._rulings[origin] = held
        self._rules_bytes += _weight(held)
        if isinstance(ruling, Rules) and ruling.crawl_delay_seconds is not None:
            self._delays[origin] = ruling.crawl_delay_seconds
        else:
            self._delays.pop(origin, None)
        while len(self._rulings) > _MOST_RULINGS:
            oldest = next(iter(self._rulings))
            self._forget(oldest)
            self._delays.pop(oldest, None)
        if self._rules_bytes > _RULES_BUDGET_BYTES:
            self._slim(origin)

    def _slim(self, spare: str) -> None:
        """Drop the rules that were not asked for longest; what weighs nothing stays."""
        for origin, held in list(self._rulings.items()):
            if self._rules_bytes <= _RULES_BUDGET_BYTES // 2:
                return
            if origin != spare and _weight(held):
                self._forget(origin)

    def _forget(self, origin: str) -> None:
        self._rules_bytes -= _weight(self._rulings.pop(origin, None))

    def learn(self, capture: Capture, lightly: bool = False) -> Ruling | None:
        """Note what a visit to a robots.txt brought, here and in its host's memory; gives the ruling.

        `lightly`: it was tried but once, so that a failure says nothing for pages, and is no ruling.
        """
        host = urls.host_key(capture.target)
        memory = self._memories.of(host)
        ruling = self._ruling(capture)
        if lightly and isinstance(ruling, Verdict):
            of_host = not capture.exchanges and capture.outcome.reason == "dns"
            self._given_up[capture.target.host if of_host else urls.origin(capture.target)] = ruling
            while len(self._given_up) > _MOST_GIVEN_UP:
                self._given_up.popitem(last=False)
            return None
        origins = {urls.origin(capture.target): capture.target.scheme}
        if urls.host_key(capture.final) == host and capture.final.path == "/robots.txt":
            # http://x/robots.txt that leads to https://x/robots.txt: both have been read.
            origins[urls.origin(capture.final)] = capture.final.scheme
        for origin in origins:
            self._note(origin, ruling)
        status, body = read(capture)
        if status is not None or not _last_good(memory):
            schemes = " ".join(sorted(origins.values()))
            memory = replace(memory, robots_at=capture.ended_at, robots_status=status, robots_body=body)
            self._memories.put(replace(memory, robots_schemes=schemes))
        return ruling

    def _ruling(self, capture: Capture) -> Ruling:
        status, body = read(capture)
        if status is not None:
            return robots.parse(body, self._product)
        memory = self._memories.of(urls.host_key(capture.target))
        if _last_good(memory):
            return self.parsed(memory)
        return _unreachable(capture)


class _InTime:
    """The queue's turns, but none after a time, nor when there is no need any more."""

    def __init__(self, queue: Queue, ends_at: float, is_settled: Callable[[], bool]) -> None:
        self._queue = queue
        self._ends_at = ends_at
        self._is_settled = is_settled

    async def turn(self, host: str, not_before: float = 0.0) -> Turn:
        try:
            async with asyncio.timeout_at(self._ends_at):
                turn = await self._queue.turn(host, not_before)
        except TimeoutError:
            raise LeftOut from None
        if self._is_settled():
            self._queue.release(turn, None)
            raise LeftOut
        return turn

    def release(self, turn: Turn, opening: Opening | None) -> None:
        self._queue.release(turn, opening)

    def crowded(self, turn: Turn, address: str) -> None:
        self._queue.crowded(turn, address)

    def leave(self) -> None:
        self._queue.leave()


def read(capture: Capture) -> tuple[int | None, bytes]:
    """What a visit to a robots.txt brought: its status and text, (None, b"") when it was unreachable.

    RFC 9309, 2.3.1: any 4xx, and too many redirects, mean that there are no rules.
    """
    page, outcome = capture.page, capture.outcome
    if outcome.state is State.DEFERRED or page is None:
        return None, b""
    if outcome.state is State.FAILED and outcome.reason == "redirects":
        return 404, b""
    is_cut = page.truncated is Truncation.LENGTH
    if outcome.state is State.CAPTURED or (is_cut and 200 <= page.status < 300):
        text = robots.beginning(message.entity(page.received), message.codings(page.headers))
        # What was cut off before 500 KiB were read may forbid anything.
        return (None, b"") if is_cut and len(text) <= robots.CAP_BYTES else (page.status, robots.within_cap(text))
    if (page.truncated is None or is_cut) and 300 <= page.status < 500:
        return page.status, b""
    return None, b""


def _weight(held: Ruling | _Packed | None) -> int:
    """About how many bytes the patterns of some rules take."""
    match held:
        case _Packed():
            return len(held.patterns)
        case Rules():
            return sum(len(pattern) + _BYTES_OF_A_PATTERN for pattern, _ in held.patterns)
    return 0


def _last_good(memory: HostMemory) -> bool:
    """Whether a copy not older than a day can stand in for a file that is unreachable."""
    if memory.robots_at is None or memory.robots_status is None:
        return False
    return datetime.now(UTC) - memory.robots_at < timedelta(hours=_LONGEST_HOURS)


def _unreachable(capture: Capture) -> Verdict:
    """RFC 9309, 2.3.1.4: an unreachable robots.txt forbids everything. A dead host is called what it is."""
    outcome = capture.outcome
    if outcome.state is State.DEFERRED:
        return Verdict(outcome, capture.detail)
    if capture.page is None:
        return Verdict(outcome, capture.detail)
    detail = f"its robots.txt cannot be had, which forbids the rest: {capture.detail}"
    return Verdict(Outcome(State.FAILED, "robots unreachable"), detail)
