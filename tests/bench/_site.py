"""A web to fetch from: article-like pages, each another, on 200 addresses of loopback, in a process of its own.

`python -m tests.bench._site HOSTS FOLDER plain|tls [PAGES]` serves until it is ended. It writes `ca.pem` (tls) below
FOLDER and prints one line: its port. PAGES is a folder of *.html or *.html.gz to serve instead. A page is gzipped (if
the client takes that; one in four is not), with Content-Length or chunked, by turns. Linux answers on all of
127.0.0.0/8, so that the hosts need no names and no resolver of their own.
"""

from __future__ import annotations

import asyncio
import gzip
import random
import re
import socket
import ssl
import sys
import time
from functools import lru_cache
from pathlib import Path

import trustme

_SYLLABLES = [first + second for first in "bdfglmnprstvz" for second in ("a", "e", "in", "or", "us")]
_SMALL = ["the", "of", "and", "to", "in", "that", "was", "for", "on", "with", "as", "by", "at", "from", "were", "which"]
_ARTICLES = 400  # bodies made; each page has its own head, so that no two are the same
_CACHED_PAGES = 2_000
_REQUEST = re.compile(rb"GET (?:https?://[^/ ]+)?/news/([0-9]{1,9})\.html HTTP/1\.[01]\r\n")


def host(number: int) -> str:
    """The address of a host."""
    return f"127.0.{1 + number // 250}.{1 + number % 250}"


def address(number: int, hosts: int, port: int, tls: bool) -> str:
    """The URL of a page; pages go round the hosts."""
    return f"http{'s' if tls else ''}://{host(number % hosts)}:{port}/news/{number}.html"


@lru_cache(maxsize=1)
def _words() -> list[str]:
    dice = random.Random(7)
    return ["".join(dice.choices(_SYLLABLES, k=dice.randint(2, 4))) for _ in range(6_000)]


class _Writer:
    """Writes the parts of one page, by its dice."""

    def __init__(self, number: int) -> None:
        self.dice = random.Random(number)

    def sentence(self) -> str:
        chosen = self.dice.choices(_words(), k=self.dice.randint(3, 12))
        return " ".join(f"{self.dice.choice(_SMALL)} {word}" for word in chosen).capitalize() + "."

    def paragraph(self) -> str:
        text = " ".join(self.sentence() for _ in range(self.dice.randint(2, 6)))
        link = f' <a href="/news/{self.number()}.html">{self.sentence()}</a>' if self.dice.random() < 0.2 else ""
        return f'<p class="story__text">{text}{link}</p>'

    def teaser(self) -> str:
        image = f'<img src="/i/{self.number()}.jpg" width="320" height="180" alt="" loading="lazy">'
        link = f'<a class="teaser__link" href="/news/{self.number()}.html">{image}<h3>{self.sentence()}</h3></a>'
        return f'<li class="teaser teaser--small">{link}<time>09:{self.dice.randint(10, 59)}</time></li>'

    def number(self) -> int:
        return self.dice.randint(0, 99_999)

    def script(self) -> str:
        """What a page says to its own programs, often most of it."""
        items = (
            f'{{"id":"{self.dice.getrandbits(64):x}","t":"{self.sentence()}","n":{self.number()}}}' for _ in range(150)
        )
        return f"<script>window.__state={{items:[{','.join(items)}]}}</script>"


@lru_cache(maxsize=_ARTICLES)
def _body(number: int) -> str:
    """What stands around an article, and the article: some 60 to 200 KB of HTML, as news pages have."""
    writer = _Writer(number)
    menu = "".join(f'<li><a href="/{word}/">{word.title()}</a></li>' for word in writer.dice.sample(_words(), 40))
    story = "\n".join(writer.paragraph() for _ in range(writer.dice.randint(8, 40)))
    others = "\n".join(writer.teaser() for _ in range(writer.dice.randint(40, 200)))
    scripts = "\n".join(writer.script() for _ in range(writer.dice.randint(1, 4)))
    return (
        f'<header><nav><ul class="menu">{menu}</ul></nav></header><main><article><h1>{writer.sentence()}</h1>'
        f'<div class="byline">By <span class="author">Anna {_words()[number].title()}</span></div>{story}</article>'
        f"<aside><h2>More</h2><ul>{others}</ul></aside></main>{scripts}<footer>All rights reserved</footer>"
    )


@lru_cache(maxsize=_ARTICLES)
def _given(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def page(number: int) -> bytes:
    """A page as it is before packing: one of the given ones, or written here; none is the same as another."""
    if _Site.given:
        return _given(_Site.given[number % len(_Site.given)]) + f"<!-- {number} -->".encode()
    body = _body(number % _ARTICLES)
    day = f"2024-{1 + number % 12:02}-{1 + number % 28:02}T08:{number % 60:02}:00Z"
    head = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Story {number}: {body[-400:-380]}</title>'
        f'<meta property="og:type" content="article"><meta property="article:published_time" content="{day}">'
        f'<meta property="og:title" content="Story {number} of the harbour"><link rel="stylesheet" href="/a.css">'
        f"</head><body>"
    )
    return f"{head}{body}<!-- {number} --></body></html>".encode()


@lru_cache(maxsize=_CACHED_PAGES)
def answer(number: int, takes_gzip: bool) -> bytes:
    """The whole answer: packed or not, measured or in chunks."""
    body = page(number)
    head = "HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Mon, 04 May 2026 03:02:01 GMT\r\n"
    head += "Content-Type: text/html; charset=utf-8\r\n"
    head += f'ETag: "{number:x}"\r\nCache-Control: max-age=60\r\nVary: Accept-Encoding\r\nConnection: keep-alive\r\n'
    if takes_gzip and number % 4:  # one in four comes as it is
        body = gzip.compress(body, 6, mtime=0)
        head += "Content-Encoding: gzip\r\n"
    if number % 2:
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    parts = [body[at : at + 8000] for at in range(0, len(body), 8000)]
    chunks = b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in parts)
    return f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks + b"0\r\n\r\n"


_MISSING = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nno\n"


class _Site(asyncio.Protocol):
    """Answers one request after the other."""

    first_at: float | None = None
    given: tuple[Path, ...] = ()

    def __init__(self) -> None:
        self._read = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if _Site.first_at is None:
            _Site.first_at = time.time()
        self._read += data
        while b"\r\n\r\n" in self._read and self._transport is not None:
            request, _, self._read = self._read.partition(b"\r\n\r\n")
            found = _REQUEST.match(request + b"\r\n")
            takes_gzip = b"gzip" in request.lower()
            self._transport.write(answer(int(found[1]), takes_gzip) if found else _MISSING)


def main() -> None:
    """Serve until standard input ends; then print when the first request came."""
    hosts, folder, kind = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    _Site.given = tuple(sorted(path for name in sys.argv[4:] for path in Path(name).rglob("*.html*")))
    authority = trustme.CA() if kind == "tls" else None
    if authority is not None:
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    asyncio.run(_serve(hosts, authority))


async def _serve(hosts: int, authority: trustme.CA | None) -> None:
    loop = asyncio.get_running_loop()
    port = 0
    for number in range(hosts):
        context = None
        if authority is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert(host(number)).configure_cert(context)
        server = await loop.create_server(_Site, host(number), port, ssl=context, backlog=200, family=socket.AF_INET)
        port = server.sockets[0].getsockname()[1]
    print(port, flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        if line.strip() == "first":  # when did the first request come? Ask anew from now on
            print(_Site.first_at or 0.0, flush=True)
            _Site.first_at = None


if __name__ == "__main__":
    main()
