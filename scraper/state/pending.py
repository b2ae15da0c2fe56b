"""What many visits change again and again, written once in a commit: marks of WARCs, memories of hosts."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from scraper.model import HostMemory
from scraper.state.reader import StateReader
from scraper.state.rows import host_memory, host_values


class Pending(StateReader):
    """The state file, as far as these go. They are pending until `write_pending`, which each commit begins with."""

    def __init__(self, path: Path, connection: sqlite3.Connection, *, is_copy: bool = False) -> None:
        super().__init__(path, connection, is_copy=is_copy)
        self._marks: dict[tuple[str, str], int] = {}
        self._hosts: dict[str, HostMemory] = {}

    def mark(self, collection: str, warc: str, end_offset: int) -> None:
        """Note how far a WARC is committed."""
        self._marks[collection, warc] = max(end_offset, self._marks.get((collection, warc), 0))

    def marks(self, collection: str) -> dict[str, int]:
        """How far each WARC of a collection is committed, or will be by the next `commit`."""
        self.write_pending()
        return super().marks(collection)

    def remember(self, memory: HostMemory) -> None:
        """Note how a host is to be treated."""
        self._hosts[memory.host] = memory

    def memory(self, host: str) -> HostMemory | None:
        """How a host is to be treated, by the last that was noted; None of a stranger."""
        if host in self._hosts:
            return self._hosts[host]
        row = self._run("SELECT * FROM hosts WHERE host = ?", (host,)).fetchone()
        return host_memory(row) if row else None

    def write_pending(self) -> None:
        """Bring what is pending into the file."""
        for (collection, warc), end_offset in self._marks.items():
            self._run(
                "INSERT INTO segments VALUES (?, ?, ?) ON CONFLICT (collection, warc) "
                "DO UPDATE SET end_offset = max(end_offset, excluded.end_offset)",
                (collection, warc, end_offset),
            )
        for memory in self._hosts.values():
            self._run("INSERT OR REPLACE INTO hosts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", host_values(memory))
        self.forget_pending()

    def forget_pending(self) -> None:
        """Let go of what is pending."""
        self._marks.clear()
        self._hosts.clear()
