"""Pages and style sheets rewritten so that all they reach lies in the archive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scraper import decode
from scraper.replay import answers, rewriting, ui
from scraper.replay.address import PAGE, RAW
from scraper.replay.answers import Answer
from scraper.replay.holdings import Holdings
from scraper.replay.payload import Payload
from scraper.replay.policy import Headers
from scraper.replay.rewriting import Place

if TYPE_CHECKING:
    from scraper.replay.memento import Found

LARGEST_PAGE_BYTES = 24 * 1024 * 1024


def page(holdings: Holdings, found: Found, part: Payload, status: int, headers: Headers) -> Answer:
    """A page as it was; with the bar where a person opened it."""
    shown = found.shown
    if part.codings:
        return _as_it_came(found, f"It is packed as {part.codings}, which cannot be unpacked here.", headers)
    if len(part.body) > LARGEST_PAGE_BYTES:
        return _as_it_came(found, f"It has more than {LARGEST_PAGE_BYTES} bytes.", headers)
    bar = ui.bar(holdings, shown.collection, found.entry, shown.href) if shown.modifier == PAGE else ""
    text = decode.html(part.body, part.content_type).text
    try:
        rewritten = rewriting.page(text, Place(shown.collection, shown.timestamp, shown.href), bar)
    except rewriting.TooLarge as reason:
        return _as_it_came(found, f"{reason}.", headers)
    body = rewritten.encode("utf-8", "replace")
    return Answer(status, [*headers, (b"content-type", b"text/html; charset=utf-8")], body)


def stylesheet(found: Found, part: Payload, status: int, headers: Headers) -> Answer:
    """A style sheet as it was."""
    shown = found.shown
    text = decode.html(part.body, part.content_type).text
    rewritten = rewriting.stylesheet(text, Place(shown.collection, shown.timestamp, shown.href))
    body = rewritten.encode("utf-8", "replace")
    return Answer(status, [*headers, (b"content-type", b"text/css; charset=utf-8")], body)


def _as_it_came(found: Found, reason: str, headers: Headers) -> Answer:
    """A page that cannot be rewritten is offered byte for byte."""
    shown = found.shown
    raw = type(shown)(shown.collection, shown.timestamp, RAW, shown.href).path()
    body = (
        f"<p>{answers.text(shown.href)}</p><p>{answers.text(reason)}</p>"
        f'<p><a href="{answers.text(raw)}">Its bytes, as they came</a></p>'
    )
    return answers.page(200, "This page is too much to be shown", body, headers)
