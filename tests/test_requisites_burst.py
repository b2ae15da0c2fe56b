"""What a page needs to be seen is fetched politely, within its budget, and the page never depends on it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from fetching import AGENT, stranger
from server import Connection, Seen, Site

from scraper import urls
from scraper.fetcher import Fetched, Fetcher, Requisites
from scraper.model import Held, HostMemory, Purpose, Visit
from scraper.settings import CaptureSettings, FetchSettings

HTML = {"Content-Type": "text/html"}
CSS = {"Content-Type": "text/css"}


@dataclass
class Kept:
    """What a run handed over, in order, and what it said that pages share."""

    all: list[Fetched] = field(default_factory=list)
    shared: list[tuple[object, tuple[object, ...]]] = field(default_factory=list)

    def outcomes(self, purpose: Purpose = Purpose.REQUISITE) -> dict[str, str]:
        """href -> outcome, without the icon that every page is asked for."""
        captures = (one.capture for one in self.all if one.capture.purpose is purpose)
        return {c.target.href: str(c.outcome) for c in captures if not c.target.href.endswith("/favicon.ico")}


def visit(
    settings: FetchSettings,
    *pages: str,
    held: Callable[[str], Held | None] = lambda _: None,
    recall: Callable[[str], HostMemory | None] = stranger,
    **budget: Any,
) -> Kept:
    """Visit pages with what they need; each capture is kept under its number."""
    kept = Kept()

    async def keep(fetched: Fetched) -> int:
        kept.all.append(fetched)
        return len(kept.all)

    wanted = Requisites(CaptureSettings(**budget), held, lambda page, used: kept.shared.append((page, used)))
    fetcher = Fetcher(settings, AGENT, recall, wanted)
    asyncio.run(fetcher.run([Visit(urls.target(page)) for page in pages], keep))
    return kept


def page(site: Site, html: str, path: str = "/page") -> str:
    site.reply("/favicon.ico", body=b"icon")
    site.reply(path, headers=HTML, body=html.encode())
    return site.url(path)


def images(count: int, host: str = "") -> str:
    return "".join(f"<img src={host}/{number}.png>" for number in range(count))


def most_at_once(seen: list[Seen]) -> int:
    moments = sorted([(one.at, 1) for one in seen] + [(one.answered_at, -1) for one in seen])
    level = most = 0
    for _, step in moments:
        level += step
        most = max(most, level)
    return most


def test_two_requests_at_a_time_over_two_connections_without_a_delay_and_the_delay_after_the_last(site: Site) -> None:
    for number in range(6):
        site.reply(f"/{number}.png", body=b"x", delay=0.1)
    site.reply("/robots.txt")
    first, second = page(site, images(6)), page(site, "<p>x", "/second")
    kept = visit(site.settings(delay_seconds=1.5), first, second)
    pictures = [one for one in site.log if one.path.endswith(".png")]
    assert len(pictures) == 6
    assert most_at_once(pictures) == 2
    assert len({one.connection for one in site.log if one.path not in ("/second", "/robots.txt")}) == 2
    (before,) = site.seen("/page")
    # With a delay between them it would be three times 1.5 s at least.
    assert max(one.at for one in pictures) - before.at < 4.5
    (after,) = site.seen("/second")
    assert after.at - max(one.answered_at for one in pictures) >= 1.4
    assert set(kept.outcomes().values()) == {"captured"}


def test_the_page_is_handed_over_before_what_it_needs_is_asked_for(site: Site) -> None:
    url = page(site, images(1))
    asked_before: list[list[str]] = []

    async def keep(fetched: Fetched) -> int:
        if fetched.capture.purpose is Purpose.PAGE:
            await asyncio.sleep(0.2)
            asked_before.append(site.paths())
        return 1

    fetcher = Fetcher(site.settings(), AGENT, stranger, Requisites(CaptureSettings()))
    asyncio.run(fetcher.run([Visit(urls.target(url))], keep))
    assert asked_before == [["/page"]]
    assert "/0.png" in site.paths()


def test_what_style_sheets_import_and_name_comes_too_and_circles_end(site: Site) -> None:
    site.reply("/a.css", headers=CSS, body=b'@import "b.css"; p { background: url(bg.png) }')
    site.reply("/b.css", headers=CSS, body=b'@import "a.css"; @import "b.css"; @font-face { src: url(f.woff2) }')
    for path in ("/bg.png", "/f.woff2"):
        site.reply(path, body=b"x")
    visit(site.settings(), page(site, "<link rel=stylesheet href=a.css>"))
    assert sorted(site.paths()) == ["/a.css", "/b.css", "/bg.png", "/f.woff2", "/favicon.ico", "/page"]


def chain(site: Site, length: int) -> None:
    """Style sheets of which each imports the next one."""
    for number in range(length):
        onward = f'@import "{number + 1}.css";' if number + 1 < length else ""
        css = f'{onward} @import "{number}.css#self";'.encode()
        site.reply(f"/{number}.css", headers=CSS, body=css)


def test_of_a_chain_of_imports_a_page_gets_what_its_budget_allows_and_each_once(site: Site) -> None:
    chain(site, 40)
    visit(site.settings(), page(site, "<link rel=stylesheet href=0.css><link rel=icon href=0.css>"), max_requisites=10)
    assert sorted(path for path in site.paths() if path.endswith(".css")) == sorted(f"/{n}.css" for n in range(10))


def test_a_chain_that_many_pages_lengthen_is_followed_to_its_end_and_each_link_asked_for_once(site: Site) -> None:
    # Python ends at 1,000 calls inside of each other: what pages before have brought is gone through without.
    chain(site, 1200)
    pages = [page(site, "<link rel=stylesheet href=/0.css>", f"/page/{number}") for number in range(7)]
    kept = visit(site.settings(), *pages, max_requisites=200)
    asked = [path for path in site.paths() if path.endswith(".css")]
    assert len(asked) == len(set(asked)) > 1100
    assert set(kept.outcomes().values()) == {"captured"}
    assert len(kept.shared[-1][1]) > 1000


def test_circles_of_imports_over_redirects_and_hosts_end(site: Site) -> None:
    site.reply("/a.css", headers=CSS, body=b'@import "http://b.test/b.css"; @import "moved.css"; @import "round.css";')
    site.reply("/b.css", headers=CSS, body=b'@import "http://site.test/a.css"; @import "/b.css?#x";', host="b.test")
    site.reply("/b.css?", headers=CSS, body=b'@import "b.css";', host="b.test")
    site.reply("/moved.css", status=302, headers={"Location": "/a.css"})
    site.reply("/round.css", status=302, headers={"Location": "/round.css"})
    visit(site.settings(), page(site, "<style>@import 'a.css'; @import 'a.css';</style>"))
    asked = [(seen.host, seen.path) for seen in site.log if ".css" in seen.path]
    once = [("b.test", "/b.css"), ("b.test", "/b.css?"), ("site.test", "/moved.css"), ("site.test", "/round.css")]
    assert sorted(one for one in asked if one != ("site.test", "/a.css")) == once
    assert asked.count(("site.test", "/a.css")) == 2  # once by its name, and once where `moved.css` leads


def test_429_503_and_retry_after_stop_the_host_for_this_page(site: Site) -> None:
    for status in (429, 503):
        site.log.clear()
        host = f"busy{status}.test"
        site.reply("/0.png", status=status, headers={"Retry-After": "2"})
        site.reply("/1.png", body=b"x", delay=0.3)
        page(site, images(9))
        busy = site.url("/page", host)
        kept = visit(site.settings(), busy)
        assert sorted(path for path in site.paths() if path.endswith("png")) == ["/0.png", "/1.png"]
        assert kept.outcomes()[f"http://{host}/0.png"] == f"failed(http {status})"
        assert kept.outcomes()[f"http://{host}/5.png"].startswith("deferred(")
        assert kept.outcomes(Purpose.PAGE) == {f"http://{host}/page": "captured"}


def test_nothing_is_tried_twice(site: Site) -> None:
    site.reply("/0.png", status=500)
    kept = visit(site.settings(), page(site, images(1)))
    assert site.paths().count("/0.png") == 1
    assert kept.outcomes() == {site.url("/0.png"): "failed(http 500)"}


def test_robots_txt_is_asked_first_at_each_host_and_obeyed(site: Site) -> None:
    site.reply("/robots.txt", host="a.test", body=b"User-agent: *\nDisallow: /private/")
    site.reply("/open.png", body=b"x")
    html = "<img src=http://a.test/private/x.png><img src=http://a.test/open.png>"
    kept = visit(site.settings(), page(site, html))
    assert [one.path for one in site.log if one.host == "a.test"] == ["/robots.txt", "/open.png"]
    assert kept.outcomes()["http://a.test/private/x.png"] == "excluded(robots)"


def test_private_addresses_odd_ports_and_redirects_to_them_are_refused(site: Site) -> None:
    site.reply("/sly.png", status=302, headers={"Location": "http://127.0.0.1/in"})
    html = "<img src=http://127.0.0.1/x.png><img src=http://a.test:22/x.png><img src=/sly.png>"
    kept = visit(site.settings(), page(site, html))
    assert kept.outcomes() == {
        "http://127.0.0.1/x.png": "excluded(address)",
        "http://a.test:22/x.png": "excluded(port)",
        site.url("/sly.png"): "excluded(address)",
    }


def test_redirects_to_other_hosts_are_followed_without_holding_up_either(site: Site) -> None:
    # Each page's picture leads to the other page's host, at the same time: neither may wait for the other for ever.
    for here, there in (("a", "b"), ("b", "a")):
        site.reply("/go.png", host=f"{here}.test", status=302, headers={"Location": f"http://{there}.test/x.png"})
    site.reply("/x.png", body=b"x", delay=0.05)
    page(site, "<img src=/go.png>")
    pages = [site.url("/page", f"{host}.test") for host in "ab"]
    kept = visit(site.settings(), *pages, max_requisites_seconds=20)
    assert kept.outcomes() == {"http://a.test/go.png": "captured", "http://b.test/go.png": "captured"}


def test_the_budget_bounds_the_requests(site: Site) -> None:
    visit(site.settings(), page(site, images(50)), max_requisites=7)
    assert len(site.paths()) == 1 + 7


def test_no_budget_is_no_requests(site: Site) -> None:
    visit(site.settings(), page(site, images(5)), max_requisites=0)
    assert site.paths() == ["/page"]


def test_style_sheets_have_a_part_of_the_budget_for_what_only_they_name(site: Site) -> None:
    site.reply("/s.css", headers=CSS, body=b"@font-face { src: url(f.woff2) }")
    visit(site.settings(), page(site, images(50) + "<link rel=stylesheet href=s.css>"), max_requisites=10)
    assert "/f.woff2" in site.paths()


def test_the_budget_bounds_the_bytes_of_all_together(site: Site) -> None:
    for number in range(8):
        site.reply(f"/{number}.png", body=bytes(400_000))
    kept = visit(site.settings(), page(site, images(8)), max_requisites_mib=1)
    received = sum(
        len(exchange.received)
        for one in kept.all
        if one.capture.purpose is Purpose.REQUISITE
        for exchange in one.capture.exchanges
    )
    # What is read ahead of the last look at the budget: a piece of each of two connections.
    assert 800_000 < received <= 2**20 + 2 * 256 * 1024
    assert "failed(too large)" in kept.outcomes().values()
    assert kept.outcomes(Purpose.PAGE) == {site.url("/page"): "captured"}


def test_one_picture_that_is_too_large_does_not_cost_the_page_the_others(site: Site) -> None:
    site.reply("/0.png", body=bytes(3_000_000))
    chunked = b"%x\r\n%s\r\n" % (700_000, bytes(700_000))
    site.reply("/1.png", headers={"Transfer-Encoding": "chunked"}, body=chunked + b"0\r\n\r\n")
    for number in range(2, 8):
        site.reply(f"/{number}.png", body=bytes(1000))
    kept = visit(site.settings(), page(site, images(8)), max_requisites_mib=1)
    outcomes = kept.outcomes()
    assert [outcomes[site.url(f"/{number}.png")] for number in range(2)] == ["failed(too large)"] * 2
    assert [outcomes[site.url(f"/{number}.png")] for number in range(2, 8)] == ["captured"] * 6
    announced = next(one.capture for one in kept.all if one.capture.target.path == "/0.png")
    assert "more than what a page needs to be seen may take" in announced.detail


def test_the_budget_bounds_the_seconds(site: Site) -> None:
    for number in range(9):
        site.reply(f"/{number}.png", body=b"x", delay=0.6)
    kept = visit(site.settings(), page(site, images(9)), max_requisites_seconds=1)
    assert len([path for path in site.paths() if path.endswith(".png")]) <= 4
    assert kept.outcomes(Purpose.PAGE) == {site.url("/page"): "captured"}


def test_a_host_that_says_nothing_costs_no_more_than_the_budget_and_the_page_nothing(site: Site) -> None:
    def say_nothing(connection: Connection, seen: Seen) -> None:
        time.sleep(3)

    site.behave("/0.png", say_nothing)
    kept = visit(site.settings(), page(site, images(1)), max_requisites_seconds=0.5)
    assert kept.outcomes() == {site.url("/0.png"): "failed(timeout)"}
    assert kept.outcomes(Purpose.PAGE) == {site.url("/page"): "captured"}


def test_a_host_that_cannot_be_reached_is_tried_once_in_a_run_and_told_of_once(site: Site) -> None:
    pages = [page(site, images(5, "http://closed.test"), f"/page{number}") for number in range(3)]
    for robots in ("ignore", "obey"):
        kept = visit(site.settings(resolve=("closed.test:80=127.0.0.1:1",), robots=robots), *pages)
        tried = [one.capture for one in kept.all if "closed.test" in one.capture.target.host]
        assert sum(capture.tries for capture in tried) == 1
        assert kept.outcomes() == {"http://closed.test/0.png": "failed(refused)"}


def test_a_name_that_does_not_exist_is_looked_up_once_in_a_run(site: Site) -> None:
    both = images(3, "https://nowhere.invalid") + images(3, "http://nowhere.invalid")
    kept = visit(site.settings(robots="obey"), *(page(site, both, f"/page{number}") for number in range(3)))
    tried = [one.capture for one in kept.all if one.capture.target.host == "nowhere.invalid"]
    assert [capture.purpose for capture in tried] == [Purpose.ROBOTS, Purpose.REQUISITE]
    assert {str(capture.outcome) for capture in tried} == {"failed(dns)"}


def test_a_port_that_is_closed_says_nothing_of_the_hosts_other_port(site: Site) -> None:
    site.reply("/0.png", host="half.test", body=b"x")
    html = f"<img src=https://half.test/0.png><img src={site.url('/0.png', 'half.test')}>"
    settings = site.settings(resolve=("half.test:443=127.0.0.1:1",))
    kept = visit(settings, page(site, html))
    assert kept.outcomes() == {"https://half.test/0.png": "failed(refused)", "http://half.test/0.png": "captured"}


def test_a_connection_broken_off_at_one_picture_leaves_the_others_be(site: Site) -> None:
    site.behave("/0.png", lambda connection, _: connection.reset())
    site.reply("/1.png", body=b"x")
    kept = visit(site.settings(), page(site, images(2)))
    assert kept.outcomes() == {site.url("/0.png"): "failed(reset)", site.url("/1.png"): "captured"}


def test_a_robots_txt_that_failed_for_a_picture_is_tried_again_for_a_page(site: Site) -> None:
    site.replies("/robots.txt", [{"status": 500}, {"body": b""}], host="a.test")
    site.reply("/late", headers=HTML, body=b"late")
    first = page(site, "<img src=http://a.test/x.png>")
    # The second page of a.test is met only after the picture was: one host after the other.
    settings = site.settings(parallel_hosts=1)
    kept = visit(settings, first, site.url("/late", "a.test"))
    assert kept.outcomes(Purpose.PAGE)["http://a.test/late"] == "captured"


def test_a_host_held_by_retry_after_is_left_alone(site: Site) -> None:
    def recall(host: str) -> HostMemory | None:
        return HostMemory(host, datetime.now(UTC) + timedelta(hours=1)) if host == "a.test" else None

    kept = visit(site.settings(), page(site, images(2, "http://a.test")), recall=recall)
    assert [one for one in site.log if one.host == "a.test"] == []
    assert all(outcome.startswith("deferred(") for outcome in kept.outcomes().values())


def test_what_several_pages_need_is_fetched_once_in_a_run_and_said_of_each(site: Site) -> None:
    site.reply("/s.css", headers=CSS, body=b"p { background: url(bg.png) }")
    site.reply("/bg.png", body=b"bg")
    html = "<link rel=stylesheet href=/s.css><img src=/0.png>"
    site.reply("/0.png", body=b"0")
    kept = visit(site.settings(), page(site, html), page(site, html, "/second"))
    for path in ("/s.css", "/bg.png", "/0.png", "/favicon.ico"):
        assert site.paths().count(path) == 1
    ((_, used),) = kept.shared
    numbers = [number for number, one in enumerate(kept.all, 1) if one.capture.purpose is Purpose.REQUISITE]
    assert sorted(map(str, used)) == sorted(map(str, numbers))


def test_what_is_held_is_revalidated_but_style_sheets_are_asked_for_whole(site: Site) -> None:
    def held(href: str) -> Held | None:
        return Held(href, one_day, "sha1:X", "00", etag='"v1"')

    one_day = datetime(2026, 1, 1, tzinfo=UTC)
    site.reply("/0.png", status=304)
    site.reply("/s.css", headers=CSS, body=b"")
    kept = visit(site.settings(), page(site, images(1) + "<link rel=stylesheet href=/s.css>"), held=held)
    assert kept.outcomes() == {site.url("/0.png"): "unchanged", site.url("/s.css"): "captured"}
    assert site.seen("/0.png")[0].header("If-None-Match") == '"v1"'
    assert site.seen("/s.css")[0].header("If-None-Match") is None


def test_neither_cookies_nor_a_referer_are_sent(site: Site) -> None:
    site.reply("/0.png", headers={"Set-Cookie": "a=b"}, body=b"x")
    visit(site.settings(), page(site, images(2)))
    assert [one.header(name) for one in site.log for name in ("Cookie", "Referer") if one.header(name)] == []


def test_pages_that_failed_or_are_no_pages_bring_nothing(site: Site) -> None:
    site.reply("/gone", status=404, headers=HTML, body=b"<img src=/0.png>")
    site.reply("/data", headers={"Content-Type": "text/plain"}, body=b"<img src=/0.png>")
    visit(site.settings(), site.url("/gone"), site.url("/data"))
    assert sorted(site.paths()) == ["/data", "/gone"]


def test_a_stop_ends_the_burst_and_what_is_in_flight_may_end(site: Site) -> None:
    for number in range(8):
        site.reply(f"/{number}.png", body=b"x", delay=0.3)
    url = page(site, images(8))
    kept: list[Fetched] = []

    async def run() -> None:
        async def keep(fetched: Fetched) -> int:
            kept.append(fetched)
            if fetched.capture.purpose is Purpose.PAGE:
                asyncio.get_running_loop().call_later(0.1, fetcher.stop)
            return 1

        fetcher = Fetcher(site.settings(), AGENT, stranger, Requisites(CaptureSettings()))
        await fetcher.run([Visit(urls.target(url))], keep)

    asyncio.run(run())
    assert len([path for path in site.paths() if path.endswith(".png")]) == 2
    done = [one.capture for one in kept if one.capture.purpose is Purpose.REQUISITE]
    assert [str(capture.outcome) for capture in done] == ["captured", "captured"]
