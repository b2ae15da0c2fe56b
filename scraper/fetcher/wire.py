"""One request and its answer, byte for byte: deadline, limits, and what went wrong in words.

The interface is `Wire.exchange`; nothing outside notices how it is done.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

from scraper import urls
from scraper.fetcher.addresses import Addresses
from scraper.fetcher.dial import Dialer, Fault, Unreachable, tls_context
from scraper.fetcher.guard import Guard
from scraper.fetcher.lines import RecordingTransport, Talk
from scraper.fetcher.speaker import HEAD_BYTES
from scraper.fetcher.stream import Lost
from scraper.model import Exchange, Target, Truncation
from scraper.settings import FetchSettings

_CHUNKS_AT_A_STRETCH = 2000  # then the other visits' connections are served
# What is no HTTP is evidence, too: so long and so much is heard on, for no length tells where it ends.
_LINGER_SECONDS = 2.0
_LINGER_BYTES = HEAD_BYTES

Headers = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Purse:
    """The bytes that several exchanges may take together, and the most of it that one of them may take."""

    left_bytes: int
    share_bytes: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What one exchange may take: time from the first packet to the last byte, and bytes on the wire.

    With a `purse`, several exchanges under way at once may not take more than that together. More than `data_bytes`
    of a body, without its transfer coding, are not wanted.
    """

    deadline_seconds: float
    wire_bytes: int
    purse: Purse | None = None
    data_bytes: int | None = None


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


