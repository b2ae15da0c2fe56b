"""When may each host be asked again? Kept in loop time within a run, by the clock of day from one run to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from scraper.fetcher import politeness, retry
from scraper.fetcher.memory import Memories
from scraper.fetcher.queue import Opening
from scraper.fetcher.wire import Reply
from scraper.model import HostMemory
from scraper.settings import FetchSettings

# So many openings are held before those in the past are dropped.
_MOST_OPENINGS = 4_096


class Hosts:
    """The hosts of a run. `chance` gives numbers from 0 to 1; `crawl_delay` reads the one in a memory's robots.txt."""

    def __init__(
        self,
        settings: FetchSettings,
        memories: Memories,
        loop_time: Callable[[], float],
        chance: Callable[[], float],
        crawl_delay: Callable[[HostMemory], float | None],
    ) -> None:
        self._settings = settings
        self._memories = memories
        self._loop_time = loop_time
        self._chance = chance
        self._crawl_delay = crawl_delay
        # The clock of day may be set while a run lasts: what was promised in this run is kept in loop time.
        self._openings: dict[str, Opening] = {}
        self._prune_at = _MOST_OPENINGS
        self._gone_down: dict[str, str] = {}

    def opening(self, host: str) -> Opening:
        """When a host may be asked, by this run's answers or else by the memory of earlier runs."""
        known = self._openings.get(host)
        if known is not None:
            return known
        memory, now = self._memories.of(host), datetime.now(UTC)
        wait = (politeness.next_visit_at(memory, now) - now).total_seconds()
        held = wait > self._settings.longest_wait_seconds and wait > self._patience(memory)
        return Opening(self._loop_time() + wait, held or (wait > 0 and politeness.is_doubtful(memory)))

    def answered(self, host: str, reply: Reply, crawl_delay_seconds: float | None, decides: bool) -> Opening:
        """Bring a host's memory up to date; `decides` says that this reply is a page's last one from this host."""
        before, now = self._memories.of(host), datetime.now(UTC)
        failed = retry.failed(reply)
        failures = before.failures
        if decides:
            failures = failures + 1 if failed else 0
        slowdown = politeness.slowdown_after(before.slowdown, reply.status, failed)
        delay = politeness.delay_seconds(self._settings, crawl_delay_seconds, reply.seconds, slowdown)
        delay = politeness.jittered(delay, self._chance())
        hold = politeness.hold_until(reply.exchange, now)
        wait = max(delay, (hold - now).total_seconds()) if hold is not None else delay
        held = wait > politeness.patience_seconds(self._settings, delay)
        rest = politeness.rest_seconds(failures) if decides and failed else 0.0
        memory = replace(before, response_seconds=reply.seconds, failures=failures, slowdown=slowdown)
        self._judge(before, memory, reply.fault.reason if reply.fault else f"http {reply.status}")
        return self._promise(memory, now, max(wait, rest), held or rest > 0)

    def obey(self, host: str, crawl_delay_seconds: float) -> Opening:
        """The answer that brought a Crawl-delay is the first one that it follows."""
        memory = self._memories.of(host)
        delay = self._delay(memory, crawl_delay_seconds)
        return self._promise(memory, datetime.now(UTC), politeness.jittered(delay, self._chance()), held=False)

    def not_asked(self, host: str, reason: str) -> Opening:
        """One more page came to nothing: its host's robots.txt cannot be had."""
        before = self._memories.of(host)
        memory = replace(before, failures=before.failures + 1)
        self._judge(before, memory, reason)
        rest = politeness.rest_seconds(memory.failures)
        return self._promise(memory, datetime.now(UTC), rest, held=rest > 0)

    def _judge(self, before: HostMemory, memory: HostMemory, reason: str) -> None:
        if not politeness.is_doubtful(memory):
            self._gone_down.pop(memory.host, None)
        elif not politeness.is_doubtful(before):
            self._gone_down[memory.host] = reason

    def gone_down(self) -> Iterator[tuple[HostMemory, str]]:
        """The hosts that this run has taken for down, and not earlier ones, with the last failure's reason."""
        return ((self._memories.of(host), reason) for host, reason in self._gone_down.items())

    def is_down(self, host: str) -> bool:
        """Whether a host has been taken for down and is left alone just now."""
        if not self.is_doubtful(host):
            return False
        opening = self.opening(host)
        return opening.held and opening.at > self._loop_time()

    def is_doubtful(self, host: str) -> bool:
        """Whether a host was down when it was last asked: the next one who asks it finds out, with one try."""
        return politeness.is_doubtful(self._memories.of(host))

    def until(self, host: str) -> datetime:
        """Until when a host is left alone, by the clock of day."""
        return politeness.next_visit_at(self._memories.of(host), datetime.now(UTC))

    def _promise(self, memory: HostMemory, now: datetime, wait: float, held: bool) -> Opening:
        """Leave a host alone for so long, and no shorter than was promised before."""
        loop_now = self._loop_time()
        standing = self.opening(memory.host)
        at = loop_now + wait
        if standing.at > at:
            at, held = standing.at, held or standing.held
        not_before = now + timedelta(seconds=at - loop_now)
        self._memories.put(replace(memory, not_before=not_before, noted_at=now))
        opening = self._openings[memory.host] = Opening(at, held)
        if len(self._openings) > self._prune_at:
            self._prune(loop_now)
        return opening

    def _prune(self, loop_now: float) -> None:
        self._openings = {host: opening for host, opening in self._openings.items() if opening.at > loop_now}
        self._prune_at = max(_MOST_OPENINGS, 2 * len(self._openings))

    def _patience(self, memory: HostMemory) -> float:
        # A long Crawl-delay left over from the last run is waited for, as it would be within a run.
        crawl_delay = self._crawl_delay(memory) if memory.robots_body else None
        return politeness.patience_seconds(self._settings, politeness.jittered(self._delay(memory, crawl_delay), 1.0))

    def _delay(self, memory: HostMemory, crawl_delay_seconds: float | None) -> float:
        return politeness.delay_seconds(self._settings, crawl_delay_seconds, memory.response_seconds, memory.slowdown)
