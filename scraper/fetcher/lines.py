"""Connections kept for the next request to their origin, behind the transport interface of httpx."""

from __future__ import annotations

import asyncio
import resource
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx

from scraper import urls
from scraper.fetcher.addresses import Crowded
from scraper.fetcher.dial import Dialer
from scraper.fetcher.speaker import Reader, Unwritable, written_request
from scraper.fetcher.stream import Lost, Stream
from scraper.fetcher.tape import Tape
from scraper.model import Target

_IDLE_SECONDS = 20.0
# Hosts wait for their delay in between. A line is a descriptor, and with TLS some 0.1 MB.
_MOST_IDLE = 256
_SHARE_OF_DESCRIPTORS = 4
_LINES_TO_A_HOST = 2  # requests to a host go one by one, but for what a page needs to be seen: two by two


@dataclass(slots=True)
class Line:
    """A connection to an origin; `served` counts its answers."""

    stream: Stream
    served: int = 0
    idle_since: float = 0.0


@dataclass(slots=True)
class Talk:
    """One request and its answer on a line: what was said so far. `fresh` asks for a line that never served."""

    target: Target
    fresh: bool = False
    tape: Tape = field(default_factory=Tape)
    reader: Reader = field(default_factory=Reader)
    line: Line | None = None

    async def hear(self, request: httpx.Request) -> bytes:
        """The next bytes of the answer, recorded; raises what httpx's transports raise where there will be no more."""
        assert self.line is not None
        try:
            data = await self.line.stream.read()
        except Lost as error:
            raise httpx.ReadError(str(error), request=request) from error
        if data:
            self.tape.record(data)
            data = data[self.reader.feed(data) :]
        elif not self.reader.close():
            raise httpx.RemoteProtocolError("the connection was closed too early", request=request)
        if self.reader.flaw is not None:
            raise httpx.RemoteProtocolError(self.reader.flaw.said, request=request)
        return data


class RecordingTransport(httpx.AsyncBaseTransport):
    """An httpx transport of our own HTTP/1.1, whose lines record what goes over them.

    At most two lines to a host are open, if its caller has no more than two requests to it under way at once.

    The caller passes `extensions={"talk": Talk}` and reads it afterwards; `settle` says that the exchange is over. The
    body comes as sent, its transfer coding kept. There is no redirect, cookie, proxy or decoding here, and no
    `httpx.Client` above.
    """

    def __init__(self, dialer: Dialer) -> None:
        self._dialer = dialer
        self._idle: OrderedDict[tuple[str, int], Line] = OrderedDict()  # by origin and place
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]  # -1: as many as one likes
        self._most_idle = min(_MOST_IDLE, descriptors // _SHARE_OF_DESCRIPTORS) if descriptors > 0 else _MOST_IDLE

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request over a kept or a new line; raises `Unreachable`, `Crowded` and httpx's exceptions."""
        talk: Talk = request.extensions["talk"]
        try:
            written = written_request(request.method, talk.target, request.headers.raw)
        except Unwritable as error:
            raise httpx.LocalProtocolError(str(error), request=request) from error
        talk.line = await self._line(talk)
        try:
            await talk.line.stream.write(written)
        except Lost as error:
            raise httpx.WriteError(str(error), request=request) from error
        talk.tape.sent = written
        early = b""
        while talk.reader.head is None:
            early = await talk.hear(request)
        head = talk.reader.head
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in head.headers]
        return httpx.Response(head.status, headers=headers, stream=_Body(talk, request, early))

    async def _line(self, talk: Talk) -> Line:
        target = talk.target
        host = urls.host_key(target)
        kept = self._take(urls.origin(target))
        if kept is not None:
            if not talk.fresh and not kept.stream.is_stale() and not _is_old(kept):
                if self._dialer.claim(kept.stream.address, host):
                    return kept
                assert kept.stream.address is not None
                await self._keep(target, kept)
                raise Crowded(kept.stream.address)
            await kept.stream.aclose()
        # One more line is opened only when none to this origin is idle; those of the host's other scheme must not add.
        await self.hang_up(host)
        return Line(await self._dialer.connect(target))

    def _take(self, origin: str) -> Line | None:
        """An idle line to an origin, out of the idle ones."""
        places = (self._idle.pop((origin, place), None) for place in range(_LINES_TO_A_HOST))
        return next((line for line in places if line is not None), None)

    def _free_place(self, origin: str) -> tuple[str, int] | None:
        places = ((origin, place) for place in range(_LINES_TO_A_HOST))
        return next((place for place in places if place not in self._idle), None)

    async def settle(self, talk: Talk, reusable: bool) -> None:
        """The exchange is over: give its address back, and keep its line for the next request or drop it."""
        line = talk.line
        if line is None:
            return
        self._dialer.release(line.stream.address, urls.host_key(talk.target))
        if reusable and not line.stream.is_stale():
            line.served += 1
            line.idle_since = asyncio.get_running_loop().time()
            await self._keep(talk.target, line)
        else:
            await line.stream.aclose()

    async def _keep(self, target: Target, line: Line) -> None:
        """Put a line among the idle ones, and drop those that are too old or too many."""
        place = self._free_place(urls.origin(target))
        if place is None:
            await line.stream.aclose()
        else:
            self._idle[place] = line
        while self._idle:
            oldest = next(iter(self._idle.values()))
            if len(self._idle) <= self._most_idle and not _is_old(oldest):
                break
            self._idle.popitem(last=False)
            await oldest.stream.aclose()

    async def hang_up(self, host: str) -> None:
        """Drop the idle lines to a host."""
        for scheme in urls.SCHEMES:
            while (line := self._take(f"{scheme}://{host}")) is not None:
                await line.stream.aclose()

    async def aclose(self) -> None:
        """Drop every line."""
        while self._idle:
            _, line = self._idle.popitem()
            await line.stream.aclose()


def _is_old(line: Line) -> bool:
    return asyncio.get_running_loop().time() - line.idle_since >= _IDLE_SECONDS


class _Body(httpx.AsyncByteStream):
    """A body, read on demand."""

    def __init__(self, talk: Talk, request: httpx.Request, early: bytes) -> None:
        self._talk = talk
        self._request = request
        self._early = early

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        early, self._early = self._early, b""
        if early or not self._talk.reader.is_done:
            return early or await self._talk.hear(self._request)
        raise StopAsyncIteration
