"""All captures of a URL, and the tabs of one capture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from scraper.archiver import IndexEntry
from scraper.errors import IntegrityError, UsageError
from scraper.replay import address
from scraper.replay.holdings import Holdings
from scraper.replay.ui import articles, captures, difference, links, payloads, queries
from scraper.replay.ui.bar import tabs_of
from scraper.replay.ui.captures import Neighbours
from scraper.replay.ui.rendering import render

CAPTURES_A_PAGE = 500
TRIES = 50
REQUISITES = 300
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
        self._views: dict[str, Callable[[Neighbours, Entries], dict[str, Any]]] = {
            "text": self._text,
            "fields": self._fields,
            "headers": self._headers,
            "raw": self._raw,
            "changes": self._changes,
        }

    def captures(self, request: Request) -> Response:
        """Every capture of a URL by year, and the visits that came to nothing."""
        name = request.path_params["collection"]
        prefix, url = _prefixed(_rest(request, 3))
        entries = self._holdings.captures(name, url)
        values = {"collection": name, "url": url, "count": len(entries), **_listed(entries, prefix)}
        values |= {**self._visited(name, url), **self._cited(url)}
        return HTMLResponse(render("captures.html", values), 200 if entries else 404)

    def _visited(self, collection: str, url: str) -> dict[str, Any]:
        try:
            with self._holdings.state() as state:
                if state is not None:
                    tries = queries.tries_without_capture(state, collection, url, TRIES)
                    return {"tries": tries, "leads_to": queries.leads_to(state, collection, url), "trouble": ""}
        except IntegrityError as error:
            return {"tries": [], "leads_to": [], "trouble": str(error)}
        return {"tries": [], "leads_to": [], "trouble": ""}

    def _never(self, collection: str, url: str) -> Response:
        return RedirectResponse(links.captures(collection, url), 302)

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
            return self._never(name, url)
        if (entry.timestamp, entry.url) != (timestamp, url):
            return RedirectResponse(links.tab(name, entry.timestamp, tab, entry.url), 302)
        where = captures.around(name, entries, entry)
        values = {
            "where": where,
            "tab": tab,
            "tabs": tabs_of(self._holdings),
            **self._cited(url),
            **view(where, entries),
        }
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

    def _fields(self, where: Neighbours, _entries: Entries) -> dict[str, Any]:
        found = captures.text_of(self._holdings, where.collection, where.entry)
        second = where.entry.captured_at.strftime("%Y-%m-%dT%H:%M:%S")
        try:
            with self._holdings.state() as state:
                page = (where.collection, where.url, second)
                requisites = queries.requisites(state, *page, REQUISITES) if state else []
        except IntegrityError:
            requisites = []
        return {
            "title": articles.reading(found.article).title if found else "",
            "fields": list(articles.fields(found.article)) if found else [],
            "made_by": articles.as_text(found.fields.get("extractor")) if found else "",
            "requisites": requisites,
            "missing": NO_TEXT,
        }

    def _headers(self, where: Neighbours, _entries: Entries) -> dict[str, Any]:
        exchange = self._holdings.load(where.collection, where.entry)
        return {
            "title": "",
            "request": payloads.request(exchange),
            "response": payloads.head(exchange),
            "exchange": exchange,
            "at": where.entry.location,
        }

    def _raw(self, where: Neighbours, _entries: Entries) -> dict[str, Any]:
        exchange = self._holdings.load(where.collection, where.entry)
        return {"title": "", "raw": payloads.raw(exchange), "truncated": exchange.truncated or ""}

    def _changes(self, where: Neighbours, entries: Entries) -> dict[str, Any]:
        found = captures.text_of(self._holdings, where.collection, where.entry)
        before = captures.text_before(self._holdings, where.collection, entries, where.entry) if found else None
        values: dict[str, Any] = {"found": found, "before": before, "missing": NO_TEXT, "title": ""}
        if found:
            values["title"] = articles.reading(found.article).title
        return values | (_compared(before, found) if found and before else {})

    def _held(self, collection: str, href: str) -> str:
        """Where the newest capture of an address is, empty when there is none."""
        try:
            url = address.archived_url(href)
        except UsageError:
            return ""
        found = self._holdings.captures(collection, url)
        return links.page(collection, found[-1].timestamp, found[-1].url) if found else ""


def _named(text: captures.Text, url: str) -> str:
    when = f"the capture of {text.at:%Y-%m-%d %H:%M}"
    return when if text.url == url else f"{when} of {text.url}"


def _listed(entries: Entries, prefix: str) -> dict[str, Any]:
    """The captures of a year or month, newest first; of all time where these are not too many."""
    by_year = Counter(entry.timestamp[:4] for entry in entries)
    if not prefix and len(entries) > CAPTURES_A_PAGE:
        prefix = max(by_year)
    within = [entry for entry in reversed(entries) if entry.timestamp.startswith(prefix)]
    by_month = Counter(entry.timestamp[:6] for entry in entries if entry.timestamp[:4] == prefix[:4])
    shown = within[:CAPTURES_A_PAGE]
    return {
        "prefix": prefix,
        "years": sorted(by_year.items(), reverse=True),
        "months": sorted(by_month.items(), reverse=True) if len(within) > len(shown) or len(prefix) == 6 else [],
        "runs": [(year, list(run)) for year, run in groupby(shown, key=lambda entry: entry.timestamp[:4])],
        "left_out": len(within) - len(shown),
    }


def _prefixed(rest: str) -> tuple[str, str]:
    """A year or month, if one is named, and the archived URL."""
    prefix, slash, url = rest.partition("/")
    if slash and len(prefix) in (4, 6) and prefix.isascii() and prefix.isdigit():
        return prefix, address.archived_url(url)
    return "", address.archived_url(rest)


COMPARED = ("title", "subtitle", "byline", "published", "modified", "caption", "credit")


def _compared(before: captures.Text, after: captures.Text) -> dict[str, Any]:
    """What the page of changes shows: fields that differ, and paragraphs with unchanged ones folded away."""
    old, new = (articles.labelled(text.article, COMPARED) for text in (before, after))
    fields = [(name, difference.words(old[name], new[name])) for name in COMPARED if old[name] != new[name]]
    texts = difference.paragraphs(articles.paragraphs(before.article), articles.paragraphs(after.article))
    deleted, inserted = difference.changed(texts)
    runs = [(is_same, list(run)) for is_same, run in groupby(texts, key=lambda text: text.is_same)]
    return {
        "fields": fields,
        "runs": runs,
        "deleted": deleted,
        "inserted": inserted,
        "is_same": not fields and all(is_same for is_same, _ in runs),
        "is_older_extractor": before.fields.get("extractor") != after.fields.get("extractor"),
    }


def _rest(request: Request, parts_before: int) -> str:
    """The archived URL at the end of our address, as it was sent: its own escapes and query string kept."""
    raw: bytes = request.scope["raw_path"].partition(b"?")[0]
    path = raw.split(b"/", parts_before + 1)[-1]
    query: bytes = request.scope["query_string"]
    return (path + b"?" + query if query else path).decode("utf-8", "replace")
