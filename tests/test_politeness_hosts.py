"""When a host may be asked again, by clocks of the test's own: delays, slow-downs, rests, and clocks that are set."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from scraper import urls
from scraper.fetcher import politeness
from scraper.fetcher.dial import Fault
from scraper.fetcher.hosts import Hosts
from scraper.fetcher.memory import Memories
from scraper.fetcher.queue import Opening
from scraper.fetcher.wire import Reply
from scraper.model import Exchange, HostMemory
from scraper.settings import FetchSettings

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
TARGET = urls.target("http://site.test/")
REFUSED = Reply(None, Fault("refused", "it refused"), 0.0)


def answer(status: int, *headers: tuple[str, str]) -> Reply:
    return Reply(Exchange(TARGET, NOW, 0.0, b"", b"", 0, status, "Said so", headers, None, ()), None, 0.0)


@dataclass
class Clock:
    """A loop's clock, and the chance that is given out."""

    seconds: float = 1000.0
    chance: float = 0.0


def hosts_of(clock: Clock, memory: HostMemory | None = None, **settings: float) -> Hosts:
    memories = Memories(lambda _host: memory)
    return Hosts(FetchSettings(**settings), memories, lambda: clock.seconds, lambda: clock.chance, lambda _memory: None)  # type: ignore[arg-type]


def after(opening: Opening, clock: Clock) -> float:
    return round(opening.at - clock.seconds, 6)


# ---------------------------------------------------------------------- pace


def test_jitter_makes_a_delay_longer_and_never_shorter() -> None:
    clock = Clock()
    hosts = hosts_of(clock, delay_seconds=2.0)
    assert after(hosts.answered("site.test", answer(200), None, decides=True), clock) == 2.0
    clock.seconds += 10
    clock.chance = 1.0
    assert after(hosts.answered("site.test", answer(200), None, decides=True), clock) == 2.2
    assert after(hosts_of(clock, delay_seconds=0.0).answered("a.test", answer(200), None, decides=True), clock) == 0.0


@pytest.mark.parametrize("status", [429, 503])
def test_a_host_that_asks_for_less_is_slowed_down_at_once_and_sped_up_gently(status: int) -> None:
    clock = Clock()
    hosts = hosts_of(clock, delay_seconds=1.0)
    waits = []
    for answered in [status] * 7 + [200] * 35:
        waits.append(after(hosts.answered("site.test", answer(answered), None, decides=False), clock))
        clock.seconds += 1000
    assert waits[:7] == [2.0, 4.0, 8.0, 16.0, 32.0, 32.0, 32.0]
    assert waits[7:9] == [28.8, 25.92]
    assert all(later >= 0.9 * earlier - 1e-5 for earlier, later in itertools.pairwise(waits[6:]))
    assert waits[-1] == 1.0


def test_other_failures_say_nothing_of_the_pace() -> None:
    assert politeness.slowdown_after(4.0, 500, failed=True) == 4.0
    assert politeness.slowdown_after(4.0, 0, failed=True) == 4.0
    assert politeness.slowdown_after(4.0, 404, failed=False) == 3.6


@pytest.mark.parametrize(
    ("crawl_delay", "slowdown", "expected"),
    [(None, 4.0, 4.0), (10.0, 4.0, 40.0), (50.0, 4.0, 60.0), (200.0, 4.0, 200.0)],
)
def test_a_slow_down_multiplies_the_hosts_own_delay_up_to_a_minute(
    crawl_delay: float | None, slowdown: float, expected: float
) -> None:
    assert politeness.delay_seconds(FetchSettings(), crawl_delay, 0.0, slowdown) == expected


def test_a_delay_of_nothing_is_the_users_word_and_stays_nothing() -> None:
    assert politeness.delay_seconds(FetchSettings(delay_seconds=0.0), None, 3.0, 32.0) == 0.0


def test_the_slow_down_of_an_earlier_run_still_holds() -> None:
    clock = Clock()
    hosts = hosts_of(clock, HostMemory("site.test", slowdown=8.0), delay_seconds=1.0)
    assert after(hosts.answered("site.test", answer(200), None, decides=True), clock) == 7.2


# --------------------------------------------------------------------- holds


def test_a_hold_is_never_shortened_by_a_later_answer() -> None:
    clock = Clock()
    hosts = hosts_of(clock, delay_seconds=1.0)
    long = hosts.answered("site.test", answer(503, ("Retry-After", "100")), None, decides=False)
    assert 99.9 < after(long, clock) <= 100
    clock.seconds += 10
    assert hosts.answered("site.test", answer(200), None, decides=True).at == long.at
    clock.seconds += 200
    assert after(hosts.answered("site.test", answer(200), None, decides=True), clock) == 1.62


