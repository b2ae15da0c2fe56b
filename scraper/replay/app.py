"""The server's application: our own pages, the captures, and what keeps strangers out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from scraper.errors import ScraperError
from scraper.replay import answers, guard, ui
from scraper.replay.answers import Answer
from scraper.replay.aside import Desk
from scraper.replay.guard import Guard, origin_of
from scraper.replay.holdings import Holdings
from scraper.replay.memento import Asked, Found, Mementos, unanswerable
from scraper.replay.rendering import Draft
from scraper.replay.rewriting import TooLarge

if TYPE_CHECKING:
    from scraper.replay.player import Player


def application(holdings: Holdings, *, player: Player | None = None) -> Starlette:
    """Everything below one address; `player`, if the user has its files, lives on an origin of its own."""
    routes: list[BaseRoute] = [*ui.routes(holdings)]
    middleware = [Middleware(Guard)]
    if player is not None:
        from scraper.replay import player as playing

        routes += playing.routes(holdings, player)
        middleware.append(Middleware(playing.Apart))
    app = Starlette(routes=routes, middleware=middleware, exception_handlers={Exception: _mistake})
    # What no route names is a capture, whatever characters are in it. A collection's name never starts with "-".
    app.router.default = Captures(holdings)
    app.router.redirect_slashes = False
    return app


class Captures:
    """The addresses of captures, as an ASGI application."""

    def __init__(self, holdings: Holdings) -> None:
        self._mementos = Mementos(holdings)
        self._desk = Desk()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = asked_in(scope)
        try:
            found = self._mementos.find(asked)
            answer = await self._shown(found) if isinstance(found, Found) else found
        except ScraperError as error:
            answer = unanswerable(error)
        except asyncio.CancelledError:
            # Only the end of the server cancels, and awaits what comes of it.
            answer = answers.trouble(503, "This server has been ended", "Start it again with `scraper replay`.")
        await guard.sent(answer, scope, send)

    async def _shown(self, found: Found) -> Answer:
        # Most captures are read faster than a thread is woken.
        show = self._mementos.show
        draft = await run_in_threadpool(show, found) if found.is_large else show(found)
        if not isinstance(draft, Draft):
            return draft
        try:
            return draft.finished(await self._desk.rewritten(draft.task))
        except TooLarge as reason:
            return draft.refused(f"{reason}.")


async def _mistake(request: Request, error: Exception) -> Response:
    """What is answered when this program is at fault. Starlette raises the error again, and uvicorn prints it."""
    answer = answers.trouble(
        500,
        "A mistake in this program",
        f"{request.url.path[:500]} could not be answered: {type(error).__name__}.",
        "Nothing in the archive has changed. Where this server was started, there is more about it; please report it"
        " to those who make this program, with the address.",
    )
    response = Response(answer.body, answer.status)
    response.raw_headers.extend(answer.headers)
    return response


def asked_in(scope: Scope) -> Asked:
    """The request, with path and query as they were sent: decoding would change archived URLs."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    path = scope["raw_path"].partition(b"?")[0].decode("latin-1")
    return Asked(origin_of(scope) or "", path, scope["query_string"].decode("latin-1"), headers)
