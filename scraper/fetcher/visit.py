"""One visit of one target: hops by hand, limits, tries, turns."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from scraper import urls
from scraper.fetcher import guard, judging, requisites, retry
from scraper.fetcher.addresses import Crowded
from scraper.fetcher.doubts import Doubts
from scraper.fetcher.guard import Guard
from scraper.fetcher.hosts import Hosts
from scraper.fetcher.judging import Over
from scraper.fetcher.politeness import HOST_DOWN
from scraper.fetcher.queue import Opening, Queue, Turn
from scraper.fetcher.robots import CAP_BYTES as ROBOTS_CAP_BYTES
from scraper.fetcher.robots import Rules
from scraper.fetcher.speaker import HEAD_BYTES
from scraper.fetcher.wire import Headers, Limits, Purse, Reply, Wire
from scraper.model import Capture, Exchange, Outcome, Purpose, State, Target, Truncation, Visit
from scraper.settings import MIB, FetchSettings

_ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
# Only what every reader of WARC can undo: brotli and zstd are not asked for.
_ACCEPT_ENCODING = "gzip, deflate"
_LEAST_SECONDS = 0.1  # for an exchange that begins when its budget is all but over
_ROBOTS_REDIRECTS = 5  # RFC 9309, 2.3.1.2
# More than what is read of a robots.txt, for packed it may be longer; a chunk of one byte takes six.
_ROBOTS_DATA_BYTES = ROBOTS_CAP_BYTES + 64 * 1024
_ROBOTS_WIRE_BYTES = HEAD_BYTES + 6 * _ROBOTS_DATA_BYTES
# RFC 9110, 5.5: what a header's value may be, read as latin-1. Servers have sent other things, too.
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff]")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What robots.txt says to one address: None lets it pass; else the outcome and a sentence."""

    outcome: Outcome
    detail: str


@dataclass(frozen=True, slots=True)
class Means:
    """What visits share."""

    settings: FetchSettings
    user_agent: str
    guard: Guard
    wire: Wire
    queue: Queue
    hosts: Hosts
    doubts: Doubts
    rules: Callable[[Target, Trip], Awaitable[Rules | Verdict]]
    crawl_delay: Callable[[Target], float | None]
    loop_time: Callable[[], float]
    requisites: bool = False  # a page's turn goes on with what it needs to be seen
    unpacking: asyncio.Lock = field(default_factory=asyncio.Lock)  # whoever unpacks an answer to find out its size


