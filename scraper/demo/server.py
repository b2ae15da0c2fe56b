"""A small web server on loopback, plain and TLS, which stands in for the hosts that the sample documents cite."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import ssl
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self

from scraper.errors import UsageError

ADDRESS = "127.0.0.1"
IDLE_SECONDS = 30.0
LARGEST_HEAD_BYTES = 64 * 1024
SMALLEST_GZIPPED_BYTES = 256
CHUNK_BYTES = 1000


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked for; header names are lower-case."""

    scheme: str
    host: str
    path: str
    headers: Mapping[str, str]

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}{self.path}"


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer: `body` before any coding. With `etag` or `last_modified`, a 304 is given where it is due."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/html; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()
    chunked: bool = False
    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """One line of the server's log."""

    url: str
    status: int


@dataclass
class StandInWeb:
    """The server, in a thread of its own for as long as the `with` block lasts.

    `answer` decides every reply. `overrides` and `ca_file` are what a client's settings need to reach the `hosts`
    here instead of on the internet; both are there once the block is entered. `log` grows while it runs.
    """

    answer: Callable[[Request], Reply]
    hosts: Sequence[str]
    log: list[Served] = field(default_factory=list)
    overrides: tuple[str, ...] = ()
    ca_file: str = ""

    def __enter__(self) -> Self:
        context, authority = _tls_context(self.hosts)
        self._folder = tempfile.TemporaryDirectory(prefix="scraper-demo-")
        file = Path(self._folder.name) / "authority.pem"
        file.write_bytes(authority)
        self.ca_file = str(file)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stand-in web", daemon=True)
        self._thread.start()
        self._servers = asyncio.run_coroutine_threadsafe(self._listen(context), self._loop).result()
        ports = [server.sockets[0].getsockname()[1] for server in self._servers]
        self.overrides = tuple(
            f"{host}:{cited}={ADDRESS}:{ours}"
            for host in self.hosts
            for cited, ours in zip((80, 443), ports, strict=True)
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._folder.cleanup()

    async def _listen(self, context: ssl.SSLContext) -> list[asyncio.Server]:
        async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._converse("http", reader, writer)

        async def secure(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._converse("https", reader, writer)

        return [
            await asyncio.start_server(plain, ADDRESS, 0, limit=LARGEST_HEAD_BYTES),
            await asyncio.start_server(secure, ADDRESS, 0, limit=LARGEST_HEAD_BYTES, ssl=context),
        ]

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        talks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        await asyncio.sleep(0)  # the turn of the loop in which aborted transports let go of their sockets

    async def _converse(self, scheme: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with contextlib.aclosing(_requests(scheme, reader)) as requests:
                async for request in requests:
                    writer.write(self._reply_to(request))
                    await writer.drain()
            writer.close()
            await writer.wait_closed()
        except (ConnectionError, TimeoutError, ssl.SSLError):
            pass  # a client may leave at any point; that is its right and no fault of ours
        finally:
            writer.transport.abort()

    def _reply_to(self, request: Request | None) -> bytes:
        data, status = _message(request, Reply(400) if request is None else self.answer(request))
        if request is not None:
            self.log.append(Served(request.url, status))
        return data


async def _requests(scheme: str, reader: asyncio.StreamReader) -> AsyncGenerator[Request | None, None]:
    """The requests of one connection, one after the other; None is one that cannot be read, and the last."""
    while True:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, TimeoutError):
            return
        except asyncio.LimitOverrunError:
            yield None
            return
        request = _parsed(scheme, head)
        yield request
        if request is None or request.headers.get("connection", "").lower() == "close":
            return


def _parsed(scheme: str, head: bytes) -> Request | None:
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or words[0] != "GET" or not words[1].startswith("/"):
        return None
    pairs = (line.partition(":") for line in lines if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Request(scheme, headers.get("host", ""), words[1], headers)


def _message(request: Request | None, reply: Reply) -> tuple[bytes, int]:
    """The bytes of a reply, and the status they carry."""
    asked = request.headers if request else {}
    fields = [("Date", formatdate(usegmt=True)), ("Server", "stand-in"), *reply.headers]
    fields += [(name, value) for name, value in (("ETag", reply.etag), ("Last-Modified", reply.last_modified)) if value]
    if request is None:
        fields.append(("Connection", "close"))
    if _is_current(reply, asked):
        return _head(304, fields), 304
    body = reply.body
    fields.append(("Content-Type", reply.content_type))
    if reply.content_type.startswith("text/") and len(body) >= SMALLEST_GZIPPED_BYTES:
        fields.append(("Vary", "Accept-Encoding"))
        if "gzip" in asked.get("accept-encoding", ""):
            fields.append(("Content-Encoding", "gzip"))
            body = gzip.compress(body, mtime=0)
    if reply.chunked:
        return _head(reply.status, [*fields, ("Transfer-Encoding", "chunked")]) + _chunks(body), reply.status
    return _head(reply.status, [*fields, ("Content-Length", str(len(body)))]) + body, reply.status


def _is_current(reply: Reply, asked: Mapping[str, str]) -> bool:
    # RFC 9110, 13.2.2: If-None-Match is judged first; where it is there, If-Modified-Since is ignored.
    if "if-none-match" in asked:
        return reply.etag is not None and reply.etag in asked["if-none-match"]
    return reply.last_modified is not None and asked.get("if-modified-since") == reply.last_modified


def _head(status: int, fields: Sequence[tuple[str, str]]) -> bytes:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _chunks(body: bytes) -> bytes:
    parts = [body[at : at + CHUNK_BYTES] for at in range(0, len(body), CHUNK_BYTES)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def _tls_context(hosts: Sequence[str]) -> tuple[ssl.SSLContext, bytes]:
    """A certificate for the hosts, and as PEM the authority that gave it: made a moment ago, known to nobody else."""
    try:
        import trustme
    except ImportError as error:
        raise UsageError("the demo needs the package trustme; install it with: pip install 'scraper[demo]'") from error
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*hosts).configure_cert(context)
    return context, authority.cert_pem.bytes()
