"""TLS of our own driving: every byte comes through, in whatever pieces, and what came before a wrong one is kept."""

from __future__ import annotations

import random
import socket
import ssl
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
import trustme
from fetching import captures, fetch, fetch_all
from server import Connection, Seen, Site

from scraper.fetcher.tls import Tls
from scraper.model import State, Truncation

DATA = random.Random(1).randbytes(300_000)


class Server:
    """The other side, in memory."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)

    def shake_hands(self, data: bytes) -> bytes:
        self.incoming.write(data)
        with suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self.outgoing.read()


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Tls, Server]:
    """A client and a server that have shaken hands, byte by byte."""
    authority = trustme.CA()
    theirs, ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("site.test").configure_cert(theirs)
    authority.configure_trust(ours)
    theirs.maximum_version = request.param
    client, server = Tls(ours, "site.test"), Server(theirs)
    done = client.shake_hands(b"")
    while not done:
        for byte in server.shake_hands(client.to_send()):
            done = client.shake_hands(bytes([byte]))
    assert client.opened(server.shake_hands(client.to_send())) == b""  # of TLS 1.3: its session tickets
    return client, server


@pytest.mark.parametrize("piece", [1_000, 16_384, 70_000, 400_000])
def test_what_a_server_sends_comes_through_in_whatever_pieces(pair: tuple[Tls, Server], piece: int) -> None:
    client, server = pair
    view = memoryview(DATA)
    while view:
        view = view[server.tls.write(view) :]
    sent = server.outgoing.read()
    pieces = [sent[at : at + piece] for at in range(0, len(sent), piece)]
    assert b"".join(map(client.opened, pieces)) == DATA
    assert not client.has_ended
    assert client.flaw is None


def test_more_than_one_record_is_sealed_whole(pair: tuple[Tls, Server]) -> None:
    client, server = pair
    server.incoming.write(client.sealed(DATA))
    came = bytearray()
    while len(came) < len(DATA):
        came += server.tls.read(65_536)
    assert bytes(came) == DATA


def test_a_farewell_ends_it_and_what_came_with_it_counts(pair: tuple[Tls, Server]) -> None:
    client, server = pair
    server.tls.write(b"the last words")
    with pytest.raises(ssl.SSLWantReadError):
        server.tls.unwrap()
    assert client.opened(server.outgoing.read()) == b"the last words"
    assert client.has_ended
    assert client.flaw is None


def test_what_came_before_a_wrong_record_counts(pair: tuple[Tls, Server]) -> None:
    client, server = pair
    server.tls.write(b"right")
    right = server.outgoing.read()
    server.tls.write(b"wrong")
    wrong = bytearray(server.outgoing.read())
    wrong[-1] ^= 1
    assert client.opened(right + bytes(wrong)) == b"right"
    assert client.flaw is not None


def test_a_request_longer_than_a_record_reaches_the_server_whole(site: Site) -> None:
    path = "/" + "long" * 4_080
    site.reply(path, body=b"ok")
    capture = fetch(site.settings(), site.url(path, scheme="https"))
    assert capture.outcome.state is State.CAPTURED
    assert capture.page is not None
    assert len(capture.page.request) > 16_384
    assert capture.page.request == site.seen(path)[0].raw


def test_a_page_cut_off_by_a_wrong_record_keeps_what_came_before(site: Site) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"

    def lie(connection: Connection, _seen: Seen) -> None:
        connection.send(head + b"the first part")
        socket.socket.sendall(connection.socket, b"\x17\x03\x03\x00\x20" + bytes(32))
        connection.closing = True

    site.behave("/cut", lie)
    capture = fetch(site.settings(max_tries=1), site.url("/cut", scheme="https"))
    assert (capture.outcome.state, capture.outcome.reason) == (State.FAILED, "truncated")
    assert capture.page is not None
    assert capture.page.received == head + b"the first part"
    assert capture.page.truncated is Truncation.DISCONNECT


def test_what_follows_a_farewell_is_cut_off(site: Site) -> None:
    cut_off = threading.Event()

    def flood(connection: Connection, _seen: Seen) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        time.sleep(0.3)  # by then the line is kept for the next request
        with suppress(OSError, ssl.SSLError):
            connection.socket.settimeout(0.2)  # for their farewell, which does not come
            connection.socket.unwrap()  # type: ignore[attr-defined]
        connection.socket.settimeout(10)
        try:
            for _ in range(400):
                socket.socket.sendall(connection.socket, bytes(64 * 1024))
        except OSError:
            cut_off.set()
        connection.closing = True

    site.behave("/flood", flood)
    seen_while_running = []

    def slow(connection: Connection, _seen: Seen) -> None:
        seen_while_running.append(cut_off.wait(3))
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    site.behave("/slow", slow, host="other.test")
    site.reply("/next", body=b"ok")  # for which the line is kept
    urls = [site.url("/flood", scheme="https"), site.url("/next", scheme="https"), site.url("/slow", host="other.test")]
    kept = captures(fetch_all(site.settings(delay_seconds=4.0, robots="ignore"), urls))
    assert [(one.outcome.state, one.detail) for one in kept.values()] == [(State.CAPTURED, "")] * 3
    assert seen_while_running == [True]


def test_a_record_that_has_begun_is_seen(pair: tuple[Tls, Server]) -> None:
    client, server = pair
    server.tls.write(b"an answer nobody asked for")
    sent = server.outgoing.read()
    assert not client.is_within_record
    assert client.opened(sent[:3]) == b""
    assert client.is_within_record
    assert client.opened(sent[3:-1]) == b""
    assert client.is_within_record
    assert client.opened(sent[-1:]) == b"an answer nobody asked for"
    assert not client.is_within_record


@pytest.mark.parametrize("name", [".", "a..b", "a" * 64 + ".test"])
def test_a_name_that_nobody_can_have_is_an_error_of_tls(name: str) -> None:
    with pytest.raises(ssl.SSLError):
        Tls(ssl.create_default_context(), name).shake_hands(b"")
