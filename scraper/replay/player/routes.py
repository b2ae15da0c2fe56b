"""The player's addresses, all below `/-/player/`: its page of a capture, its files, and the package that it plays."""

from __future__ import annotations

from html import escape
from pathlib import Path
from urllib.parse import quote, unquote

from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse
from starlette.routing import BaseRoute, Mount
from starlette.types import Receive, Scope, Send

from scraper import printable
from scraper.archiver import IndexEntry
from scraper.errors import IntegrityError, ScraperError, UsageError
from scraper.replay import address, answers, guard
from scraper.replay.answers import Answer
from scraper.replay.holdings import Holdings
from scraper.replay.player.origin import PREFIX, ours, raw_path
from scraper.replay.player.packages import Packages, Player
from scraper.replay.policy import Headers

SHOW = f"{PREFIX}show/"
PACKAGE = f"{PREFIX}package/"
REPLAY = f"{PREFIX}replay/"  # the scope of its service worker
_OWN_FILES = Path(__file__).parent
_SCRIPT = "text/javascript; charset=utf-8"

# The player may only speak to this origin, where there is nothing but itself. The sandbox reaches down into the frames
# in which archived pages run: no pop-ups, no downloads, no way to lead the window elsewhere.
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; media-src 'self' blob:; connect-src 'self'; frame-src 'self'; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "sandbox allow-scripts allow-same-origin"
)
# What the player's frame gets before the service worker is at work.
_WAITING_POLICY = _PAGE_POLICY.replace("frame-ancestors 'none'", "frame-ancestors 'self'")
_WAITING = b'<!doctype html><title>One moment</title><script src="wait.js"></script>'
_FILE_POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'"

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{url} · player</title><link rel="icon" href="data:,">
<style>:root{{color-scheme:light dark}}body{{margin:0;height:100vh;display:flex;flex-direction:column;\
font:14px/1.4 system-ui,sans-serif}}nav{{display:flex;flex-wrap:wrap;gap:.3rem 1rem;padding:.4rem .8rem;\
border-bottom:1px solid #8886}}nav span{{overflow:hidden;text-overflow:ellipsis;white-space:nowrap;flex:1 1 12rem}}\
replay-web-page{{flex:1;min-height:0}}</style>
<script src="{base}ui.js"></script></head>
<body><nav aria-label="About this archived page"><a href="{back}">Back to the page without scripts</a>
<span>{when} UTC · {url}</span></nav>
<noscript><p>The player runs the page's own scripts, so it needs JavaScript.
<a href="{back}">The page without scripts</a> needs none.</p></noscript>
<replay-web-page source="{source}" url="{url}" ts="{timestamp}" replaybase="{base}" embed="replayonly" nocache>
</replay-web-page></body></html>
"""


def routes(holdings: Holdings, player: Player) -> list[BaseRoute]:
    """The player, to be mounted on the server beside the archive's own pages."""
    player.prove_there()
    return [Mount(PREFIX.rstrip("/"), app=Playing(holdings, player))]


class Playing:
    """The addresses of the player, as an ASGI application."""

    def __init__(self, holdings: Holdings, player: Player) -> None:
        self._holdings = holdings
        self._folder = player.folder
        self._packages = Packages(player.pack)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = raw_path(scope)
        try:
            if path.startswith(PACKAGE):
                package = await run_in_threadpool(self._package, unquote(path[len(PACKAGE) :]))
                await _file(package, "application/wacz")(scope, receive, send)
            elif served := self._own_file(path):
                await _file(served, _SCRIPT)(scope, receive, send)
            else:
                await guard.sent(await run_in_threadpool(self._shown, path, scope), scope, send)
        except ScraperError as error:
            status, title = (404, "Not in this archive") if isinstance(error, UsageError) else (500, "Cannot be played")
            if isinstance(error, IntegrityError):
                title = "The archive is damaged here"
            await guard.sent(answers.trouble(status, title, str(error)), scope, send)

    def _own_file(self, path: str) -> Path | None:
        """The service worker is ours, and loads theirs as its engine."""
        theirs = {"engine.js": self._folder / "sw.js", "ui.js": self._folder / "ui.js"}
        known = theirs | {name: _OWN_FILES / name for name in ("sw.js", "wait.js")}
        found = known.get(path.removeprefix(REPLAY)) if path.startswith(REPLAY) else None
        return found if found and found.is_file() else None

    def _shown(self, path: str, scope: Scope) -> Answer:
        if path == REPLAY:
            return Answer(200, _headers(_WAITING_POLICY, "text/html; charset=utf-8"), _WAITING)
        if not path.startswith(SHOW):
            raise UsageError("The player has no such page; open it from a capture's own page")
        query = scope["query_string"].decode("latin-1")
        place = unquote(path[len(SHOW) :].partition("/")[0]) + "/" + path[len(SHOW) :].partition("/")[2]
        collection, entry, href = self._capture(f"{place}?{query}" if query else place)
        stamp = f"{entry.captured_at:%Y-%m-%d %H:%M:%S}"
        back = address.Address(collection, entry.timestamp, address.PAGE, href).path()
        values = {
            "url": escape(printable.line(href)),
            "when": stamp,
            "timestamp": entry.timestamp,
            "base": REPLAY,
            "back": escape(ours(scope) + back),
            "source": f"{PACKAGE}{quote(f'{collection}/{entry.timestamp}/{href}', safe='')}/capture.wacz",
        }
        return Answer(200, _headers(_PAGE_POLICY, "text/html; charset=utf-8"), _PAGE.format(**values).encode())

    def _package(self, place: str) -> Path:
        collection, entry, _ = self._capture(place.removesuffix("/capture.wacz"))
        return self._packages.package(collection, entry)

    def _capture(self, place: str) -> tuple[str, IndexEntry, str]:
        """The capture that `COLLECTION/TIMESTAMP/URL` names. Raises `UsageError` when there is none."""
        collection, _, rest = place.partition("/")
        asked = address.parse(collection, rest)
        span = address.span(asked.timestamp) if asked.timestamp else None
        captures = self._holdings.captures(collection, asked.href)
        entry = next((one for one in captures if one.timestamp == asked.timestamp), None)
        entry = entry or self._holdings.nearest(collection, asked.href, span)
        if entry is None:
            raise UsageError(f"{asked.href}: nothing is captured of it in {collection}")
        return collection, entry, entry.url


def _file(path: Path, kind: str) -> FileResponse:
    """A file with its length and validator; parts of it on demand (RFC 9110, 14)."""
    headers = {name.decode(): value.decode() for name, value in _headers(_FILE_POLICY)}
    return FileResponse(path, media_type=kind, headers=headers)


def _headers(policy: str, kind: str = "") -> Headers:
    found = [
        (b"content-security-policy", policy.encode("ascii")),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"same-origin"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"x-dns-prefetch-control", b"off"),
        (b"cache-control", b"no-cache"),
    ]
    return [*found, (b"content-type", kind.encode())] if kind else found
