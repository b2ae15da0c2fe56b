"""What a check has read of a collection, in a temporary database: memory stays small, whatever the size."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from scraper.errors import OutputUnwritable
from scraper.model import Location

_CACHE_KIB = 32 * 1024
_BATCH_ROWS = 2000

# WARCs and index files are named by numbers. What is only compared is kept as a 64-bit hash of this process.
_SCHEMA = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA temp_store = FILE;
    CREATE TABLE records (warc INTEGER, offset INTEGER, length INTEGER, id INTEGER, href INTEGER,
        PRIMARY KEY (warc, offset)) WITHOUT ROWID;
    CREATE TABLE listed (warc INTEGER, offset INTEGER, line INTEGER, required INTEGER, PRIMARY KEY (warc, offset))
        WITHOUT ROWID;
    CREATE TABLE ends (warc INTEGER, offset INTEGER, length INTEGER, PRIMARY KEY (warc, offset)) WITHOUT ROWID;
    CREATE TABLE spans (warc INTEGER, start INTEGER, stop INTEGER);
    CREATE TABLE originals (payload INTEGER);
    CREATE TABLE revisits (warc INTEGER, offset INTEGER, payload INTEGER);
    CREATE TABLE lines (warc INTEGER, offset INTEGER, line INTEGER, file INTEGER, at INTEGER);
    CREATE TABLE rows (warc INTEGER, offset INTEGER, length INTEGER, ends INTEGER, href INTEGER, given_up INTEGER);
    CREATE TABLE texts (path TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE waiting (path TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE pages (line INTEGER PRIMARY KEY);
"""
# What is asked for when all has been read; sorted once, then looked up.
_INDEXES = (
    "CREATE INDEX IF NOT EXISTS originals_by_payload ON originals (payload)",
    "CREATE INDEX IF NOT EXISTS spans_by_place ON spans (warc, start)",
    "CREATE INDEX IF NOT EXISTS lines_by_place ON lines (warc, offset)",
    "CREATE INDEX IF NOT EXISTS rows_by_place ON rows (warc, offset)",
    "CREATE INDEX IF NOT EXISTS records_by_id ON records (id)",
)


