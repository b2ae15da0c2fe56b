"""The newest texts of a search index, indexed a second time, so that a question of common words has a small answer.

Two tables take turns: the current one fills up, then the one before it is emptied and becomes the current one. Together
they hold every text from a number on, which is their floor.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

# What a question of common words costs grows with it, and what may be found at once too.
PART_TEXTS = 2048

SCHEMA = """
    CREATE TABLE newest (                 -- empty until the index was closed with more texts than two parts hold
        part INTEGER PRIMARY KEY,
        floor INTEGER NOT NULL,           -- the part holds the texts from this number on, up to the next part's floor
        texts INTEGER NOT NULL
    ) STRICT;
    CREATE VIRTUAL TABLE newest0
        USING fts5 (title, body, content='', columnsize=0, tokenize='ascii', prefix='1 2 3');
    CREATE VIRTUAL TABLE newest1
        USING fts5 (title, body, content='', columnsize=0, tokenize='ascii', prefix='1 2 3');
"""


@dataclass(frozen=True, slots=True)
class Part:
    """One of the two tables, and the lowest number of a text it may hold."""

    number: int
    floor: int
    texts: int

    @property
    def table(self) -> str:
        return f"newest{self.number}"


def parts(db: sqlite3.Connection) -> list[Part]:
    """The current part and the one before; none while there are so few texts that all may be looked at."""
    rows = db.execute("SELECT part, floor, texts FROM newest ORDER BY floor DESC")
    return [Part(*row) for row in rows]


def add(db: sqlite3.Connection, number: int, title: str, body: str) -> None:
    """Note a text that was indexed, if it is one of the newest."""
    current = parts(db)
    for place, part in enumerate(current):
        if number >= part.floor:
            _insert(db, part, [(number, title, body)])
            if place == 0 and part.texts + 1 >= PART_TEXTS:
                _turn(db, current[-1])
            return


def remove(db: sqlite3.Connection, number: int, title: str, body: str) -> None:
    """Forget a text, given as it was indexed."""
    for part in parts(db):
        if number >= part.floor:
            sql = f"INSERT INTO {part.table} ({part.table}, rowid, title, body) VALUES ('delete', ?, ?, ?)"
            db.execute(sql, (number, title, body))
            db.execute("UPDATE newest SET texts = texts - 1 WHERE part = ?", (part.number,))
            return


def is_thin(db: sqlite3.Connection) -> bool:
    """Whether there are far more texts than the parts let one find: they are new, or what came was older."""
    if sum(part.texts for part in parts(db)) >= PART_TEXTS:
        return False
    return bool(db.execute("SELECT count(*) FROM texts").fetchone()[0] > 2 * PART_TEXTS)


def newest_numbers(db: sqlite3.Connection) -> list[int]:
    """The texts that a part is to be filled with."""
    rows = db.execute(f"SELECT id FROM texts ORDER BY id DESC LIMIT {PART_TEXTS}")
    return [row[0] for row in rows]


def fill(db: sqlite3.Connection, floor: int, texts: Iterable[tuple[int, str, str]]) -> None:
    """Begin anew with the texts from a number on, given as they are indexed."""
    for number in (0, 1):
        db.execute(f"INSERT INTO newest{number} (newest{number}) VALUES ('delete-all')")
        db.execute("INSERT OR REPLACE INTO newest VALUES (?, ?, 0)", (number, floor))
    _insert(db, Part(0, floor, 0), texts)
    _turn(db, Part(1, floor, 0))


def _insert(db: sqlite3.Connection, part: Part, texts: Iterable[tuple[int, str, str]]) -> None:
    count = 0
    for text in texts:
        db.execute(f"INSERT INTO {part.table} (rowid, title, body) VALUES (?, ?, ?)", text)
        count += 1
    db.execute("UPDATE newest SET texts = texts + ? WHERE part = ?", (count, part.number))


def _turn(db: sqlite3.Connection, last: Part) -> None:
    """Empty the older part; from now on it takes what is newer than all there is."""
    (highest,) = db.execute("SELECT max(id) FROM texts").fetchone()
    db.execute(f"INSERT INTO {last.table} ({last.table}) VALUES ('delete-all')")
    db.execute("UPDATE newest SET floor = ?, texts = 0 WHERE part = ?", (highest + 1, last.number))
