"""Visits: redirects by hand, retries, validators, and one word for how each of them ended."""

from __future__ import annotations

import gzip
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime

import pytest
from fetching import captures, fetch, fetch_all
from server import Connection, Seen, Site

from scraper import urls
from scraper.fetcher import redirects, user_agent
from scraper.model import Held, Visit


def hop(place: str, status: int = 302) -> dict:
    return {"status": status, "headers": {"Location": place}}


# ------------------------------------------------------------------ outcomes


@pytest.mark.parametrize(
    ("status", "outcome", "tries"),
    [
        (200, "captured", 1),
        (203, "captured", 1),
        (404, "dead(404)", 1),
        (410, "dead(410)", 1),
        (400, "failed(http 400)", 1),
        (401, "failed(http 401)", 1),
        (403, "failed(http 403)", 1),
        (451, "failed(http 451)", 1),
        (408, "failed(http 408)", 3),
        (425, "failed(http 425)", 3),
        (429, "failed(http 429)", 3),
        (500, "failed(http 500)", 3),
        (503, "failed(http 503)", 3),
        (300, "failed(http 300)", 1),
        (302, "failed(http 302)", 1),
        (304, "failed(http 304)", 1),
    ],
)
def test_every_status_has_its_outcome_and_its_number_of_tries(
    site: Site, status: int, outcome: str, tries: int
) -> None:
    raw = b"HTTP/1.1 %d x\r\nServer: y\r\n\r\n" % status if status == 304 else None
    site.reply("/", status=status, body=b"said", raw=raw)
    capture = fetch(site.settings(max_tries=3, robots="ignore"), site.url())
    assert (str(capture.outcome), capture.tries) == (outcome, tries)
    assert len(site.log) == tries
    # Every whole response is kept, retried ones too.
    assert [exchange.status for exchange in capture.exchanges] == [status] * tries
    assert bool(capture.detail) is (outcome != "captured")


def test_a_name_that_does_not_exist_is_failed_dns(site: Site) -> None:
    capture = fetch(site.settings(max_tries=1), "http://no-such-name.invalid/")
    assert str(capture.outcome) == "failed(dns)"
    assert capture.exchanges == ()
    assert capture.page is None


