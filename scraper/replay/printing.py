"""One capture, as bytes for standard output."""

from __future__ import annotations

import json
from typing import Any

from scraper import archiver, extractor, message
from scraper.archiver import IndexEntry
from scraper.errors import IntegrityError, UsageError
from scraper.extractor import render
from scraper.model import Exchange
from scraper.replay import address, missing, payload
from scraper.replay.address import Span
from scraper.replay.holdings import Holdings

FORMS = ("page", "text", "json", "headers", "raw")
_LARGEST_CONTENT_BYTES = 1 << 30


def printed(holdings: Holdings, url: str, at: Span | None, form: str) -> bytes:
    """The capture of a URL nearest to a time, in one of `FORMS`, from whichever collection holds it.

    `page` has its content coding removed and its charset kept, `raw` is what was transferred, `headers` are those of
    request and response. Raises `UsageError` when there is no capture and `IntegrityError` when it cannot be read.
    """
    href = address.archived_url(url)
    found = holdings.anywhere(href, at)
    if found is None:
        tries = [line for name in holdings.names for line in missing.attempts(holdings, name, href)]
        told = f"it was tried {tries[0]}" if tries else "it was never tried; `scraper fetch` it"
        raise UsageError(f"{href}: never captured; {told}")
    name, entry = found
    exchange = holdings.load(name, entry)
    match form:
        case "page":
            return _content(exchange, entry).body
        case "text" | "json":
            article, markdown = _article(holdings, name, entry, exchange)
            return _json(article) if form == "json" else markdown.encode("utf-8", "replace")
        case "headers":
            return exchange.request.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + exchange.received[: exchange.head_length]
        case _:
            return payload.raw(exchange).body


def _content(exchange: Exchange, entry: IndexEntry) -> payload.Payload:
    try:
        return payload.plain(payload.raw(exchange), _LARGEST_CONTENT_BYTES)
    except message.TooLarge as error:
        raise IntegrityError(
            f"{entry.url}: unpacked, this capture has more than {_LARGEST_CONTENT_BYTES} bytes; use --as raw"
        ) from error


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
