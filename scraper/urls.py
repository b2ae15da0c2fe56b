"""URLs: the WHATWG normal form, the SURT key, host and registered-domain keys. Pure."""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

import ada_url

from scraper.model import Target

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

DEFAULT_PORTS = {"http": 80, "https": 443}
SCHEMES = frozenset(DEFAULT_PORTS)
LONGEST_URL = 16_384  # characters; servers take half of it, and logs should stay readable

# `user:password@` after the scheme, up to the last @ before the path, as the WHATWG parser reads it.
_USERINFO = re.compile(
    r"(?i)((?:\bhttps?:[/\\]{1,9}|(?:\b[a-z][a-z0-9+.-]{0,20}:|(?<![^\s\"'(<\[]))[/\\]{2}))[^\s/\\?#<>\"]*@"
)
# Of one URL alone: all up to the last @ before the path, with or without a scheme; an address of mail stays.
_ONE_USERINFO = re.compile(r"^(\s*+(?!mailto:)(?:[a-zA-Z][a-zA-Z0-9+.-]{0,20}:)?[/\\]*)[^/\\?#]*@")
_SURT_WWW = re.compile(r"^www\d*\.")
_SURT_SESSIONS = (
    re.compile(rb"jsessionid=[0-9a-z]{32}(?:&|\Z)"),
    re.compile(rb"phpsessid=[0-9a-z]{32}(?:&|\Z)"),
    re.compile(rb"sid=[0-9a-z]{32}(?:&|\Z)"),
    re.compile(rb"aspsessionid[a-z]{8}=[a-z]{24}(?:&|\Z)"),
    re.compile(rb"(?<![^&])cfid=[^&]{1,200}&cftoken=[^&]{1,200}(?:&|\Z)"),
)
_SURT_ASP_SESSION = re.compile(rb"(?<=/)\((?:[0-9a-z]{24}|(?:[a-z]\([0-9a-z]{24}\)){1,9})\)/")
_SURT_UNESCAPE_PASSES = 16
# What most addresses are: nothing to decode, to drop or to put right. The path has no empty segment, none that begins
# with a dot, no end in a slash and no parenthesis; the query is not empty.
_SURT_PLAIN = re.compile(
    r"https?://(?:www[0-9]*\.)?([a-z0-9_-]+(?:\.[a-z0-9_-]+)*)"
    r"((?:/[!\"$&'*+,\-0-9:;<=>@A-Z\[\\\]^_`a-z{|}~][!\"$&'*+,\-.0-9:;<=>@A-Z\[\\\]^_`a-z{|}~]*)+|/?)"
    r"(?:\?([!\"$&-~]+))?"
)
_SURT_SESSION_MARKS = ("sid=", "sessionid", "cfid=")
# Google's Safe Browsing canonicalization, from which SURT keys take this: "percent-escape all characters that are
# <= ASCII 32, >= 127, # or %".
# A key ends at the first blank of its line: of what is no address at all, none may come into it.
_SURT_UNSORTABLE = re.compile(r"[^\x21-\x7e]")
_SURT_ESCAPED = re.compile(rb"[^\x21-\x7e]|[#%]")


class NotATarget(ValueError):
    """A URL that cannot be fetched; `refusal` is "scheme" or "malformed"."""

    def __init__(self, refusal: str, url: str) -> None:
        super().__init__(f"{refusal}: {url}")
        self.refusal = refusal


def target(url: str, base: str | None = None) -> Target:
    """Bring a URL into its normal form: the WHATWG href without fragment and userinfo.

    Raises `NotATarget` for other schemes than http and https and for what no browser would resolve.
    """
    if len(url) > LONGEST_URL or len(full := _href(url, base)) > LONGEST_URL:
        # The normal form is the longer one: what is stored must be a target when it is read back.
        raise NotATarget("malformed", f"{bare(url[:200])}… ({len(url)} characters)")
    scheme, _, rest = full.partition(":")
    if scheme not in SCHEMES:
        raise NotATarget("scheme", bare(url))
    # What follows is read off the serialised form (WHATWG URL, 4.5): `//userinfo@host:port/path?query#fragment`.
    authority, slash, tail = rest.partition("#")[0].removeprefix("//").partition("/")
    place = authority.rpartition("@")[2]
    host, port = _split_port(place)
    if not host:
        raise NotATarget("malformed", bare(url))
    path = slash + tail
    # A document names few hosts and many pages: what is the same is kept once.
    return Target(
        f"{scheme}://{place}{path}", sys.intern(scheme), sys.intern(host), int(port or DEFAULT_PORTS[scheme]), path
    )


def is_target(url: str) -> bool:
    """Whether a URL can be fetched, as it stands."""
    try:
        target(url)
    except NotATarget:
        return False
    return True


def resolved(url: str, base: str) -> str:
    """A relative URL made absolute, of any scheme; as it was where that cannot be."""
    try:
        return _href(url, base)
    except NotATarget:
        return url


def _href(url: str, base: str | None) -> str:
    try:
        return ada_url.join_url(base, url) if base else ada_url.normalize_url(url)
    except (ValueError, UnicodeError) as error:
        raise NotATarget("malformed", bare(url)) from error


