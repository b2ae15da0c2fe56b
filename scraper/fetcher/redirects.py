"""Where an answer sends its reader: Location, Refresh, meta refresh. Pure."""

from __future__ import annotations

import html
import re
import zlib

from scraper import message
from scraper.model import Exchange

REDIRECTS = frozenset({301, 302, 303, 307, 308})
LONGEST_REFRESH_SECONDS = 5

# A page that exists to send its reader on says so at its beginning.
_SCAN_BYTES = 16 * 1024

# HTML standard, "shared declarative refresh steps": digits, a fraction that is ignored, `;` or `,`, `url=`.
_REFRESH = re.compile(
    r"\s{0,9}(?P<seconds>\d{0,9})(?:\.[\d.]{0,20})?(?:\s{0,9}[;,]\s{0,9}|\s{1,9})(?:url\s{0,9}=\s{0,9})?(?P<url>.+)",
    re.IGNORECASE | re.DOTALL,
)
_OPENER = re.compile(rb"<(?:(!--)|(noscript|script|style|template|title|textarea|body|meta)(?=[\s/>]))", re.IGNORECASE)
_ATTRIBUTE = re.compile(
    r"""([^\s"'>/=]{1,60})\s{0,20}=\s{0,20}(?:"([^"]{0,4000})"|'([^']{0,4000})'|([^\s"'>]{0,4000}))"""
)


def location(exchange: Exchange) -> str | None:
    """Where a redirect leads, as the server wrote it; None when the answer is not a redirect."""
    if exchange.status not in REDIRECTS:
        return None
    value = exchange.header("location")
    return _text(value) if value else None


def refresh(exchange: Exchange) -> str | None:
    """Where a page sends its reader within 5 s, by its `Refresh` header or a `<meta http-equiv=refresh>`."""
    if exchange.status != 200:
        return None
    header = exchange.header("refresh")
    if header:
        return refresh_url(_text(header))
    kind = (exchange.header("content-type") or "").lower()
    if "html" not in kind:
        return None
    return meta_refresh(_beginning(exchange))


def refresh_url(value: str) -> str | None:
    """The address in a Refresh value, if it has one and comes soon enough."""
    match = _REFRESH.match(value)
    if match is None or int(match["seconds"] or 0) > LONGEST_REFRESH_SECONDS:
        return None
    url = match["url"].strip()
    if url[:1] in ("'", '"'):
        url = url[1:].partition(url[0])[0]
    return url or None


def meta_refresh(page: bytes) -> str | None:
    """The address of a meta refresh in the head of a page: not one inside a comment, `<noscript>` or `<script>`."""
    if b"refresh" not in page and b"refresh" not in page.lower():
        return None
    at = 0
    while (opener := _OPENER.search(page, at)) is not None:
        name = b"--" if opener[1] else opener[2].lower()
        if name == b"body":
            return None
        if name == b"meta":
            at = page.find(b">", opener.end())
            found = _meta_url(page[opener.end() : at if at >= 0 else len(page)])
            if found is not None or at < 0:
                return found
            continue
        end = page.find(b"-->" if name == b"--" else b"</" + name, opener.end())
        if end < 0 and name != b"--":
            end = page.lower().find(b"</" + name, opener.end())
        if end < 0:
            return None
        at = end + 3
    return None


def _meta_url(tag: bytes) -> str | None:
    if b"refresh" not in tag.lower():
        return None
    attributes: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(_text(tag.decode("latin-1"))):
        # HTML standard: of two attributes with one name, the first counts.
        attributes.setdefault(match[1].lower(), html.unescape(match[2] or match[3] or match[4] or ""))
    if attributes.get("http-equiv", "").strip().lower() != "refresh":
        return None
    return refresh_url(attributes.get("content", ""))


def _text(latin: str) -> str:
    """Header text as it was meant: UTF-8 where it is, else latin-1."""
    try:
        return latin.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return latin


def _beginning(exchange: Exchange) -> bytes:
    """The first decoded bytes of a page."""
    body = exchange.answer[exchange.head_length : exchange.head_length + _SCAN_BYTES]
    if "chunked" in (exchange.header("transfer-encoding") or "").lower():
        body = message.dechunk(body)[0]
    coding = message.codings(exchange.headers).strip().lower()
    if coding in ("gzip", "x-gzip", "deflate"):
        try:
            return zlib.decompressobj(32 + zlib.MAX_WBITS).decompress(body, _SCAN_BYTES)
        except zlib.error:
            return b""
    return body[:_SCAN_BYTES]
