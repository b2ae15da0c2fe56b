"""From a name to a recorded connection: resolve, judge every address, connect to the very one judged, TLS."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import certifi
import httpcore

from scraper.errors import ConfigError
from scraper.fetcher.guard import Guard
from scraper.model import Target

# Reading stops when this much waits unread, so that a fast server cannot fill the memory.
_HIGH_WATER_BYTES = 512 * 1024
_LEAST_ATTEMPT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Fault:
    """Why there is no good answer: a word for the outcome, a sentence for people, and whether time may heal it."""

    reason: str
    detail: str
    transient: bool = False


class Unreachable(Exception):
    """No connection came about; carries the fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.detail)
        self.fault = fault


@dataclass(slots=True)
class Tape:
    """What went over the wire for one exchange."""

    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)


class Stream(asyncio.Protocol, httpcore.AsyncNetworkStream):
    """One connection. Everything sent and received lands on the tape of the exchange at hand."""

    def __init__(self) -> None:
        self.tape = Tape()
        self.peer_ip: str | None = None
        self.tls_version: str | None = None
        self._transport: asyncio.Transport | None = None
        self._unread: deque[bytes] = deque()
        self._unread_bytes = 0
        self._ended = False
        self._error: Exception | None = None
        self._reader: asyncio.Future[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._dropped = False
        self.peer_ended = False  # the other side closed, not we
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        # Now, for after the close it cannot be had.
        peer = transport.get_extra_info("peername")
        self.peer_ip = peer[0] if peer else None

    def data_received(self, data: bytes) -> None:
        self._unread.append(data)
        self._unread_bytes += len(data)
        if self._unread_bytes > _HIGH_WATER_BYTES and self._transport is not None:
            self._transport.pause_reading()
        self._wake_reader()

    def eof_received(self) -> bool:
        self._ended = self.peer_ended = True
        self._wake_reader()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self.peer_ended |= not self._dropped
        self._error = exc
        # TLS transports hold 0.3 MB: let go at once, not when the collector comes by.
        self._transport = None
        self._writable.set()
        self._wake_reader()
        if not self._closed.done():
            self._closed.set_result(None)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    # httpcore's side

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 httpcore's signature
        """The next bytes, b"" at the end. The deadline is the exchange's: `timeout` is not used."""
        while not self._unread:
            if self._error is not None:
                raise httpcore.ReadError(str(self._error)) from self._error
            if self._ended:
                return b""
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        data = self._unread.popleft()
        if len(data) > max_bytes:
            self._unread.appendleft(data[max_bytes:])
            data = data[:max_bytes]
        before, self._unread_bytes = self._unread_bytes, self._unread_bytes - len(data)
        if self._transport is not None and self._unread_bytes <= _HIGH_WATER_BYTES < before:
            self._transport.resume_reading()
        self.tape.received += data
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Send bytes; waits while the kernel's buffer is full."""
        if not buffer:
            return
        if self._transport is None or self._ended or self._transport.is_closing():
            raise httpcore.WriteError("the connection is closed")
        self._transport.write(buffer)
        self.tape.sent += buffer
        await self._writable.wait()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        """Raise the connection to TLS in place."""
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        secured = await loop.start_tls(
            self._transport, self, ssl_context, server_hostname=server_hostname, ssl_handshake_timeout=timeout
        )
        if secured is None:
            raise ConnectionResetError("the connection was lost in the TLS handshake")
        self._transport = secured
        self.tls_version = secured.get_extra_info("ssl_object").version()
        return self

    def get_extra_info(self, info: str) -> Any:
        """`is_readable` tells httpcore that an idle connection has ended or holds bytes nobody asked for."""
        if info == "is_readable":
            return self._ended or bool(self._unread)
        return None if self._transport is None else self._transport.get_extra_info(info)

    async def aclose(self) -> None:
        """Drop the connection; a polite TLS farewell could be made to last for ever by the other side."""
        if self._transport is None:
            return
        self.drop()
        await asyncio.shield(self._closed)

    def drop(self) -> None:
        """Drop the connection and do not wait: asyncio never tells of the end of a TLS handshake that failed."""
        self._dropped = True
        if self._transport is not None:
            self._transport.abort()


class Dialer:
    """Makes connections to targets, and only to addresses that the guard allows."""

    def __init__(self, guard: Guard, context: ssl.SSLContext, connect_seconds: float) -> None:
        self._guard = guard
        self._context = context
        self._connect_seconds = connect_seconds

    async def connect(self, target: Target) -> Stream:
        """A connection ready for a request; raises `Unreachable`."""
        where = f"{target.host}:{target.port}"
        try:
            async with asyncio.timeout(self._connect_seconds):
                addresses, port = await self._addresses(target)
                stream = await self._first_open(addresses, port)
                if target.scheme == "https":
                    await self._secure(stream, target)
                return stream
        except TimeoutError as error:
            detail = f"{where} did not accept a connection within {self._connect_seconds:g} s"
            raise Unreachable(Fault("timeout", detail, transient=True)) from error
        except OSError as error:
            raise Unreachable(_connect_fault(where, error)) from error

    async def _addresses(self, target: Target) -> tuple[list[str], int]:
        pinned = self._guard.override(target.host, target.port)
        if pinned is not None:
            return [pinned[0]], pinned[1]
        found = await resolve(target.host.strip("[]"), target.port)
        # One bad address condemns the name: which of them a later look-up would give is the other side's choice.
        for address in found:
            if not self._guard.allows(address):
                detail = f"{target.host} is at {address}, which is not an address of the public internet"
                raise Unreachable(Fault("address", detail))
        return found, target.port

    async def _first_open(self, addresses: list[str], port: int) -> Stream:
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self._connect_seconds
        for position, address in enumerate(addresses):
            last = position == len(addresses) - 1
            # A silent address must not eat the time of the next one.
            share = max(_LEAST_ATTEMPT_SECONDS, (ends_at - loop.time()) / (len(addresses) - position))
            try:
                async with asyncio.timeout(None if last else share):
                    _, stream = await loop.create_connection(Stream, address, port)
                    return stream
            except (OSError, TimeoutError):
                if last:
                    raise
        raise OSError("no address to connect to")

    async def _secure(self, stream: Stream, target: Target) -> None:
        # RFC 6066, 3: the name without the trailing dot of an absolute name.
        name = target.host.strip("[]").rstrip(".")
        try:
            await stream.start_tls(self._context, name, self._connect_seconds)
        except BaseException:
            stream.drop()
            raise


async def resolve(host: str, port: int) -> list[str]:
    """Every address of a name, in the system's order. A literal address is itself.

    Each look-up has a daemon thread of its own: a resolver that hangs holds up neither other look-ups nor the exit.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()

    def tell(found: list[str] | OSError) -> None:
        if answer.done():
            return
        if isinstance(found, OSError):
            answer.set_exception(found)
        else:
            answer.set_result(found)

    def look_up() -> None:
        try:
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found: list[str] | OSError = list(dict.fromkeys(str(info[4][0]) for info in infos))
        except UnicodeError:
            found = socket.gaierror(socket.EAI_NONAME, "not a host name")
        except OSError as error:
            found = error
        # The run may be over by now; then nobody waits for the answer.
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell, found)

    threading.Thread(target=look_up, name=f"resolve {host}", daemon=True).start()
    return await answer


def _connect_fault(where: str, error: OSError) -> Fault:
    match error:
        case socket.gaierror():
            # EAI_AGAIN: the resolver could not be asked; everything else is its answer.
            again = error.errno == socket.EAI_AGAIN
            said = "the name server did not answer" if again else "there is no such name"
            return Fault("dns", f"{where}: {said} ({error.strerror})", transient=again)
        case ssl.SSLCertVerificationError():
            return Fault("tls", f"{where}: its certificate is not trusted: {error.verify_message}")
        case ssl.SSLError():
            return Fault("tls", f"{where}: TLS failed: {error.reason or error}")
        case ConnectionRefusedError():
            return Fault("refused", f"{where} refused the connection")
        case ConnectionResetError() | BrokenPipeError() | ConnectionAbortedError():
            return Fault("reset", f"{where} broke the connection off before it stood", transient=True)
        case _:
            return Fault("unreachable", f"{where} cannot be reached: {error.strerror or error}", transient=True)


def tls_context(ca_file: str) -> ssl.SSLContext:
    """The one context of a run: the system's store (SSL_CERT_FILE honoured), `ca_file` added, certifi where none is."""
    context = ssl.create_default_context()
    if not _has_system_store():
        context.load_verify_locations(certifi.where())
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"{ca_file}: fetch.ca_file cannot be read as PEM certificates: {error}; "
                "name a readable PEM file or leave the setting empty"
            ) from error
    context.set_alpn_protocols(["http/1.1"])
    return context


def _has_system_store() -> bool:
    paths = ssl.get_default_verify_paths()
    if paths.cafile and Path(paths.cafile).stat().st_size > 0:
        return True
    return bool(paths.capath and any(os.scandir(paths.capath)))
