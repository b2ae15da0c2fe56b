"""One capture among its neighbours: which one an address means, and the text that was made of it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from scraper import archiver, urls
from scraper.archiver import IndexEntry
from scraper.errors import IntegrityError
from scraper.replay.holdings import Holdings, Memento

LOOK_BACK = 50  # captures looked at for an earlier text


@dataclass(frozen=True, slots=True)
class Neighbours:
    """A capture of a URL with the one before and the one after it in any collection, and how many there are."""

    collection: str
    entry: IndexEntry
    older: Memento | None
    newer: Memento | None
    number: int  # counts from 1
    count: int

    @property
    def url(self) -> str:
        return self.entry.url


@dataclass(frozen=True, slots=True)
class Text:
    """The article that was made of a capture; `at` and `url` are those of the capture it was really made of."""

    collection: str
    fields: Mapping[str, Any]  # the text file: url, captured_at, extractor, article …
    url: str
    at: datetime

    @property
    def article(self) -> Mapping[str, Any]:
        found = self.fields.get("article")
        return found if isinstance(found, dict) else {}


def around(history: Sequence[Memento], shown: Memento) -> Neighbours:
    """The captures next to one of them; `history` is oldest first. Two of one second count as they lie."""
    start = bisect_left(history, shown.entry.timestamp, key=_timestamp)
    at = next((n for n in range(start, len(history)) if history[n].identity == shown.identity), None)
    if at is None:
        return Neighbours(shown.collection, shown.entry, None, None, 1, 1)
    older = next((other for other in reversed(history[:at]) if _address(other) != _address(shown)), None)
    newer = next((other for other in history[at + 1 :] if _address(other) != _address(shown)), None)
    return Neighbours(shown.collection, shown.entry, older, newer, at + 1, len(history))


def _timestamp(memento: Memento) -> str:
    return memento.entry.timestamp


def _address(memento: Memento) -> tuple[str, str]:
    return memento.collection, memento.entry.timestamp


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
    return Text(collection, found[0], url, at) if found else None


def _original(holdings: Holdings, collection: str, entry: IndexEntry) -> tuple[str, datetime] | None:
    record = holdings.collection(collection).record(entry.location)
    url, date = record.header("WARC-Refers-To-Target-URI"), record.header("WARC-Refers-To-Date")
    try:
        return urls.target(url).href, datetime.fromisoformat(date).astimezone(UTC)
    except (urls.NotATarget, ValueError):
        return None


def text_before(holdings: Holdings, history: Sequence[Memento], entry: IndexEntry) -> Text | None:
    """The text of the nearest earlier capture of the same URL that has one, in whichever collection."""
    earlier = history[: bisect_left(history, entry.timestamp, key=_timestamp)]
    for other in earlier[: -LOOK_BACK - 1 : -1]:
        try:
            found = text_of(holdings, other.collection, other.entry)
        except IntegrityError:
            continue  # its own page says what is damaged
        if found is not None:
            return found
    return None
