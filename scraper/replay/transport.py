"""An httpx transport over an archive: a program that fetches runs on captures, and cannot reach the network.

httpx.Client(transport=scraper.ArchiveTransport("archive", at="2019-09-09"))
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import httpx

from scraper import message, urls
from scraper.archiver import IndexEntry
from scraper.errors import IntegrityError, UsageError
from scraper.model import Exchange
from scraper.replay import address, missing
from scraper.replay.dates import span_of
from scraper.replay.holdings import Holdings, nearest

_READING = ("GET", "HEAD")
# RFC 9110, 7.6.1: these speak of the connection on which the response once came.
_OF_THE_CONNECTION = frozenset({"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding"})


class ArchiveTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Answers from the captures nearest to `at`, for `httpx.Client` and `httpx.AsyncClient` alike.

    `at` is a date (`2019`, `2019-09-09`, an ISO 8601 time, 4 to 14 digits) or an aware datetime; None takes the newest.
    `collection` None looks in all. Responses are as captured: status, headers, content coding (which httpx removes),
    redirects; only the transfer coding is gone. A URL that was never captured raises `httpx.ConnectError`, a damaged
    capture `httpx.ReadError`, a method that would change something `httpx.UnsupportedProtocol`. Raises `UsageError`
    at once when there is no archive, no such collection or no such date.
    """

    def __init__(
        self, root: str | os.PathLike[str], at: str | datetime | None = None, collection: str | None = None
    ) -> None:
        self._holdings = Holdings(Path(root))
        if collection is not None:
            self._holdings.collection(collection)
        self._collection = collection
        if isinstance(at, datetime) and at.tzinfo is None:
            raise UsageError(f"at={at}: this time has no zone; write it with one, as datetime(…, tzinfo=UTC)")
        self._at = address.at(at) if isinstance(at, datetime) else span_of(at) if at else None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request from the archive."""
        if request.method not in _READING:
            raise httpx.UnsupportedProtocol(f"{request.method}: an archive answers only GET and HEAD", request=request)
        try:
            name, entry = self._found(request)
            exchange = self._holdings.response(name, entry)
        except IntegrityError as error:
            raise httpx.ReadError(str(error), request=request) from error
        if exchange.status < 200:
            raise httpx.RemoteProtocolError(f"{entry.url}: what was captured is no HTTP response", request=request)
        return _response(request, exchange, name, entry)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The same: reading a capture takes less than a millisecond, and waits for nobody."""
        return self.handle_request(request)

    def _found(self, request: httpx.Request) -> tuple[str, IndexEntry]:
        try:
            href = urls.target(str(request.url)).href
        except urls.NotATarget as error:
            raise httpx.UnsupportedProtocol(f"{error}: not a web address", request=request) from error
        if self._collection is None:
            found = self._holdings.anywhere(href, self._at)
        else:
            entry = nearest(self._holdings.captures(self._collection, href), self._at)
            found = (self._collection, entry) if entry else None
        if found is None:
            raise httpx.ConnectError(
                f"{href}: never captured, and the network is refused{self._tried(href)}", request=request
            )
        return found

    def _tried(self, href: str) -> str:
        names = [self._collection] if self._collection else self._holdings.names
        tries = [line for name in names for line in missing.attempts(self._holdings, name, href)]
        return f"; it was tried {tries[0]}" if tries else ""


def _response(request: httpx.Request, exchange: Exchange, name: str, entry: IndexEntry) -> httpx.Response:
    body = message.entity(exchange.received)
    headers = [
        (key.encode("latin-1"), value.encode("latin-1"))
        for key, value in exchange.headers
        if key.lower() not in _OF_THE_CONNECTION and key.lower() != "content-length"
    ]
    headers.append((b"Content-Length", str(len(body)).encode()))
    return httpx.Response(
        exchange.status,
        headers=headers,
        stream=httpx.ByteStream(body if request.method != "HEAD" else b""),
        extensions={
            "reason_phrase": exchange.reason.encode("latin-1", "replace"),
            "http_version": b"HTTP/1.1",
            "scraper": {"collection": name, "timestamp": entry.timestamp, "url": entry.url},
        },
        request=request,
    )
