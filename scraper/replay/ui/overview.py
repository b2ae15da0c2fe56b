"""The home page, the search, and the page of a document."""

from __future__ import annotations

import math
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from scraper.errors import IntegrityError
from scraper.replay.holdings import Holdings
from scraper.replay.ui import plot, queries
from scraper.replay.ui.rendering import render
from scraper.replay.ui.standing import Standing, StandingOf
from scraper.state import StateReader

DOCUMENTS_A_PAGE = 20
CITATIONS_ON_HOME = 6
NEWEST = 8
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
        """Captures in whose title or text the words stand."""
        return _page("search.html", {"words": request.query_params.get("q", "")})

    def document(self, request: Request) -> Response:
        """A document beside its citations."""
        return _page("document.html", {"digest": request.path_params["digest"]})


def _page(name: str, values: dict[str, object], status: int = 200) -> Response:
    return HTMLResponse(render(name, values), status)


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
