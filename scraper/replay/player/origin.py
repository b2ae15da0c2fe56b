"""Two origins on one port: our pages and captures at 127.0.0.1, the player with the scripts it runs at localhost.

To a browser they are strangers (HTML, 7.1.1: same scheme, host and port make an origin): what an archived script does
at the one, it cannot read or frame the other.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from scraper.replay import answers, guard, policy
from scraper.replay.guard import origin_of

PREFIX = "/-/player/"
_OURS, _PLAYERS = "127.0.0.1", "localhost"


class Apart:
    """An ASGI application that sends a request for the one origin's addresses at the other to where it belongs.

    A script at the player's origin cannot follow: the answer there has no word of CORS. `localhost` serves nothing but
    the player, not even the archive's raw payloads.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            raw = raw_path(scope)
            host = _PLAYERS if raw.startswith(PREFIX) else _OURS
            origin = origin_of(scope) or ""
            if origin.removeprefix("http://").rpartition(":")[0] != host and origin != f"http://{host}":
                query = scope["query_string"].decode("latin-1")
                where = f"{at(scope, host)}{raw}{'?' + query if query else ''}"
                await guard.sent(answers.redirect(where, policy.own(), 307), scope, send)
                return
        await self._app(scope, receive, send)


def ours(scope: Scope) -> str:
    """The origin of our own pages."""
    return at(scope, _OURS)


def at(scope: Scope, host: str) -> str:
    """This server under another of its names."""
    port = (scope.get("server") or ("", 80))[1]
    return f"http://{host}" if port == 80 else f"http://{host}:{port}"


def raw_path(scope: Scope) -> str:
    """The path as it was sent: decoding would change archived URLs."""
    path: bytes = scope["raw_path"]
    return path.partition(b"?")[0].decode("latin-1")
