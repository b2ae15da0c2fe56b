"""Politeness as servers see it: gaps between answers and requests, hosts at one address, holds, robots.txt first."""

from __future__ import annotations

import itertools
import threading
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from fetching import captures, fetch_all
from server import Connection, Seen, Site
from test_requisites_burst import visit

from scraper.model import HostMemory, State


def in_order(site: Site, host: str | None = None) -> list[Seen]:
    """The requests of a host, or of all, as they came."""
    return sorted((seen for seen in site.log if host in (None, seen.host)), key=lambda one: one.at)


def gaps(log: list[Seen]) -> list[float]:
    """From the end of each answer to the next request, whatever the host."""
    return [later.at - earlier.answered_at for earlier, later in itertools.pairwise(log)]


# --------------------------------------------------- hosts at one address


@pytest.fixture
def ports(site: Site) -> tuple[int, int]:
    """Two ports of one machine, which speak for three hosts and more."""
    return site.http_port, site.one_more_port()


def loopback(site: Site, ports: tuple[int, int], **fields: Any) -> Any:
    networks = ("127.0.0.0/8", "::1/128")
    return site.settings(ports=ports, allow_networks=networks, **fields)


@pytest.mark.parametrize("workers", [1, 3, 32])
def test_hosts_at_one_address_are_asked_one_at_a_time(site: Site, ports: tuple[int, int], workers: int) -> None:
    hosts = [f"127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[1]}", f"localhost:{ports[0]}", f"localhost:{ports[1]}"]
    for number, host in enumerate(hosts):
        site.reply("/slow", host=host, body=b"x" * 100_000, delay=0.02)
        elsewhere = hosts[(number + 1) % len(hosts)]
        site.reply("/hop", host=host, status=302, headers={"Location": f"http://{elsewhere}/end"})
        site.reply("/end", host=host, body=b"x", delay=0.01)
        site.replies("/busy", [{"status": 503, "delay": 0.01}, {"body": b"x"}], host=host)
    pages = [f"http://{host}{path}" for path in ("/slow", "/hop", "/busy") for host in hosts]
    kept = captures(fetch_all(loopback(site, ports, parallel_hosts=workers), pages))
    assert {str(capture.outcome) for capture in kept.values()} == {"captured"}
    assert {capture.tries for page, capture in kept.items() if "/busy" in page} == {2}
    assert len(site.log) == 4 * (1 + 1 + 2 + 2)
    assert min(gaps(in_order(site))) >= 0


def test_hosts_at_other_addresses_are_asked_meanwhile(site: Site, ports: tuple[int, int]) -> None:
    site.reply("/slow", body=b"x", delay=0.5)
    site.reply("/", body=b"x")
    pages = [f"http://127.0.0.1:{ports[0]}/slow", f"http://127.0.0.1:{ports[1]}/", site.url("/", host="a.test")]
    kept = list(captures(fetch_all(loopback(site, ports, robots="ignore", parallel_hosts=2), pages)))
    # A pinned name has, by the user's word, an address of its own; and the waiting host holds no worker.
    assert kept[0] == pages[2]
    assert len(kept) == 3


def test_many_hosts_at_one_address_all_get_their_pages(site: Site) -> None:
    ports = (site.http_port, *(site.one_more_port() for _ in range(15)))
    for number in range(4):
        site.reply(f"/{number}", body=b"x")
    pages = [f"http://127.0.0.1:{port}/{number}" for port in ports for number in range(4)]
    kept = captures(fetch_all(loopback(site, ports), pages))  # type: ignore[arg-type]
    assert [str(capture.outcome) for capture in kept.values()] == ["captured"] * 64
    assert min(gaps(in_order(site))) >= 0


