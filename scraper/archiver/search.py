"""Full text of a collection's captures: `search.sqlite3` (SQLite FTS5), derived and never needed for anything else.

Every capture is in it once. Captures of a URL with the same text share it. A text's number grows with the time of its
capture, so that the newest matches come first without sorting all.
"""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from scraper.archiver import records, words
from scraper.archiver.layout import Layout, make_folder
from scraper.archiver.words import Parts, Query
from scraper.errors import ArchiveUnwritable, IntegrityError, UsageError

APPLICATION_ID = 0x73637273  # "scrs"
SCHEMA_VERSION = 1
_VERSION = SCHEMA_VERSION * 1000 + words.VERSION

# Of the texts that match, at most so many of the newest are looked at for one page of results.
_WINDOW_TEXTS = 2000
_NUMBERS_A_SECOND = 64

_SCHEMA = f"""
    CREATE TABLE texts (
        id INTEGER PRIMARY KEY,           -- second of the capture times {_NUMBERS_A_SECOND}, or the next free one
        url TEXT NOT NULL,
        digest BLOB NOT NULL,             -- of title and body: the same text of a URL is kept once
        title TEXT NOT NULL,
        body BLOB NOT NULL                -- zlib
    ) STRICT;
    CREATE INDEX texts_by_url ON texts (url, digest);
    CREATE TABLE captures (
        path TEXT PRIMARY KEY,            -- of the text's files, relative to the collection, without suffix
        captured_at TEXT NOT NULL,
        text INTEGER REFERENCES texts     -- NULL: nothing to be read in it
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX captures_by_text ON captures (text);
    CREATE TABLE unsettled (              -- not empty while somebody writes, and after a crash
        since TEXT NOT NULL
    ) STRICT;
    -- The words come folded and parted by blanks; beyond ASCII this tokenizer takes every character for a letter.
    CREATE VIRTUAL TABLE titles USING fts5 (title, content='', columnsize=0, tokenize='ascii');
    CREATE VIRTUAL TABLE bodies USING fts5 (title, body, content='', columnsize=0, tokenize='ascii');
    PRAGMA user_version = {_VERSION};
    PRAGMA application_id = {APPLICATION_ID};
"""


