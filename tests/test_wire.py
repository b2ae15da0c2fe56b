"""The wire: what is kept is what was sent and received, byte for byte, and nothing of another answer."""

from __future__ import annotations

import gzip
import threading
import time

import pytest
from fetching import captures, fetch, fetch_all
from server import Connection, Seen, Site

from scraper.model import State, Truncation

BODY = b"<!doctype html><title>A page</title><p>" + b"words " * 500


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "answer",
    [
        {"body": BODY},
        {"body": gzip.compress(BODY), "headers": {"Content-Encoding": "gzip"}},
        {"chunks": [BODY[:1000], BODY[1000:]]},
        {"chunks": [gzip.compress(BODY)], "headers": {"Content-Encoding": "gzip", "X-Odd": "  two   blanks "}},
        {"raw": b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n" + BODY, "close": True},
        {
            "raw": b"HTTP/1.1 200 OK\r\nConnection: close\r\nx-CaSe: \xe9\xff\r\nx-case: again\r\n\r\n" + BODY,
            "close": True,
        },
        {"raw": b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"},
        {
            "raw": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5;name=value\r\nhello\r\n0\r\nX-Trailer: yes\r\n\r\n"
        },
        {"raw": b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n"},
        {"raw": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
    ],
    ids=["length", "gzip", "chunked", "gzip chunked", "1.0", "close", "bare LF", "trailers", "204", "empty"],
)
def test_request_and_answer_are_kept_as_the_server_saw_and_sent_them(site: Site, scheme: str, answer: dict) -> None:
    sent = site.reply("/page?q=1", **answer)
    url = site.url("/page?q=1", scheme=scheme)
    capture = fetch(site.settings(), url)
    assert capture.outcome.state is State.CAPTURED
    exchange = capture.page
    assert exchange is not None
    assert exchange.received == sent
    assert exchange.request == site.seen("/page?q=1")[0].raw
    assert exchange.truncated is None
    assert exchange.peer_ip == "127.0.0.1"
    assert exchange.received[: exchange.head_length].endswith((b"\r\n\r\n", b"\n\n"))


def test_the_request_line_carries_the_address_as_it_is_written(site: Site) -> None:
    path = "/a|b/%zz/100%/%7Euser?x=[1]&y='%20"
    site.reply(path.replace("'", "%27"), body=b"ok")
    capture = fetch(site.settings(), site.url(path))
    assert capture.outcome.state is State.CAPTURED, capture.detail
    assert site.log[-1].raw.startswith(b"GET /a|b/%zz/100%/%7Euser?x=[1]&y=%27%20 HTTP/1.1\r\nHost: site.test\r\n")


def test_the_request_is_honest_and_carries_no_cookie_nor_userinfo(site: Site) -> None:
    site.reply("/first", headers={"Set-Cookie": "id=1"}, body=b"1")
    site.reply("/second", body=b"2")
    site.url()
    fetch_all(site.settings(), ["http://me:secret@site.test/first", "http://site.test/second"])
    for seen in site.log:
        assert seen.header("User-Agent") == "scraper/0.1.0 (+keeper@example.org)"
        assert seen.header("Accept-Encoding") == "gzip, deflate"
        assert seen.header("Cookie") is None
        assert seen.header("Authorization") is None
        assert b"secret" not in seen.raw


def test_a_proxy_variable_changes_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    site.reply("/", body=b"direct")
    assert fetch(site.settings(), site.url()).outcome.state is State.CAPTURED


def test_tls_is_named_in_the_protocol(site: Site) -> None:
    site.reply("/", body=b"safe")
    exchange = fetch(site.settings(), site.url(scheme="https")).page
    assert exchange is not None
    assert exchange.protocol == ("http/1.1", "tls/1.3")


def test_a_certificate_for_another_name_is_a_failure_and_not_tried_again(site: Site) -> None:
    site.reply("/", body=b"not for you")
    url = site.url(host="other.example", scheme="https")
    capture = fetch(site.settings(robots="ignore"), url)
    assert (capture.outcome.state, capture.outcome.reason, capture.tries) == (State.FAILED, "tls", 1)
    assert "certificate" in capture.detail
    assert site.log == []


def test_an_unknown_authority_is_a_failure(site: Site) -> None:
    site.reply("/", body=b"x")
    capture = fetch(site.settings(ca_file=""), site.url(scheme="https"))
    assert str(capture.outcome) == "failed(tls)"


def test_connections_are_kept_alive_and_each_answer_is_its_own(site: Site) -> None:
    pages = [site.url(f"/{number}", scheme="https") for number in range(5)]
    sent = {page: site.reply(f"/{number}", body=b"page %d" % number) for number, page in enumerate(pages)}
    kept = captures(fetch_all(site.settings(), pages))
    assert {page: kept[page].page.received for page in pages} == sent
    assert len({seen.connection for seen in site.log}) == 1


def test_bytes_after_a_message_never_become_the_next_answer(site: Site) -> None:
    message = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst"
    poison = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
    site.reply("/1", raw=message + poison)
    site.reply("/2", body=b"second")
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nthird\r\n0\r\n\r\n"
    site.reply("/3", raw=chunked + poison)
    site.reply("/4", body=b"fourth")
    pages = [site.url(f"/{number}") for number in (1, 2, 3, 4)]
    kept = captures(fetch_all(site.settings(), pages))
    assert kept[pages[0]].page.received == message
    assert kept[pages[1]].page.body == b"second"
    assert kept[pages[2]].page.received == chunked
    assert kept[pages[3]].page.body == b"fourth"
    assert all(kept[page].outcome.state is State.CAPTURED for page in pages)


def test_interim_answers_are_left_out_of_the_record(site: Site) -> None:
    final = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone"
    site.reply("/", raw=b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + final)
    capture = fetch(site.settings(), site.url())
    assert capture.page.received == final
    assert capture.page.status == 200


def test_a_stale_kept_alive_connection_is_replaced_unseen(site: Site) -> None:
    def close_on_the_second_request(connection: Connection, seen: Seen) -> None:
        connection.reset() if seen.connection == first[0] else connection.send(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        )

    first: list[int] = []

    def serve_once(connection: Connection, seen: Seen) -> None:
        first.append(connection.number)
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none")

    site.behave("/1", serve_once)
    site.behave("/2", close_on_the_second_request)
    pages = [site.url("/1"), site.url("/2")]
    kept = captures(fetch_all(site.settings(robots="ignore", max_tries=1), pages))
    assert kept[pages[1]].outcome.state is State.CAPTURED, kept[pages[1]].detail
    assert kept[pages[1]].tries == 1
    assert len(kept[pages[1]].exchanges) == 1
    assert len(site.seen("/2")) == 2


def test_a_body_cut_off_is_kept_and_failed(site: Site) -> None:
    site.reply("/", raw=b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this", close=True)
    capture = fetch(site.settings(max_tries=2), site.url())
    assert str(capture.outcome) == "failed(truncated)"
    assert capture.tries == 2
    assert len(capture.exchanges) == 1  # of broken tries, the last
    assert capture.page.body == b"only this"
    assert capture.page.truncated is Truncation.DISCONNECT


def test_a_cut_chunked_body_is_kept_and_failed(site: Site) -> None:
    sent = site.reply(
        "/", raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nwor", close=True
    )
    capture = fetch(site.settings(max_tries=1), site.url())
    assert str(capture.outcome) == "failed(truncated)"
    assert capture.page.received == sent


def test_a_reset_before_any_answer_is_tried_again_and_then_failed(site: Site) -> None:
    site.behave("/", lambda connection, seen: connection.reset())
    capture = fetch(site.settings(robots="ignore", max_tries=3), site.url())
    assert (str(capture.outcome), capture.tries) == ("failed(reset)", 3)
    assert len(site.seen("/")) == 3


@pytest.mark.parametrize("part", ["head", "body"])
def test_a_dripping_server_is_cut_at_the_deadline_and_its_bytes_are_kept(site: Site, part: str) -> None:
    gone = threading.Event()

    def drip(connection: Connection, seen: Seen) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\n")
        if part == "body":
            connection.send(b"Content-Length: 10000\r\n\r\n")
        try:
            for _ in range(1200):
                connection.send(b"x")
                time.sleep(0.05)
        finally:
            gone.set()

    site.behave("/", drip)
    capture = fetch(site.settings(robots="ignore", max_tries=1, deadline_seconds=0.4), site.url())
    assert str(capture.outcome) == "failed(timeout)"
    assert capture.page.truncated is Truncation.TIME
    assert capture.page.received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert capture.page.seconds >= 0.4
    assert gone.wait(10)  # the connection was dropped


def test_a_body_over_the_cap_keeps_its_first_part(site: Site) -> None:
    site.reply("/", body=b"y" * (2 * 2**20))
    capture = fetch(site.settings(max_wire_mib=1), site.url())
    assert str(capture.outcome) == "failed(too large)"
    assert capture.tries == 1
    assert len(capture.page.received) == 2**20
    assert capture.page.truncated is Truncation.LENGTH


def test_an_answer_in_absurdly_many_chunks_keeps_its_first_part(site: Site) -> None:
    site.reply("/", chunks=[b"x"] * 250_000)
    capture = fetch(site.settings(robots="ignore"), site.url())
    assert str(capture.outcome) == "failed(too large)"
    assert "too many chunks" in capture.detail
    assert capture.tries == 1
    assert capture.page.truncated is Truncation.LENGTH
    assert 200_000 * 6 < len(capture.page.received) < 250_000 * 6


def test_small_chunks_are_no_fault(site: Site) -> None:
    sent = site.reply("/", chunks=[b"x"] * 50_000)
    assert fetch(site.settings(), site.url()).page.received == sent


def test_a_bomb_is_failed_and_its_wire_bytes_are_kept_whole(site: Site) -> None:
    packed = gzip.compress(bytes(3 * 2**20))
    sent = site.reply("/", body=packed, headers={"Content-Encoding": "gzip"})
    capture = fetch(site.settings(max_decoded_mib=2), site.url())
    assert str(capture.outcome) == "failed(too large)"
    assert capture.page.received == sent
    assert capture.page.truncated is None
    harmless = fetch(site.settings(max_decoded_mib=4), site.url())
    assert harmless.outcome.state is State.CAPTURED


@pytest.mark.parametrize("raw", [b"ICY 200 OK\r\n\r\nmusic", b"<html>HTTP/0.9</html>", b"\x16\x03\x01\x00\x05hello"])
def test_what_is_not_http_is_a_failure_with_its_bytes_kept(site: Site, raw: bytes) -> None:
    site.reply("/", raw=raw, close=True)
    capture = fetch(site.settings(robots="ignore", max_tries=1), site.url())
    assert str(capture.outcome) in ("failed(protocol)", "failed(truncated)")
    # The server sends the last byte by itself: it may still be on its way when the first ones are found out.
    assert capture.page.received in (raw, raw[:-1])
    assert capture.page.status == 0


def test_a_header_block_without_end_is_cut(site: Site) -> None:
    site.reply("/", raw=b"HTTP/1.1 200 OK\r\n" + b"X-Long: y\r\n" * 100_000, close=True)
    capture = fetch(site.settings(robots="ignore", max_tries=1), site.url())
    assert capture.outcome.state is State.FAILED
    assert len(capture.page.received) <= 2**19
