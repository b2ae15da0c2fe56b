"""One capture, as bytes for standard output."""

from __future__ import annotations

import json
from typing import Any

from scraper import archiver, extractor, message, urls
from scraper.archiver import IndexEntry
from scraper.errors import IntegrityError, UsageError
from scraper.extractor import render
from scraper.model import Exchange
from scraper.replay import address, missing, payload
from scraper.replay.address import Span
from scraper.replay.holdings import Holdings

FORMS = ("page", "text", "json", "headers", "raw")
_LARGEST_CONTENT_BYTES = 100 << 20  # of what is packed; a run takes no more of a page either, by default
_MOST_HOPS = 20
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def printed(holdings: Holdings, url: str, at: Span | None, form: str) -> bytes:
    """The capture of a URL nearest to a time, in one of `FORMS`, from whichever collection holds it.

    `page`, `text` and `json` are of the page to which captured redirects lead; `page` has its content coding removed
    and its charset kept. `raw` is what was transferred, `headers` are those of request and response. Raises
    `UsageError` when there is no capture, or no such form of it, and `IntegrityError` when it cannot be read.
    """
    name, entry = _found(holdings, address.archived_url(url), at)
    exchange = holdings.load(name, entry)
    match form:
        case "headers":
            request = exchange.request.partition(b"\r\n\r\n")[0]
            return (request + b"\r\n\r\n" if request else b"") + exchange.received[: exchange.head_length]
        case "raw":
            return payload.raw(exchange).body
    name, entry, exchange = _redirected(holdings, name, entry, exchange)
    if form == "page":
        return _content(exchange, entry).body
    article, markdown = _article(holdings, name, entry, exchange)
    if form == "json":
        return _json(article)
    if skipped := article.get("article", {}).get("skipped"):
        raise UsageError(f"{entry.url}: there is no text: {skipped}; --as raw prints its bytes")
    return markdown.encode("utf-8", "replace")


def _found(holdings: Holdings, href: str, at: Span | None) -> tuple[str, IndexEntry]:
    found = holdings.anywhere(href, at)
    if found is None:
        tries = [line for name in holdings.names for line in missing.attempts(holdings, name, href)]
        told = f"it was tried {tries[0]}" if tries else "it was never tried; `scraper fetch` it"
        raise UsageError(f"{href}: never captured; {told}")
    return found


def _redirected(
    holdings: Holdings, name: str, entry: IndexEntry, exchange: Exchange
) -> tuple[str, IndexEntry, Exchange]:
    """Where captured redirects lead at their time; the last of them when the page itself is not held."""
    for _ in range(_MOST_HOPS):
        location = exchange.header("location")
        if exchange.status not in _REDIRECTS or location is None:
            break
        try:
            href = urls.target(location, entry.url).href
        except urls.NotATarget:
            break
        onward = holdings.anywhere(href, address.span(entry.timestamp))
        if onward is None:
            raise UsageError(f"{entry.url}: redirects to {href}, which was never captured; `scraper fetch` it")
        name, entry = onward
        exchange = holdings.load(name, entry)
    return name, entry, exchange


def _content(exchange: Exchange, entry: IndexEntry) -> payload.Payload:
    packed = payload.raw(exchange)
    try:
        part = payload.plain(packed, max(_LARGEST_CONTENT_BYTES, len(packed.body)))
    except message.TooLarge as error:
        raise IntegrityError(
            f"{entry.url}: unpacked, this capture has more than {_LARGEST_CONTENT_BYTES} bytes; use --as raw"
        ) from error
    if part.codings:
        raise UsageError(f"{entry.url}: {message.unreadable(part.codings)}; --as raw prints its bytes")
    return part


def _article(holdings: Holdings, name: str, entry: IndexEntry, exchange: Exchange) -> tuple[dict[str, Any], str]:
    """The stored article and its Markdown; one that is not stored is read from the capture."""
    stored = archiver.Texts(holdings.root, name).read(entry.url, exchange.started_at)
    if stored is not None:
        return stored
    part = _content(exchange, entry)
    article = extractor.extract(
        part.body, entry.url, content_type=part.content_type or None, captured_at=exchange.started_at
    )
    fields = {"url": entry.url, "captured_at": exchange.started_at.isoformat(), "article": render.as_json(article)}
    return fields, render.markdown(article)


def _json(fields: dict[str, Any]) -> bytes:
    return (json.dumps(fields, ensure_ascii=False, indent=1, default=str) + "\n").encode("utf-8", "replace")
