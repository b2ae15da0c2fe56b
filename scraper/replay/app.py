"""The server's application: our own pages, the captures, and what keeps strangers out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from scraper.errors import ScraperError
from scraper.replay import guard, ui
from scraper.replay.guard import Guard, origin_of
from scraper.replay.holdings import Holdings
from scraper.replay.memento import Asked, Found, Mementos, unanswerable

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
    app = Starlette(routes=routes, middleware=middleware)
    # What no route names is a capture, whatever characters are in it. A collection's name never starts with "-".
    app.router.default = Captures(holdings)
    app.router.redirect_slashes = False
    return app


class Captures:
    """The addresses of captures, as an ASGI application."""

    def __init__(self, holdings: Holdings) -> None:
        self._mementos = Mementos(holdings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = asked_in(scope)
        try:
            found = self._mementos.find(asked)
            if isinstance(found, Found):
                # Most captures are read faster than a thread is woken.
                show = self._mementos.show
                found = await run_in_threadpool(show, found) if found.is_large else show(found)
        except ScraperError as error:
            found = unanswerable(error)
        await guard.sent(found, scope, send)


def asked_in(scope: Scope) -> Asked:
    """The request, with path and query as they were sent: decoding would change archived URLs."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    path = scope["raw_path"].partition(b"?")[0].decode("latin-1")
    return Asked(origin_of(scope) or "", path, scope["query_string"].decode("latin-1"), headers)
