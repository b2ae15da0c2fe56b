"""The server's application: our own pages, the captures, and what keeps strangers out."""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount
from starlette.types import Receive, Scope, Send

from scraper.errors import ScraperError, UsageError
from scraper.replay import guard, ui
from scraper.replay.guard import Guard, origin_of
from scraper.replay.holdings import Holdings
from scraper.replay.memento import Asked, Found, Mementos, unanswerable


def application(holdings: Holdings, *, player: Path | None = None) -> Starlette:
    """Everything below one origin; `player` is the folder of ReplayWeb.page's files, if the user has put them there."""
    routes: list[BaseRoute] = [*ui.routes(holdings)]
    if player is not None:
        raise UsageError("no player yet")
    # Routes match in this order: what is left is a capture. A collection's name never starts with "-".
    return Starlette(routes=[*routes, Mount("/", app=Captures(holdings))], middleware=[Middleware(Guard)])


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
