"""One request and its answer, byte for byte. Everything that knows of HTTP libraries lives here.

The interface is `Wire.exchange`; nothing outside notices how it is done.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime

import httpcore
import httpx

from scraper import message, urls
from scraper.fetcher.dial import Dialer, Fault, Stream, Tape, Unreachable, tls_context
from scraper.fetcher.guard import Guard
from scraper.model import Exchange, Target, Truncation
from scraper.settings import FetchSettings

_IDLE_SECONDS = 20.0
_MOST_IDLE = 64
_LINES_TO_A_HOST = 2  # requests to a host go one by one, but for what a page needs to be seen: two by two
# Chunks cost time whatever is in them. So many are let through, and one more for each 100 bytes.
_FREE_CHUNKS = 200_000
_FAIR_CHUNK_BYTES = 100
_CHUNKS_AT_A_STRETCH = 500  # then the other visits' connections are served

Headers = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Purse:
    """The bytes that several exchanges may take together, and the most of it that one of them may take."""

    left_bytes: int
    share_bytes: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What one exchange may take: time from the first packet to the last byte, and bytes on the wire.

    With a `purse`, several exchanges under way at once may not take more than that together.
    """

    deadline_seconds: float
    wire_bytes: int
    purse: Purse | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a request: the exchange if there was a connection, the fault if it is not a whole answer."""

    exchange: Exchange | None
    fault: Fault | None
    seconds: float

    @property
    def status(self) -> int:
        """The status of the answer, 0 where there was none."""
        return self.exchange.status if self.exchange else 0


@dataclass(slots=True)
class Line:
    """A connection to an origin and the stream below it; `served` counts its answers."""

    http: httpcore.AsyncHTTP11Connection
    stream: Stream
    served: int = 0
    idle_since: float = 0.0


class RecordingTransport(httpx.AsyncBaseTransport):
    """An httpx transport whose lines record what goes over them.

    At most two lines to a host are open, if its caller has no more than two requests to it under way at once.

    The caller passes `extensions={"target": Target, "tape": Tape}` and reads the tape; `settle` says whether the
    line may serve again. There is no redirect, cookie, proxy or decoding here, and no `httpx.Client` above.
    """

    def __init__(self, dialer: Dialer) -> None:
        self._dialer = dialer
        self._idle: OrderedDict[tuple[str, int], Line] = OrderedDict()  # by origin and place

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request over a kept or a new line; raises `Unreachable` and httpcore's exceptions."""
        target: Target = request.extensions["target"]
        line = await self._line(target, fresh=request.extensions.get("fresh", False))
        line.stream.tape = request.extensions["tape"]
        raw = httpcore.Request(
            request.method,
            httpcore.URL(scheme=target.scheme, host=target.host.strip("[]"), port=target.port, target=target.path),
            headers=request.headers.raw,
            content=request.stream,
        )
        request.extensions["line"](line)
        response = await line.http.handle_async_request(raw)
        return httpx.Response(response.status, headers=response.headers, stream=_Body(response))

    async def _line(self, target: Target, fresh: bool) -> Line:
        kept = self._take(urls.origin(target))
        if kept is not None:
            if not fresh and not kept.http.has_expired():
                return kept
            await kept.http.aclose()
        # One more line is opened only when none to this origin is idle; those of the host's other scheme must not add.
        await self.hang_up(urls.host_key(target))
        stream = await self._dialer.connect(target)
        origin = httpcore.Origin(target.scheme.encode(), target.host.strip("[]").encode(), target.port)
        return Line(httpcore.AsyncHTTP11Connection(origin, stream, keepalive_expiry=_IDLE_SECONDS), stream)

    def _take(self, origin: str) -> Line | None:
        """An idle line to an origin, out of the idle ones."""
        places = (self._idle.pop((origin, place), None) for place in range(_LINES_TO_A_HOST))
        return next((line for line in places if line is not None), None)

    def _free_place(self, origin: str) -> tuple[str, int] | None:
        places = ((origin, place) for place in range(_LINES_TO_A_HOST))
        return next((place for place in places if place not in self._idle), None)

    async def settle(self, target: Target, line: Line, reusable: bool) -> None:
        """Keep a line for the next request to its origin, or drop it."""
        now = asyncio.get_running_loop().time()
        place = self._free_place(urls.origin(target))
        if reusable and place is not None and line.http.is_idle() and not line.http.has_expired():
            line.served += 1
            line.idle_since = now
            line.stream.tape = Tape()
            self._idle[place] = line
        else:
            await line.http.aclose()
        while self._idle:
            oldest = next(iter(self._idle.values()))
            if len(self._idle) <= _MOST_IDLE and now - oldest.idle_since < _IDLE_SECONDS:
                break
            self._idle.popitem(last=False)
            await oldest.http.aclose()

    async def hang_up(self, host: str) -> None:
        """Drop the idle lines to a host."""
        for scheme in urls.SCHEMES:
            while (line := self._take(f"{scheme}://{host}")) is not None:
                await line.http.aclose()

    async def aclose(self) -> None:
        """Drop every line."""
        while self._idle:
            _, line = self._idle.popitem()
            await line.http.aclose()