class Wire:
    """The network, as the rest of the fetcher sees it."""

    def __init__(self, settings: FetchSettings, guard: Guard, addresses: Addresses | None = None) -> None:
        dialer = Dialer(guard, tls_context(settings.ca_file), settings.connect_seconds, addresses)
        self._transport = RecordingTransport(dialer)

    async def exchange(self, target: Target, headers: Headers, limits: Limits) -> Reply:
        """Ask once; raises `Crowded`, with nothing sent, while another host's request to its address is under way.

        A kept-alive line which had gone stale is replaced unseen: the server never saw that request.
        """
        ends_at = asyncio.get_running_loop().time() + limits.deadline_seconds
        call = _Call(self._transport, Talk(target), headers, limits, ends_at)
        reply = await call.run()
        if call.was_stale:
            reply = await _Call(self._transport, Talk(target, fresh=True), headers, limits, ends_at).run()
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

    def __init__(
        self, transport: RecordingTransport, talk: Talk, headers: Headers, limits: Limits, ends_at: float
    ) -> None:
        self._transport = transport
        self._talk = talk
        self._headers = headers
        self._limits = limits
        self._ends_at = ends_at
        self._announced_bytes = 0
        self._paid_bytes = 0
        self.was_stale = False

    async def run(self) -> Reply:
        loop, talk = asyncio.get_running_loop(), self._talk
        started_at, started = datetime.now(UTC), loop.time()
        reusable = False
        try:
            fault, truncated = await self._answered()
            reusable = fault is None and truncated is None and talk.reader.may_follow
            return self._reply(started_at, loop.time() - started, truncated, fault)
        finally:
            await self._transport.settle(talk, reusable)

    async def _answered(self) -> tuple[Fault | None, Truncation | None]:
        """Talk to the end; gives what went wrong, and why the answer ends before its end."""
        try:
            async with asyncio.timeout_at(self._ends_at):
                too_much = await self._converse()
        except TimeoutError:
            detail = f"no whole answer within {self._limits.deadline_seconds:g} s"
            return Fault("timeout", detail, transient=True), Truncation.TIME
        except Unreachable as error:
            return error.fault, None
        except httpx.LocalProtocolError as error:
            return Fault("protocol", f"the request cannot be put into HTTP/1.1: {error}"), None
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            return await self._broken()
        return (Fault("too large", self._how_large()), Truncation.LENGTH) if too_much else (None, None)

    async def _converse(self) -> bool:
        """Ask and hear the answer; whether it is cut off as too much."""
        request = httpx.Request(
            "GET",
            _LABEL,
            headers=[(b"Host", urls.host_key(self._talk.target).encode("ascii")), *map(_raw, self._headers)],
            extensions={"talk": self._talk},
        )
        response = await self._transport.handle_async_request(request)
        if self._announces_too_much(response.headers.get("content-length", "")):
            return True
        assert isinstance(response.stream, httpx.AsyncByteStream)
        chunks = 0
        async for _ in response.stream:
            if self._is_too_much():
                return True
            if self._talk.reader.chunks - chunks > _CHUNKS_AT_A_STRETCH:
                chunks = self._talk.reader.chunks
                await asyncio.sleep(0)
        return False

    def _announces_too_much(self, length: str) -> bool:
        """One that would empty the purse is not begun: the others shall have what is in it."""
        purse = self._limits.purse
        if purse is None or not (length.isascii() and length.isdigit()):
            return False
        self._announced_bytes = int(length[:18])
        return self._announced_bytes > min(purse.left_bytes, purse.share_bytes)

    def _is_too_much(self) -> bool:
        size, purse = self._talk.reader.message_bytes, self._limits.purse
        if purse is not None:
            purse.left_bytes -= size - self._paid_bytes
            self._paid_bytes = size
            if purse.left_bytes < 0:
                return True
        return size > self._limits.wire_bytes or self._has_enough()

    def _has_enough(self) -> bool:
        most_bytes = self._limits.data_bytes
        return most_bytes is not None and self._talk.reader.data_bytes > most_bytes

    async def _broken(self) -> tuple[Fault, Truncation | None]:
        """What it means that the answer could not be read to its end."""
        reader, line = self._talk.reader, self._talk.line
        target = self._talk.target
        where = f"{target.host}:{target.port}"
        if reader.flaw is not None:
            fault = Fault(reader.flaw.reason, f"{where} {reader.flaw.said}")
            if reader.flaw.reason == "too large":
                return Fault(
                    "too large", f"the answer of {where} {reader.flaw.said}; the first part is kept"
                ), Truncation.LENGTH
            ended = await self._linger()
            # Bytes without a head are all there was; a message whose framing is broken is never whole.
            return fault, None if ended and reader.head is None else Truncation.DISCONNECT
        if not self._talk.tape.received_bytes:
            self.was_stale = line is not None and line.served > 0
            return Fault(
                "reset", f"{where} closed the connection without an answer", transient=True
            ), Truncation.DISCONNECT
        return Fault(
            "truncated", f"{where} broke off in the middle of its answer", transient=True
        ), Truncation.DISCONNECT

    async def _linger(self) -> bool:
        """Hear what else comes of an answer that is no HTTP; whether the server ended it."""
        tape, line = self._talk.tape, self._talk.line
        assert line is not None
        most_bytes = min(_LINGER_BYTES, self._limits.wire_bytes)
        ends_at = min(self._ends_at, asyncio.get_running_loop().time() + _LINGER_SECONDS)
        with suppress(TimeoutError, Lost):
            async with asyncio.timeout_at(ends_at):
                while tape.received_bytes < most_bytes:
                    data = await line.stream.read()
                    if not data:
                        return True
                    tape.record(data)
        return False

    def _reply(self, at: datetime, seconds: float, truncated: Truncation | None, fault: Fault | None) -> Reply:
        line, tape, reader = self._talk.line, self._talk.tape, self._talk.reader
        if line is None:
            return Reply(None, fault, seconds)
        head = reader.head
        stop = tape.received_bytes if reader.end is None else reader.end
        if truncated is Truncation.LENGTH:
            # The cap of heads counts interim ones, too.
            stop = min(stop, reader.head_at + self._limits.wire_bytes if head else max(reader.head_at, HEAD_BYTES))
        exchange = Exchange(
            target=self._talk.target,
            started_at=at,
            seconds=seconds,
            request=tape.sent,
            answer=tape.received(reader.head_at, stop),
            head_length=head.length if head else 0,
            status=head.status if head else 0,
            reason=head.reason if head else "",
            headers=head.headers if head else (),
            peer_ip=line.stream.peer_ip,
            protocol=_protocol(self._talk),
            truncated=truncated,
        )
        return Reply(exchange, fault, seconds)

    def _how_large(self) -> str:
        cap_bytes, purse = self._limits.wire_bytes, self._limits.purse
        if self._has_enough():
            cap_bytes = self._limits.data_bytes or 0
        said = f"is larger than {cap_bytes / 2**20:g} MiB"
        if purse is not None and (purse.left_bytes < 0 or self._announced_bytes > min(cap_bytes, purse.left_bytes)):
            said = "is more than what a page needs to be seen may take"
        return f"the answer {said}; the first part is kept"


def _protocol(talk: Talk) -> tuple[str, ...]:
    assert talk.line is not None
    http = f"http/{talk.reader.head.version}" if talk.reader.head else "http/1.1"
    version = talk.line.stream.tls_version
    return (http, version.lower().replace("tlsv", "tls/")) if version else (http,)


# httpx wants an address; ours is in the talk, for httpx refuses or rewrites some that browsers take.
_LABEL = httpx.URL("http://target.invalid/")
