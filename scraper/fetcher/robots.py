"""robots.txt as RFC 9309 has it. Pure, and linear in the size of the file and of the address.

An own matcher: protego takes exponential time on patterns with many `*`, matches agents by prefix and loses groups
at unknown lines.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

PRODUCT = "scraper"  # the token by which robots.txt files may name us
# RFC 9309, 2.5: at least 500 KiB must be read; the rest of a longer file is not.
CAP_BYTES = 500 * 1024
_LINE_CAP = 16 * 1024
# Characters, 0.1 s: 27,000 patterns with `*` on an address of 1,000. What would take more is taken as forbidden.
_MOST_WORK = 32_000_000

# Only lines that mean something here leave the C code. "user agent" and a missing colon are common slips; without
# a colon it must be one word that follows, for "Allow me to explain" is none.
_LINE = re.compile(
    rb"(?:^|(?<=[\r\n]))[ \t]*(user[ _-]?agent|diss?all?ow|diasllow|disallaw|allow|crawl[ _-]?delay)"
    rb"(?:[ \t]*:[ \t]*([^\r\n#]*)|[ \t]++([^\s#:]++)(?=[ \t]*+(?:[\r\n#]|\Z)))",
    re.IGNORECASE,
)
# RFC 9309, 2.2.1: a token is of letters, `_` and `-`. What follows it (`/2.1`) is no part, but `bot2` is not `bot`.
_TOKEN = re.compile(r"[A-Za-z_-]+(?![^\W_])")
_SECONDS = re.compile(r"([0-9]{1,18}(?:[.,][0-9]{0,9})?|[.,][0-9]{1,9})[ \t]*(?:s|secs?|seconds?)?", re.IGNORECASE)
# RFC 3986, 2: a URI does not hold these; whoever writes them in a pattern means the octet.
_NEVER_IN_URIS = re.compile(r"[\x00-\x20\"<>\\^`{|}\x7f]")
# In a query these delimit nothing (RFC 3986, 3.4), and RFC 9309, 2.2.2, takes `?u=http://x` for `?u=http%3A%2F%2Fx`.
_FREE_IN_QUERY = re.compile(r"%(2F|3A|3F|40|27)")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def user_agent(version: str, contact: str) -> str:
    """An honest User-Agent: name, version, and where a site's keeper can complain."""
    return f"{PRODUCT}/{version} (+{contact})" if contact else f"{PRODUCT}/{version}"


@dataclass(frozen=True, slots=True)
class Rules:
    """What a robots.txt says to us: (pattern, allow), the longest pattern first.

    Patterns are normalised and stay text until an address comes by: most files say more than is ever asked of them.
    """

    patterns: tuple[tuple[str, bool], ...] = ()
    crawl_delay_seconds: float | None = None

    def allows(self, path: str) -> bool:
        """Whether a path with its query may be asked for. RFC 9309, 2.2.2: the longest match decides, Allow on ties."""
        address = _address(path)
        # RFC 9309, 2.2.2: the robots.txt itself is always allowed.
        if address.partition("?")[0] == "/robots.txt":
            return True
        in_query = _freed(address)
        longest, allowed, left = 0, True, _MOST_WORK
        for pattern, allow in self.patterns:
            if len(pattern) < longest:
                break
            if not allow and longest:
                continue
            left -= _work(pattern, address)
            if left < 0:
                return False
            if _fits(pattern, address) or ("?" in pattern and _fits(_freed(pattern), in_query)):
                longest, allowed = len(pattern), allow
        return allowed


def _work(pattern: str, path: str) -> int:
    """About how many characters are looked at to find out whether a pattern fits; few where it has no `*` to try."""
    first, _, rest = pattern.partition("*")
    return len(path) + len(pattern) if rest and path.startswith(first) else 1


def _fits(pattern: str, path: str) -> bool:
    """Whether a pattern fits the beginning (with a final `$`, the whole) of a path and query."""
    first, star, rest = pattern.partition("*")
    if not star:
        return path == first[:-1] if first.endswith("$") else path.startswith(first)
    if not path.startswith(first):
        return False
    *middle, last = rest.split("*")
    at = len(first)
    for part in middle:
        # The leftmost fit leaves the most room for the next piece, so nothing need be tried twice.
        found = path.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    if last.endswith("$"):
        return len(path) - at >= len(last) - 1 and path.endswith(last[:-1])
    return path.find(last, at) >= 0


ALLOW_ALL = Rules()


