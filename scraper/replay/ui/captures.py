"""One capture among its neighbours: which one an address means, and the text that was made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from scraper import archiver, urls
from scraper.archiver import IndexEntry
from scraper.errors import IntegrityError, UsageError
from scraper.replay.holdings import Holdings

LOOK_BACK = 50  # captures looked at for an earlier text


@dataclass(frozen=True, slots=True)
class Neighbours:
    """A capture of a URL with the one before and the one after it, and how many there are."""

    collection: str
    entry: IndexEntry
    older: IndexEntry | None
    newer: IndexEntry | None
    number: int  # counts from 1
    count: int

    @property
    def url(self) -> str:
        return self.entry.url


@dataclass(frozen=True, slots=True)
class Text:
    """The article that was made of a capture; `at` and `url` are those of the capture it was really made of."""

    fields: Mapping[str, Any]  # the text file: url, captured_at, extractor, article …
    url: str
    at: datetime

    @property
    def article(self) -> Mapping[str, Any]:
        found = self.fields.get("article")
        return found if isinstance(found, dict) else {}


def around(collection: str, entries: Sequence[IndexEntry], entry: IndexEntry) -> Neighbours:
    """The captures next to one of them; `entries` are oldest first. Two of one second count as they lie."""
    at = next((n for n, other in enumerate(entries) if other.location == entry.location), None)
    if at is None:
        return Neighbours(collection, entry, None, None, 1, 1)
    older = next((other for other in reversed(entries[:at]) if other.timestamp != entry.timestamp), None)
    newer = next((other for other in entries[at + 1 :] if other.timestamp != entry.timestamp), None)
    return Neighbours(collection, entry, older, newer, at + 1, len(entries))


def at_time(entries: Sequence[IndexEntry], timestamp: str) -> IndexEntry | None:
    """The capture of a time given by 4 to 14 digits, else the nearest; None when there are none.

    Of several in one second it is the last one that was no failure. Raises `UsageError` for what is no time.
    """
    wanted = _instant(timestamp)
    nearest = min((entry.captured_at for entry in entries), key=lambda at: abs(at - wanted), default=None)
    same = [entry for entry in entries if entry.captured_at == nearest]
    return max(reversed(same), key=lambda entry: (entry.status or "9") < "4", default=None) if same else None


def _instant(digits: str) -> datetime:
    try:
        if not (digits.isascii() and digits.isdigit() and len(digits) in (4, 6, 8, 10, 12, 14)):
            raise ValueError(digits)
        return datetime.strptime(digits + "00000101000000"[len(digits) :], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise UsageError(f"{digits[:40]}: not a time; give 4 to 14 digits, as in 20190909120300") from error


def text_of(holdings: Holdings, collection: str, entry: IndexEntry) -> Text | None:
    """The text made of a capture; for one that found the page unchanged, that of the capture it refers to."""
    texts = archiver.Texts(holdings.root, collection)
    url, at = entry.url, entry.captured_at
    found = texts.read(url, at)
    if found is None and entry.is_revisit:
        if (original := _original(holdings, collection, entry)) is None:
            return None
        url, at = original
        found = texts.read(url, at)
    return Text(found[0], url, at) if found else None


def _original(holdings: Holdings, collection: str, entry: IndexEntry) -> tuple[str, datetime] | None:
    record = holdings.collection(collection).record(entry.location)
    url, date = record.header("WARC-Refers-To-Target-URI"), record.header("WARC-Refers-To-Date")
    try:
        return urls.target(url).href, datetime.fromisoformat(date).astimezone(UTC)
    except (urls.NotATarget, ValueError):
        return None


def text_before(holdings: Holdings, collection: str, entries: Sequence[IndexEntry], entry: IndexEntry) -> Text | None:
    """The text of the nearest earlier capture of the same URL that has one."""
    earlier = [other for other in entries if other.timestamp < entry.timestamp]
    for other in earlier[: -LOOK_BACK - 1 : -1]:
        try:
            found = text_of(holdings, collection, other)
        except IntegrityError:
            continue  # its own page says what is damaged
        if found is not None:
            return found
    return None
