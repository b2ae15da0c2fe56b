"""All captures of a URL, and the tabs of one capture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from scraper.errors import IntegrityError, UsageError
from scraper.replay import address
from scraper.replay.holdings import Holdings, Memento
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

History = Sequence[Memento]


class CapturePages:
    """Pages about one archived URL."""

    def __init__(self, holdings: Holdings) -> None:
        self._holdings = holdings
        self._views: dict[str, Callable[[Neighbours, History], dict[str, Any]]] = {
            "text": self._text,
            "fields": self._fields,
            "headers": self._headers,
            "raw": self._raw,
            "changes": self._changes,
        }

    def captures(self, request: Request) -> Response:
        """Every capture of a URL by year, and the visits that came to nothing."""
        name = request.path_params["collection"]
        self._holdings.collection(name)
        prefix, url = _prefixed(_rest(request, 3))
        history = self._holdings.history(url)
        names = {memento.collection for memento in history}
        values = {"collection": name, "is_in_several": len(names | {name}) > 1, "url": url, "count": len(history)}
        values |= {**_listed(history, prefix), **self._visited(url), **self._cited(url)}
        return HTMLResponse(render("captures.html", values), 200 if history else 404)

    def _visited(self, url: str) -> dict[str, Any]:
        try:
            with self._holdings.state() as state:
                if state is not None:
                    return {"tries": state.tries(url, TRIES), "leads_to": queries.leads_to(state, url), "trouble": ""}
        except IntegrityError as error:
            return {"tries": [], "leads_to": [], "trouble": str(error)}
        return {"tries": [], "leads_to": [], "trouble": ""}

    def tab(self, request: Request) -> Response:
        """One view of one capture."""
        name, tab = request.path_params["collection"], request.path_params["tab"]
        view = self._views.get(tab)
        if view is None:
            raise UsageError(f"{tab[:40]}: there is no such view; there are {', '.join(self._views)}")
        url, timestamp = address.archived_url(_rest(request, 5)), request.path_params["timestamp"]
        entry = self._holdings.nearest(name, url, address.span(timestamp))
        if entry is None:
            return RedirectResponse(links.captures(name, url), 302)
        if (entry.timestamp, entry.url) != (timestamp, url):
            return RedirectResponse(links.tab(name, entry.timestamp, tab, entry.url), 302)
        history = self._holdings.history(url)
        where = captures.around(history, Memento(name, entry))
        values = {
            "where": where,
            "tab": tab,
            "tabs": tabs_of(self._holdings),
            "title": self._title(where),
            **self._cited(url),
            **view(where, history),
        }
        return HTMLResponse(render(f"{tab}.html", values))

    def _title(self, where: Neighbours) -> str:
        """The article's title; empty where there is none."""
        try:
            found = captures.text_of(self._holdings, where.collection, where.entry)
        except IntegrityError:
            return ""  # the tabs that need the text say what is damaged
        return articles.reading(found.article).title if found else ""

    def _cited(self, url: str) -> dict[str, Any]:
        try:
            with self._holdings.state() as state:
                citing, count = queries.citing(state, url, CITING) if state else ([], 0)
        except IntegrityError:
            citing, count = [], 0  # the home page tells of a damaged state
        return {"citing": citing, "citing_count": count}

    def _text(self, where: Neighbours, _history: History) -> dict[str, Any]:
        found = captures.text_of(self._holdings, where.collection, where.entry)
        if found is None:
            return {"reading": None, "missing": NO_TEXT}
        reading = articles.reading(found.article)
        related = [(title, href, self._held(href, where.entry.timestamp)) for title, href in reading.related]
        elsewhere = "" if (found.url, found.at) == (where.url, where.entry.captured_at) else _named(found, where.url)
        return {"reading": reading, "related": related, "elsewhere": elsewhere}

    def _fields(self, where: Neighbours, _history: History) -> dict[str, Any]:
        found = captures.text_of(self._holdings, where.collection, where.entry)
        second = where.entry.captured_at.strftime("%Y-%m-%dT%H:%M:%S")
        try:
            with self._holdings.state() as state:
                page = (where.collection, where.url, second)
                requisites = queries.requisites(state, *page) if state else []
        except IntegrityError:
            requisites = []
        return {
            "fields": list(articles.fields(found.article)) if found else [],
            "made_by": articles.as_text(found.fields.get("extractor")) if found else "",
            "requisites": requisites[:REQUISITES],
            "requisites_left_out": len(requisites[REQUISITES:]),
            "missing": NO_TEXT,
        }

    def _headers(self, where: Neighbours, _history: History) -> dict[str, Any]:
        exchange = self._holdings.load(where.collection, where.entry)
        return {
            "request": payloads.request(exchange),
            "response": payloads.head(exchange),
            "exchange": exchange,
            "at": where.entry.location,
        }

    def _raw(self, where: Neighbours, _history: History) -> dict[str, Any]:
        exchange = self._holdings.load(where.collection, where.entry)
        return {"raw": payloads.raw(exchange), "truncated": exchange.truncated or ""}

    def _changes(self, where: Neighbours, history: History) -> dict[str, Any]:
        found = captures.text_of(self._holdings, where.collection, where.entry)
        before = captures.text_before(self._holdings, history, where.entry) if found else None
        values: dict[str, Any] = {"found": found, "before": before, "missing": NO_TEXT}
        return values | (_compared(before, found) if found and before else {})

    def _held(self, href: str, timestamp: str) -> str:
        """Where the capture of an address nearest to a time is, empty when there is none."""
        try:
            found = self._holdings.anywhere(address.archived_url(href), address.span(timestamp))
        except UsageError:
            return ""
        return links.page(found[0], found[1].timestamp, found[1].url) if found else ""


def _named(text: captures.Text, url: str) -> str:
    when = f"the capture of {text.at:%Y-%m-%d %H:%M}"
    return when if text.url == url else f"{when} of {text.url}"


def _listed(history: History, prefix: str) -> dict[str, Any]:
    """The captures of a year or month, newest first; of all time where these are not too many."""
    by_year = Counter(memento.entry.timestamp[:4] for memento in history)
    if not prefix and len(history) > CAPTURES_A_PAGE:
        prefix = max(by_year)
    within = [memento for memento in reversed(history) if memento.entry.timestamp.startswith(prefix)]
    by_month = Counter(memento.entry.timestamp[:6] for memento in history if memento.entry.timestamp[:4] == prefix[:4])
    shown = within[:CAPTURES_A_PAGE]
    return {
        "prefix": prefix,
        "years": sorted(by_year.items(), reverse=True),
        "months": sorted(by_month.items(), reverse=True) if len(within) > len(shown) or len(prefix) == 6 else [],
        "runs": [(year, list(run)) for year, run in groupby(shown, key=lambda memento: memento.entry.timestamp[:4])],
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
