"""A server that does whatever a server should not: raw sockets, one case a host, and a log of every byte it sent."""

from __future__ import annotations

import gzip
import itertools
import socket
import ssl
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import trustme
from server import Doors, request

from scraper.settings import FetchSettings

RESET = "reset"
CLOSE = "close"
STALL = "stall"
Step = bytes | float | str

TEXT = b"<!doctype html><title>hello</title><p>" + b"what the page says " * 40
PACKED = TEXT.replace(b"hello", b"packed")
AFTER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nafter"
OK = b"HTTP/1.1 200 OK\r\n"
POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"


def numbered(cases: tuple[Case, ...]) -> tuple[Case, ...]:
    """Each with a word of its own for `hello`: the same page at a second address would be a revisit."""

    def own(data: Any, word: bytes) -> Any:
        return data.replace(b"hello", word) if isinstance(data, bytes) else data

    return tuple(
        replace(
            case,
            steps=tuple(own(step, b"h%04d" % number) for step in case.steps),
            block=own(case.block, b"h%04d" % number),
            content=own(case.content, b"h%04d" % number),
        )
        for number, case in enumerate(cases)
    )


@dataclass(frozen=True, slots=True)
class Case:
    """What is sent for `/`: bytes, pauses in seconds, and how it ends; and what the archive must hold of it.

    `block` is all that is sent unless it says otherwise; None: no response record at all. `content` is what the page
    says once its codings are undone.
    """

    name: str
    steps: tuple[Step, ...]
    outcome: str = "captured"
    block: bytes | None = b"as sent"
    truncated: str | None = None
    content: bytes | None = None

    @property
    def sent(self) -> bytes:
        return b"".join(step for step in self.steps if isinstance(step, bytes))

    @property
    def expected_block(self) -> bytes | None:
        return self.sent if self.block == b"as sent" else self.block


def sized(headers: bytes = b"", body: bytes = TEXT) -> bytes:
    return OK + headers + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(body: bytes = TEXT, size: int = 100, extension: bytes = b"", trailers: bytes = b"") -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    coded = b"".join(b"%x%b\r\n%b\r\n" % (len(part), extension, part) for part in parts)
    return coded + b"0%b\r\n%b\r\n" % (extension, trailers)


