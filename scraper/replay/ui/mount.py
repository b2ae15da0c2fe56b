"""Which address leads to which page."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from scraper.errors import IntegrityError, ScraperError
from scraper.replay import policy
from scraper.replay.holdings import Holdings
from scraper.replay.ui import static
from scraper.replay.ui.capture import CapturePages
from scraper.replay.ui.overview import Overview
from scraper.replay.ui.rendering import problem

Endpoint = Callable[[Request], Response]


def routes(holdings: Holdings) -> list[BaseRoute]:
    """The pages of an archive, to be mounted at the root of its server."""
    overview, capture = Overview(holdings), CapturePages(holdings)
    return [
        Route("/", _guarded(overview.home)),
        Route("/-/search", _guarded(overview.search)),
        Route("/-/document/{digest}", _guarded(overview.document)),
        Route("/-/captures/{collection}/{url:path}", _guarded(capture.captures)),
        Route("/-/capture/{collection}/{timestamp}/{tab}/{url:path}", _guarded(capture.tab)),
        Route("/-/static/{name}", _guarded(static.file)),
    ]


def _guarded(endpoint: Endpoint) -> Endpoint:
    """What is wrong with the address is a 404 page, what is wrong with the archive a 500 page; neither a traceback."""

    def answer(request: Request) -> Response:
        try:
            response = endpoint(request)
        except IntegrityError as error:
            response = HTMLResponse(problem("The archive is damaged here", (str(error),)), 500)
        except ScraperError as error:
            response = HTMLResponse(problem("Not in this archive", (str(error),)), 404)
        response.raw_headers.extend(policy.own())
        return response

    return answer
