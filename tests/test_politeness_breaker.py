"""A dead host, judged from its own log: how often it is asked, by how many URLs, in this run and in the next ones."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fetching import captures, fetch_all
from server import Connection, Seen, Site

from scraper.fetcher import Fetched
from scraper.model import HostMemory

PAGES = 8


def outcomes(kept: list[Fetched]) -> Counter[str]:
    """How many pages came to what; deferred ones by their reason."""
    return Counter(capture.outcome.reason or str(capture.outcome.state) for capture in captures(kept).values())


def memory_of(kept: list[Fetched], host: str = "site.test") -> HostMemory:
    """What the run leaves of a host."""
    return [memory for one in kept for memory in one.hosts if memory.host == host][-1]


def resting_no_more(memory: HostMemory) -> HostMemory:
    """The same host as a run finds it when its rest is over."""
    now = datetime.now(UTC)
    return replace(memory, not_before=now - timedelta(seconds=1), noted_at=now - timedelta(hours=1))


def reset(connection: Connection, _seen: Seen) -> None:
    connection.reset()


def silent(connection: Connection, _seen: Seen) -> None:
    connection.closing = True


@pytest.mark.parametrize("tries", [1, 4])
@pytest.mark.parametrize("robots", [True, False], ids=["robots too", "pages only"])
@pytest.mark.parametrize("how", ["500", "503", "429", "reset", "closed"])
def test_a_dead_host_sees_at_most_24_requests_for_8_urls(site: Site, how: str, robots: bool, tries: int) -> None:
    paths = [f"/{number}" for number in range(PAGES)] + (["/robots.txt"] if robots else [])
    for path in paths:
        if how.isdigit():
            site.reply(path, status=int(how))
        else:
            site.behave(path, reset if how == "reset" else silent)
    kept = fetch_all(site.settings(max_tries=tries), [site.url(f"/{number}") for number in range(PAGES)])
    # robots.txt, three pages, and once a kept connection that was found closed.
    assert len(site.log) <= 4 * tries + 1 < 24
    assert outcomes(kept)["host down"] == PAGES - 3
    assert sum(outcomes(kept).values()) == PAGES
    until = {capture.outcome.until for capture in captures(kept).values()} - {None}
    assert all(moment and moment > datetime.now(UTC) + timedelta(minutes=29) for moment in until)
    assert memory_of(kept).failures == 3


def test_a_silent_host_is_left_alone_after_three_time_outs(site: Site) -> None:
    for number in range(PAGES):
        site.reply(f"/{number}", delay=5)
    settings = site.settings(robots="ignore", deadline_seconds=0.1, max_tries=2)
    kept = fetch_all(settings, [site.url(f"/{number}") for number in range(PAGES)])
    assert outcomes(kept) == {"timeout": 3, "host down": 5}
    assert len(site.log) == 6


def test_a_name_that_does_not_exist_is_looked_up_for_three_urls_at_most(site: Site) -> None:
    kept = fetch_all(site.settings(robots="ignore"), [f"http://nobody.invalid/{number}" for number in range(PAGES)])
    assert outcomes(kept) == {"dns": 3, "host down": 5}
    assert [capture.tries for capture in captures(kept).values()].count(0) == 5


def test_dead_links_do_not_make_a_dead_host(site: Site) -> None:
    kept = fetch_all(site.settings(), [site.url(f"/{number}") for number in range(PAGES)])
    assert outcomes(kept) == {"404": PAGES}


def test_a_few_broken_pages_do_not_keep_the_others_of_their_host_back(site: Site) -> None:
    for number in range(PAGES):
        site.reply(f"/{number}", status=500 if number in (0, 1, 3, 4, 6) else 200, body=b"x")
    kept = fetch_all(site.settings(max_tries=2), [site.url(f"/{number}") for number in range(PAGES)])
    assert outcomes(kept) == {"http 500": 5, "captured": 3}
    assert memory_of(kept).failures == 0


def test_while_a_page_is_tried_again_no_other_page_of_its_host_is_asked_for(site: Site) -> None:
    site.replies("/0", [{"status": 500}, {"status": 500}, {"body": b"x"}])
    for number in range(1, PAGES):
        site.reply(f"/{number}", body=b"x")
    kept = fetch_all(site.settings(robots="ignore"), [site.url(f"/{number}") for number in range(PAGES)])
    assert site.paths()[:3] == ["/0", "/0", "/0"]
    assert outcomes(kept) == {"captured": PAGES}


def test_a_host_that_all_others_redirect_to_is_spared_as_well(site: Site) -> None:
    hosts = [f"h{number}.test" for number in range(12)]
    for host in hosts:
        site.reply("/", host=host, status=302, headers={"Location": f"http://dead.test/{host}"})
        site.reply(f"/{host}", host="dead.test", status=500)
    site.url(host="dead.test")
    pages = [site.url("/", host=host) for host in hosts]
    kept = fetch_all(site.settings(robots="ignore"), pages)
    assert outcomes(kept) == {"http 500": 3, "host down": 9}
    assert len([seen for seen in site.log if seen.host == "dead.test"]) == 12
    assert all(capture.final.host == "dead.test" for capture in captures(kept).values())


def test_other_hosts_go_on_while_one_is_down(site: Site) -> None:
    for number in range(PAGES):
        site.reply(f"/{number}", host="a.test", status=500)
        site.reply(f"/{number}", host="b.test", body=b"x")
    pages = [site.url(f"/{number}", host=host) for number in range(PAGES) for host in ("a.test", "b.test")]
    kept = fetch_all(site.settings(), pages)
    assert outcomes(kept) == {"http 500": 3, "host down": 5, "captured": 8}


# --------------------------------------------------------------- the next run


def run_again(site: Site, memory: HostMemory, pages: int = PAGES, **fields: Any) -> list[Fetched]:
    urls = [site.url(f"/{number}") for number in range(pages)]
    return fetch_all(site.settings(**fields), urls, lambda host: replace(memory, host=host))


def test_the_next_run_sends_nothing_before_the_rest_is_over(site: Site) -> None:
    now = datetime.now(UTC)
    down = HostMemory("site.test", now + timedelta(minutes=20), failures=3, noted_at=now - timedelta(minutes=10))
    kept = run_again(site, down)
    assert site.log == []
    assert outcomes(kept) == {"host down": PAGES}
    assert {capture.outcome.until for capture in captures(kept).values()} == {down.not_before}
    assert memory_of(kept).failures == 3


@pytest.mark.parametrize("robots", [True, False], ids=["robots too", "pages only"])
def test_a_host_that_is_still_down_is_probed_once_and_rests_twice_as_long(site: Site, robots: bool) -> None:
    for path in [*(f"/{number}" for number in range(PAGES)), *(["/robots.txt"] if robots else [])]:
        site.reply(path, status=500)
    now, rests = datetime.now(UTC), []
    memory = HostMemory("site.test", now, failures=3, noted_at=now - timedelta(hours=1))
    for _ in range(3):
        asked = len(site.log)
        kept = run_again(site, resting_no_more(memory))
        assert len(site.log) - asked <= (1 if robots else 2)
        assert outcomes(kept)["host down"] == PAGES - 1
        memory = memory_of(kept)
        assert memory.not_before is not None
        rests.append(round((memory.not_before - datetime.now(UTC)).total_seconds() / 3600))
    assert rests == [1, 2, 4]


def test_a_probe_that_succeeds_opens_the_host_for_all(site: Site) -> None:
    for number in range(PAGES):
        site.reply(f"/{number}", body=b"x")
    now = datetime.now(UTC)
    kept = run_again(site, HostMemory("site.test", now, failures=6, noted_at=now - timedelta(hours=1)))
    assert outcomes(kept) == {"captured": PAGES}
    assert memory_of(kept).failures == 0