def test_what_a_page_needs_waits_for_an_address_too(site: Site, ports: tuple[int, int]) -> None:
    images = [f"http://localhost:{ports[0]}/{number}.png" for number in range(6)]
    html = "".join(f'<img src="{image}">' for image in images).encode()
    for port in ports:
        site.reply("/page", host=f"127.0.0.1:{port}", headers={"Content-Type": "text/html"}, body=html, delay=0.05)
    for number in range(6):
        site.reply(f"/{number}.png", headers={"Content-Type": "image/png"}, body=b"x", delay=0.02)
    kept = visit(loopback(site, ports), *(f"http://127.0.0.1:{port}/page" for port in ports))
    assert [kept.outcomes().get(image) for image in images] == ["captured"] * 6
    for one, other in itertools.combinations(in_order(site), 2):
        assert one.host == other.host or one.answered_at <= other.at or other.answered_at <= one.at


# ----------------------------------------------------------------------- gaps


@pytest.mark.parametrize("kept_alive", [True, False], ids=["kept alive", "closed"])
def test_no_gap_is_shorter_than_promised_over_hops_tries_and_connections(site: Site, kept_alive: bool) -> None:
    close = not kept_alive
    site.reply("/robots.txt", body=b"User-agent: *\nCrawl-delay: 0.2\n", close=close)
    for host, other in itertools.permutations(("a.test", "b.test")):
        site.reply("/away", host=host, status=301, headers={"Location": f"http://{other}/0"}, close=close)
    site.reply("/hop", status=302, headers={"Location": "/1"}, close=close)
    site.replies("/again", [{"status": 500}, {"status": 408}, {"body": b"x", "close": close}])
    for number in range(3):
        site.reply(f"/{number}", body=b"x" * 50_000, close=close, delay=0.01 * number)
    paths = ["/0", "/away", "/hop", "/again", "/2"]
    pages = [site.url(path, host=host) for path in paths for host in ("a.test", "b.test")]
    kept = captures(fetch_all(site.settings(delay_seconds=0.05), pages))
    assert {str(capture.outcome) for capture in kept.values()} == {"captured"}
    for host in ("a.test", "b.test"):
        assert len(in_order(site, host)) >= 9
        assert min(gaps(in_order(site, host))) >= 0.2


def test_a_dripping_answer_counts_to_its_last_byte(site: Site) -> None:
    def drip(connection: Connection, seen: Seen) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        for _ in range(4):
            connection.send(b"x")
            time.sleep(0.05)
        seen.answered_at = time.monotonic()
        connection.send(b"x")

    site.behave("/drip", drip)
    site.reply("/next", body=b"x")
    fetch_all(site.settings(robots="ignore", delay_seconds=0.1), [site.url("/drip"), site.url("/next")])
    assert [seen.path for seen in in_order(site)] == ["/drip", "/next"]
    assert min(gaps(in_order(site))) >= 0.4  # twice as long as it took


def test_the_delay_is_kept_from_one_run_to_the_next(site: Site) -> None:
    site.reply("/", body=b"x")
    memory: dict[str, HostMemory] = {}
    settings = site.settings(robots="ignore", delay_seconds=0.3)
    for _ in range(3):
        memory.update(
            (one.host, one) for kept in fetch_all(settings, [site.url("/")], memory.get) for one in kept.hosts
        )
    assert len(site.log) == 3
    assert min(gaps(in_order(site))) >= 0.3


def test_a_clock_set_back_a_day_between_runs_neither_hurries_nor_holds(site: Site) -> None:
    site.reply("/", body=b"x")
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    memory = HostMemory("site.test", tomorrow + timedelta(seconds=0.5), noted_at=tomorrow)
    begun = time.monotonic()
    kept = fetch_all(site.settings(robots="ignore"), [site.url("/")], lambda host: memory)
    assert kept[0].capture.outcome.state is State.CAPTURED
    assert site.log[0].at - begun >= 0.5


# ---------------------------------------------------------------------- holds