def test_a_hold_longer_than_patience_defers() -> None:
    clock = Clock()
    hosts = hosts_of(clock, longest_wait_seconds=120.0)
    assert not hosts.answered("a.test", answer(301, ("Retry-After", "119")), None, decides=True).held
    assert hosts.answered("b.test", answer(301, ("Retry-After", "121")), None, decides=True).held


# -------------------------------------------------------------------- breaker


def test_three_failures_in_a_row_and_a_host_is_left_alone() -> None:
    clock = Clock()
    hosts = hosts_of(clock)
    openings = [hosts.answered("site.test", reply, None, decides=True) for reply in (REFUSED, answer(500), REFUSED)]
    assert [opening.held for opening in openings] == [False, False, True]
    assert after(openings[-1], clock) == 1800
    assert hosts.is_down("site.test")
    assert not hosts.is_down("other.test")
    clock.seconds += 1801
    assert not hosts.is_down("site.test")
    assert hosts.is_doubtful("site.test")


def test_dead_links_and_tries_that_decide_nothing_do_not_count() -> None:
    clock = Clock()
    hosts = hosts_of(clock)
    for reply, decides in [(answer(404), True), (answer(500), False)] * 10:
        assert not hosts.answered("site.test", reply, None, decides=decides).held
    too_large = Reply(answer(200).exchange, Fault("too large", "larger than 20 MiB"), 0.0)
    assert not any(hosts.answered("site.test", too_large, None, decides=True).held for _ in range(5))


def test_a_success_between_failures_starts_the_count_anew() -> None:
    clock = Clock()
    hosts = hosts_of(clock)
    replies = [REFUSED, REFUSED, answer(404), REFUSED, REFUSED, answer(302), REFUSED, REFUSED]
    assert not any(hosts.answered("site.test", reply, None, decides=True).held for reply in replies)


def test_the_rest_of_a_host_that_stays_down_doubles_up_to_less_than_a_day() -> None:
    hours = [politeness.rest_seconds(failures) / 3600 for failures in range(12)]
    assert hours == [0, 0, 0, 0.5, 1, 2, 4, 8, 16, 20, 20, 20]
    assert politeness.rest_seconds(10**9) == 20 * 3600


def test_one_probe_decides_and_its_success_opens_the_host() -> None:
    clock = Clock()
    down = HostMemory("site.test", NOW, failures=4, noted_at=NOW - timedelta(hours=1))
    hosts = hosts_of(clock, down)
    assert hosts.opening("site.test") == Opening(clock.seconds)
    assert hosts.is_doubtful("site.test")
    failed = hosts.answered("site.test", REFUSED, None, decides=True)
    assert failed.held
    assert after(failed, clock) == 2 * 3600
    hosts = hosts_of(clock, down)
    assert not hosts.answered("site.test", answer(200), None, decides=True).held
    assert not hosts.is_doubtful("site.test")


def test_a_host_that_is_down_stays_deferred_in_the_next_run_even_where_patience_is_long() -> None:
    now = datetime.now(UTC)
    down = HostMemory("site.test", now + timedelta(minutes=10), failures=3, noted_at=now)
    hosts = hosts_of(Clock(), down, longest_wait_seconds=3600.0)
    assert hosts.opening("site.test").held
    assert hosts.is_down("site.test")


# --------------------------------------------------------------------- clocks


def test_a_clock_set_back_a_day_holds_no_host_longer_than_was_promised() -> None:
    tomorrow = NOW + timedelta(days=1)
    memory = HostMemory("site.test", not_before=tomorrow + timedelta(seconds=60), noted_at=tomorrow)
    assert politeness.next_visit_at(memory, NOW) == NOW + timedelta(seconds=60)
    old = replace(memory, not_before=NOW + timedelta(days=400), noted_at=None)
    assert politeness.next_visit_at(old, NOW) == NOW + timedelta(days=7)


@pytest.mark.parametrize("days", [-1, 1])
def test_a_clock_set_within_a_run_changes_nothing(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    clock = Clock()
    hosts = hosts_of(clock, delay_seconds=60.0)
    promised = hosts.answered("site.test", answer(200), None, decides=True)

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime.now(UTC) + timedelta(days=days)

    monkeypatch.setattr("scraper.fetcher.hosts.datetime", Shifted)
    assert hosts.opening("site.test") == promised
    clock.seconds += 30
    assert after(hosts.answered("site.test", answer(200), None, decides=True), clock) == 60.0


def test_openings_of_the_past_are_forgotten_and_those_to_come_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scraper.fetcher.hosts._MOST_OPENINGS", 10)
    clock = Clock()
    hosts = hosts_of(clock, delay_seconds=5.0)
    for number in range(500):
        hosts.answered(f"h{number}.test", answer(200), None, decides=True)
        clock.seconds += 1.0
    assert after(hosts.opening("h499.test"), clock) == 4.0
    assert after(hosts.opening("h496.test"), clock) == 1.0
    assert len(hosts._openings) < 50