def without_userinfo(text: str) -> str:
    """Cut `user:password@` out of every URL in a text: it is never stored or printed."""
    return _USERINFO.sub(r"\1", text)


def bare(url: str) -> str:
    """One URL without its userinfo, whatever characters that is made of and however odd the URL is."""
    return _ONE_USERINFO.sub(r"\1", url, count=1)


def host_key(target: Target) -> str:
    """The host that politeness and robots.txt speak of: `host`, with `:port` where it is not the scheme's own."""
    if target.port == DEFAULT_PORTS[target.scheme]:
        return target.host
    return f"{target.host}:{target.port}"


def origin(target: Target) -> str:
    """Scheme, host and port: what a robots.txt speaks of (RFC 9309, 2.3)."""
    return f"{target.scheme}://{host_key(target)}"


def surt(href: str) -> str:
    """The SURT look-up key of a URL: `com,example)/path?a&b`, as CDX indexes sort it.

    Unescaped as far as can be, lower-cased, `www.` and session ids dropped, query arguments sorted: what pywb and
    cdxj-indexer compute, for under another key they would not find a capture. A key only: two addresses may share one.
    """
    return _surt_plain(href) or _SURT_UNSORTABLE.sub(_percent_encoded, _surt_any(href))


def _surt_plain(href: str) -> str:
    """The key of an address that is plain, made the short way; empty for any other."""
    found = _SURT_PLAIN.fullmatch(href)
    if found is None:
        return ""
    host, path, query = found[1], found[2].lower() or "/", (found[3] or "").lower()
    if host.startswith("www") or any(mark in query for mark in _SURT_SESSION_MARKS):
        return ""
    if "&" in query:
        query = "&".join(sorted(query.split("&"), key=lambda part: part.split("=", 1)))
    mark = "?" if query else ""
    return f"{','.join(host.split('.')[::-1])}){path}{mark}{query}"


def _surt_any(href: str) -> str:
    scheme, _, rest = href.partition("://")
    if scheme.lower() not in SCHEMES:
        return href
    authority, slash, tail = _split_authority(rest)
    host, port = _split_port(authority.rpartition("@")[2].lower())
    port = f":{port}" if port and port != str(DEFAULT_PORTS[scheme.lower()]) else ""
    host = re.sub(r"\.{2,}", ".", host).strip(".")
    host = _SURT_WWW.sub("", host)
    labels = [host.strip("[]")] if host.startswith("[") else host.split(".")[::-1]
    path, mark, query = (slash + tail).partition("#")[0].partition("?")
    key = _surt_path(path.encode()) + (_surt_query(query.encode()) if mark else b"")
    return f"{','.join(labels)}{port}){key.decode('ascii')}"


def _surt_path(path: bytes) -> bytes:
    segments: list[bytes] = []
    for segment in _surt_unescaped(path).split(b"/"):
        if segment == b"..":
            del segments[-1:]
        elif segment != b".":
            segments.append(segment)
    plain = _SURT_ESCAPED.sub(_percent, b"/" + b"/".join(filter(None, segments))).lower()
    sessions = list(_SURT_ASP_SESSION.finditer(plain, 0, plain.rfind(b".aspx") + 1))
    return plain[: sessions[-1].start()] + plain[sessions[-1].end() :] if sessions else plain


def _surt_query(query: bytes) -> bytes:
    plain = _SURT_ESCAPED.sub(_percent, _surt_unescaped(query)).lower()
    for pattern in _SURT_SESSIONS:
        if found := list(pattern.finditer(plain)):
            plain = plain[: found[-1].start()] + plain[found[-1].end() :]
    arguments = sorted(plain.split(b"&"), key=lambda part: part.split(b"=", 1))
    return b"?" + b"&".join(arguments) if plain else b""


def _surt_unescaped(text: bytes) -> bytes:
    """Percent-decode until nothing changes, in a bounded number of passes: each takes off whole chains of %25."""
    for _ in range(_SURT_UNESCAPE_PASSES):
        plain = unquote_to_bytes(re.sub(rb"%(?:25)+", b"%", text))
        if plain == text:
            break
        text = plain
    return text


def _percent(found: re.Match[bytes]) -> bytes:
    return b"%%%02X" % found[0][0]


def _percent_encoded(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02x}" for byte in found[0].encode("utf-8", "replace"))


def _split_authority(rest: str) -> tuple[str, str, str]:
    match = re.search(r"[/?#]", rest)
    if match is None:
        return rest, "", ""
    return rest[: match.start()], match.group(), rest[match.end() :]


def _split_port(authority: str) -> tuple[str, str]:
    host, colon, port = authority.rpartition(":")
    return (host, port) if colon and not authority.endswith("]") else (authority, "")


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList  # 30 ms: only when asked for

    return PublicSuffixList()


def registered_domain(host: str) -> str:
    """The registered domain of a host (`example.co.uk`), or the host where there is none."""
    if host.startswith("[") or host.replace(".", "").isdigit():
        return host
    return _suffixes().privatesuffix(host.rstrip(".")) or host
