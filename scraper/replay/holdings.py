"""What an archive holds, opened for reading: which captures there are of a URL, and the exchange behind each."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from scraper import archiver
from scraper.archiver import IndexEntry
from scraper.errors import IntegrityError, UsageError
from scraper.model import Exchange
from scraper.replay import address
from scraper.replay.address import Span
from scraper.replay.kept import KeptState
from scraper.state import StateReader


@dataclass(frozen=True, slots=True)
class Memento:
    """A capture, and the collection that holds it."""

    collection: str
    entry: IndexEntry

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """By this a capture is the same one, wherever its record lies: two imported files may hold it."""
        return self.collection, self.entry.url, self.entry.timestamp, self.entry.digest


class Holdings:
    """An archive's collections. Nothing on disk is changed, not even by SQLite's side files. Threads may share it."""

    def __init__(self, root: Path, *, plays: bool = False) -> None:
        if not root.is_dir():
            raise UsageError(f"{root}: there is no archive here; name one with --archive")
        self.root = root
        self.plays = plays  # whether there is a player for captures
        self._state = KeptState(root)
        self._opened: dict[str, archiver.Collection] = {}
        self._looking = threading.Lock()  # a collection remembers how far it has read files still being written

    @property
    def names(self) -> list[str]:
        """The collections, by name."""
        return archiver.collections(self.root)

    def collection(self, name: str) -> archiver.Collection:
        """One collection; raises `UsageError` when there is none of that name."""
        if name not in self._opened:
            if name not in self.names:
                raise UsageError(f"{name}: no such collection; there are: {', '.join(self.names) or 'none'}")
            self._opened[name] = archiver.Collection(self.root, name)
        return self._opened[name]

    def captures(self, name: str, href: str) -> list[IndexEntry]:
        """Every response and revisit that a collection holds of a URL, oldest first.

        Where there is none of exactly this URL, those under the same key (http for https, `www.`, another order of
        the query's arguments): what other replay tools take for the same page.
        """
        alike = self.alike(name, href)
        return [entry for entry in alike if entry.url == href] or alike

    def alike(self, name: str, href: str) -> list[IndexEntry]:
        """Every response and revisit under the key of a URL, oldest first."""
        collection = self.collection(name)
        with self._looking:
            return collection.find_alike(href)

    def between(self, name: str, start: str, end: str) -> Iterator[IndexEntry]:
        """Every response and revisit whose SURT key lies from `start` to below `end`, in the order of an index."""
        collection = self.collection(name)
        with self._looking:
            return collection.between(start, end)

    def nearest(self, name: str, href: str, at: datetime | Span | None = None) -> IndexEntry | None:
        """The capture nearest in time, the newest when no time is given; None when there is none."""
        return nearest(self.captures(name, href), address.at(at) if isinstance(at, datetime) else at)

    def history(self, href: str) -> list[Memento]:
        """Every response and revisit of a URL in whichever collection, oldest first: its history is one.

        Those of exactly this URL; where there is none, those under the same key. One that two imported files hold
        counts once.
        """
        found = {
            memento.identity: memento
            for name in self.names
            for memento in (Memento(name, entry) for entry in self.captures(name, href))
        }
        same = [memento for memento in found.values() if memento.entry.url == href] or found.values()
        return sorted(same, key=lambda memento: memento.entry.timestamp)

    def anywhere(self, href: str, at: Span | None = None) -> tuple[str, IndexEntry] | None:
        """The capture nearest in time in any collection, with the collection's name; None when there is none."""
        found = self.history(href)
        best = nearest([memento.entry for memento in found], at)
        return next(((memento.collection, best) for memento in found if memento.entry is best), None) if best else None

    def load(self, name: str, entry: IndexEntry) -> Exchange:
        """The exchange behind a capture, revisits resolved. Raises `IntegrityError`."""
        return self.collection(name).load(entry.location)

    def response(self, name: str, entry: IndexEntry) -> Exchange:
        """The same without its request."""
        return self.collection(name).load(entry.location, with_request=False)

    @contextmanager
    def state(self) -> Iterator[StateReader | None]:
        """The state as one snapshot; None where there is none that can be read: an archive may be WARCs alone."""
        with ExitStack() as stack:
            try:
                reader = stack.enter_context(self._state.opened())
            except IntegrityError:
                reader = None
            yield reader


def nearest(entries: Sequence[IndexEntry], at: Span | None) -> IndexEntry | None:
    """The one of some captures, oldest first, that lies nearest to a time; the newest when none is given.

    Of those within a span it is the newest, of two equally far from it the older. Of those in the same second it is
    the one a reader wants: a page before a redirect, a redirect before a failure, the later before the earlier.
    """
    if not entries:
        return None
    return best_of(entries, entries[-1].timestamp if at is None else _nearest_timestamp(entries, at))


def _nearest_timestamp(entries: Sequence[IndexEntry], at: Span) -> str:
    after = bisect_right(entries, at.last, key=lambda entry: entry.timestamp)
    before = entries[after - 1] if after else None
    if before is None or before.timestamp >= at.first or after == len(entries):
        return (before or entries[0]).timestamp
    is_later_nearer = entries[after].captured_at - at.end < at.start - before.captured_at
    return entries[after].timestamp if is_later_nearer else before.timestamp


def best_of(entries: Sequence[IndexEntry], timestamp: str) -> IndexEntry:
    """Of the captures in one second the one that a reader wants."""
    start = bisect_left(entries, timestamp, key=lambda entry: entry.timestamp)
    best = entries[start]
    for entry in entries[start + 1 :]:
        if entry.timestamp != timestamp:
            break
        if _worth(entry) >= _worth(best):
            best = entry
    return best


def _worth(entry: IndexEntry) -> int:
    status = entry.status or "-"
    if status.startswith("2") or (entry.is_revisit and status in ("-", "304")):
        return 2
    return 1 if status.startswith("3") else 0
