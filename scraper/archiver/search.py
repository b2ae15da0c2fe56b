"""Full text of a collection's captures: `search.sqlite3` (SQLite FTS5), derived and never needed for anything else.

Every capture is in it once. Captures of a URL with the same text share it. A text's number grows with the time of its
capture, so that the newest matches come first without sorting all.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from scraper.archiver import newest, records, words
from scraper.archiver.layout import Layout, make_folder
from scraper.archiver.matching import Matches
from scraper.archiver.searchfile import NUMBERS_A_SECOND, damaged, discard, made_by, reading, translated, writing
from scraper.archiver.words import Parts, Query
from scraper.errors import IntegrityError, UsageError


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
    in_title: bool  # all that was asked for stands in the title


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found; `since` is set when texts that were first captured before were not looked at."""

    hits: tuple[Hit, ...]
    since: datetime | None = None


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
            raise UsageError(f"{path}: there is no search index of this collection yet; {made_by(path)}")
        with translated(path):
            try:
                return cls(path, reading(path, ""))
            except sqlite3.OperationalError:
                # A WAL that nobody can write beside: read-only media after a crash.
                return cls(path, reading(path, "&immutable=1"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def find(self, typed: str, *, limit: int = 20, offset: int = 0) -> list[Hit]:
        """What matches the words a person typed, as `answer` gives it."""
        return list(self.answer(typed, limit=limit, offset=offset).hits)

    def answer(self, typed: str, *, limit: int = 20, offset: int = 0, everything: bool = False) -> Answer:
        """What matches the words a person typed, one hit a URL: with the words in the title first, then the newest.

        Nothing that can be typed is an error. Of common words only the newest texts are looked at, unless
        `everything` is: the answer says so if there may be more.
        """
        asked = words.query(typed)
        if not asked.wanted or limit <= 0:
            return Answer(())
        with translated(self.path):
            matches = Matches(self._db, asked, everything=everything)
            chosen: dict[str, tuple[int, bool]] = {}
            with closing(matches.rows()) as rows:
                for number, url, in_title in rows:
                    if chosen.setdefault(url, (number, in_title))[0] == number and len(chosen) >= offset + limit:
                        break
            wanted = list(chosen.values())[max(offset, 0) :]
            hits = self._hits(dict(wanted), asked)
        since = None if matches.floor is None else datetime.fromtimestamp(matches.floor // NUMBERS_A_SECOND, UTC)
        return Answer(hits, since)

    def count(self) -> int:
        """How many captures are indexed."""
        with translated(self.path):
            return int(self._db.execute("SELECT count(*) FROM captures").fetchone()[0])

    def is_settled(self) -> bool:
        """Whether the last one who wrote ended well: if not, any text may be newer than what is indexed of it."""
        with translated(self.path):
            return self._db.execute("SELECT 1 FROM unsettled").fetchone() is None

    def prove_sound(self) -> None:
        """Raises `IntegrityError` when SQLite finds the file damaged."""
        with translated(self.path):
            found = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise IntegrityError(damaged(self.path, found))

    def _hits(self, wanted: dict[int, bool], asked: Query) -> tuple[Hit, ...]:
        """The texts of some numbers, in their order; each with whether its title alone matches."""
        # Of the rows that are grouped, SQLite gives the other columns of the one that has the maximum.
        rows = self._db.execute(
            "SELECT t.id, t.url, t.title, t.body, count(*), c.path, max(c.captured_at) FROM texts t "
            "JOIN captures c ON c.text = t.id WHERE t.id IN (SELECT value FROM json_each(?)) GROUP BY t.id",
            (json.dumps(list(wanted)),),
        )
        found = {row[0]: row[1:] for row in rows}
        return tuple(_hit(found[number], in_title, asked) for number, in_title in wanted.items())


def _hit(row: tuple[str, str, bytes, int, str, str], in_title: bool, asked: Query) -> Hit:
    url, title, body, captures, path, captured_at = row
    marked = words.marked(title, asked)
    snippet = words.snippet(zlib.decompress(body).decode("utf-8"), asked)
    return Hit(url, records.parse_date(captured_at), captures, path, title, marked, snippet, in_title)


@dataclass(frozen=True, slots=True)
class Everywhere:
    """What was found in some collections, each hit with its collection's name; `since` as in `Answer`."""

    hits: list[tuple[str, Hit]]
    since: datetime | None = None


def find_everywhere(
    root: Path, names: Iterable[str], typed: str, *, limit: int = 20, everything: bool = False
) -> Everywhere:
    """What matches in some collections, in the order of `Search.answer`.

    A collection without an index has nothing to be found; raises `UsageError` when that is true of all.
    """
    found: list[tuple[str, Hit]] = []
    since: list[datetime] = []
    missing: list[UsageError] = []
    names = list(names)
    for name in names:
        try:
            with Search.open_for_reading(root, name) as search:
                answer = search.answer(typed, limit=limit, everything=everything)
        except UsageError as error:
            missing.append(error)
            continue
        found += [(name, hit) for hit in answer.hits]
        since += [answer.since] if answer.since else []
    if missing and len(missing) == len(names):
        raise missing[0]
    if len(names) - len(missing) > 1:
        found.sort(key=lambda item: (item[1].in_title, item[1].captured_at), reverse=True)
    return Everywhere(found[:limit], max(since, default=None) if len(found) < limit else None)


class SearchIndex(Search):
    """The index open for writing; changes are pending until `commit`. Needs the archive's `Lock`."""

    @classmethod
    def open(cls, root: Path, name: str) -> SearchIndex:
        """Open for writing. One that is not there, is damaged or of another version is made anew, and empty."""
        path = Layout(root, name).search
        make_folder(path.parent)
        with translated(path):
            try:
                return cls(path, writing(path))
            except (sqlite3.DatabaseError, IntegrityError) as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
        discard(root, name)
        with translated(path):
            return cls(path, writing(path))

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        super().__init__(path, connection)
        self.ended_well = self.is_settled()

    def add(self, entry: SearchEntry) -> None:
        """Index a capture; the same one again takes the place of the one before."""
        digest = hashlib.sha256(f"{entry.title}\0{entry.body}".encode("utf-8", "replace")).digest()[:12]
        with translated(self.path):
            self._begin()
            before = self._db.execute("SELECT text FROM captures WHERE path = ?", (entry.path,)).fetchone()
            number = self._text(entry, digest) if entry.title or entry.body else None
            if before is not None and before[0] == number:
                return
            self._db.execute(
                "INSERT OR REPLACE INTO captures VALUES (?, ?, ?)",
                (entry.path, records.iso(entry.captured_at), number),
            )
            if before is not None and before[0] != number:
                self._drop_unused(before[0])

    def remove(self, paths: Iterable[str]) -> None:
        """Take captures out."""
        with translated(self.path):
            self._begin()
            for path in paths:
                row = self._db.execute("SELECT text FROM captures WHERE path = ?", (path,)).fetchone()
                if row is not None:
                    self._db.execute("DELETE FROM captures WHERE path = ?", (path,))
                    self._drop_unused(row[0])

    def paths(self) -> set[str]:
        """Every capture in it, by the path of its text."""
        with translated(self.path):
            return {row[0] for row in self._db.execute("SELECT path FROM captures")}

    def commit(self) -> None:
        with translated(self.path):
            if self._db.in_transaction:
                self._db.execute("COMMIT")

    def close(self, *, is_settled: bool = True) -> None:
        """Commit, and leave one plain file behind, which readers on read-only media can open."""
        try:
            with translated(self.path):
                self._fill_newest()
                self.commit()
                if is_settled:
                    self._db.execute("DELETE FROM unsettled")
                with suppress(sqlite3.OperationalError):
                    # Somebody who reads just now keeps it a WAL database until the next clean end.
                    self._db.execute("PRAGMA busy_timeout=500")
                    self._db.execute("PRAGMA journal_mode=DELETE")
        finally:
            self._db.close()

    def abandon(self) -> None:
        """Close without committing what is pending; the next one who writes looks at every text."""
        self._db.close()

    def expect(self) -> None:
        """Note that texts are going to change, before they do: who dies meanwhile leaves an index that says so."""
        with translated(self.path):
            if not self._db.in_transaction and self._db.execute("SELECT 1 FROM unsettled").fetchone() is None:
                # On the disk before anything that it warns of.
                self._db.execute("INSERT INTO unsettled VALUES (datetime('now'))")

    def _begin(self) -> None:
        if not self._db.in_transaction:
            self.expect()
            self._db.execute("BEGIN")

    def _text(self, entry: SearchEntry, digest: bytes) -> int:
        """The number of a text, which is indexed if it is new."""
        same = self._db.execute("SELECT id FROM texts WHERE url = ? AND digest = ?", (entry.url, digest)).fetchone()
        if same is not None:
            return int(same[0])
        number = self._free_number(int(entry.captured_at.timestamp()))
        title, body = (part.encode("utf-8", "replace").decode() for part in (entry.title, entry.body))
        packed = zlib.compress(body.encode())
        self._db.execute("INSERT INTO texts VALUES (?, ?, ?, ?, ?)", (number, entry.url, digest, title, packed))
        shown = words.indexed(title), words.indexed(body)
        self._db.execute("INSERT INTO titles (rowid, title) VALUES (?, ?)", (number, shown[0]))
        self._db.execute("INSERT INTO bodies (rowid, title, body) VALUES (?, ?, ?)", (number, *shown))
        newest.add(self._db, number, *shown)
        return number

    def _free_number(self, second: int) -> int:
        start, size = max(second, 0) * NUMBERS_A_SECOND, NUMBERS_A_SECOND
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
        # An index without content must be told what it held (FTS5, 4.4.3).
        (shown,) = self._indexed([number])
        self._db.execute("INSERT INTO titles (titles, rowid, title) VALUES ('delete', ?, ?)", shown[:2])
        self._db.execute("INSERT INTO bodies (bodies, rowid, title, body) VALUES ('delete', ?, ?, ?)", shown)
        newest.remove(self._db, *shown)
        self._db.execute("DELETE FROM texts WHERE id = ?", (number,))

    def _indexed(self, numbers: Iterable[int]) -> Iterator[tuple[int, str, str]]:
        """Texts as they are indexed: number, title, body."""
        for number in numbers:
            title, body = self._db.execute("SELECT title, body FROM texts WHERE id = ?", (number,)).fetchone()
            yield number, words.indexed(title), words.indexed(zlib.decompress(body).decode())

    def _fill_newest(self) -> None:
        if newest.is_thin(self._db):
            self._begin()
            numbers = newest.newest_numbers(self._db)
            newest.fill(self._db, numbers[-1], self._indexed(reversed(numbers)))
