"""How far each WARC is committed: many visits, one mark in a commit."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from scraper.state.reader import StateReader


class Marks(StateReader):
    """The state file, as far as its marks go. They are pending until `write_marks`, which each commit begins with."""

    def __init__(self, path: Path, connection: sqlite3.Connection, *, is_copy: bool = False) -> None:
        super().__init__(path, connection, is_copy=is_copy)
        self._marks: dict[tuple[str, str], int] = {}

    def mark(self, collection: str, warc: str, end_offset: int) -> None:
        """Note how far a WARC is committed."""
        self._marks[collection, warc] = max(end_offset, self._marks.get((collection, warc), 0))

    def marks(self, collection: str) -> dict[str, int]:
        """How far each WARC of a collection is committed, or will be by the next `commit`."""
        self.write_marks()
        return super().marks(collection)

    def write_marks(self) -> None:
        """Bring what is pending into the file."""
        for (collection, warc), end_offset in self._marks.items():
            self._run(
                "INSERT INTO segments VALUES (?, ?, ?) ON CONFLICT (collection, warc) "
                "DO UPDATE SET end_offset = max(end_offset, excluded.end_offset)",
                (collection, warc, end_offset),
            )
        self._marks.clear()
