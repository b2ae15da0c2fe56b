"""Memento's links (RFC 7089): the `Link` header of a capture, and the list of all captures. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from urllib.parse import quote

from scraper.archiver import IndexEntry
from scraper.replay.address import Address
from scraper.replay.answers import latin
from scraper.replay.policy import Headers

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
LINK_FORMAT = "application/link-format"


def http_date(timestamp: str) -> str:
    """The form of Memento-Datetime (RFC 7089, 2.1.1.1): an HTTP date, always GMT."""
    year, month, day = int(timestamp[:4]), int(timestamp[4:6]), int(timestamp[6:8])
    clock = f"{timestamp[8:10]}:{timestamp[10:12]}:{timestamp[12:14]}"
    return f"{_DAYS[date(year, month, day).weekday()]}, {day:02} {_MONTHS[month - 1]} {year:04} {clock} GMT"


def read_http_date(value: str) -> datetime | None:
    """Read Accept-Datetime; None when it is no HTTP date (RFC 7089, 4.5.3: the answer is then 400)."""
    for form in ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y"):
        try:
            return datetime.strptime(value.strip(), form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None


def _link(target: str, rest: str) -> str:
    return f"<{target.replace('>', '%3E')}>; {rest}"


def resource(origin: str, collection: str, href: str) -> list[str]:
    """The links that every answer about a URL carries: the original, its TimeGate, its TimeMap."""
    base = f"{origin}/{quote(collection, safe='')}"
    return [
        _link(href, 'rel="original"'),
        _link(f"{base}/{href}", 'rel="timegate"'),
        _link(f"{base}/timemap/link/{href}", f'rel="timemap"; type="{LINK_FORMAT}"'),
    ]


def neighbours(origin: str, shown: Address, timestamps: Sequence[str]) -> list[str]:
    """Links to the first, previous, this, next and last memento; `timestamps` are those of all, in order, each once.

    One that has several parts has them in one link, as RFC 7089 2.2.3 shows them: `rel="first prev memento"`.
    """
    here = timestamps.index(shown.timestamp) if shown.timestamp in timestamps else None
    places = {"first": 0, "last": len(timestamps) - 1}
    if here is not None:
        places |= {"prev": here - 1} if here else {}
        places |= {"next": here + 1} if here + 1 < len(timestamps) else {}
    parts: dict[int, list[str]] = {here: []} if here is not None else {}
    for rel in ("first", "prev", "next", "last"):
        if rel in places:
            parts.setdefault(places[rel], []).append(rel)
    return [
        _memento(origin, shown.of(timestamps[place], shown.href), " ".join([*rels, "memento"]))
        for place, rels in sorted(parts.items())
    ]


def _memento(origin: str, address: Address, rel: str) -> str:
    return _link(origin + address.path(), f'rel="{rel}"; datetime="{http_date(address.timestamp)}"')


def header(links: Sequence[str]) -> Headers:
    return [(b"link", latin(", ".join(links)))]


def timemap(origin: str, collection: str, href: str, entries: Sequence[IndexEntry]) -> Iterator[str]:
    """The TimeMap in link format (RFC 7089, 5): itself, the TimeGate, the original, and each capture."""
    base = f"{origin}/{quote(collection, safe='')}"
    first, last = http_date(entries[0].timestamp), http_date(entries[-1].timestamp)
    self_link = f'rel="self"; type="{LINK_FORMAT}"; from="{first}"; until="{last}"'
    yield _link(f"{base}/timemap/link/{href}", self_link)
    yield _link(f"{base}/{href}", 'rel="timegate"')
    yield _link(href, 'rel="original"')
    for number, entry in enumerate(entries):
        rels = ["first"] * (number == 0) + ["last"] * (number == len(entries) - 1)
        address = Address(collection, entry.timestamp, "", entry.url)
        yield _memento(origin, address, " ".join([*rels, "memento"]))
