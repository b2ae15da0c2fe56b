"""What is refused before anything is looked up: foreign Host headers and methods that would change something."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from scraper.replay import answers
from scraper.replay.answers import Answer

_READING = ("GET", "HEAD")
_DEFAULT_PORT = 80
_BODILESS = (204, 205, 304)  # RFC 9110, 15: they have no content


def origin_of(scope: Scope) -> str | None:
    """This server as a request names it (`http://127.0.0.1:8080`); None where it names another or none.

    A page elsewhere can give its own name our address (DNS rebinding); its requests then carry that name.
    """
    port = (scope.get("server") or ("", _DEFAULT_PORT))[1]
    hosts = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"]
    own = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}
    if port == _DEFAULT_PORT:
        own |= {"127.0.0.1", "localhost", "[::1]"}
    return f"http://{hosts[0]}" if len(hosts) == 1 and hosts[0] in own else None


def refusal(scope: Scope) -> Answer | None:
    """Why a request is not answered; None when it is."""
    if origin_of(scope) is None:
        # It stands alone: by this name there is no style sheet either, and no way to the archive.
        return answers.page(
            403,
            "Foreign Host header",
            "<p>This server answers only to 127.0.0.1, localhost and [::1] with its port, so that no other site can"
            " read the archive through your browser.</p>",
        )
    if scope["method"] not in _READING:
        refused = answers.trouble(405, "Nothing can be changed here", "Only GET and HEAD are answered.")
        return Answer(405, [*refused.headers, (b"allow", b"GET, HEAD")], refused.body)
    return None


class Guard:
    """An ASGI application that only lets through what may be answered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (refused := refusal(scope)):
            await sent(refused, scope, send)
        else:
            await self._app(scope, receive, send)


async def sent(answer: Answer, scope: Scope, send: Send) -> None:
    """Send an answer: its length where it is known, no body to HEAD."""
    from starlette.concurrency import iterate_in_threadpool

    headers, body = answer.headers, answer.body
    if answer.status == 205:
        headers = [*headers, (b"content-length", b"0")]
    elif isinstance(body, bytes) and answer.status not in _BODILESS:
        headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if scope["method"] == "HEAD" or answer.status in _BODILESS:
        await send({"type": "http.response.body", "body": b""})
    elif isinstance(body, bytes):
        await send({"type": "http.response.body", "body": body})
    else:
        async for part in iterate_in_threadpool(body):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