def test_a_refused_connection_is_failed_refused_at_once(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    settings = site.settings(resolve=(f"shut.test:80=127.0.0.1:{port}",), robots="ignore")
    capture = fetch(settings, "http://shut.test/")
    assert (str(capture.outcome), capture.tries) == ("failed(refused)", 1)
    assert "shut.test:80" in capture.detail


def test_a_server_that_never_answers_is_failed_timeout_after_its_tries(site: Site) -> None:
    site.reply("/", delay=30)
    capture = fetch(site.settings(deadline_seconds=0.2, max_tries=2, robots="ignore"), site.url())
    assert (str(capture.outcome), capture.tries) == ("failed(timeout)", 2)
    assert len(capture.exchanges) == 1


def test_a_tls_handshake_that_never_ends_is_failed_timeout(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        pin = f"silent.test:443=127.0.0.1:{port}"
        settings = site.settings(resolve=(pin,), robots="ignore", connect_seconds=0.3, max_tries=1)
        capture = fetch(settings, "https://silent.test/")
    assert str(capture.outcome) == "failed(timeout)"
    assert "0.3 s" in capture.detail  # the time for connecting, not the deadline of the whole


def test_plain_http_on_a_tls_port_is_failed_tls(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:

        def answer() -> None:
            connection, _ = plain.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Speak plainly\r\n\r\n")
                connection.recv(65536)

        threading.Thread(target=answer, daemon=True).start()
        pin = f"plain.test:443=127.0.0.1:{plain.getsockname()[1]}"
        capture = fetch(site.settings(resolve=(pin,), robots="ignore"), "https://plain.test/")
    assert (str(capture.outcome), capture.tries) == ("failed(tls)", 1)


def test_a_retried_page_that_comes_is_captured_and_all_whole_answers_are_kept(site: Site) -> None:
    site.replies("/", [{"status": 503}, {"status": 500}, {"body": b"at last"}])
    capture = fetch(site.settings(), site.url())
    assert (str(capture.outcome), capture.tries) == ("captured", 3)
    assert [exchange.status for exchange in capture.exchanges] == [503, 500, 200]


def test_while_answers_take_much_memory_no_visit_begins_and_all_end(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scraper.fetcher.queue._MOST_HELD_BYTES", 1)
    order: list[str] = []

    def serve(connection: Connection, seen: Seen) -> None:
        order.append(seen.host)
        status = b"200 OK" if order.count(seen.host) == 3 else b"503 Busy"
        connection.send(b"HTTP/1.1 " + status + b"\r\nContent-Length: 5\r\n\r\nhello")

    site.behave("/", serve)
    settings = site.settings(robots="ignore", parallel_hosts=1)
    kept = captures(fetch_all(settings, [site.url("/", host) for host in ("a.test", "b.test")]))
    assert [str(capture.outcome) for capture in kept.values()] == ["captured"] * 2
    assert order == ["a.test"] * 3 + ["b.test"] * 3


def test_of_broken_tries_the_last_is_kept_in_the_order_of_time(site: Site) -> None:
    broken = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n%d"
    site.replies("/", [{"raw": broken % 1, "close": True}, {"raw": broken % 2, "close": True}, {"body": b"whole"}])
    capture = fetch(site.settings(), site.url())
    assert str(capture.outcome) == "captured"
    assert [exchange.body for exchange in capture.exchanges] == [b"2", b"whole"]


# ----------------------------------------------------------------- redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_every_hop_is_an_exchange_of_its_own(site: Site, status: int) -> None:
    site.reply("/a/b", **hop("../c?x=1#part", status))
    site.reply("/c?x=1", host="site.test", **hop("//b.test/d", status))
    site.reply("/d", host="b.test", body=b"here")
    capture = fetch(site.settings(), site.url("/a/b"))
    assert str(capture.outcome) == "captured"
    assert capture.target.href == "http://site.test/a/b"
    assert capture.final.href == "http://b.test/d"
    assert [(one.status, one.target.href) for one in capture.exchanges] == [
        (status, "http://site.test/a/b"),
        (status, "http://site.test/c?x=1"),
        (200, "http://b.test/d"),
    ]
    assert capture.tries == 1


def test_a_redirect_from_http_to_https_is_followed(site: Site) -> None:
    site.reply("/", body=b"x")
    site.behave(
        "/",
        lambda connection, seen: connection.send(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"
            if seen.tls
            else b"HTTP/1.1 301 M\r\nLocation: https://site.test/\r\nContent-Length: 0\r\n\r\n"
        ),
    )
    capture = fetch(site.settings(), site.url())
    assert [one.protocol[-1] for one in capture.exchanges] == ["http/1.1", "tls/1.3"]


def test_at_most_so_many_redirects_are_followed(site: Site) -> None:
    for number in range(12):
        site.reply(f"/{number}", **hop(f"/{number + 1}"))
    site.reply("/10", body=b"ten hops away")
    assert str(fetch(site.settings(), site.url("/0")).outcome) == "captured"
    site.reply("/10", **hop("/11"))
    site.reply("/11", body=b"eleven")
    capture = fetch(site.settings(), site.url("/0"))
    assert str(capture.outcome) == "failed(redirects)"
    assert len(capture.exchanges) == 11


def test_redirects_in_a_circle_end_at_once(site: Site) -> None:
    site.reply("/a", **hop("/b"))
    site.reply("/b", **hop("/a"))
    capture = fetch(site.settings(), site.url("/a"))
    assert str(capture.outcome) == "failed(redirects)"
    assert "circle" in capture.detail
    assert site.paths() == ["/a", "/b"]


def test_a_location_in_raw_utf_8_is_followed_as_browsers_do(site: Site) -> None:
    site.reply("/", raw="HTTP/1.1 301 x\r\nLocation: /сюда\r\nContent-Length: 0\r\n\r\n".encode())
    site.reply("/%D1%81%D1%8E%D0%B4%D0%B0", body=b"x")
    assert str(fetch(site.settings(), site.url()).outcome) == "captured"


def test_a_dead_end_of_a_redirect_is_dead(site: Site) -> None:
    site.reply("/", **hop("/gone"))
    site.reply("/gone", status=410)
    assert str(fetch(site.settings(), site.url()).outcome) == "dead(410)"


def test_a_refresh_header_is_followed(site: Site) -> None:
    site.reply("/", body=b"wait", headers={"Refresh": "3; url=/there"})
    site.reply("/there", body=b"x")
    capture = fetch(site.settings(), site.url())
    assert capture.final.href == "http://site.test/there"
    assert len(capture.exchanges) == 2


@pytest.mark.parametrize("coding", ["", "gzip"])
def test_a_meta_refresh_is_followed(site: Site, coding: str) -> None:
    page = b"<html><head><META content='0;URL=/there?a=1&amp;b=2' HTTP-EQUIV=Refresh></head>" + b"<p>x" * 999
    headers = {"Content-Type": "text/html"} | ({"Content-Encoding": coding} if coding else {})
    site.reply("/", chunks=[gzip.compress(page) if coding else page], headers=headers)
    site.reply("/there?a=1&b=2", body=b"x")
    assert fetch(site.settings(), site.url()).final.href == "http://site.test/there?a=1&b=2"


def test_a_page_that_only_loads_itself_again_is_the_page(site: Site) -> None:
    page = b'<meta http-equiv="refresh" content="5; url=http://site.test/#top">'
    site.reply("/", body=page, headers={"Content-Type": "text/html"})
    capture = fetch(site.settings(), site.url())
    assert str(capture.outcome) == "captured"
    assert len(site.seen("/")) == 1


@pytest.mark.parametrize(
    ("page", "url"),
    [
        (b'<meta http-equiv="refresh" content="0; url=/x">', "/x"),
        (b'<meta http-equiv="refresh" content="0; url=\'/x y\'">', "/x y"),
        (b'<meta http-equiv="refresh" content="5.9, /x">', "/x"),
        (b'<meta http-equiv="refresh" content="0 /x">', "/x"),
        (b'<meta http-equiv="refresh" content="6; url=/x">', None),
        (b'<meta http-equiv="refresh" content="0">', None),
        (b'<meta name="refresh" content="0; url=/x">', None),
        (b'<noscript><meta http-equiv="refresh" content="0; url=/x"></noscript>', None),
        (b'<NOSCRIPT><meta http-equiv="refresh" content="0; url=/x"></NoScript><p>', None),
        (b'<!-- <meta http-equiv="refresh" content="0; url=/x"> -->', None),
        (b"<script>'<meta http-equiv=refresh content=\"0; url=/x\">'</script>", None),
        (b'<script>a</script><!-- b --><meta http-equiv="refresh" content="0; url=/x">', "/x"),
        (b'<body><meta http-equiv="refresh" content="0; url=/x">', None),
        (b"<meta charset=utf-8><meta http-equiv=refresh content=0;url=/x>", "/x"),
        ('<meta http-equiv="refresh" content="0; url=/ю">'.encode(), "/ю"),
    ],
)
def test_meta_refresh_is_read_as_browsers_read_it(page: bytes, url: str | None) -> None:
    assert redirects.meta_refresh(page) == url


# ---------------------------------------------------------------- validators


def held(href: str, **fields: str) -> Held:
    return Held(href, datetime(2024, 1, 1, tzinfo=UTC), "sha1:X", "00", **fields)


def test_a_held_page_is_asked_for_with_its_validators_and_may_be_unchanged(site: Site) -> None:
    def validate(connection: Connection, seen: Seen) -> None:
        matches = seen.header("If-None-Match") == '"v1"'
        body = (
            b'HTTP/1.1 304 Not Modified\r\nETag: "v1"\r\n\r\n'
            if matches
            else b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        )
        connection.send(body)

    site.behave("/page", validate)
    target = urls.target(site.url("/page"))
    modified = "Mon, 01 Jan 2024 00:00:00 GMT"
    visit = Visit(target, held(target.href, etag='"v1"', last_modified=modified))
    capture = captures(fetch_all(site.settings(), [visit]))[target.href]
    assert str(capture.outcome) == "unchanged"
    assert capture.page.status == 304
    assert site.log[-1].header("If-Modified-Since") == modified


def test_validators_go_to_the_address_they_came_from_and_no_other(site: Site) -> None:
    site.reply("/old", **hop("/new"))
    site.reply("/new", body=b"x")
    target = urls.target(site.url("/old"))
    fetch_all(site.settings(), [Visit(target, held(target.href, etag='"v1"'))])
    assert site.seen("/old")[0].header("If-None-Match") == '"v1"'
    assert site.seen("/new")[0].header("If-None-Match") is None
    assert site.seen("/robots.txt")[0].header("If-None-Match") is None


def test_validators_of_a_payload_known_from_another_url_go_to_the_url_they_came_from(site: Site) -> None:
    site.replies("/b", [{"status": 304}, hop("/a")])
    site.reply("/a", status=304)
    target = urls.target(site.url("/b"))
    visit = Visit(target, held(site.url("/a"), etag='"b"', validators_href=target.href))
    capture = captures(fetch_all(site.settings(), [visit]))[target.href]
    assert str(capture.outcome) == "unchanged"
    moved = captures(fetch_all(site.settings(), [visit]))[target.href]
    assert str(moved.outcome) == "failed(http 304)"
    assert [seen.header("If-None-Match") for seen in site.seen("/b")] == ['"b"', '"b"']
    assert site.seen("/a")[0].header("If-None-Match") is None


@pytest.mark.parametrize("etag", ['"caf\xe9"', "bare", 'W/"x y"'])
def test_a_validator_goes_back_as_the_bytes_that_came(site: Site, etag: str) -> None:
    site.reply("/page", body=b"x")
    target = urls.target(site.url("/page"))
    fetch_all(site.settings(), [Visit(target, held(target.href, etag=etag))])
    assert b"\r\nIf-None-Match: " + etag.encode("latin-1") + b"\r\n" in site.seen("/page")[0].raw


@pytest.mark.parametrize("etag", ['"a\x0bb"', '"a\nb"', "\x7f", " ", "\u20ac"])
def test_a_validator_that_no_request_can_carry_is_left_out(site: Site, etag: str) -> None:
    site.reply("/page", body=b"x")
    target = urls.target(site.url("/page"))
    capture = captures(fetch_all(site.settings(), [Visit(target, held(target.href, etag=etag))]))[target.href]
    assert str(capture.outcome) == "captured"
    assert site.seen("/page")[0].header("If-None-Match") is None


# -------------------------------------------------------------------- manners


def test_the_user_agent_names_the_program_and_a_contact() -> None:
    assert user_agent("0.1.0", "keeper@example.org") == "scraper/0.1.0 (+keeper@example.org)"
    assert user_agent("0.1.0", "") == "scraper/0.1.0"


def test_the_guard_loads_without_the_network_libraries() -> None:
    code = "import sys; from scraper.fetcher import guard, politeness; print('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_unpacking_an_answer_to_know_its_size_holds_up_no_other_visit(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on in a thread until the other host has answered: on the event loop it would wait for ever."""
    answered = threading.Event()

    def serve(connection: Connection, seen: Seen) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
        answered.set()

    def unpacked(*_: object) -> bool:
        return not answered.wait(20)

    monkeypatch.setattr("scraper.message.is_larger", unpacked)
    site.reply("/packed", body=b"x", headers={"Content-Encoding": "gzip, gzip"})
    site.replies("/late", [{"status": 302, "headers": {"Location": "/quick"}, "delay": 0.3}], host="other.test")
    site.behave("/quick", serve, host="other.test")
    pages = [site.url("/packed"), site.url("/late", host="other.test")]
    kept = captures(fetch_all(site.settings(robots="ignore"), pages))
    assert [str(kept[page].outcome) for page in pages] == ["captured", "captured"]
