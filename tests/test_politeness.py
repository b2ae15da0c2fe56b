"""Politeness, judged from the server's side: its log says when each request came and when it was answered."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from fetching import AGENT, captures, fetch_all, stranger
from server import Seen, Site

from scraper import urls
from scraper.fetcher import Fetched, Fetcher, politeness
from scraper.model import Exchange, HostMemory, State, Visit
from scraper.settings import FetchSettings

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


def gaps(site: Site) -> list[float]:
    """The pauses between the end of an answer and the next request to the same host."""
    by_host: dict[str, list[Seen]] = defaultdict(list)
    for seen in sorted(site.log, key=lambda one: one.at):
        by_host[seen.host].append(seen)
    return [later.at - earlier.answered_at for host in by_host.values() for earlier, later in itertools.pairwise(host)]


# ---------------------------------------------------------------------- pure


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("0", None),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("1.5", None),
        ("²", None),
        ("9" * 5000, 7 * 24 * 3600),
        ("99999999", 7 * 24 * 3600),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 7 * 24 * 3600),
        ("Fri, 31 Dec 9999 23:59:59 -2300", None),
        ("Mon, 99 Zed 2024 07:08:09 GMT", None),
    ],
)
def test_retry_after_is_read_and_garbage_is_not(value: str, seconds: int | None) -> None:
    expected = None if seconds is None else NOW + timedelta(seconds=seconds)
    assert politeness.retry_after(value, NOW) == expected


@pytest.mark.parametrize(
    ("crawl_delay", "response", "expected"),
    [(None, 0.1, 1.0), (5.0, 0.1, 5.0), (4000.0, 0.1, 300.0), (None, 3.0, 6.0), (5.0, 3.0, 6.0), (0.0, 0.0, 1.0)],
)
def test_the_delay_is_the_longest_of_three(crawl_delay: float | None, response: float, expected: float) -> None:
    assert politeness.delay_seconds(FetchSettings(), crawl_delay, response) == expected


def test_a_host_may_be_asked_when_what_was_promised_is_over() -> None:
    memory = HostMemory("site.test", not_before=NOW + timedelta(seconds=100))
    assert politeness.next_visit_at(memory, NOW) == NOW + timedelta(seconds=100)
    assert politeness.next_visit_at(memory, NOW + timedelta(seconds=200)) == NOW + timedelta(seconds=200)
    assert politeness.next_visit_at(None, NOW) == NOW


def test_a_good_answer_holds_nothing() -> None:
    answer = Exchange(
        urls.target("http://site.test/"), NOW, 0.1, b"", b"", 0, 200, "OK", (("Retry-After", "60"),), None, ()
    )
    assert politeness.hold_until(answer, NOW) is None
    assert politeness.hold_until(replace(answer, status=503), NOW) == NOW + timedelta(seconds=60)
    assert politeness.hold_until(replace(answer, status=301), NOW) == NOW + timedelta(seconds=60)


# ------------------------------------------------------------- by the server


@pytest.mark.parametrize("workers", [1, 4, 8])
def test_one_request_in_flight_per_host_and_never_a_gap_below_the_delay(site: Site, workers: int) -> None:
    hosts = ["a.test", "b.test", "c.test", "d.test"]
    for number in range(3):
        site.reply(f"/{number}", body=b"x" * 1000)
    site.reply("/moved", status=302, headers={"Location": "/0"})
    pages = [site.url(f"/{path}", host=host) for path in ("0", "1", "2", "moved") for host in hosts]
    kept = captures(fetch_all(site.settings(delay_seconds=0.1, parallel_hosts=workers), pages))
    assert all(capture.outcome.state is State.CAPTURED for capture in kept.values())
    assert len(site.log) == len(hosts) * 6
    assert min(gaps(site)) >= 0.1


def test_http_and_https_of_a_host_are_one_host(site: Site) -> None:
    site.reply("/", body=b"x")
    fetch_all(site.settings(delay_seconds=0.1), [site.url("/"), site.url("/", scheme="https")])
    assert {seen.tls for seen in site.log} == {True, False}
    assert min(gaps(site)) >= 0.1


def test_a_crawl_delay_holds_the_host(site: Site) -> None:
    site.reply("/robots.txt", body=b"User-agent: *\nCrawl-delay: 0.3\n")
    fetch_all(site.settings(delay_seconds=0.01), [site.url("/1"), site.url("/2")])
    assert len(site.log) == 3
    assert min(gaps(site)) >= 0.3


def test_a_slow_answer_doubles_into_the_delay(site: Site) -> None:
    site.reply("/1", body=b"x", delay=0.2)
    site.reply("/2", body=b"x")
    fetch_all(site.settings(delay_seconds=0.01, robots="ignore"), [site.url("/1"), site.url("/2")])
    assert min(gaps(site)) >= 0.4


def test_retry_after_holds_the_whole_host_and_no_other(site: Site) -> None:
    site.replies("/busy", [{"status": 503, "headers": {"Retry-After": "1"}}, {"body": b"now"}], host="a.test")
    site.reply("/other", body=b"x")
    pages = [site.url("/busy", host="a.test"), site.url("/other", host="a.test"), site.url("/other", host="b.test")]
    kept = captures(fetch_all(site.settings(robots="ignore"), pages))
    assert [str(capture.outcome) for capture in kept.values()].count("captured") == 3
    assert [exchange.status for exchange in kept[pages[0]].exchanges] == [503, 200]
    assert kept[pages[0]].tries == 2
    first = site.log[0] if site.log[0].host == "a.test" else site.log[1]
    assert first.path == "/busy"
    others = [seen for seen in site.log if seen.host == "a.test" and seen is not first]
    assert min(seen.at for seen in others) - first.answered_at >= 1.0
    assert next(iter(kept)) == pages[2]  # b.test did not wait for a.test


def test_a_long_retry_after_defers_the_hosts_visits_instead_of_sleeping(site: Site) -> None:
    site.reply("/busy", status=429, headers={"Retry-After": "3600"})
    pages = [site.url("/busy"), *(site.url(f"/{number}") for number in range(5))]
    before = datetime.now(UTC)
    kept = fetch_all(site.settings(robots="ignore"), pages)
    assert len(site.log) == 1
    for capture in captures(kept).values():
        assert capture.outcome.state is State.DEFERRED
        assert capture.outcome.until is not None
        assert capture.outcome.until >= before + timedelta(seconds=3600)
        assert capture.outcome.until <= datetime.now(UTC) + timedelta(seconds=3600)
    memory = kept[-1].hosts[0]
    later = fetch_all(site.settings(robots="ignore"), [site.url("/next")], lambda host: memory)
    assert later[0].capture.outcome.state is State.DEFERRED
    assert len(site.log) == 1


def test_a_long_retry_after_defers_on_the_last_try_too(site: Site) -> None:
    site.reply("/busy", status=503, headers={"Retry-After": "3600"})
    kept = fetch_all(site.settings(robots="ignore", max_tries=1), [site.url("/busy")])
    assert kept[0].capture.outcome.state is State.DEFERRED
    assert [exchange.status for exchange in kept[0].capture.exchanges] == [503]


def test_a_crawl_delay_of_an_earlier_run_is_waited_for_and_not_deferred(site: Site) -> None:
    site.reply("/", body=b"x")
    now = datetime.now(UTC)
    memory = HostMemory("site.test", now + timedelta(seconds=0.6), robots_at=now, robots_status=200)
    settings = site.settings(longest_wait_seconds=0.1)
    held = fetch_all(settings, [site.url("/")], lambda host: memory)
    assert held[0].capture.outcome.state is State.DEFERRED
    delayed = replace(memory, robots_body=b"User-agent: *\nCrawl-delay: 5\n")
    kept = fetch_all(settings, [site.url("/")], lambda host: delayed)
    assert kept[0].capture.outcome.state is State.CAPTURED
    assert datetime.now(UTC) >= memory.not_before


def test_memory_of_an_earlier_run_delays_the_first_request(site: Site) -> None:
    site.reply("/", body=b"x")
    promised = datetime.now(UTC) + timedelta(seconds=0.5)
    fetch_all(site.settings(robots="ignore"), [site.url("/")], lambda host: HostMemory(host, not_before=promised))
    assert datetime.now(UTC) >= promised
    assert len(site.log) == 1


def test_failed_visits_in_a_row_are_counted_and_a_success_forgives_them(site: Site) -> None:
    site.replies("/", [{"status": 500}, {"status": 500}, {"body": b"x"}])
    bad = fetch_all(site.settings(robots="ignore", max_tries=2), [site.url("/")])
    assert bad[0].hosts[0].failures == 1
    good = fetch_all(site.settings(robots="ignore"), [site.url("/")], lambda host: bad[0].hosts[0])
    assert good[0].hosts[0].failures == 0


# ---------------------------------------------------------------- scheduling


@pytest.mark.parametrize("workers", [1, 2])
def test_hosts_that_redirect_to_each_other_do_not_lock(site: Site, workers: int) -> None:
    for number in range(6):
        site.reply(f"/{number}", host="a.test", status=302, headers={"Location": f"http://b.test/end{number}"})
        site.reply(f"/{number}", host="b.test", status=302, headers={"Location": f"http://a.test/end{number}"})
        site.reply(f"/end{number}", body=b"x")
    pages = [site.url(f"/{number}", host=host) for number in range(6) for host in ("a.test", "b.test")]
    kept = captures(fetch_all(site.settings(parallel_hosts=workers, delay_seconds=0.01), pages))
    assert len(kept) == 12
    assert {str(capture.outcome) for capture in kept.values()} == {"captured"}


def test_robots_files_that_redirect_to_each_other_do_not_lock(site: Site) -> None:
    site.reply("/robots.txt", host="a.test", status=301, headers={"Location": "http://b.test/robots.txt"})
    site.reply("/robots.txt", host="b.test", status=301, headers={"Location": "http://a.test/robots.txt"})
    site.reply("/", body=b"x")
    kept = captures(
        fetch_all(site.settings(parallel_hosts=1), [site.url("/", host="a.test"), site.url("/", host="b.test")])
    )
    assert {str(capture.outcome) for capture in kept.values()} == {"captured"}


def test_a_waiting_visit_holds_no_worker(site: Site) -> None:
    site.replies("/busy", [{"status": 503, "headers": {"Retry-After": "1"}}, {"body": b"x"}], host="a.test")
    site.reply("/", body=b"x")
    pages = [site.url("/busy", host="a.test"), *(site.url("/", host=f"{name}.test") for name in "bcd")]
    kept = list(captures(fetch_all(site.settings(parallel_hosts=1, robots="ignore"), pages)))
    assert kept[-1] == pages[0]


def test_many_visits_of_many_hosts_all_end_and_memory_holds_few_at_once(site: Site) -> None:
    hosts = [f"h{number}.test" for number in range(40)]
    for host in hosts:
        site.url(host=host)
    site.reply("/", body=b"x")
    pages = (Visit(urls.target(f"http://{host}/?{number}")) for number in range(5) for host in hosts)
    for number in range(5):
        site.reply(f"/?{number}", body=b"x")
    kept = captures(fetch_all(site.settings(parallel_hosts=8), pages))
    assert len(kept) == 200
    assert {str(capture.outcome) for capture in kept.values()} == {"captured"}
    assert len(site.log) == 240


@pytest.mark.parametrize(("most", "ahead"), [(1, 1), (2, 3), (3, 1000)])
def test_bounds_on_memory_slow_a_run_but_never_stop_it(
    site: Site, monkeypatch: pytest.MonkeyPatch, most: int, ahead: int
) -> None:
    monkeypatch.setattr("scraper.fetcher.queue._MOST_UNDER_WAY", most)
    monkeypatch.setattr("scraper.fetcher.queue._LOOK_AHEAD", ahead)
    for number in range(4):
        site.reply(f"/{number}", status=302, headers={"Location": f"http://a.test/end{number}"})
        site.replies(f"/end{number}", [{"status": 503}, {"body": b"x"}])
    pages = [site.url(f"/{number}", host=f"{name}.test") for number in range(4) for name in "abcd"]
    kept = captures(fetch_all(site.settings(delay_seconds=0.001), pages))
    assert {str(capture.outcome) for capture in kept.values()} == {"captured"}
    assert len(kept) == 16


def run_with(site: Site, pages: list[str], act: object, **fields: object) -> list[Fetched]:
    """Run with a `keep` of the test's own."""
    kept: list[Fetched] = []

    async def main() -> None:
        fetcher = Fetcher(site.settings(**fields), AGENT, stranger)

        async def keep(fetched: Fetched) -> None:
            kept.append(fetched)
            await act(fetcher, fetched)  # type: ignore[operator]

        await fetcher.run([Visit(urls.target(page)) for page in pages], keep)

    asyncio.run(main())
    return kept


