"""A line that is idle may end, or be spoken on unasked, at any moment: also in the last one before it is used."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import pytest
from server import Connection, Seen, Site

from scraper import urls
from scraper.fetcher.guard import Guard
from scraper.fetcher.wire import Limits, Reply, Wire

LIMITS = Limits(deadline_seconds=20.0, wire_bytes=1 << 20)
OWN = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nown"
POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
Ask = Callable[[str], Awaitable[Reply]]


def with_wire(site: Site, scheme: str, scenario: Callable[[Ask], Awaitable[None]]) -> None:
    async def run() -> None:
        settings = site.settings()
        wire = Wire(settings, Guard.of(settings))

        async def ask(path: str) -> Reply:
            return await wire.exchange(urls.target(site.url(path, scheme=scheme)), (), LIMITS)

        try:
            await scenario(ask)
        finally:
            await wire.aclose()

    asyncio.run(run())


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("unasked", [POISON, b""], ids=["an answer", "the end"])
def test_what_still_lies_in_the_kernel_makes_a_line_stale(site: Site, scheme: str, unasked: bytes) -> None:
    speak, spoken = threading.Event(), threading.Event()

    def first(connection: Connection, _seen: Seen) -> None:
        connection.send(OWN)
        speak.wait(10)
        if unasked:
            connection.send(unasked)
        else:
            connection.socket.shutdown(2)
        spoken.set()

    site.behave("/1", first)
    site.reply("/2", body=b"second")

    async def scenario(ask: Ask) -> None:
        assert (await ask("/1")).exchange.body == b"own"
        # Nothing of the loop runs until the next request is under way: it cannot have read what came.
        speak.set()
        assert spoken.wait(10)
        time.sleep(0.1)  # noqa: ASYNC251 - the loop must stand still
        reply = await ask("/2")
        assert (reply.fault, reply.exchange.body) == (None, b"second")

    with_wire(site, scheme, scenario)
    assert len(site.seen("/2")) == 1  # nor was it asked on the old line
    assert site.seen("/2")[0].connection != site.seen("/1")[0].connection


def test_where_two_lines_are_stale_the_second_try_takes_neither(site: Site) -> None:
    together, served = threading.Barrier(2), set()

    def both(connection: Connection, _seen: Seen) -> None:
        together.wait(10)
        served.add(connection.number)
        connection.send(OWN)

    def only_on_new_lines(connection: Connection, _seen: Seen) -> None:
        connection.reset() if connection.number in served else connection.send(OWN)

    site.behave("/1", both)
    site.behave("/2", only_on_new_lines)

    async def scenario(ask: Ask) -> None:
        await asyncio.gather(ask("/1"), ask("/1"))
        assert len(served) == 2
        reply = await ask("/2")
        assert (reply.fault, reply.exchange.body) == (None, b"own")

    with_wire(site, "http", scenario)
    asked = [seen.connection in served for seen in site.seen("/2")]
    assert asked == [True, False]
