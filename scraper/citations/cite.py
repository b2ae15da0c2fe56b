"""An address as found -> a Citation with its target or its refusal. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from scraper import urls
from scraper.citations.boundaries import bounded, refanged
from scraper.model import Citation, Role, Target

# WHATWG URL, 4.4: leading and trailing C0 controls and spaces, and any tab or line break, are not part of a URL.
_EDGES = "".join(map(chr, range(0x21)))
_BREAKS = re.compile(r"[\t\r\n]+")
_ORDINARY = re.compile(r"https?://[a-zA-Z0-9.-]+(?:[/?#][!-~]*)?")
_SPECIAL_SLASHES = re.compile(r"(?i)^(https?):[/\\]*(?=[^/\\])")
_HAS_SCHEME = re.compile(r"(?i)^[a-z][a-z0-9+.-]+:")
_HOST_LIKE = re.compile(
    r"(?i)^(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,10}([^\W\d_][\w-]{1,62})(?::\d{1,5})?(?:[/?#]\S*)?$"
)
_FILE_ENDINGS = frozenset(
    {
        *("html", "htm", "xhtml", "shtml", "php", "asp", "aspx", "jsp", "cgi", "xml", "json", "js", "css", "csv"),
        *("jpg", "jpeg", "png", "gif", "svg", "webp", "pdf", "txt", "md", "doc", "docx"),
    }
)


def cite(url: str, role: Role, line: int, base: str | None = None) -> Citation | None:
    """A citation; None for what points nowhere else: an empty address, a fragment, a relative one without base."""
    address = completed(url)
    if not address or address.startswith("#"):
        return None
    if not _HAS_SCHEME.match(address):
        if base is None:
            return None
        address = urls.resolved(address, base)
    return Citation(urls.bare(address) if "@" in address else address, role, line, *_judged(address))


@lru_cache(maxsize=4096)
def _judged(address: str) -> tuple[Target | None, str | None]:
    """The target of an address, or why it has none; documents name the same address again and again."""
    try:
        return urls.target(address), None
    except urls.NotATarget as error:
        return None, error.refusal


def completed(url: str) -> str:
    """An address as a browser's address bar takes it: trimmed, refanged, `www.…` and `//…` with `http:`.

    `http` and not `https`, as the URL standard's users do: a server that wants more redirects.
    """
    if _ORDINARY.fullmatch(url):
        return url
    trimmed = _BREAKS.sub("", _scrubbed(url).strip(_EDGES))
    address = refanged(trimmed)
    if address != trimmed and _HOST_LIKE.match(address):
        return f"http://{address}"  # example[.]com
    if address.startswith("//"):
        return f"http:{address}"
    if address[:4].lower() == "www.":
        return f"http://{address}"
    return _SPECIAL_SLASHES.sub(r"\1://", address)


def with_host(url: str) -> str:
    """In a place where only URLs stand: `example.com/page` is meant as a URL too."""
    address = completed(url)
    if _HAS_SCHEME.match(address) and not re.match(r"(?i)^[a-z0-9.-]+\.[a-z]+:\d{1,5}(?:/|$)", address):
        return address
    host = _HOST_LIKE.match(address)
    return f"http://{address}" if host and host[1].lower() not in _FILE_ENDINGS else address


def target_line(url: str, role: Role, line: int) -> Citation | None:
    """As `cite`, for a place where only a URL may stand: what is none is listed as malformed."""
    address = with_host(url)
    if not address or address.startswith("#"):
        return None
    return cite(address, role, line) or Citation(urls.bare(address), role, line, None, "malformed")


def unique(citations: Iterable[Citation | None]) -> Iterator[Citation]:
    """Drop the exact repetition on one line (`[http://a](http://a)`); the stronger role stays."""
    order = (Role.ORIGINAL, Role.RELATED, Role.CITED)
    kept: dict[tuple[int, str], Citation] = {}
    for citation in bounded(citations):
        if citation is None:
            continue
        key = (citation.line, citation.target.href if citation.target else citation.url)
        known = kept.get(key)
        if known is None or order.index(citation.role) < order.index(known.role):
            kept[key] = citation
    yield from kept.values()


def _scrubbed(url: str) -> str:
    """Half a surrogate pair, as JSON escapes may write one, is no text."""
    if url.isascii() or not re.search("[\ud800-\udfff]", url):
        return url
    return url.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
