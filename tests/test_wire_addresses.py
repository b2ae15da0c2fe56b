"""One host at a time speaks with an address: the very one that is connected to, and only as long as it speaks."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import pytest
from server import Connection, Seen, Site

from scraper import urls
from scraper.fetcher import dial
from scraper.fetcher.addresses import Addresses, Crowded
from scraper.fetcher.guard import Guard
from scraper.fetcher.wire import Limits, Reply, Wire
from scraper.settings import FetchSettings

LIMITS = Limits(deadline_seconds=20.0, wire_bytes=1 << 20)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Names and their addresses, instead of a name server."""
    known: dict[str, list[str]] = {}

    async def resolve(host: str, port: int) -> list[str]:
        return known.get(host, ["127.0.0.1"])

    monkeypatch.setattr(dial, "resolve", resolve)
    return known


def settings_of(site: Site, port: int = 0) -> FetchSettings:
    return FetchSettings(allow_networks=("127.0.0.0/8",), ports=(port or site.http_port,))


async def ask(wire: Wire, site: Site, host: str, path: str = "/") -> Reply:
    return await wire.exchange(urls.target(f"http://{host}:{site.http_port}{path}"), (), LIMITS)


def test_a_second_host_at_an_address_is_crowded_until_the_first_has_its_answer(
    site: Site, names: dict[str, list[str]]
) -> None:
    asked, answer = threading.Event(), threading.Event()

    def slowly(connection: Connection, seen: Seen) -> None:
        asked.set()
        answer.wait(10)
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    site.behave("/", slowly)

    async def scenario() -> None:
        addresses = Addresses()
        wire = Wire(settings_of(site), Guard.of(settings_of(site)), addresses)
        first = asyncio.create_task(ask(wire, site, "a.test"))
        await asyncio.to_thread(asked.wait, 10)
        with pytest.raises(Crowded) as crowded:
            await ask(wire, site, "b.test")
        assert crowded.value.address == "127.0.0.1"
        assert len(site.log) == 1  # nothing was sent
        assert addresses.holder("127.0.0.1") == f"a.test:{site.http_port}"
        answer.set()
        assert (await first).status == 200
        assert addresses.holder("127.0.0.1") is None
        assert (await ask(wire, site, "b.test")).status == 200
        # A kept line claims its address again.
        assert addresses.claim("127.0.0.1", "c.test")
        with pytest.raises(Crowded):
            await ask(wire, site, "a.test")
        addresses.release("127.0.0.1", "c.test")
        assert (await ask(wire, site, "a.test")).status == 200
        assert len({seen.connection for seen in site.log if seen.host.startswith("a.test")}) == 1
        await wire.aclose()

    asyncio.run(scenario())


def test_another_address_of_the_name_is_used_where_one_is_taken(site: Site, names: dict[str, list[str]]) -> None:
    site.reply("/", body=b"ok")
    names["two.test"] = ["127.0.0.7", "127.0.0.1"]

    async def scenario() -> Reply:
        addresses = Addresses()
        assert addresses.claim("127.0.0.7", "other.test")
        wire = Wire(settings_of(site), Guard.of(settings_of(site)), addresses)
        reply = await ask(wire, site, "two.test")
        await wire.aclose()
        assert addresses.holder("127.0.0.1") is None
        return reply

    reply = asyncio.run(scenario())
    assert reply.exchange is not None
    assert (reply.status, reply.exchange.peer_ip) == (200, "127.0.0.1")


@pytest.mark.parametrize("trouble", ["refused", "reset", "deadline", "tls"])
def test_no_trouble_leaves_an_address_taken(site: Site, names: dict[str, list[str]], trouble: str) -> None:
    site.behave("/reset", lambda connection, seen: connection.reset())
    site.behave("/deadline", lambda connection, seen: connection.socket.recv(1))  # type: ignore[func-returns-value]
    port = {"refused": 9, "tls": site.https_port}.get(trouble, site.http_port)
    scheme = "https" if trouble == "tls" else "http"
    settings = settings_of(site, port)

    async def scenario() -> Reply:
        addresses = Addresses()
        wire = Wire(settings, Guard.of(settings), addresses)
        target = urls.target(f"{scheme}://a.test:{port}/{trouble}")
        reply = await wire.exchange(target, (), replace(LIMITS, deadline_seconds=1.0))
        assert addresses.holder("127.0.0.1") is None
        await wire.aclose()
        return reply

    reply = asyncio.run(scenario())
    assert reply.fault is not None
    assert reply.fault.reason == {"deadline": "timeout"}.get(trouble, trouble)


def test_a_pinned_name_claims_nothing(site: Site) -> None:
    site.reply("/", body=b"ok")
    site.url(host="a.test")
    settings = site.settings()

    async def scenario() -> int:
        addresses = Addresses()
        assert addresses.claim("127.0.0.1", "other.test")
        wire = Wire(settings, Guard.of(settings), addresses)
        reply = await wire.exchange(urls.target("http://a.test/"), (), LIMITS)
        await wire.aclose()
        return reply.status

    assert asyncio.run(scenario()) == 200


@pytest.mark.parametrize("literal", ["127.0.0.1", "2001:db8::1"])
def test_an_address_is_itself_and_nobody_is_asked_for_it(literal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object, **__: object) -> None:
        raise AssertionError("a thread was started")

    monkeypatch.setattr(threading.Thread, "start", asked)
    assert asyncio.run(dial.resolve(literal, 80)) == [literal]
