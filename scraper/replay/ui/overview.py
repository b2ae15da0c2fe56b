"""The home page, the search, and the page of a document."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from scraper import archiver
from scraper.archiver.search import Everywhere, find_everywhere
from scraper.errors import IntegrityError, ScraperError, UsageError
from scraper.replay import address
from scraper.replay.holdings import Holdings
from scraper.replay.ui import articles, documents, links, plot, queries
from scraper.replay.ui.rendering import render
from scraper.replay.ui.standing import Standing, StandingOf
from scraper.state import StateReader

DOCUMENTS_A_PAGE = 20
CITATIONS_ON_HOME = 6
NEWEST = 8
HITS_A_PAGE = 20
MOST_RESULT_PAGES = 25
LONGEST_QUERY = 200
CITATIONS_A_PAGE = 50
NO_STATE = (
    "This archive has no state file, so that documents, citations and visits are not known. Captures can be looked up "
    "by their address all the same. `scraper rebuild` makes the state from the WARCs."
)


class Overview:
    """Pages about the archive as a whole."""

    def __init__(self, holdings: Holdings) -> None:
        self._holdings = holdings
        self._standing = StandingOf(holdings.root)

    def home(self, request: Request) -> Response:
        """Newest captures, documents with where their citations stand, collections."""
        values: dict[str, Any] = {"collections": self._holdings.names, "state": False}
        try:
            with self._holdings.state() as state:
                if state is not None:
                    values |= {"state": True, **self._known(state, _page_number(request))}
                else:
                    values["missing"] = NO_STATE
        except IntegrityError as error:
            values["missing"] = str(error)
        return HTMLResponse(render("home.html", values))

    def _known(self, state: StateReader, number: int) -> dict[str, Any]:
        standing = self._standing.read(state)
        pages = max(1, math.ceil(standing.documents / DOCUMENTS_A_PAGE))
        number = min(number, pages)
        documents = queries.documents(state, DOCUMENTS_A_PAGE, (number - 1) * DOCUMENTS_A_PAGE)
        for document in documents:
            document["citations"] = queries.citations(state, document["id"], CITATIONS_ON_HOME)
            document["more"] = queries.citation_count(state, document["id"]) - len(document["citations"])
        return {
            "counts": standing.counts,
            "plot": _plot(standing),
            "document_count": standing.documents,
            "documents": documents,
            "newest": queries.newest(state, NEWEST),
            "page": number,
            "pages": pages,
            "page_address": lambda page: f"/?page={page}#documents",
        }

    def search(self, request: Request) -> Response:
        """Captures in whose title or text the words stand; a web address leads to its captures."""
        words = " ".join(request.query_params.get("q", "").split())[:LONGEST_QUERY]
        if (place := self._place_of(words)) is not None:
            return RedirectResponse(place, 302)
        number = min(_page_number(request), MOST_RESULT_PAGES)
        found, trouble = self._found(words, number * HITS_A_PAGE + 1)
        hits = found.hits
        values = {
            "words": words,
            "hits": hits[(number - 1) * HITS_A_PAGE : number * HITS_A_PAGE],
            "first": (number - 1) * HITS_A_PAGE + 1,
            "page": number,
            "more": len(hits) > number * HITS_A_PAGE and number < MOST_RESULT_PAGES,
            "trouble": trouble,
            "since": found.since,
            "collections": self._holdings.names,
        }
        return HTMLResponse(render("search.html", values))

    def _found(self, words: str, limit: int) -> tuple[Everywhere, str]:
        if not words:
            return Everywhere([]), ""
        try:
            return find_everywhere(self._holdings.root, self._holdings.names, words, limit=limit), ""
        except ScraperError as error:
            return Everywhere([]), str(error)

    def _place_of(self, words: str) -> str | None:
        """Where the captures of a typed address are listed; None for words."""
        if not words.lower().startswith(("http://", "https://")) or " " in words:
            return None
        url = address.archived_url(words)
        names = self._holdings.names
        held = [memento.collection for memento in reversed(self._holdings.history(url))]
        return next((links.captures(name, url) for name in (*held, *names)), None)

    def document(self, request: Request) -> Response:
        """A document's text beside its citations."""
        digest = request.path_params["digest"]
        with self._holdings.state() as state:
            document = queries.document(state, digest) if state else None
            if state is None or document is None:
                raise UsageError(
                    f"{digest[:64]}: no document of this digest is known here; `scraper run` reads documents"
                )
            count = queries.citation_count(state, document["id"])
            pages = max(1, math.ceil(count / CITATIONS_A_PAGE))
            number = min(_page_number(request), pages)
            cited = queries.citations(state, document["id"], CITATIONS_A_PAGE, (number - 1) * CITATIONS_A_PAGE)
        for row in cited:
            # Counted as the page that lists them counts.
            row["captures"] = len(self._holdings.history(row["final_href"])) if row["captured_at"] else 0
            row["reading"] = self._reading(row)
        values = {
            "document": document,
            "source": documents.read(document, cited),
            "citations": cited,
            "count": count,
            "page": number,
            "pages": pages,
            "page_address": lambda page: f"{links.document(digest)}?page={page}#citations",
        }
        return HTMLResponse(render("document.html", values))

    def _reading(self, row: dict[str, Any]) -> articles.Reading | None:
        """The cleaned text of a citation's newest good capture."""
        if not row["text_path"]:
            return None
        try:
            found = archiver.Texts(self._holdings.root, row["collection"]).read(
                row["final_href"], datetime.fromisoformat(row["captured_at"])
            )
        except IntegrityError:
            return None  # the capture's own page says what is damaged
        article = found[0].get("article") if found else None
        return articles.reading(article) if isinstance(article, dict) else None


def _page_number(request: Request) -> int:
    text = request.query_params.get("page", "1")
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) <= 6 else 1


def _plot(standing: Standing) -> dict[str, Any] | None:
    """What the plot's template wants; None when there was no visit."""
    if not standing.visits:
        return None
    return {
        "kind": standing.kind,
        "bars": plot.bars(standing.visits),
        "first": standing.visits[0].span,
        "last": standing.visits[-1].span,
        "captured": sum(count.captured for count in standing.visits),
        "failed": sum(count.failed for count in standing.visits),
        "highest": max(count.captured + count.failed for count in standing.visits),
        "width": plot.WIDTH,
        "height": plot.HEIGHT,
        "base": plot.BASE,
    }