def parse(body: bytes, product: str) -> Rules:
    """Read the rules for a product token; `*` serves where no group names it. Groups of one agent are merged."""
    ours: list[tuple[bytes, str]] = []
    others: list[tuple[bytes, str]] = []
    named = for_us = for_all = in_rules = False
    for key, value in _lines(body):
        if key == b"u":
            if in_rules:
                for_us = for_all = in_rules = False
            agent = value.strip()
            token = _TOKEN.match(agent)
            for_us |= token is not None and token[0].lower() == product.lower()
            for_all |= agent == "*" or agent[:2] in ("* ", "*\t")
            named |= for_us
            continue
        # Crawl-delay is not in the RFC: like other unknown lines it ends no list of agents.
        in_rules |= key != b"c"
        if for_us:
            ours.append((key, value))
        if for_all:
            others.append((key, value))
    return _compiled(ours if named else others)


def _lines(body: bytes) -> Iterable[tuple[bytes, str]]:
    body = within_cap(body)
    if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        # RFC 9309, 2.2: the file is UTF-8. An editor that made it UTF-16 does not unsay what its owner wrote.
        body = body.decode("utf-16", "replace").encode("utf-8", "replace")
    for byte in (b"\xef", b"\xbb", b"\xbf"):  # a byte order mark, or what an editor left of it
        if not body.startswith(byte):
            break
        body = body[1:]
    for match in _LINE.finditer(body):
        name, value, word = match.groups()
        value = word if value is None else value
        yield name[:1].lower(), value[:_LINE_CAP].decode("utf-8", "surrogateescape").rstrip()


def _compiled(lines: list[tuple[bytes, str]]) -> Rules:
    patterns: dict[str, bool] = {}
    delay = None
    for key, value in lines:
        if key == b"c":
            delay = _seconds(value) if delay is None else delay
        elif value:
            # RFC 9309, 2.2.2: an empty pattern matches nothing.
            pattern = _pattern(value)
            patterns[pattern] = key == b"a" or patterns.get(pattern, False)
    longest_first = sorted(patterns.items(), key=lambda item: len(item[0]), reverse=True)
    return Rules(tuple(longest_first), delay)


def _seconds(value: str) -> float | None:
    found = _SECONDS.fullmatch(value)
    return float(found[1].replace(",", ".")) if found else None


def _pattern(value: str) -> str:
    # RFC 9309, 2.2.2: octets outside US-ASCII are percent-encoded prior to comparison.
    if not value.isascii():
        raw = value.encode("utf-8", "surrogateescape")
        value = "".join(chr(byte) if byte < 0x80 else f"%{byte:02X}" for byte in raw)
    if "$" in value:
        value = value[:-1].replace("$", "%24") + value[-1:]
    return _decoded(_NEVER_IN_URIS.sub(_percent, value))


def _address(path: str) -> str:
    """An address's path and query as patterns see it; a target's is ASCII already.

    RFC 9309, 2.2.3: patterns spell a literal `*` and `$` as `%2A` and `%24`.
    """
    return _decoded(_NEVER_IN_URIS.sub(_percent, path.replace("*", "%2A").replace("$", "%24")))


def _percent(match: re.Match[str]) -> str:
    return f"%{ord(match[0]):02X}"


def _freed(text: str) -> str:
    """The same with what is free in a query decoded there."""
    path, mark, query = text.partition("?")
    return path + mark + _FREE_IN_QUERY.sub(_character, query) if "%" in query else text


def _character(match: re.Match[str]) -> str:
    return chr(int(match[1], 16))


def _decoded(text: str) -> str:
    """RFC 9309, 2.2.2: encoded unreserved characters are decoded prior to comparison, no others."""
    return _ESCAPE.sub(_one_escape, text) if "%" in text else text


def _one_escape(match: re.Match[str]) -> str:
    byte = int(match[1], 16)
    return chr(byte) if byte in _UNRESERVED else "%" + match[1].upper()


def within_cap(text: bytes) -> bytes:
    """What is read of a robots.txt: a line that goes beyond 500 KiB is not, for half of it says something else."""
    if len(text) <= CAP_BYTES:
        return text
    end = max(text.rfind(b"\n", 0, CAP_BYTES + 1), text.rfind(b"\r", 0, CAP_BYTES + 1))
    return text[: min(end + 1, CAP_BYTES)]


def beginning(entity: bytes, codings: str | None) -> bytes:
    """A robots.txt up to the first byte that is not read, its content coding removed without unpacking more."""
    for coding in reversed([part.strip().lower() for part in (codings or "").split(",")]):
        if coding in ("gzip", "x-gzip", "deflate"):
            # 32: find out by itself whether it is gzip or zlib.
            try:
                entity = zlib.decompressobj(32 + zlib.MAX_WBITS).decompress(entity, CAP_BYTES + 1)
            except zlib.error:
                break
    return entity[: CAP_BYTES + 1]