@pytest.mark.parametrize("status", [301, 302, 429, 500, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_holds_the_whole_host_whatever_it_comes_with(site: Site, status: int, form: str) -> None:
    until = datetime.now(UTC) + timedelta(seconds=2)
    value = "1" if form == "seconds" else format_datetime(until.replace(microsecond=0), usegmt=True)
    headers = {"Retry-After": value, "Location": "http://b.test/end"}
    site.replies("/held", [{"status": status, "headers": headers}, {"body": b"x"}], host="a.test")
    site.reply("/other", host="a.test", body=b"x")
    site.reply("/end", host="b.test", body=b"x")
    pages = [site.url("/held", host="a.test"), site.url("/other", host="a.test")]
    kept = captures(fetch_all(site.settings(robots="ignore"), pages))
    assert {str(capture.outcome) for capture in kept.values()} == {"captured"}
    first, *others = in_order(site, "a.test")
    assert first.path == "/held"
    if form == "seconds":
        assert min(seen.at for seen in others) - first.answered_at >= 1.0
    else:
        assert kept[pages[1]].exchanges[-1].started_at >= until.replace(microsecond=0)


@pytest.mark.parametrize("value", ["soon", "", "-1", "0", "1e9", "Thu, 01 Jan 1970 00:00:00 GMT", "\xff\xfe"])
def test_a_retry_after_that_says_nothing_holds_nothing(site: Site, value: str) -> None:
    site.replies("/", [{"status": 503, "headers": {"Retry-After": value}}, {"body": b"x"}])
    kept = fetch_all(site.settings(robots="ignore"), [site.url("/")])
    assert [str(kept[0].capture.outcome), kept[0].capture.tries] == ["captured", 2]


def test_a_retry_after_without_end_holds_for_a_week(site: Site) -> None:
    site.reply("/", status=503, headers={"Retry-After": "9" * 400})
    kept = fetch_all(site.settings(robots="ignore"), [site.url("/"), site.url("/2")])
    assert len(site.log) == 1
    for capture in captures(kept).values():
        assert capture.outcome.reason == "held"
        assert capture.outcome.until is not None
        assert timedelta(days=6.9) < capture.outcome.until - datetime.now(UTC) <= timedelta(days=7)


def test_a_hold_on_the_host_that_a_redirect_leads_to_is_that_hosts(site: Site) -> None:
    site.reply("/", host="a.test", status=302, headers={"Location": "http://b.test/busy"})
    site.reply("/also", host="a.test", status=302, headers={"Location": "http://b.test/2"})
    site.reply("/free", host="a.test", body=b"x")
    site.reply("/busy", host="b.test", status=503, headers={"Retry-After": "3600"})
    pages = [site.url(path, host="a.test") for path in ("/", "/free", "/also")]
    kept = captures(fetch_all(site.settings(robots="ignore", delay_seconds=0.3), pages))
    assert [kept[page].outcome.reason for page in (pages[0], pages[2])] == ["held", "held"]
    assert kept[pages[1]].outcome.state is State.CAPTURED
    assert [seen.path for seen in in_order(site, "b.test")] == ["/busy"]


# ----------------------------------------------------- pace, carried over runs


def test_a_host_that_answers_429_is_asked_more_slowly_in_this_run_and_the_next(site: Site) -> None:
    site.replies("/0", [{"status": 429}, {"status": 429}, {"body": b"x"}])
    for number in range(1, 4):
        site.reply(f"/{number}", body=b"x")
    memory: dict[str, HostMemory] = {}
    for _ in range(2):
        settings = site.settings(robots="ignore", delay_seconds=0.1)
        kept = fetch_all(settings, [site.url(f"/{number}") for number in range(3)], memory.get)
        memory.update((host.host, host) for one in kept for host in one.hosts)
    found = gaps(in_order(site))
    promised = [0.2, 0.4, 0.36, 0.324, 0.2916, 0.26, 0.23]
    assert [gap >= least for gap, least in zip(found, promised, strict=True)] == [True] * 7
    assert 1.9 < memory["site.test"].slowdown < 2.2


# ------------------------------------------------------------------ robots.txt


def test_robots_txt_comes_first_and_once_at_every_origin(site: Site) -> None:
    pages = [site.url(f"/{number}", host=f"{name}.test") for number in range(5) for name in "abcd"]
    for number in range(5):
        site.reply(f"/{number}", body=b"x")
    site.reply("/robots.txt", body=b"User-agent: *\nDisallow: /4\n", delay=0.05)
    kept = captures(fetch_all(site.settings(), pages))
    assert [str(capture.outcome) for capture in kept.values()].count("captured") == 16
    for name in "abcd":
        paths = [seen.path for seen in in_order(site, f"{name}.test")]
        assert paths[0] == "/robots.txt"
        assert sorted(paths) == ["/0", "/1", "/2", "/3", "/robots.txt"]


def test_robots_txt_of_the_last_run_is_not_asked_for_again(site: Site) -> None:
    site.reply("/", body=b"x")
    site.reply("/robots.txt", body=b"User-agent: *\nDisallow: /no\n")
    first = fetch_all(site.settings(), [site.url("/")])
    memory = first[-1].hosts[0]
    kept = captures(fetch_all(site.settings(), [site.url("/"), site.url("/no")], lambda host: memory))
    assert sorted(str(capture.outcome) for capture in kept.values()) == ["captured", "excluded(robots)"]
    assert len(site.seen("/robots.txt")) == 1


def test_an_image_that_moves_to_https_does_not_wait_for_its_own_turn(site: Site) -> None:
    """The lane's guest asks for the other origin's robots.txt: it must not hold the host's turn meanwhile."""
    html = b'<img src="http://site.test/i.png">'
    site.reply("/page", host="a.test", headers={"Content-Type": "text/html"}, body=html)
    site.reply("/i.png", status=301, headers={"Location": "https://site.test/j.png"})
    site.reply("/j.png", headers={"Content-Type": "image/png"}, body=b"x")
    begun = time.monotonic()
    kept = visit(site.settings(), site.url("/page", host="a.test"), max_requisites_seconds=600)
    assert kept.outcomes()["http://site.test/i.png"] == "captured"
    assert time.monotonic() - begun < 300


# ------------------------------------------------------------- many hosts


def test_twelve_hosts_are_all_asked_before_the_slowest_has_answered(site: Site) -> None:
    hosts = [f"h{number}.test" for number in range(12)]
    met, everybody = set(), threading.Event()

    def wait_for_all(connection: Connection, seen: Seen) -> None:
        met.add(seen.host)
        if len(met) == len(hosts):
            everybody.set()
        came = everybody.wait(30)
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + (b"y" if came else b"n"))

    pages = [site.url("/", host=host) for host in hosts]
    site.behave("/", wait_for_all)
    kept = captures(fetch_all(site.settings(), pages))
    assert [capture.exchanges[-1].body for capture in kept.values()] == [b"y"] * 12


def test_the_slowest_of_twelve_hosts_keeps_no_other_waiting(site: Site) -> None:
    hosts = [f"h{number}.test" for number in range(12)]
    pages = [site.url(f"/{number}", host=host) for host in hosts for number in range(3)]
    for number in range(3):
        site.reply(f"/{number}", body=b"x")
        site.reply(f"/{number}", host="h0.test", body=b"x", delay=0.4)
    kept = captures(fetch_all(site.settings(delay_seconds=0.01, robots="ignore"), pages))
    assert [str(capture.outcome) for capture in kept.values()] == ["captured"] * 36
    by_host = defaultdict(list)
    for seen in in_order(site):
        by_host[seen.host].append(seen)
    slowest = by_host["h0.test"][-1]
    assert all(log[-1].answered_at < slowest.answered_at for host, log in by_host.items() if host != "h0.test")