class Survey:
    """The facts of one collection, gathered while it is read, and what they say against each other.

    `marks` are the commit marks by the WARC's name, None where no state was read.
    """

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        with _told():
            self._db.executescript(f"{_SCHEMA} PRAGMA cache_size = -{_CACHE_KIB};")
            self._db.execute("BEGIN")  # one for all: nothing of it outlives the check
        self._numbers: dict[str, int] = {}
        self._names: list[str] = []
        self._pending: dict[str, list[Sequence[Any]]] = {}
        self.marks: dict[str, int] | None = None
        self.sha256: dict[str, str] = {}  # of the WARCs that were read without a break
        self.away: set[str] = set()  # WARCs that are not at hand: nothing that tells of them is in doubt
        self.copies: dict[str, str] = {}  # WARCs whose every record is elsewhere too: the WARC that has most of them
        self.misnamed: dict[str, Path] = {}  # where the WARCs are that have not their own names
        self.headless: set[str] = set()  # WARCs that do not begin with a warcinfo record

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def number(self, name: str) -> int:
        """The number of a file."""
        if name not in self._numbers:
            self._numbers[name] = len(self._names)
            self._names.append(name)
        return self._numbers[name]

    def name(self, number: int) -> str:
        return self._names[number]

    def add(self, table: str, *values: Any) -> None:
        """Add one row to a table; it may wait a while."""
        pending = self._pending.setdefault(table, [])
        pending.append(values)
        if len(pending) >= _BATCH_ROWS:
            self._write(table)

    def _write(self, table: str) -> None:
        pending = self._pending.pop(table, [])
        if pending:
            marks = ", ".join("?" * len(pending[0]))
            with _told():
                self._db.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", pending)

    def ask(self, sql: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        """The rows of a SELECT over all that was added."""
        for table in list(self._pending):
            self._write(table)
        with _told():
            yield from self._db.execute(sql, values)

    def settle(self) -> None:
        """After all was added: make it quick to be asked."""
        for table in list(self._pending):
            self._write(table)
        with _told():
            for statement in _INDEXES:
                self._db.execute(statement)

    # -------------------------------------------------------------- questions

    def add_row(self, place: Location, *, ends: bool = False, href: str = "", given_up: bool = False) -> None:
        """A record that the state knows: it `ends` a visit, or is the page of that address, where one is given.

        `given_up`: it is known to lack something.
        """
        self.add("rows", self.number(place.warc), place.offset, place.length, ends, href and hash(href), given_up)

    def doubled(self) -> Iterator[tuple[str, int, int]]:
        """Records whose id an earlier one has: WARC, offset, length."""
        rows = self.ask(
            "SELECT r.warc, r.offset, r.length FROM records r WHERE r.id IN "
            "(SELECT id FROM records GROUP BY id HAVING count(*) > 1) AND EXISTS (SELECT 1 FROM records o "
            "WHERE o.id = r.id AND (o.warc, o.offset) < (r.warc, r.offset)) ORDER BY r.warc, r.offset"
        )
        return ((self.name(warc), offset, length) for warc, offset, length in rows)

    def copy_of(self, warc: str, doubled: int) -> str | None:
        """The WARC that a WARC is a copy of, where all its records are `doubled`."""
        number = self.number(warc)
        ((count,),) = self.ask("SELECT count(*) FROM records WHERE warc = ?", number)
        if count != doubled:
            return None
        rows = self.ask(
            "SELECT o.warc FROM records r JOIN records o ON o.id = r.id AND o.warc <> r.warc WHERE r.warc = ? "
            "GROUP BY o.warc ORDER BY count(*) DESC, o.warc LIMIT 1",
            number,
        )
        return next((self.name(row[0]) for row in rows), None)

    def unresolved(self, *, given_up_too: bool) -> Iterator[tuple[str, int]]:
        """Revisits of what is not here: WARC, offset. Without those that the state has given up, if so asked."""
        rows = self.ask(
            "SELECT v.warc, v.offset FROM revisits v "
            "WHERE NOT EXISTS (SELECT 1 FROM originals o WHERE o.payload = v.payload) "
            "AND NOT EXISTS (SELECT 1 FROM rows r WHERE r.warc = v.warc AND r.offset = v.offset "
            "AND r.given_up AND NOT ?) "
            "ORDER BY v.warc, v.offset",
            given_up_too,
        )
        return ((self.name(warc), offset) for warc, offset in rows)

    def unlisted(self) -> Iterator[tuple[str, int]]:
        """Records without a line in the index: WARC, offset."""
        rows = self.ask(
            "SELECT c.warc, c.offset FROM listed c WHERE c.required AND NOT EXISTS "
            "(SELECT 1 FROM lines l WHERE l.warc = c.warc AND l.offset = c.offset) ORDER BY c.warc, c.offset"
        )
        return ((self.name(warc), offset) for warc, offset in rows)

    def wrong_lines(self) -> Iterator[tuple[str, int, str, int]]:
        """Lines that are not what their record says: index file, where in it, WARC, offset."""
        rows = self.ask(
            "SELECT l.file, l.at, l.warc, l.offset FROM lines l WHERE NOT EXISTS (SELECT 1 FROM listed c "
            "WHERE c.warc = l.warc AND c.offset = l.offset AND c.line = l.line) ORDER BY l.file, l.at"
        )
        return ((self.name(file), at, self.name(warc), offset) for file, at, warc, offset in rows)

    def doubled_lines(self) -> Iterator[tuple[str, int]]:
        """Lines that are there once more: index file, where in it."""
        rows = self.ask(
            "SELECT l.file, l.at FROM lines l WHERE EXISTS (SELECT 1 FROM lines o WHERE o.warc = l.warc "
            "AND o.offset = l.offset AND o.line = l.line AND o.rowid < l.rowid) ORDER BY l.file, l.at"
        )
        return ((self.name(file), at) for file, at in rows)

    def wrong_rows(self) -> Iterator[tuple[str, int, int]]:
        """What the state knows and no WARC holds: WARC, offset, length. A page must be of its address."""
        rows = self.ask(
            "SELECT DISTINCT r.warc, r.offset, r.length FROM rows r WHERE NOT EXISTS (SELECT 1 FROM records c "
            "WHERE c.warc = r.warc AND c.offset = r.offset AND c.length = r.length AND r.href IN ('', c.href)) "
            "ORDER BY r.warc, r.offset"
        )
        return ((self.name(warc), offset, length) for warc, offset, length in rows)

    def rowless(self) -> Iterator[tuple[str, int, int]]:
        """Ends of visits that the state does not know: WARC, offset, and the offset after them."""
        rows = self.ask(
            "SELECT e.warc, e.offset, e.length FROM ends e WHERE NOT EXISTS (SELECT 1 FROM rows r "
            "WHERE r.warc = e.warc AND r.offset = e.offset AND r.ends) ORDER BY e.warc, e.offset"
        )
        return ((self.name(warc), offset, offset + length) for warc, offset, length in rows)

    def named(self) -> set[str]:
        """The WARCs of which index or rows tell."""
        return {self.name(row[0]) for row in self.ask("SELECT warc FROM lines UNION SELECT warc FROM rows")}

    def tellers(self, warc: str) -> tuple[int, int]:
        """How many lines and rows tell of a WARC."""
        (counts,) = self.ask(
            "SELECT (SELECT count(*) FROM lines WHERE warc = ?1), (SELECT count(*) FROM rows WHERE warc = ?1)",
            self._numbers.get(warc, -1),
        )
        return int(counts[0]), int(counts[1])

    def was_read(self, warc: str) -> bool:
        """Whether any record of a WARC was read."""
        return (
            next(self.ask("SELECT 1 FROM records WHERE warc = ? LIMIT 1", self._numbers.get(warc, -1)), None)
            is not None
        )

    def is_damaged(self, warc: str, offset: int) -> bool:
        """Whether a place lies in a region whose damage was told of, or in a file that is not at hand."""
        if warc in self.away:
            return True
        asked = self.ask(
            "SELECT 1 FROM spans WHERE warc = ? AND start <= ? AND stop > ? LIMIT 1",
            self._numbers.get(warc, -1), offset, offset,
        )  # fmt: skip
        return next(asked, None) is not None

    def has_damage(self) -> bool:
        """Whether any damage was told of, or any file is not at hand."""
        return bool(self.away) or next(self.ask("SELECT 1 FROM spans LIMIT 1"), None) is not None

    def spans(self, warc: str) -> list[tuple[int, int]]:
        """The damaged regions of a WARC: start and end, in order, those that touch as one."""
        merged: list[tuple[int, int]] = []
        rows = self.ask("SELECT start, stop FROM spans WHERE warc = ? ORDER BY start", self._numbers.get(warc, -1))
        for start, stop in rows:
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
            else:
                merged.append((start, stop))
        return merged

    def holds(self, place: Location) -> bool:
        """Whether a whole record lies just there."""
        asked = self.ask(
            "SELECT 1 FROM records WHERE warc = ? AND offset = ? AND length = ?",
            self._numbers.get(place.warc, -1), place.offset, place.length,
        )  # fmt: skip
        return next(asked, None) is not None


class _told:
    """The temporary database's faults in our words: it lies where the system keeps temporary files."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _t: TracebackType | None
    ) -> None:
        if isinstance(error, sqlite3.OperationalError):
            raise OutputUnwritable(
                f"the temporary folder cannot be used: {error}; name another in SQLITE_TMPDIR"
            ) from error