def deflated(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


TE = OK + b"Transfer-Encoding: chunked\r\n\r\n"
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CUT = "failed(truncated)"
BAD = "failed(protocol)"
LARGE = "failed(too large)"
MIB = 1 << 20
LONG_HEAD = OK + b"X-Long: y\r\n" * 60_000
LONG_LINE = OK + b"X-Long: " + b"y" * 600_000
TWO_LENGTHS = OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n"

TWICE = gzip.compress(gzip.compress(PACKED))
HELLO = b"Content-Length: 5\r\n\r\nhello"

PAGES = numbered((
    Case("odd-case", (sized(b"cOnTeNt-TyPe:   text/html\t \r\nX-ODD:\t\ttwo   blanks \r\n"),), content=TEXT),
    Case("folded", (sized(b"X-Folded: one\r\n two\r\n\tthree\r\n"),), content=TEXT),
    Case("folded-length", (OK + b"Content-Length:\r\n 5\r\n\r\nhello",), content=b"hello"),
    Case("first-line-folded", (OK + b" Transfer-Encoding: chunked\r\n" + HELLO,), content=b"hello"),
    Case("duplicate", (sized(b"X-Same: 1\r\nx-same: 2\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n"),), content=TEXT),
    Case("equal-lengths", (OK + b"Content-Length: 5\r\nContent-Length: 5, 5\r\n\r\nhello",), content=b"hello"),
    Case("non-ascii", (sized("X-Ünï: ☃ \xe9\r\n".encode() + b"X-Latin: \xe9\xff\r\n"),), content=TEXT),
    Case("very-long", (sized(b"X-Long: " + b"y" * 200_000 + b"\r\n"),), content=TEXT),
    Case("many-headers", (sized(b"X-Many: y\r\n" * 10_000),), content=TEXT),
    Case("bare-lf", (b"HTTP/1.1 200 OK\nContent-Type: text/html\nContent-Length: 5\n\nhello",), content=b"hello"),
    Case("mixed-line-ends", (b"HTTP/1.1 200 OK\r\nA: 1\nContent-Length: 5\r\n\nhello",), content=b"hello"),
    Case("name-with-space", (sized(b"X Odd Name: v\r\nContent Type: x\r\n"),), content=TEXT),
    Case("space-before-colon", (OK + b"Content-Length : 5\r\n\r\nhello",), content=b"hello"),
    Case("empty-name", (sized(b": nobody\r\n:\r\n"),), content=TEXT),
    Case("no-colon", (sized(b"this line has none\r\n"),), content=TEXT),
    Case("no-reason", (b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello",), content=b"hello"),
    Case("blank-reason", (b"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello",), content=b"hello"),
    Case("lower-case-protocol", (b"http/1.1 200 ok\r\nContent-Length: 5\r\n\r\nhello",), content=b"hello"),
    Case("nul-in-head", (sized(b"X-Nul: a\0b\r\n"),), content=TEXT),
    Case("bare-cr-in-head", (sized(b"X-Cr: a\rContent-Length: 3\r\n"),), content=TEXT),
    Case("early-hints", (EARLY, 0.05, CONTINUE + sized()), block=sized(), content=TEXT),
    Case("http-1.0", (b"HTTP/1.0 200 OK\r\n\r\n" + TEXT, CLOSE), content=TEXT),
    Case("close-delimited", (OK + b"Connection: close\r\n\r\n", TEXT[:100], 0.05, TEXT[100:], CLOSE), content=TEXT),
    Case("chunked", (TE + chunked(),), content=TEXT),
    Case("chunked-dripped", (TE, *(bytes([byte]) for byte in chunked(b"drops", 2))), content=b"drops"),
    Case("chunk-extensions", (TE + chunked(extension=b' ; name="v;\t"'),), content=TEXT),
    Case("trailers", (TE + chunked(trailers=b"X-Sum: 1\r\nContent-Length: 3\r\n"),), content=TEXT),
    Case("chunked-bare-lf", (TE + b"5\nhello\n0\n\n",), content=b"hello"),
    Case("zeros-before-size", (TE + b"00000000000000000005\r\nhello\r\n000\r\n\r\n",), content=b"hello"),
    Case("gzip", (sized(b"Content-Encoding: gzip\r\n", gzip.compress(PACKED)),), content=PACKED),
    Case("deflate", (sized(b"Content-Encoding: deflate\r\n", zlib.compress(PACKED)),), content=PACKED),
    Case("raw-deflate", (sized(b"Content-Encoding: deflate\r\n", deflated(PACKED)),), content=PACKED),
    Case("double-gzip", (sized(b"Content-Encoding: gzip, gzip\r\n", TWICE),), content=PACKED),
    Case("gzip-chunked", (OK + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
                          + chunked(gzip.compress(PACKED[::-1])),), content=PACKED[::-1]),
    Case("length-and-chunked", (OK + b"Content-Length: 3\r\n" + TE[len(OK) :] + chunked(),), content=TEXT),
    Case("chunked-not-last", (OK + b"Transfer-Encoding: chunked, gzip\r\n\r\n" + TEXT, CLOSE)),
    Case("identity-coding", (OK + b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello",), content=b"hello"),
    Case("length-no-number", (OK + b"Content-Length: many\r\n\r\n" + TEXT, CLOSE), content=TEXT),
    Case("length-negative", (OK + b"Content-Length: -5\r\n\r\n" + TEXT, CLOSE), content=TEXT),
    Case("vertical-tab-coding", (OK + b"Transfer-Encoding: \x0bchunked\r\nContent-Length: 5\r\n\r\nhello", CLOSE)),
    Case("204", (b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n",)),
    Case("205", (b"HTTP/1.1 205 Reset Content\r\n\r\n",)),
    Case("205-with-length", (b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n",)),
    Case("206", (b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-4/9\r\nContent-Length: 5\r\n\r\nhello",)),
    Case("304-unasked", (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 999\r\nETag: x\r\n\r\n",), "failed(http 304)"),
    Case("101-unasked", (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",), "failed(http 101)"),
    Case("surplus", (sized() + POISON,), block=sized(), content=TEXT),
    Case("surplus-chunked", (TE + chunked() + POISON,), block=TE + chunked(), content=TEXT),
    Case("surplus-204", (b"HTTP/1.1 204 No\r\n\r\n" + POISON,), block=b"HTTP/1.1 204 No\r\n\r\n"),
    Case("surplus-line-end", (sized() + b"\r\n",), block=sized(), content=TEXT),
    Case("length-too-short", (OK + b"Content-Length: 5\r\n\r\nhello" + TEXT,),
         block=OK + b"Content-Length: 5\r\n\r\nhello", content=b"hello"),
    Case("silent-then-page", (0.3, sized()), content=TEXT),
))  # fmt: skip

FAILURES = numbered((
    Case("length-too-long", (OK + b"Content-Length: 9999\r\n\r\n" + TEXT, CLOSE), CUT, truncated="disconnect"),
    Case("cut-in-chunk", (TE + b"ff\r\nonly this", CLOSE), CUT, truncated="disconnect"),
    Case("cut-before-last-chunk", (TE + b"5\r\nhello\r\n", CLOSE), CUT, truncated="disconnect"),
    Case("cut-in-head", (OK + b"Content-Type: text/h", CLOSE), CUT, truncated="disconnect"),
    Case("cut-after-early-hints", (EARLY, CLOSE), CUT, block=None),
    Case("reset-in-body", (OK + b"Content-Length: 9999\r\n\r\n" + TEXT, 0.2, RESET), CUT, truncated="disconnect"),
    Case("reset-at-once", (RESET,), "failed(reset)", block=None),
    Case("closed-at-once", (CLOSE,), "failed(reset)", block=None),
    Case("over-the-cap", (sized(body=b"y" * (2 * MIB)),), LARGE, sized(body=b"y" * (2 * MIB))[:MIB], "length"),
    Case("endless-head", (LONG_HEAD, STALL), LARGE, LONG_HEAD[: MIB // 2], "length"),
    Case("endless-line", (LONG_LINE, STALL), LARGE, LONG_LINE[: MIB // 2], "length"),
    Case("endless-early-hints", (EARLY * 20_000, STALL), LARGE, EARLY[: MIB // 2 % len(EARLY)], "length"),
    Case("different-lengths", (TWO_LENGTHS + b"hello!", CLOSE), BAD, truncated="disconnect"),
    Case("chunk-size-2-63", (TE + b"8000000000000000\r\nhello", CLOSE), CUT, truncated="disconnect"),
    Case("chunk-size-2-68", (TE + b"100000000000000000\r\nhello", CLOSE), BAD, truncated="disconnect"),
    Case("chunk-size-negative", (TE + b"-5\r\nhello", CLOSE), BAD, truncated="disconnect"),
    Case("chunk-size-missing", (TE + TEXT + b"\n", CLOSE), BAD, truncated="disconnect"),
    Case("chunk-longer-than-said", (TE + b"5\r\nhello world\r\n0\r\n\r\n", CLOSE), BAD, truncated="disconnect"),
    Case("endless-extension", (TE + b"5;" + b"x" * 100_000 + b"\r\nhello", CLOSE), BAD, truncated="disconnect"),
    Case("endless-trailers", (TE + b"0\r\n" + b"X-T: y\r\n" * 20_000, CLOSE), BAD, truncated="disconnect"),
    Case("icy", (b"ICY 200 OK\r\nicy-name: x\r\n\r\nmusic", CLOSE), BAD),
    Case("http-0.9", (b"<html>all that there is</html>", CLOSE), BAD),
    Case("ssh", (b"SSH-2.0-OpenSSH_9.2\r\n", CLOSE), BAD),
    Case("tls-alert", (b"\x15\x03\x01\x00\x02\x02\x50", CLOSE), BAD),
    Case("status-of-four-digits", (b"HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\nhello", CLOSE), BAD),
    Case("nothing-but-line-ends", (b"\r\n\r\n\r\n", CLOSE), BAD),
))  # fmt: skip

SLOW = (
    Case("silence", (STALL,), "failed(timeout)", block=None),
    Case("stalled-head", (OK + b"X-", STALL), "failed(timeout)", truncated="time"),
    Case("stalled-body", (OK + b"Content-Length: 99\r\n\r\nsome", STALL), "failed(timeout)", truncated="time"),
    Case("stalled-chunks", (TE + b"5\r\nhello\r\n", STALL), "failed(timeout)", truncated="time"),
    Case("stalled-to-the-close", (OK + b"\r\nsome", STALL), "failed(timeout)", truncated="time"),
)


@dataclass(frozen=True, slots=True)
class Said:
    """What went over a connection at a monotonic time; `sent` by the server, or received."""

    at: float
    connection: int
    host: str
    path: str
    sent: bool
    data: bytes


@dataclass
class Chaos:
    """Cases by the label of their host: `http://NAME.test/`; every other path answers `AFTER`."""

    cases: dict[str, Case]
    log: list[Said] = field(default_factory=list)
    ports: dict[str, int] = field(default_factory=dict)
    ca_file: str = ""
    _doors: Doors = field(default_factory=Doors)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _over: threading.Event = field(default_factory=threading.Event)

    def open(self, folder: Path) -> None:
        authority = trustme.CA()
        self.ca_file = str(folder / "ca.pem")
        authority.cert_pem.write_to_path(self.ca_file)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*(f"{name}.test" for name in self.cases)).configure_cert(context)
        for scheme, secure in (("http", None), ("https", context)):
            self.ports[scheme] = self._doors.open(self._converse, secure)

    def close(self) -> None:
        self._over.set()
        self._doors.close()

    def settings(self, **fields: Any) -> FetchSettings:
        """Settings that pin the hosts of all cases here."""
        pins = [
            f"{name}.test:{port}=127.0.0.1:{self.ports[scheme]}"
            for name in self.cases
            for scheme, port in (("http", 80), ("https", 443))
        ]
        base: dict[str, Any] = {"delay_seconds": 0.0, "ca_file": self.ca_file, "robots": "ignore", "max_tries": 1}
        return FetchSettings(**{**base, **fields, "resolve": tuple(pins)})

    def heard(self, host: str, path: str = "/") -> list[bytes]:
        """The requests for a path, as they arrived."""
        return [said.data for said in self.log if not said.sent and (said.host, said.path) == (host, path)]

    def _converse(self, stream: socket.socket) -> None:
        number = next(self._numbers)
        while raw := request(stream):
            host = raw.lower().partition(b"\r\nhost: ")[2].partition(b"\r\n")[0].decode()
            path = raw.split(b" ", 2)[1].decode()
            self.log.append(Said(time.monotonic(), number, host, path, False, raw))
            case = self.cases.get(host.removesuffix(".test")) if path == "/" else None
            for step in case.steps if case else (AFTER,):
                if not self._do(stream, step, (number, host, path)):
                    return

    def _do(self, stream: socket.socket, step: Step, where: tuple[int, str, str]) -> bool:
        if isinstance(step, bytes):
            self.log.append(Said(time.monotonic(), *where, True, step))
            stream.sendall(step)
        elif isinstance(step, float):
            time.sleep(step)
        elif step == STALL:
            self._over.wait(60)
        elif step == RESET:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return not isinstance(step, str)