class Turns(Protocol):
    """Who gives leave to ask a host: the queue, or the queue's turn shared by the requisites of one page."""

    async def turn(self, host: str, not_before: float = 0.0) -> Turn: ...

    def release(self, turn: Turn, opening: Opening | None) -> None: ...

    def crowded(self, turn: Turn, address: str) -> None: ...

    def leave(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a visit that nothing depends on: no second try, nothing begins after `ends_at` (loop time).

    `heed` is told of every answer before the host's next request may start. Raises of `turns` end the visit: `Over`
    with an outcome, `LeftOut` without any.
    """

    ends_at: float
    turns: Turns
    heed: Callable[[str, Reply], None] = lambda _host, _reply: None
    accept: str = "*/*"
    purse: Purse | None = None


class Trip:
    """One visit under way. It holds its host's turn only while a request is in flight."""

    def __init__(
        self, means: Means, visit: Visit, purpose: Purpose, turn: Turn | None, terms: Terms | None = None
    ) -> None:
        self.terms = terms
        self._means = means
        self._turns: Turns = terms.turns if terms else means.queue
        self._visit = visit
        self._purpose = purpose
        self._granted = turn
        self._staying: tuple[Turn, Opening] | None = None
        self._not_before = 0.0
        self._tries = 0
        self._most_tries = 1
        self._exchanges: list[Exchange] = []
        self._at = visit.target
        self.in_flight = False
        self.hosts: dict[str, None] = {}

    # ------------------------------------------------------------- the trip

    async def run(self) -> Capture:
        """Visit, and tell what came of it."""
        started_at = datetime.now(UTC)
        try:
            await self._follow()
        except Over as end:
            return self._capture(started_at, end.outcome, end.detail)
        finally:
            self.give_back()
        raise AssertionError("a visit ended without an outcome")

    async def _follow(self) -> None:
        seen = {self._visit.target.href}
        hops = 0
        limit = _ROBOTS_REDIRECTS if self._purpose is Purpose.ROBOTS else self._means.settings.max_redirects
        while True:
            self._refuse_bad_targets()
            await self._ask_robots()
            reply = await self._ask()
            following = judging.following(reply, self._at, self._purpose, seen)
            if following is None:
                raise await self._ending(reply)
            self.leave()
            if urls.origin(following) != urls.origin(self._at):
                # What comes next may be another origin's robots.txt: nobody waits for that in a host's turn.
                self._turns.leave()
            hops += 1
            if hops > limit:
                raise Over(State.FAILED, "redirects", f"more than {limit} redirects")
            seen.add(following.href)
            self._at = following

    async def _ending(self, reply: Reply) -> Over:
        means = self._means
        end = judging.ending(reply, self._at, self._visit, means.settings, datetime.now(UTC))
        # Of a robots.txt, only the beginning is ever unpacked.
        if end.outcome.state is not State.CAPTURED or self._purpose is Purpose.ROBOTS or reply.exchange is None:
            return end
        return await judging.defused(end, reply.exchange, means.settings, means.unpacking)

    def _refuse_bad_targets(self) -> None:
        match guard.refusal(self._at, self._means.guard):
            case "port":
                detail = f"port {self._at.port} is not one of the web's; fetch.ports can add it"
                raise Over(State.EXCLUDED, "port", detail)
            case "address":
                raise Over(State.EXCLUDED, "address", f"{self._at.host} is not an address of the public internet")

    async def _ask_robots(self) -> None:
        if self._purpose is Purpose.ROBOTS or self._means.settings.robots == "ignore":
            return
        self.hosts[urls.host_key(self._at)] = None
        ruling = await self._means.rules(self._at, self)
        if isinstance(ruling, Verdict):
            self._hold_against_host(ruling)
            raise Over(ruling.outcome.state, ruling.outcome.reason, ruling.detail, ruling.outcome.until)
        if not ruling.allows(self._at.path):
            raise Over(State.EXCLUDED, "robots", f"the robots.txt of {self._at.host} forbids this address")

    def _hold_against_host(self, verdict: Verdict) -> None:
        """A page that comes to nothing for want of a robots.txt has failed like any other."""
        if self._purpose is not Purpose.PAGE or verdict.outcome.state is not State.FAILED:
            return
        host = urls.host_key(self._at)
        if self._means.hosts.is_down(host):
            raise self._deferred(host)
        self._means.queue.reopen(host, self._means.hosts.not_asked(host, verdict.outcome.reason))

    def _deferred(self, host: str) -> Over:
        until = self._means.hosts.until(host)
        if self._means.hosts.is_doubtful(host):
            said = f"{host} could not be reached or failed too often in a row; it is not asked before"
            return Over(State.DEFERRED, HOST_DOWN, f"{said} {until:%Y-%m-%d %H:%M:%S} UTC", until)
        said = f"{host} asked to be left alone until"
        return Over(State.DEFERRED, "held", f"{said} {until:%Y-%m-%d %H:%M:%S} UTC", until)

    # ---------------------------------------------------------- one address

    async def _ask(self) -> Reply:
        """Ask the address at hand, with retries."""
        self._tries = 0
        self._not_before = 0.0
        if self.terms is not None:
            return await self._attempt()
        settings, host = self._means.settings, urls.host_key(self._at)
        # Of a host that was down it is enough to know whether it still is.
        self._most_tries = 1 if self._means.hosts.is_doubtful(host) else settings.max_tries
        try:
            return await retry.persist(settings, self._most_tries, self._sleep, self._attempt)
        finally:
            self._means.doubts.end(host, self)

    async def _sleep(self, seconds: float) -> None:
        """Tenacity's sleep: only note when the next try may start; the queue waits."""
        self._not_before = self._means.loop_time() + seconds

    async def _attempt(self) -> Reply:
        host = urls.host_key(self._at)
        self.hosts[host] = None
        while True:
            turn = await self._turn(host)
            try:
                reply = await self._send(turn)
            except Crowded as crowded:
                self._turns.crowded(turn, crowded.address)
            else:
                self._keep(reply)
                return reply

    async def _send(self, turn: Turn) -> Reply:
        """One request; its turn ends with it, but for a page's, whose requisites may follow in the same turn."""
        self._tries += 1
        opening: Opening | None = Opening(self._means.loop_time())
        self.in_flight = True
        try:
            reply = await self._means.wire.exchange(self._at, self._headers(), self._limits())
            opening = self._note(turn.host, reply)
            if self._may_stay(reply):
                self._staying = (turn, opening)
        except Crowded:
            opening = None
            self._tries -= 1
            raise
        finally:
            self.in_flight = False
            if self._staying is None and opening is not None:
                self._turns.release(turn, opening)
        return reply

    def _note(self, host: str, reply: Reply) -> Opening:
        """Learn from an answer how its host is to be treated; gives its next opening."""
        means = self._means
        lasting = self.terms is not None or self._tries >= self._most_tries or not retry.deserves_retry(reply)
        decides = lasting and self._purpose is Purpose.PAGE
        opening = means.hosts.answered(host, reply, means.crawl_delay(self._at), decides)
        if not lasting and self._purpose is Purpose.PAGE:
            means.doubts.begin(host, self)
        if self.terms is not None:
            self.terms.heed(host, reply)
        return opening

    async def _turn(self, host: str) -> Turn:
        while True:
            turn = self.hand_over()
            if turn is not None and (turn.host != host or self._not_before):
                self._means.queue.release(turn, None)
                turn = None
            if turn is None:
                turn = await self._turns.turn(host, self._not_before)
            if turn.held:
                raise self._deferred(host)
            doubt = self._means.doubts.of(host, self) if self._purpose is Purpose.PAGE else None
            if doubt is None:
                return turn
            self._turns.release(turn, None)
            await asyncio.shield(doubt)

    def _may_stay(self, reply: Reply) -> bool:
        """Whether the turn is kept after this answer: it may be a page, and what it needs to be seen comes at once."""
        exchange = reply.exchange
        wanted = self._purpose is Purpose.PAGE and self._means.requisites and reply.fault is None
        return wanted and exchange is not None and requisites.is_page(exchange)

    def stay(self) -> tuple[Turn, Opening] | None:
        """Take over the turn that was kept after the page, with what its host's opening is to be."""
        staying, self._staying = self._staying, None
        return staying

    def leave(self) -> None:
        """Give back the turn that was kept after the page."""
        staying = self.stay()
        if staying is not None:
            self._means.queue.release(*staying)

    def hand_over(self) -> Turn | None:
        """Give the turn that this visit began with to another one."""
        turn, self._granted = self._granted, None
        return turn

    def give_back(self) -> None:
        """Return an unused turn."""
        turn = self.hand_over()
        if turn is not None:
            self._means.queue.release(turn, None)

    def _keep(self, reply: Reply) -> None:
        """Every whole response stays, of broken tries the last."""
        exchange = reply.exchange
        if exchange is None:
            return
        before = self._exchanges
        if reply.fault is not None and exchange.truncated is not Truncation.LENGTH:
            before = [kept for kept in before if kept.truncated is None]
        self._hold([*before, exchange])

    def let_go(self) -> None:
        """Its answers are kept, or nobody wants them any more: their memory is free."""
        self._hold([])

    def _hold(self, exchanges: list[Exchange]) -> None:
        before, self._exchanges = self._exchanges, exchanges
        self._means.queue.hold((one.answer for one in before), (one.answer for one in exchanges))

    def _headers(self) -> Headers:
        accept = self.terms.accept if self.terms else _ACCEPT
        headers = [("User-Agent", self._means.user_agent), ("Accept", accept), ("Accept-Encoding", _ACCEPT_ENCODING)]
        held = self._visit.held
        if held is not None and held.asked_href == self._at.href:
            validators = (("If-None-Match", held.etag), ("If-Modified-Since", held.last_modified))
            headers += [(name, value) for name, value in validators if value and _FIELD_VALUE.fullmatch(value)]
        return tuple(headers)

    def _limits(self) -> Limits:
        settings, terms = self._means.settings, self.terms
        deadline_seconds = settings.deadline_seconds
        if terms is not None:
            deadline_seconds = max(_LEAST_SECONDS, min(deadline_seconds, terms.ends_at - self._means.loop_time()))
        if self._purpose is Purpose.ROBOTS:
            return Limits(deadline_seconds, _ROBOTS_WIRE_BYTES, data_bytes=_ROBOTS_DATA_BYTES)
        wire_bytes, purse = settings.max_wire_mib * MIB, terms.purse if terms else None
        return Limits(deadline_seconds, min(wire_bytes, purse.share_bytes) if purse else wire_bytes, purse)

    def _capture(self, started_at: datetime, outcome: Outcome, detail: str) -> Capture:
        return Capture(
            target=self._visit.target,
            final=self._at,
            started_at=started_at,
            ended_at=datetime.now(UTC),
            outcome=outcome,
            tries=self._tries,
            exchanges=tuple(self._exchanges),
            detail=detail,
            purpose=self._purpose,
        )
