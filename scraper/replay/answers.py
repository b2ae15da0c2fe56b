"""An HTTP answer as a value, and the small pages of our own that say what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from urllib.parse import urlsplit

from scraper import printable
from scraper.replay import policy, ui
from scraper.replay.policy import Headers

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>{style}</style></head>
<body><main><h1>{title}</h1>
{body}
</main></body></html>
"""
_STYLE = (
    ":root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;margin:0;padding:8vh 1.25rem}"
    "main{max-width:42rem;margin:auto;overflow-wrap:anywhere}h1{font-size:1.4rem}li{margin:.4rem 0}"
)
_PICTURE = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="320" height="180" viewBox="0 0 320 180" role="img">'
    '<title>not archived: {host}</title><rect x="1" y="1" width="318" height="178" fill="#eee" stroke="#888"'
    ' stroke-dasharray="6 5"/><g font-family="system-ui,sans-serif" fill="#444" text-anchor="middle">'
    '<text x="160" y="86" font-size="17">not archived</text><text x="160" y="112" font-size="13">{host}</text></g>'
    "</svg>"
)


_PLAIN = re.compile(r"[ -~]*")


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. A `body` that is an iterator is sent as it comes, without a length."""

    status: int
    headers: Headers = field(default_factory=list)
    body: bytes | Iterator[bytes] = b""


def redirect(location: str, headers: Headers, status: int = 302) -> Answer:
    """Send the browser on, within this server."""
    return Answer(status, [*headers, (b"location", latin(location))])


def page(status: int, title: str, body: str, headers: Headers | None = None) -> Answer:
    """A page of our own; `body` is HTML. It needs no style sheet, so it also works inside the sandbox."""
    text = _PAGE.format(title=escape(title), style=_STYLE, body=body)
    own = policy.own() if headers is None else headers
    # Its own few styles stand in the page: they are allowed by their place here, for nothing foreign is in it.
    own = [(name, value.replace(b"style-src 'self'", b"style-src 'unsafe-inline'")) for name, value in own]
    return Answer(status, [*own, (b"content-type", b"text/html; charset=utf-8")], text.encode("utf-8", "replace"))


def trouble(status: int, title: str, *sentences: str, onward: tuple[tuple[str, str], ...] = ()) -> Answer:
    """A page that looks like our others and says in plain sentences what is wrong and what to do."""
    headers = [*policy.own(), (b"content-type", b"text/html; charset=utf-8")]
    return Answer(status, headers, ui.problem(title, sentences, onward).encode("utf-8", "replace"))


def text(foreign: str) -> str:
    """A foreign text, fit for HTML."""
    return escape(printable.line(foreign))


def placeholder(modifier: str, href: str, headers: Headers) -> Answer | None:
    """What stands for a missing part of a page, fit for the place where it is asked for; None where a page will do."""
    host = text(urlsplit(href).netloc[:60])
    if modifier == "im_":
        return Answer(404, [*headers, (b"content-type", b"image/svg+xml")], _PICTURE.format(host=host).encode())
    if modifier == "cs_":
        return Answer(404, [*headers, (b"content-type", b"text/css; charset=utf-8")])
    if modifier == "oe_":
        return Answer(404, [*headers, (b"content-type", b"application/octet-stream")])
    if modifier == "if_":
        return page(404, "Not archived", f"<p>{text(href)}</p>", headers)
    return None


def latin(value: str) -> bytes:
    """A header's value as bytes: what is not latin-1 is %-encoded, what would end the line is gone."""
    if _PLAIN.fullmatch(value):
        return value.encode("ascii").strip()
    return b"".join(
        bytes([ord(mark)]) if " " <= mark <= "~" or "\xa0" <= mark <= "\xff" else _percent(mark) for mark in value
    ).strip()


def _percent(mark: str) -> bytes:
    if mark < " " or "\x7f" <= mark < "\xa0":
        return b" "
    return "".join(f"%{byte:02X}" for byte in mark.encode("utf-8", "replace")).encode()
