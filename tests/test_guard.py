"""The guard: not one connection leaves for an address or a port that is not the public web's."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Iterator

import pytest
from fetching import captures, fetch, fetch_all
from server import Site

from scraper import urls
from scraper.fetcher.guard import Guard, is_global, refusal
from scraper.model import State
from scraper.settings import FetchSettings

PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
NOT_PUBLIC = [
    "0.0.0.0", "127.0.0.1", "127.255.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254",
    "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "192.88.99.1", "224.0.0.1", "239.1.1.1",
    "240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1",
    "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "2001::1",
    "2001:0:5ef5:79fd:0:0:80ff:fffe", "2002:7f00:1::", "2002:a00:1::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1", "100::1", "2a00::5efe:7f00:1",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_pass(address: str) -> None:
    assert is_global(ipaddress.ip_address(address)) is True


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_addresses_that_are_not_the_public_internet_are_refused(address: str) -> None:
    assert is_global(ipaddress.ip_address(address)) is False


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://127.1/", "http://0x7f.1/", "http://0177.0.0.1/", "http://2130706433/",
        "http://0/", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://127.0.0.1./", "http://localhost/",
        "http://LOCALHOST./", "http://a.localhost/", "http://user@127.0.0.1/", "http://example.com@127.0.0.1/",
        "http://169.254.169.254/latest/meta-data/", "http://①②⑦.0.0.1/", "http://[64:ff9b::7f00:1]/",
    ],
)  # fmt: skip
def test_literal_addresses_are_refused_without_the_network(url: str) -> None:
    assert refusal(urls.target(url), Guard.of(FetchSettings())) == "address"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://example.com/", None),
        ("https://example.com/", None),
        ("http://example.com:8080/", None),
        ("https://example.com:8443/", None),
        ("http://example.com:22/", "port"),
        ("http://example.com:6379/", "port"),
        ("http://example.com:3000/", None),
    ],
)
def test_only_ports_of_the_web_and_of_the_settings_pass(url: str, expected: str | None) -> None:
    assert refusal(urls.target(url), Guard.of(FetchSettings(ports=(3000,)))) == expected


def test_a_network_that_the_settings_name_is_open() -> None:
    guard = Guard.of(FetchSettings(allow_networks=("10.1.0.0/16",)))
    assert refusal(urls.target("http://10.1.2.3/"), guard) is None
    assert refusal(urls.target("http://10.2.2.3/"), guard) == "address"


def test_a_pin_opens_exactly_its_own_host_and_port() -> None:
    guard = Guard.of(FetchSettings(resolve=("site.test:81=127.0.0.1:5000",)))
    assert refusal(urls.target("http://site.test:81/"), guard) is None
    assert refusal(urls.target("http://site.test:82/"), guard) == "port"
    assert refusal(urls.target("http://127.0.0.1:5000/"), guard) == "port"


@pytest.fixture
def knocks() -> Iterator[tuple[int, list[object]]]:
    """A listener on a port of the web, and whoever connected to it."""
    listener = socket.create_server(("127.0.0.1", 0))
    seen: list[object] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            seen.append(1)
            connection.close()

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1], seen
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def test_nothing_is_sent_to_loopback_by_any_name(
    knocks: tuple[int, list[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, seen = knocks
    # No server can stage a public name with a private address on this machine: the resolver is the fake here.
    answers = {
        "private.example": ["127.0.0.1"],
        "mixed.example": ["93.184.216.34", "127.0.0.1"],
        "six.example": ["::ffff:127.0.0.1"],
    }

    def resolver(host: str, port: int, **kind: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answers[host]]

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    settings = FetchSettings(ports=(port,), robots="ignore", delay_seconds=0)
    pages = [f"http://{host}:{port}/" for host in (*answers, "localhost", "127.0.0.1", "[::1]", "0.0.0.0")]
    kept = captures(fetch_all(settings, pages))
    assert {str(capture.outcome) for capture in kept.values()} == {"excluded(address)"}
    assert len(kept) == len(pages)
    assert seen == []


def test_a_redirect_to_a_private_address_is_refused(site: Site, knocks: tuple[int, list[object]]) -> None:
    port, seen = knocks
    for number, place in enumerate(("127.0.0.1", "localhost", "2130706433", "[::ffff:7f00:1]")):
        site.reply(f"/{number}", status=302, headers={"Location": f"http://{place}:{port}/"})
        capture = fetch(site.settings(ports=(port,)), site.url(f"/{number}"))
        assert str(capture.outcome) == "excluded(address)"
        assert len(capture.exchanges) == 1
    assert seen == []


@pytest.mark.parametrize(
    ("place", "outcome"),
    [
        ("file:///etc/passwd", "excluded(scheme)"),
        ("ftp://site.test/", "excluded(scheme)"),
        ("javascript:alert(1)", "excluded(scheme)"),
        ("http://site.test:22/", "excluded(port)"),
        ("http://[bad/", "failed(redirects)"),
    ],
)
def test_a_redirect_to_what_is_not_the_web_is_refused(site: Site, place: str, outcome: str) -> None:
    site.reply("/", status=301, headers={"Location": place})
    capture = fetch(site.settings(), site.url())
    assert str(capture.outcome) == outcome
    assert len(capture.exchanges) == 1


def test_control_characters_and_userinfo_of_a_server_stay_out_of_the_detail(site: Site) -> None:
    site.reply("/", raw=b"HTTP/1.1 301 x\r\nLocation: gopher://me:secret@x/\x1b[31m\r\nContent-Length: 0\r\n\r\n")
    capture = fetch(site.settings(), site.url())
    assert capture.outcome.state in (State.EXCLUDED, State.FAILED)
    assert "\x1b" not in capture.detail
    assert "secret" not in capture.detail