@dataclass(frozen=True, slots=True)
class SearchEntry:
    """A capture as it is indexed; `path` is that of its text files, as `Texts.stem` gives it."""

    path: str
    url: str
    captured_at: datetime
    title: str
    body: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A URL that was found, by the newest of its texts that match.

    `captured_at` is when that text was last captured, `captures` how often. `title_parts` and `snippet` are pieces of
    plain text, each with whether it matches: never HTML.
    """

    url: str
    captured_at: datetime
    captures: int
    path: str
    title: str
    title_parts: Parts
    snippet: Parts


class Search:
    """The open index, for asking."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._db = connection

    @classmethod
    def open_for_reading(cls, root: Path, name: str) -> Self:
        """Open without changing anything, on read-only media too.

        Raises `UsageError` when there is no index yet, `IntegrityError` when it cannot be read.
        """
        path = Layout(root, name).search
        if not path.is_file():
            raise UsageError(
                f"{path}: there is no search index of this collection yet; `scraper run` or `scraper rebuild` makes it"
            )
        with _translated(path):
            try:
                return cls(path, _reading(path, ""))
            except sqlite3.OperationalError:
                # A WAL that nobody can write beside: read-only media after a crash.
                return cls(path, _reading(path, "&immutable=1"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def find(self, typed: str, *, limit: int = 20, offset: int = 0) -> list[Hit]:
        """What matches the words a person typed, one hit a URL: with the words in the title first, then the newest.

        Nothing that can be typed is an error. Of very common words only the newest texts are looked at.
        """
        asked = words.query(typed)
        if not asked.wanted or limit <= 0:
            return []
        with _translated(self.path):
            chosen: dict[str, int] = {}
            for number, url in self._matching(asked):
                if chosen.setdefault(url, number) == number and len(chosen) >= offset + limit:
                    break
            return [self._hit(number, asked) for number in list(chosen.values())[max(offset, 0) :]]

    def count(self) -> int:
        """How many captures are indexed."""
        with _translated(self.path):
            return int(self._db.execute("SELECT count(*) FROM captures").fetchone()[0])

    def prove_sound(self) -> None:
        """Raises `IntegrityError` when SQLite finds the file damaged."""
        with _translated(self.path):
            found = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise IntegrityError(_damaged(self.path, found))

    def _matching(self, asked: Query) -> Iterator[tuple[int, str]]:
        in_title = self._rows("titles", asked.expression(with_unwanted=False))
        everywhere = asked.expression()
        for number, url in in_title:
            if not asked.unwanted or self._holds(number, everywhere):
                yield number, url
        yield from self._rows("bodies", everywhere)

    def _rows(self, table: str, expression: str) -> Iterator[tuple[int, str]]:
        return self._db.execute(
            f"SELECT f.rowid, t.url FROM {table} f CROSS JOIN texts t ON t.id = f.rowid "
            f"WHERE f.{table} MATCH ? ORDER BY f.rowid DESC LIMIT {_WINDOW_TEXTS}",
            (expression,),
        )

    def _holds(self, number: int, expression: str) -> bool:
        found = self._db.execute("SELECT 1 FROM bodies WHERE bodies MATCH ? AND rowid = ?", (expression, number))
        return found.fetchone() is not None

    def _hit(self, number: int, asked: Query) -> Hit:
        url, title, body = self._db.execute("SELECT url, title, body FROM texts WHERE id = ?", (number,)).fetchone()
        captures = self._db.execute(
            "SELECT path, captured_at FROM captures WHERE text = ? ORDER BY captured_at", (number,)
        ).fetchall()
        path, captured_at = captures[-1]
        return Hit(
            url,
            records.parse_date(captured_at),
            len(captures),
            path,
            title,
            words.marked(title, asked),
            words.snippet(zlib.decompress(body).decode("utf-8"), asked),
        )


class SearchIndex(Search):
    """The index open for writing; changes are pending until `commit`. Needs the archive's `Lock`."""

    @classmethod
    def open(cls, root: Path, name: str) -> SearchIndex:
        """Open for writing. One that is not there, is damaged or of another version is made anew, and empty."""
        path = Layout(root, name).search
        make_folder(path.parent)
        with _translated(path):
            try:
                return cls(path, _writing(path))
            except (sqlite3.DatabaseError, IntegrityError) as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
        discard(root, name)
        with _translated(path):
            return cls(path, _writing(path))

    @property
    def is_settled(self) -> bool:
        """Whether the last one who wrote ended well."""
        with _translated(self.path):
            return self._db.execute("SELECT 1 FROM unsettled").fetchone() is None

    def add(self, entry: SearchEntry) -> None:
        """Index a capture; the same one again takes the place of the one before."""
        digest = hashlib.sha256(f"{entry.title}\0{entry.body}".encode("utf-8", "replace")).digest()[:12]
        with _translated(self.path):
            self._begin()
            before = self._db.execute("SELECT text FROM captures WHERE path = ?", (entry.path,)).fetchone()
            number = self._text(entry, digest) if entry.title or entry.body else None
            self._db.execute(
                "INSERT OR REPLACE INTO captures VALUES (?, ?, ?)",
                (entry.path, records.iso(entry.captured_at), number),
            )
            if before is not None and before[0] != number:
                self._drop_unused(before[0])

    def remove(self, paths: Iterable[str]) -> None:
        """Take captures out."""
        with _translated(self.path):
            self._begin()
            for path in paths:
                row = self._db.execute("SELECT text FROM captures WHERE path = ?", (path,)).fetchone()
                if row is not None:
                    self._db.execute("DELETE FROM captures WHERE path = ?", (path,))
                    self._drop_unused(row[0])

    def paths(self) -> set[str]:
        """Every capture in it, by the path of its text."""
        with _translated(self.path):
            return {row[0] for row in self._db.execute("SELECT path FROM captures")}

    def commit(self) -> None:
        with _translated(self.path):
            if self._db.in_transaction:
                self._db.execute("COMMIT")

    def close(self) -> None:
        """Commit, and leave one plain file behind, which readers on read-only media can open."""
        try:
            with _translated(self.path):
                if not self.is_settled or self._db.in_transaction:
                    self._begin()
                    self._db.execute("DELETE FROM unsettled")
                self.commit()
                with suppress(sqlite3.OperationalError):
                    # Somebody who reads just now keeps it a WAL database until the next clean end.
                    self._db.execute("PRAGMA busy_timeout=500")
                    self._db.execute("PRAGMA journal_mode=DELETE")
        finally:
            self._db.close()

    def abandon(self) -> None:
        """Close without committing what is pending; the next one who writes looks at every text."""
        self._db.close()

    def _begin(self) -> None:
        if self._db.in_transaction:
            return
        self._db.execute("BEGIN")
        if self._db.execute("SELECT 1 FROM unsettled").fetchone() is None:
            self._db.execute("INSERT INTO unsettled VALUES (datetime('now'))")

    def _text(self, entry: SearchEntry, digest: bytes) -> int:
        """The number of a text, which is indexed if it is new."""
        same = self._db.execute("SELECT id FROM texts WHERE url = ? AND digest = ?", (entry.url, digest)).fetchone()
        if same is not None:
            return int(same[0])
        number = self._free_number(int(entry.captured_at.timestamp()))
        title, body = (part.encode("utf-8", "replace").decode() for part in (entry.title, entry.body))
        packed = zlib.compress(body.encode())
        self._db.execute("INSERT INTO texts VALUES (?, ?, ?, ?, ?)", (number, entry.url, digest, title, packed))
        shown_title = words.indexed(title)
        self._db.execute("INSERT INTO titles (rowid, title) VALUES (?, ?)", (number, shown_title))
        self._db.execute(
            "INSERT INTO bodies (rowid, title, body) VALUES (?, ?, ?)", (number, shown_title, words.indexed(body))
        )
        return number

    def _free_number(self, second: int) -> int:
        start, size = max(second, 0) * _NUMBERS_A_SECOND, _NUMBERS_A_SECOND
        while True:
            (last,) = self._db.execute(
                "SELECT max(id) FROM texts WHERE id >= ? AND id < ?", (start, start + size)
            ).fetchone()
            if last is None or last + 1 < start + size:
                return start if last is None else int(last) + 1
            start, size = start + size, size * 2

    def _drop_unused(self, number: int | None) -> None:
        """Forget a text that no capture has any more."""
        if number is None or self._db.execute("SELECT 1 FROM captures WHERE text = ?", (number,)).fetchone():
            return
        title, body = self._db.execute("SELECT title, body FROM texts WHERE id = ?", (number,)).fetchone()
        # An index without content must be told what it held (FTS5, 4.4.3).
        shown_title, shown_body = words.indexed(title), words.indexed(zlib.decompress(body).decode())
        self._db.execute("INSERT INTO titles (titles, rowid, title) VALUES ('delete', ?, ?)", (number, shown_title))
        self._db.execute(
            "INSERT INTO bodies (bodies, rowid, title, body) VALUES ('delete', ?, ?, ?)",
            (number, shown_title, shown_body),
        )
        self._db.execute("DELETE FROM texts WHERE id = ?", (number,))


def discard(root: Path, name: str) -> None:
    """Delete a collection's index: it is derived, and the next one who writes makes it again."""
    path = Layout(root, name).search
    for side in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        try:
            side.unlink(missing_ok=True)
        except OSError as error:
            raise ArchiveUnwritable(f"{side}: cannot be deleted: {error.strerror}; mend its rights") from error


# -------------------------------------------------------------------- opening


def _reading(path: Path, option: str) -> sqlite3.Connection:
    """Open read-only, as one snapshot. A server may answer from more than one thread, one at a time."""
    address = f"{path.absolute().as_uri()}?mode=ro{option}"
    db = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
    try:
        db.execute("BEGIN")
        _require_ours(db, path)
    except BaseException:
        db.close()
        raise
    return db


def _writing(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    try:
        is_new = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        if is_new:
            db.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
        _require_ours(db, path)
    except BaseException:
        db.close()
        raise
    return db


def _require_ours(db: sqlite3.Connection, path: Path) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (owner,) = db.execute("PRAGMA application_id").fetchone()
    if owner != APPLICATION_ID or version != _VERSION:
        raise IntegrityError(_damaged(path, "it is of another version"))


def _damaged(path: Path, why: object) -> str:
    return (
        f"{path}: the search index cannot be read ({why}); the next `scraper run` or `scraper rebuild` makes it again"
    )


class _translated:
    """Turns SQLite's errors into ours, naming the file and what to do next."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, zlib.error):
            raise IntegrityError(_damaged(self.path, error)) from error
        if not isinstance(error, sqlite3.Error):
            return
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            raise IntegrityError(_damaged(self.path, error)) from error
        if name.startswith(("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_IOERR", "SQLITE_CANTOPEN")):
            raise ArchiveUnwritable(f"{self.path}: cannot be used: {error}; mend the disk or its rights") from error
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise ArchiveUnwritable(f"{self.path}: another program holds this file; try again later") from error
