"""What an archive holds, opened for reading: which captures there are of a URL, and the exchange behind each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from scraper import archiver
from scraper.archiver import IndexEntry
from scraper.errors import IntegrityError, UsageError
from scraper.model import Exchange
from scraper.state import StateReader


class Holdings:
    """An archive's collections. Nothing on disk is changed, not even by SQLite's side files."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise UsageError(f"{root}: there is no archive here; name one with --archive")
        self.root = root
        self._opened: dict[str, archiver.Collection] = {}

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
        """Every response and revisit that a collection holds of a URL, oldest first."""
        return self.collection(name).find(href)

    def nearest(self, name: str, href: str, at: datetime | None = None) -> IndexEntry | None:
        """The capture nearest in time, the newest when no time is given; None when there is none."""
        found = self.captures(name, href)
        if at is None or not found:
            return found[-1] if found else None
        return min(found, key=lambda entry: abs(entry.captured_at - at))

    def load(self, name: str, entry: IndexEntry) -> Exchange:
        """The exchange behind a capture, revisits resolved. Raises `IntegrityError`."""
        return self.collection(name).load(entry.location)

    @contextmanager
    def state(self) -> Iterator[StateReader | None]:
        """The state as one snapshot; None where there is none that can be read: an archive may be WARCs alone."""
        try:
            reader = StateReader.open_for_reading(self.root)
        except IntegrityError:
            yield None
            return
        with reader:
            yield reader
