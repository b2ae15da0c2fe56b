"""A raw-socket web server on loopback with one behaviour per path and a log of what it saw."""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import trustme

from scraper.settings import FetchSettings

Behaviour = Callable[["Connection", "Seen"], None]


@dataclass(slots=True)
class Seen:
    """A request as it arrived. Times are `time.monotonic()`; `answered_at` is just before the last byte left."""

    host: str
    path: str
    raw: bytes
    connection: int
    tls: bool
    at: float
    answered_at: float = float("inf")

    def header(self, name: str) -> str | None:
        """The value of a header of the request."""
        for line in self.raw.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.lower() == name.lower().encode():
                return value.decode().strip()
        return None


@dataclass(slots=True)
class Connection:
    """One accepted connection, for behaviours of a test's own."""

    socket: socket.socket
    number: int
    closing: bool = False

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def reset(self) -> None:
        """Close with a TCP reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.closing = True


@dataclass(frozen=True, slots=True)
class Answer:
    """What a path answers. `raw` replaces the whole message; `chunks` are sent chunked; `delay` is before the head."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    raw: bytes | None = None
    chunks: Sequence[bytes] | None = None
    delay: float = 0.0
    close: bool = False

    def message(self) -> bytes:
        if self.raw is not None:
            return self.raw
        lines = [f"HTTP/1.1 {self.status} Said so", *(f"{name}: {value}" for name, value in self.headers)]
        if self.chunks is not None:
            lines.append("Transfer-Encoding: chunked")
            body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*self.chunks, b""))
        else:
            lines.append(f"Content-Length: {len(self.body)}")
            body = self.body
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@dataclass
class Doors:
    """Sockets that listen on loopback, plain and TLS; each connection is served in a thread of its own."""

    _listeners: list[socket.socket] = field(default_factory=list)
    _served: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)  # of how many are served

    def open(self, serve: Callable[[socket.socket], None], context: ssl.SSLContext | None = None) -> int:
        """Listen; gives the port."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._listeners.append(listener)
        threading.Thread(target=self._accept, args=(listener, serve, context), daemon=True).start()
        port: int = listener.getsockname()[1]
        return port

    def close(self) -> None:
        for listener in self._listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def settle(self, port: int) -> None:
        """Wait until all is served that callers who have gone had sent to a plain port."""
        # Connections are accepted in order: when ours is, so are all that came before it.
        with socket.create_connection(("127.0.0.1", port)) as last:
            last.shutdown(socket.SHUT_WR)
            last.recv(1)
        with self._changed:
            assert self._changed.wait_for(lambda: not self._served, 60), "somebody is still there"

    def _accept(self, listener: socket.socket, serve: Callable[[socket.socket], None], context: Any) -> None:
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError:
                return
            with self._changed:
                self._served += 1
            threading.Thread(target=self._serve, args=(accepted, serve, context), daemon=True).start()

    def _serve(self, accepted: socket.socket, serve: Callable[[socket.socket], None], context: Any) -> None:
        try:
            with contextlib.suppress(OSError), accepted:
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with context.wrap_socket(accepted, server_side=True) if context else accepted as stream:
                    serve(stream)
        finally:
            with self._changed:
                self._served -= 1
                self._changed.notify_all()


@dataclass
class Site:
    """Web servers for any host name, plain and TLS. Hosts that a test names are pinned to them by `settings`."""

    http_port: int = 0
    https_port: int = 0
    ca_file: str = ""
    log: list[Seen] = field(default_factory=list)
    _answers: dict[tuple[str | None, str], Iterator[Answer] | Behaviour] = field(default_factory=dict)
    _hosts: set[str] = field(default_factory=lambda: {f"{name}.test" for name in ("site", *"abcd")})
    _doors: Doors = field(default_factory=Doors)
    _connections: set[socket.socket] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    # ------------------------------------------------------------ for tests

    def reply(self, path: str, host: str | None = None, **answer: Any) -> bytes:
        """Set what a path answers, at one host or at all; gives the bytes that will be sent.

        Fields are those of `Answer`; `headers` may be a dict.
        """
        return self.replies(path, [answer], host)[0]

    def replies(self, path: str, answers: Sequence[dict[str, Any]], host: str | None = None) -> list[bytes]:
        """Set what a path answers one time after the other; the last answer is repeated."""
        made = [Answer(**{**fields, "headers": _pairs(fields.get("headers", ()))}) for fields in answers]
        self._answers[host, path] = itertools.chain(made, itertools.repeat(made[-1]))
        return [answer.message() for answer in made]

    def behave(self, path: str, behaviour: Behaviour, host: str | None = None) -> None:
        """Let a function serve a path."""
        self._answers[host, path] = behaviour

    def url(self, path: str = "/", host: str = "site.test", scheme: str = "http") -> str:
        """The address of a path; the host is pinned to this server in `settings` made from now on."""
        self._hosts.add(host)
        return f"{scheme}://{host}{path}"

    def settings(self, **fields: Any) -> FetchSettings:
        """Settings that pin every host named so far to this server; without delays unless the test wants them."""
        pins = [f"{host}:80=127.0.0.1:{self.http_port}" for host in sorted(self._hosts)]
        pins += [f"{host}:443=127.0.0.1:{self.https_port}" for host in sorted(self._hosts)]
        base: dict[str, Any] = {"delay_seconds": 0.0, "retry_base_seconds": 0.01, "ca_file": self.ca_file}
        pinned = (*pins, *fields.pop("resolve", ()))
        return FetchSettings(**{**base, **fields, "resolve": pinned})

    def seen(self, path: str) -> list[Seen]:
        """The requests for a path, in order."""
        return [seen for seen in self.log if seen.path == path]

    def paths(self, robots: bool = False) -> list[str]:
        """The paths asked for, in order; robots.txt only on demand."""
        return [seen.path for seen in self.log if robots or seen.path != "/robots.txt"]

    def settle(self) -> None:
        """Wait until all is in the log that callers who have gone had sent over plain connections."""
        self._doors.settle(self.http_port)

    # ------------------------------------------------------------- serving

    def open(self, folder: Path) -> None:
        authority = trustme.CA()
        self.ca_file = str(folder / "ca.pem")
        authority.cert_pem.write_to_path(self.ca_file)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("*.test", "site.test", "127.0.0.1").configure_cert(context)
        self.http_port = self.one_more_port()
        self.https_port = self._doors.open(partial(self._converse, tls=True), context)

    def one_more_port(self) -> int:
        """One more plain port of the same site."""
        return self._doors.open(partial(self._converse, tls=False))

    def close(self) -> None:
        self._doors.close()
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _converse(self, stream: socket.socket, tls: bool) -> None:
        with self._lock:
            self._connections.add(stream)
        try:
            connection = Connection(stream, next(self._numbers))
            while not connection.closing and (raw := request(stream)):
                self._serve(connection, raw, tls)
        finally:
            with self._lock:
                self._connections.discard(stream)

    def _serve(self, connection: Connection, raw: bytes, tls: bool) -> None:
        path = raw.split(b" ", 2)[1].decode()
        seen = Seen("", path, raw, connection.number, tls, time.monotonic())
        seen.host = seen.header("Host") or ""
        with self._lock:
            self.log.append(seen)
            found = self._answers.get((seen.host, path)) or self._answers.get((None, path))
            answer = found if callable(found) else next(found, None) if found else Answer(404, body=b"not here")
        if callable(answer):
            answer(connection, seen)
            seen.answered_at = min(seen.answered_at, time.monotonic())
            return
        assert answer is not None
        time.sleep(answer.delay)
        message = answer.message()
        connection.send(message[:-1])
        seen.answered_at = time.monotonic()
        connection.send(message[-1:])
        connection.closing = answer.close


def _pairs(headers: Any) -> tuple[tuple[str, str], ...]:
    return tuple(headers.items() if isinstance(headers, dict) else headers)


def request(stream: socket.socket) -> bytes:
    """The head of the next request; empty when the caller has gone."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = stream.recv(65536)
        if not more:
            return b""
        data += more
    return data
