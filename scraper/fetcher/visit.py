"""One visit of one target: hops by hand, limits, tries, and the outcome in one word."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from scraper import message, printable, urls
from scraper.fetcher import guard, politeness, redirects, requisites, retry
from scraper.fetcher.guard import Guard
from scraper.fetcher.memory import Memories
from scraper.fetcher.queue import Opening, Queue, Turn
from scraper.fetcher.robots import CAP_BYTES as ROBOTS_CAP_BYTES
from scraper.fetcher.robots import Rules
from scraper.fetcher.wire import Headers, Limits, Purse, Reply, Wire
from scraper.model import Capture, Exchange, HostMemory, Outcome, Purpose, State, Target, Truncation, Visit
from scraper.settings import MIB, FetchSettings

_ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
# Only what every reader of WARC can undo: brotli and zstd are not asked for.
_ACCEPT_ENCODING = "gzip, deflate"
_LEAST_SECONDS = 0.1  # for an exchange that begins when its budget is all but over
_ROBOTS_REDIRECTS = 5  # RFC 9309, 2.3.1.2
# RFC 9110, 5.5: what a header's value may be, read as latin-1. Servers have sent other things, too.
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff]")
# Deflate cannot pack more than 1032 to 1: smaller answers need no unpacking to be known harmless.
_BEST_DEFLATE_RATIO = 1032


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
    memories: Memories
    rules: Callable[[Target, Trip], Awaitable[Rules | Verdict]]
    known_rules: Callable[[Target], Rules]
    loop_time: Callable[[], float]
    requisites: bool = False  # a page's turn goes on with what it needs to be seen


class Turns(Protocol):
    """Who gives leave to ask a host: the queue, or the queue's turn shared by the requisites of one page."""

    async def turn(self, host: str, not_before: float = 0.0) -> Turn: ...

    def release(self, turn: Turn, opening: Opening | None) -> None: ...


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