class _Body(httpx.AsyncByteStream):
    """The body of an httpcore response as httpx wants it."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __aiter__(self):  # type: ignore[no-untyped-def]
        return self._response.stream.__aiter__()  # type: ignore[union-attr]

    async def aclose(self) -> None:
        await self._response.aclose()


class Wire:
    """The network, as the rest of the fetcher sees it."""

    def __init__(self, settings: FetchSettings, guard: Guard) -> None:
        dialer = Dialer(guard, tls_context(settings.ca_file), settings.connect_seconds)
        self._transport = RecordingTransport(dialer)

    async def exchange(self, target: Target, headers: Headers, limits: Limits) -> Reply:
        """Ask once. A kept-alive line which had gone stale is replaced unseen: the server never saw that request."""
        call = _Call(self._transport, target, headers, limits)
        reply = await call.run(fresh=False)
        if call.was_stale:
            return await _Call(self._transport, target, headers, limits).run(fresh=True)
        return reply

    async def hang_up(self, host: str) -> None:
        """Nothing more is wanted of a host: keep no connection to it."""
        await self._transport.hang_up(host)

    async def aclose(self) -> None:
        """Drop every connection."""
        await self._transport.aclose()


def _raw(header: tuple[str, str]) -> tuple[bytes, bytes]:
    """A header as bytes: a validator goes back as the latin-1 that it was read as (RFC 9110, 5.5: obs-text)."""
    return header[0].encode("ascii"), header[1].encode("latin-1")


class _Call:
    """One request under way."""

    def __init__(self, transport: RecordingTransport, target: Target, headers: Headers, limits: Limits) -> None:
        self._transport = transport
        self._target = target
        self._limits = limits
        self._headers = headers
        self._tape = Tape()
        self._line: Line | None = None
        self._surplus = False
        self._announced_bytes = 0
        self._paid_bytes = 0
        self.was_stale = False

    async def run(self, fresh: bool) -> Reply:
        loop = asyncio.get_running_loop()
        started_at, started = datetime.now(UTC), loop.time()
        fault: Fault | None = None
        truncated: Truncation | None = None
        try:
            async with asyncio.timeout(self._limits.deadline_seconds):
                truncated = await self._talk(fresh)
        except TimeoutError:
            truncated = Truncation.TIME
            fault = Fault("timeout", f"no whole answer within {self._limits.deadline_seconds:g} s", transient=True)
        except Unreachable as error:
            fault = error.fault
        except (httpcore.ReadError, httpcore.WriteError, httpcore.RemoteProtocolError) as error:
            truncated = Truncation.DISCONNECT
            fault = self._broken(error)
        except (httpcore.LocalProtocolError, httpx.InvalidURL) as error:
            fault = Fault("protocol", f"the request cannot be put into HTTP/1.1: {error}")
        reply = self._reply(started_at, loop.time() - started, truncated, fault)
        if self._line is not None:
            # Bytes beyond the message would become the next URL's answer.
            reusable = fault is None and truncated is None and not self._surplus
            await self._transport.settle(self._target, self._line, reusable)
        return reply

    async def _talk(self, fresh: bool) -> Truncation | None:
        request = httpx.Request(
            "GET",
            f"{self._target.scheme}://{self._target.host}:{self._target.port}/",
            headers=[(b"Host", urls.host_key(self._target).encode("ascii")), *map(_raw, self._headers)],
            extensions={"target": self._target, "tape": self._tape, "fresh": fresh, "line": self._took},
        )
        response = await self._transport.handle_async_request(request)
        assert isinstance(response.stream, httpx.AsyncByteStream)
        try:
            if self._announces_too_much(response.headers.get("content-length", "")):
                return Truncation.LENGTH
            chunks = 0
            async for _ in response.stream:
                chunks += 1
                if self._is_too_much(chunks):
                    return Truncation.LENGTH
                if chunks % _CHUNKS_AT_A_STRETCH == 0:
                    await asyncio.sleep(0)
        finally:
            await response.stream.aclose()
        return None

    def _announces_too_much(self, length: str) -> bool:
        """One that would empty the purse is not begun: the others shall have what is in it."""
        purse = self._limits.purse
        if purse is None or not (length.isascii() and length.isdigit()):
            return False
        self._announced_bytes = int(length[:18])
        return self._announced_bytes > min(purse.left_bytes, purse.share_bytes)

    def _is_too_much(self, chunks: int) -> bool:
        size = len(self._tape.received)
        purse = self._limits.purse
        if purse is not None:
            purse.left_bytes -= size - self._paid_bytes
            self._paid_bytes = size
            if purse.left_bytes < 0:
                return True
        return size > self._limits.wire_bytes or chunks > _FREE_CHUNKS + size // _FAIR_CHUNK_BYTES

    def _took(self, line: Line) -> None:
        self._line = line

    def _broken(self, error: Exception) -> Fault:
        line = self._line
        where = f"{self._target.host}:{self._target.port}"
        if not self._tape.received:
            self.was_stale = line is not None and line.served > 0
            return Fault("reset", f"{where} closed the connection without an answer", transient=True)
        if isinstance(error, httpcore.ReadError) or (line is not None and line.stream.peer_ended):
            return Fault("truncated", f"{where} broke off in the middle of its answer", transient=True)
        return Fault("protocol", f"{where} does not speak HTTP/1.1: {error}")

    def _reply(self, at: datetime, seconds: float, truncated: Truncation | None, fault: Fault | None) -> Reply:
        line, tape = self._line, self._tape
        if line is None:
            return Reply(None, fault, seconds)
        received = _final_message(bytes(tape.received))
        head = message.parse_head(received)
        if fault is None and truncated is Truncation.LENGTH:
            fault = Fault("too large", self._how_large(received))
            received = received[: self._limits.wire_bytes]
        if fault is None and head is None:
            fault = Fault("protocol", f"{self._target.host} does not answer in HTTP/1.1")
        end = message_end(received, head) if fault is None and head else None
        self._surplus = end is not None and end < len(received)
        exchange = Exchange(
            target=self._target,
            started_at=at,
            seconds=seconds,
            request=bytes(tape.sent),
            received=received[:end],
            head_length=head.length if head else 0,
            status=head.status if head else 0,
            reason=head.reason if head else "",
            headers=head.headers if head else (),
            peer_ip=line.stream.peer_ip,
            protocol=_protocol(head, line.stream),
            truncated=truncated,
        )
        return Reply(exchange, fault, seconds)

    def _how_large(self, received: bytes) -> str:
        cap_bytes = self._limits.wire_bytes
        said = f"is larger than {cap_bytes / 2**20:g} MiB" if len(received) > cap_bytes else "comes in too many chunks"
        purse = self._limits.purse
        if purse is not None and (purse.left_bytes < 0 or self._announced_bytes > min(cap_bytes, purse.left_bytes)):
            said = "is more than what a page needs to be seen may take"
        return f"the answer {said}; the first part is kept"


def _final_message(received: bytes) -> bytes:
    """Cut the interim answers (1xx) off the front: "100 Continue", "103 Early Hints"."""
    at = 0
    while (head := message.parse_head(received, at)) is not None and 100 <= head.status < 200 and head.status != 101:
        at += head.length
    return received[at:] if at else received


def message_end(received: bytes, head: message.Head) -> int | None:
    """Where a whole response to GET ends (RFC 9112, 6.3); None when only the close of the connection says so."""
    if head.status in (204, 304) or 100 <= head.status < 200:
        return head.length
    if message.is_chunked(head):
        used = message.dechunk(received[head.length :])[1]
        return None if used is None else head.length + used
    length = head.header("content-length")
    if length is None:
        return None
    # RFC 9110, 8.6: a list of equal values is one value.
    first = length.split(",")[0].strip()
    return head.length + int(first) if first.isascii() and first.isdigit() else None


def _protocol(head: message.Head | None, stream: Stream) -> tuple[str, ...]:
    http = f"http/{head.version}" if head else "http/1.1"
    version = stream.tls_version
    return (http, version.lower().replace("tlsv", "tls/")) if version else (http,)
