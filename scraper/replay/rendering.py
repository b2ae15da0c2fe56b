"""What is to be rewritten so that all it reaches lies in the archive: pages, sheets, pictures that are documents."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from scraper.replay import answers, ui
from scraper.replay.address import PAGE, RAW, Address
from scraper.replay.answers import Answer
from scraper.replay.aside import Task
from scraper.replay.holdings import Holdings
from scraper.replay.payload import Payload
from scraper.replay.policy import Headers
from scraper.replay.rewriting import Place

if TYPE_CHECKING:
    from scraper.replay.memento import Found

LARGEST_PAGE_BYTES = 24 * 1024 * 1024
LARGEST_SHEET_BYTES = 4 * 1024 * 1024
_PICTURE = (
    "<!doctype html><html><head><title>{name}</title><style>img{{max-width:100%}}</style></head>"
    '<body><img src="{name}" alt="{name}"></body></html>'
)


@dataclass(frozen=True, slots=True)
class Draft:
    """An answer whose text is still to be rewritten."""

    shown: Address
    status: int
    headers: Headers
    task: Task

    def finished(self, text: bytes) -> Answer:
        """The answer with its text."""
        kind = b"text/css" if self.task.bar is None else b"text/html"
        return Answer(self.status, [*self.headers, (b"content-type", kind + b"; charset=utf-8")], text)

    def refused(self, reason: str) -> Answer:
        """What is answered when the text is too much to be rewritten."""
        if self.task.bar is None and self.shown.modifier != PAGE:
            return _empty_sheet(self.headers)
        return _as_it_came(self.shown, reason, self.headers)


def page(holdings: Holdings, found: Found, part: Payload, status: int, headers: Headers) -> Draft | Answer:
    """A page as it was; with the bar where a person opened it."""
    if reason := _too_much(part, LARGEST_PAGE_BYTES):
        return _as_it_came(found.shown, reason, headers)
    return _draft(found, status, headers, part, _bar(holdings, found))


def picture(holdings: Holdings, found: Found, status: int, headers: Headers) -> Draft:
    """A page of ours around an SVG: within `<img>` it loads nothing and its links are none (SVG 2, 2.3)."""
    name = escape(found.shown.href)
    part = Payload(_PICTURE.format(name=name).encode(), "text/html; charset=utf-8", "")
    return _draft(found, status, headers, part, _bar(holdings, found))


def stylesheet(found: Found, part: Payload, status: int, headers: Headers) -> Draft | Answer:
    """A style sheet as it was."""
    if reason := _too_much(part, LARGEST_SHEET_BYTES):
        return _as_it_came(found.shown, reason, headers) if found.shown.modifier == PAGE else _empty_sheet(headers)
    return _draft(found, status, headers, part, None)


def _draft(found: Found, status: int, headers: Headers, part: Payload, bar: str | None) -> Draft:
    shown = found.shown
    place = Place(shown.collection, shown.timestamp, shown.href)
    return Draft(shown, status, headers, Task(part.body, part.content_type, place, bar))


def _bar(holdings: Holdings, found: Found) -> str:
    shown = found.shown
    return ui.bar(holdings, shown.collection, found.entry, shown.href) if shown.modifier == PAGE else ""


def _too_much(part: Payload, most_bytes: int) -> str:
    if part.codings:
        return f"It is packed as {part.codings}, which cannot be unpacked here."
    return f"It has more than {most_bytes} bytes." if len(part.body) > most_bytes else ""


def _as_it_came(shown: Address, reason: str, headers: Headers) -> Answer:
    """A page that cannot be rewritten is offered byte for byte."""
    raw = Address(shown.collection, shown.timestamp, RAW, shown.href).path()
    body = (
        f"<p>{answers.text(shown.href)}</p><p>{answers.text(reason)}</p>"
        f'<p><a href="{answers.text(raw)}">Its bytes, as they came</a></p>'
    )
    return answers.page(200, "This page is too much to be shown", body, headers)


def _empty_sheet(headers: Headers) -> Answer:
    text = b"/* This style sheet is too much to be rewritten. */"
    return Answer(200, [*headers, (b"content-type", b"text/css; charset=utf-8")], text)