class Over(Exception):
    """The visit ends here, with this outcome."""

    def __init__(self, state: State, reason: str, detail: str, until: datetime | None = None) -> None:
        super().__init__(detail)
        self.outcome = Outcome(state, reason, until)
        self.detail = detail


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
        self._exchanges: list[Exchange] = []
        self._held_bytes = 0
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
            following = self._next(reply, seen)
            if following is None:
                self._judge(reply)
            else:
                self.leave()
                hops += 1
                if hops > limit:
                    raise self._over(State.FAILED, "redirects", f"more than {limit} redirects")
                seen.add(following.href)
                self._at = following

    def _refuse_bad_targets(self) -> None:
        match guard.refusal(self._at, self._means.guard):
            case "port":
                detail = f"port {self._at.port} is not one of the web's; fetch.ports can add it"
                raise self._over(State.EXCLUDED, "port", detail)
            case "address":
                raise self._over(State.EXCLUDED, "address", f"{self._at.host} is not an address of the public internet")

    async def _ask_robots(self) -> None:
        if self._purpose is Purpose.ROBOTS or self._means.settings.robots == "ignore":
            return
        self.hosts[urls.host_key(self._at)] = None
        ruling = await self._means.rules(self._at, self)
        if isinstance(ruling, Verdict):
            raise Over(ruling.outcome.state, ruling.outcome.reason, ruling.detail, ruling.outcome.until)
        if not ruling.allows(self._at.path):
            raise self._over(State.EXCLUDED, "robots", f"the robots.txt of {self._at.host} forbids this address")

    def _next(self, reply: Reply, seen: set[str]) -> Target | None:
        """The address that an answer leads to; None when the trip ends with it."""
        if reply.exchange is None or reply.fault is not None:
            return None
        found = redirects.location(reply.exchange)
        soft = found is None
        if soft and self._purpose is Purpose.PAGE:
            found = redirects.refresh(reply.exchange)
        if found is None:
            return None
        try:
            target = urls.target(found, self._at.href)
        except urls.NotATarget as error:
            if soft:
                return None
            bad_scheme = error.refusal == "scheme"
            state, reason = (State.EXCLUDED, "scheme") if bad_scheme else (State.FAILED, "redirects")
            raise self._over(state, reason, f"it redirects to {error.args[0]}") from error
        if target.href not in seen:
            return target
        if soft:  # a page that only loads itself again is the page
            return None
        raise self._over(State.FAILED, "redirects", f"its redirects run in a circle at {target.href}")

    # ---------------------------------------------------------- one address

    async def _ask(self) -> Reply:
        """Ask the address at hand, with retries."""
        self._tries = 0
        self._not_before = 0.0
        if self.terms is not None:
            return await self._attempt()
        reply: Reply = await retry.policy(self._means.settings, self._sleep)(self._attempt)
        return reply

    async def _sleep(self, seconds: float) -> None:
        """Tenacity's sleep: only note when the next try may start; the queue waits."""
        self._not_before = self._means.loop_time() + seconds

    async def _attempt(self) -> Reply:
        host = urls.host_key(self._at)
        self.hosts[host] = None
        turn = await self._turn(host)
        self._tries += 1
        opening = Opening(self._means.loop_time())
        self.in_flight = True
        try:
            reply = await self._means.wire.exchange(self._at, self._headers(), self._limits())
            opening = self._remember(host, reply)
            if self.terms is not None:
                self.terms.heed(host, reply)
            if self._may_stay(reply):
                self._staying = (turn, opening)
        finally:
            self.in_flight = False
            if self._staying is None:
                self._turns.release(turn, opening)
        self._keep(reply)
        return reply

    async def _turn(self, host: str) -> Turn:
        turn = self._granted
        self._granted = None
        if turn is not None and (turn.host != host or self._not_before):
            self._means.queue.release(turn, None)
            turn = None
        if turn is None:
            turn = await self._turns.turn(host, self._not_before)
        if turn.held:
            until = self._means.memories.of(host).not_before
            detail = f"{host} asked to be left alone until {until:%Y-%m-%d %H:%M:%S} UTC"
            raise self._over(State.DEFERRED, "held", detail, until)
        return turn

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

    def _remember(self, host: str, reply: Reply) -> Opening:
        """Bring the host's memory up to date; gives its next opening."""
        settings, now = self._means.settings, datetime.now(UTC)
        failed = reply.fault is not None or reply.status == 429 or reply.status >= 500
        memory = self._means.memories.of(host)
        memory = replace(memory, response_seconds=reply.seconds, failures=memory.failures + 1 if failed else 0)
        crawl_delay = self._means.known_rules(self._at).crawl_delay_seconds
        delay = politeness.delay_seconds(settings, crawl_delay, reply.seconds)
        hold = politeness.hold_until(reply.exchange, now)
        memory = politeness.after_answer(memory, now, delay, hold)
        self._means.memories.put(memory)
        return opening_of(memory, now, self._means.loop_time(), max(settings.longest_wait_seconds, delay))

    def _keep(self, reply: Reply) -> None:
        """Every whole response stays, of broken tries the last."""
        exchange = reply.exchange
        if exchange is None:
            return
        if reply.fault is not None and exchange.truncated is not Truncation.LENGTH:
            self._exchanges = [kept for kept in self._exchanges if kept.truncated is None]
        self._exchanges.append(exchange)
        held_bytes = sum(len(kept.received) for kept in self._exchanges)
        self._means.queue.held_bytes += held_bytes - self._held_bytes
        self._held_bytes = held_bytes

    def let_go(self) -> None:
        """Its answers are kept, or nobody wants them any more: their memory is free."""
        self._means.queue.held_bytes -= self._held_bytes
        self._held_bytes = 0
        self._means.queue.nudge()

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
            return Limits(deadline_seconds, ROBOTS_CAP_BYTES)
        wire_bytes, purse = settings.max_wire_mib * MIB, terms.purse if terms else None
        return Limits(deadline_seconds, min(wire_bytes, purse.share_bytes) if purse else wire_bytes, purse)

    # ----------------------------------------------------------- the outcome

    def _judge(self, reply: Reply) -> None:
        """End the visit with what its last answer means."""
        fault, status = reply.fault, reply.status
        if fault is not None:
            state = State.EXCLUDED if fault.reason == "address" else State.FAILED
            raise self._over(state, fault.reason, fault.detail)
        assert reply.exchange is not None
        said = f"{self._at.host} answered {status} {reply.exchange.reason}".rstrip()
        if status == 304 and self._visit.held is not None and self._visit.held.asked_href == self._at.href:
            raise self._over(State.UNCHANGED, "", "")
        self._defer_if_held(reply, said)
        if status in (404, 410):
            raise self._over(State.DEAD, str(status), said)
        if not 200 <= status < 300:
            raise self._over(State.FAILED, f"http {status}", said)
        if self._is_bomb(reply.exchange):
            cap = self._means.settings.max_decoded_mib
            raise self._over(State.FAILED, "too large", f"unpacked, the answer is larger than {cap} MiB")
        raise self._over(State.CAPTURED, "", "")

    def _defer_if_held(self, reply: Reply, said: str) -> None:
        """The last try counts as the others: a long `Retry-After` is a date for a later run, not a failure."""
        now = datetime.now(UTC)
        until = politeness.hold_until(reply.exchange, now)
        longest = timedelta(seconds=self._means.settings.longest_wait_seconds)
        if until is not None and until - now > longest and retry.deserves_retry(reply):
            raise self._over(State.DEFERRED, "held", f"{said}; not before {until:%Y-%m-%d %H:%M:%S} UTC", until)

    def _is_bomb(self, exchange: Exchange) -> bool:
        codings = exchange.header("content-encoding")
        cap_bytes = self._means.settings.max_decoded_mib * MIB
        if not codings:
            return len(exchange.body) > cap_bytes
        if "," not in codings and len(exchange.body) * _BEST_DEFLATE_RATIO <= cap_bytes:
            return False
        try:
            message.content(message.entity(exchange.received), codings, cap_bytes)
        except message.TooLarge:
            return True
        return False

    def _over(self, state: State, reason: str, detail: str, until: datetime | None = None) -> Over:
        return Over(state, reason, printable.line(urls.without_userinfo(detail)), until)

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


def opening_of(memory: HostMemory, now: datetime, loop_now: float, patience_seconds: float) -> Opening:
    """When a host may be asked, in loop time."""
    wait = politeness.next_visit_at(memory, now) - now
    return Opening(loop_now + wait.total_seconds(), held=wait > timedelta(seconds=patience_seconds))
