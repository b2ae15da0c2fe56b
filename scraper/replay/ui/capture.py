"""All captures of a URL, and the tabs of one capture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from scraper.archiver import IndexEntry
from scraper.errors import IntegrityError, UsageError
from scraper.replay import address
from scraper.replay.holdings import Holdings
from scraper.replay.ui import articles, captures, links, queries
from scraper.replay.ui.bar import TABS
from scraper.replay.ui.captures import Neighbours
from scraper.replay.ui.rendering import render


CITING = 3  # documents named on a capture's pages
NO_TEXT = (
    "There is no text of this capture: only pages that answered with an article get one. "
    "If this is one, `scraper rebuild` makes the text."
)

Entries = Sequence[IndexEntry]


class CapturePages:
    """Pages about one archived URL."""

    def __init__(self, holdings: Holdings) -> None:
        self._holdings = holdings
        self._views: dict[str, Callable[[Neighbours, Entries], dict[str, Any]]] = {"text": self._text}

    def captures(self, request: Request) -> Response:
        """Every capture of a URL."""
        name = request.path_params["collection"]
        url = address.archived_url(_rest(request, 3))
        entries = self._holdings.captures(name, url)
        return HTMLResponse(render("captures.html", {"collection": name, "url": url, "entries": entries}))

    def tab(self, request: Request) -> Response:
        """One view of one capture."""
        name, tab = request.path_params["collection"], request.path_params["tab"]
        view = self._views.get(tab)
        if view is None:
            raise UsageError(f"{tab[:40]}: there is no such view; there are {', '.join(self._views)}")
        url = address.archived_url(_rest(request, 5))
        entries = self._holdings.captures(name, url)
        timestamp = request.path_params["timestamp"]
        entry = captures.at_time(entries, timestamp)
        if entry is None:
            return RedirectResponse(links.captures(name, url))
        if entry.timestamp != timestamp:
            return RedirectResponse(links.tab(name, entry.timestamp, tab, url))
        where = captures.around(name, entries, entry)
        values = {"where": where, "tab": tab, "tabs": TABS, **self._cited(url), **view(where, entries)}
        return HTMLResponse(render(f"{tab}.html", values))

    def _cited(self, url: str) -> dict[str, Any]:
        try:
            with self._holdings.state() as state:
                citing, count = queries.citing(state, url, CITING) if state else ([], 0)
        except IntegrityError:
            citing, count = [], 0  # the home page tells of a damaged state
        return {"citing": citing, "citing_count": count}

    def _text(self, where: Neighbours, _entries: Entries) -> dict[str, Any]:
        found = captures.text_of(self._holdings, where.collection, where.entry)
        if found is None:
            return {"title": "", "reading": None, "missing": NO_TEXT}
        reading = articles.reading(found.article)
        related = [(title, href, self._held(where.collection, href)) for title, href in reading.related]
        elsewhere = "" if (found.url, found.at) == (where.url, where.entry.captured_at) else _named(found, where.url)
        return {"title": reading.title, "reading": reading, "related": related, "elsewhere": elsewhere}

    def _held(self, collection: str, href: str) -> str:
        """Where the newest capture of an address is, empty when there is none."""
        try:
            url = address.archived_url(href)
        except UsageError:
            return ""
        found = self._holdings.nearest(collection, url)
        return links.page(collection, found.timestamp, url) if found else ""


def _named(text: captures.Text, url: str) -> str:
    when = f"the capture of {text.at:%Y-%m-%d %H:%M}"
    return when if text.url == url else f"{when} of {text.url}"


def _rest(request: Request, parts_before: int) -> str:
    """The archived URL at the end of our address, as it was sent: its own escapes and query string kept."""
    raw: bytes = request.scope["raw_path"].partition(b"?")[0]
    path = raw.split(b"/", parts_before + 1)[-1]
    query: bytes = request.scope["query_string"]
    return (path + b"?" + query if query else path).decode("utf-8", "replace")