def test_stop_starts_nothing_new_and_ends_the_run(site: Site) -> None:
    async def act(fetcher: Fetcher, fetched: Fetched) -> None:
        fetcher.stop()

    pages = [site.url(f"/{number}") for number in range(50)]
    kept = run_with(site, pages, act, robots="ignore", delay_seconds=0.01)
    assert len(kept) == 1
    assert len(site.log) <= 2


def test_stop_breaks_off_what_does_not_end_and_lets_what_does(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scraper.fetcher.fetcher._GRACE_SECONDS", 0.6)
    site.reply("/quick", host="a.test", body=b"x")
    site.reply("/slow", host="b.test", body=b"x", delay=0.2)
    site.reply("/endless", host="c.test", body=b"x", delay=60)

    async def act(fetcher: Fetcher, fetched: Fetched) -> None:
        fetcher.stop()

    pages = [site.url("/quick", host="a.test"), site.url("/slow", host="b.test"), site.url("/endless", host="c.test")]
    kept = captures(run_with(site, pages, act, robots="ignore"))
    assert sorted(kept) == ["http://a.test/quick", "http://b.test/slow"]


def test_an_error_in_keep_ends_the_run_loudly(site: Site) -> None:
    async def act(fetcher: Fetcher, fetched: Fetched) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        run_with(site, [site.url(f"/{number}") for number in range(20)], act)
    assert len(site.log) == 1


def test_an_error_in_the_list_of_visits_ends_the_run_loudly(site: Site) -> None:
    def broken():  # type: ignore[no-untyped-def]
        yield Visit(urls.target(site.url("/1")))
        raise RuntimeError("state is damaged")

    with pytest.raises(RuntimeError, match="state is damaged"):
        fetch_all(site.settings(), broken())


def test_progress_counts_and_tells_what_is_waited_for(site: Site) -> None:
    said: list[str] = []

    async def act(fetcher: Fetcher, fetched: Fetched) -> None:
        progress = fetcher.progress()
        said.append(f"{progress.done} {progress.waiting} {progress.in_flight} {progress.host}")

    run_with(site, [site.url("/1"), site.url("/2")], act, robots="ignore", delay_seconds=0.05)
    assert said == ["0 2 0 site.test", "1 1 0 None"]


def test_sites_that_redirect_to_one_slow_hub_hold_up_no_others(site: Site) -> None:
    hosts = [f"r{number}.test" for number in range(1100)]
    site.reply("/away", status=302, headers={"Location": site.url("/end", host="hub.test")})
    site.reply("/end", body=b"x")
    site.reply("/good", body=b"x")
    away = [site.url("/away", host=host) for host in hosts]
    others = [site.url("/good", host=f"{name}.test") for name in "abc"]
    seen: list[str] = []

    async def act(fetcher: Fetcher, fetched: Fetched) -> None:
        seen.append(fetched.capture.target.href)
        if len(set(seen) & set(others)) == len(others):
            fetcher.stop()

    kept = captures(run_with(site, [*away, *others], act, robots="ignore", delay_seconds=0.5))
    assert {str(kept[page].outcome) for page in others} == {"captured"}
    assert len(site.seen("/away")) == 1100
    assert len(site.seen("/end")) < 200


def test_large_answers_that_wait_on_disk_hold_up_no_others(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scraper.fetcher.queue._MOST_HELD_BYTES", 4 << 20)
    body = b"x" * (2 << 20)
    site.reply("/away", status=302, headers={"Location": site.url("/end", host="hub.test")}, body=body)
    site.reply("/end", body=b"x")
    site.reply("/good", body=b"x")
    away = [site.url("/away", host=f"big{number}.test") for number in range(4)]
    others = [site.url("/good", host=f"{name}.test") for name in "abcdef"]
    kept = list(captures(fetch_all(site.settings(robots="ignore", delay_seconds=0.7), [*away, *others])))
    # The hub takes two seconds for its four; the others are there by then.
    assert set(kept[-2:]) <= set(away)
    assert len(kept) == 10


def test_no_more_visits_begin_while_much_waits_on_disk(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scraper.fetcher.queue._MOST_SHELVED_BYTES", 8 << 20)
    body = b"x" * (2 << 20)  # an open file each: two are enough
    site.reply("/away", status=302, headers={"Location": site.url("/end", host="hub.test")}, body=body)
    site.reply("/end", body=b"x")
    site.reply("/good", body=b"x")
    away = [site.url("/away", host=f"big{number}.test") for number in range(3)]
    others = [site.url("/good", host=f"{name}.test") for name in "ab"]
    settings = site.settings(robots="ignore", delay_seconds=0.5, parallel_hosts=1)
    kept = list(captures(fetch_all(settings, [*away, *others])))
    assert kept[0] in away
    assert len(kept) == 5
