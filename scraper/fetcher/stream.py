"""One connection as asyncio's protocol: bytes in, bytes out, and whether the other side still listens."""

from __future__ import annotations

import asyncio
import select
import ssl
from collections import deque

from scraper.fetcher.tls import Tls

# Reading stops when this much waits unread, so that a fast server cannot fill the memory.
_HIGH_WATER_BYTES = 256 * 1024
_LARGEST_READ_BYTES = 64 * 1024


class Lost(Exception):
    """The connection broke."""


class Stream(asyncio.Protocol):
    """One connection. `address` is what it was dialled to, None where the settings pin the name."""

    def __init__(self) -> None:
        self.address: str | None = None
        self.peer_ip: str | None = None
        self.tls_version: str | None = None
        self._transport: asyncio.Transport | None = None
        self._tls: Tls | None = None  # once its handshake is done
        self._descriptor = -1
        self._unread: deque[bytes] = deque()
        self._unread_bytes = 0
        self._ended = False
        self._error: Exception | None = None
        self._reader: asyncio.Future[None] | None = None
        self._writable: asyncio.Event | None = None  # only while the kernel's buffer is full
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        # Now, for after the close it cannot be had.
        peer, socket = transport.get_extra_info("peername"), transport.get_extra_info("socket")
        self.peer_ip = peer[0] if peer else None
        self._descriptor = socket.fileno() if socket else -1

    def data_received(self, data: bytes) -> None:
        if self._tls is not None:
            data = self._opened(self._tls, data)
            if not data:
                return
        self._unread.append(data)
        self._unread_bytes += len(data)
        if self._unread_bytes > _HIGH_WATER_BYTES and self._transport is not None:
            self._transport.pause_reading()
        self._wake_reader()

    def eof_received(self) -> bool:
        self._ended = True
        self._wake_reader()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._error = self._error or exc
        self._transport = self._tls = None
        self.resume_writing()
        self._wake_reader()
        if not self._closed.done():
            self._closed.set_result(None)

    def pause_writing(self) -> None:
        self._writable = asyncio.Event()

    def resume_writing(self) -> None:
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    def _opened(self, tls: Tls, data: bytes) -> bytes:
        """What records of TLS hold; their end, or a wrong one, ends the connection."""
        data = tls.opened(data)
        answer = tls.to_send()  # to a key update, or to a wrong record
        if answer and self._transport is not None:
            self._transport.write(answer)
        if answer and self._writable is not None:
            self._error = Lost("it asks for answers that it does not read")
        self._error = self._error or tls.flaw
        if self._error is not None or tls.has_ended:
            # Whatever comes after a farewell is nobody's, and nothing would bound it.
            self._ended = True
            self._wake_reader()
            self.drop()
        return data

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    # the fetcher's side

    async def read(self) -> bytes:
        """The next bytes, b"" at the end; raises `Lost`."""
        while not self._unread:
            if self._error is not None:
                raise Lost(str(self._error)) from self._error
            if self._ended:
                return b""
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        data = self._unread.popleft()
        if len(data) > _LARGEST_READ_BYTES:
            self._unread.appendleft(data[_LARGEST_READ_BYTES:])
            data = data[:_LARGEST_READ_BYTES]
        before, self._unread_bytes = self._unread_bytes, self._unread_bytes - len(data)
        if self._transport is not None and self._unread_bytes <= _HIGH_WATER_BYTES < before:
            self._transport.resume_reading()
        return data

    async def write(self, data: bytes) -> None:
        """Send bytes; waits while the kernel's buffer is full. Raises `Lost`."""
        if self._transport is None or self._ended or self._transport.is_closing():
            raise Lost("the connection is closed")
        try:
            self._transport.write(self._tls.sealed(data) if self._tls is not None else data)
        except ssl.SSLError as error:
            raise Lost(str(error)) from error
        if self._writable is not None:
            await self._writable.wait()

    def is_stale(self) -> bool:
        """Whether an idle connection has ended, or holds bytes nobody asked for: here or still in the kernel."""
        if self._ended or self._unread or self._transport is None:
            return True
        if self._tls is not None and self._tls.is_within_record:
            return True
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(0))

    async def start_tls(self, context: ssl.SSLContext, name: str) -> None:
        """Raise the connection to TLS in place; raises `ssl.SSLError`, or `OSError` when it is lost meanwhile."""
        tls, data = Tls(context, name), b""
        while True:
            try:
                done = tls.shake_hands(data)
            finally:
                # An alert that says why is the other side's due, too.
                if self._transport is not None:
                    self._transport.write(tls.to_send())
            if done:
                break
            try:
                data = await self.read()
            except Lost as error:
                raise ConnectionResetError(str(error)) from error
            if not data:
                raise ConnectionResetError("the connection was lost in the TLS handshake")
        self._tls, self.tls_version = tls, tls.version
        early, self._unread, self._unread_bytes = b"".join(self._unread), deque(), 0
        if self._transport is not None:
            self._transport.resume_reading()
        self.data_received(early)

    async def aclose(self) -> None:
        """Drop the connection; a polite TLS farewell could be made to last for ever by the other side."""
        if self._transport is None:
            return
        self.drop()
        await asyncio.shield(self._closed)

    def drop(self) -> None:
        """Drop the connection and do not wait."""
        if self._transport is not None:
            self._transport.abort()
