"""Which texts match a question: the newest first, within a bounded number of steps however many texts there are.

A question with a rare word is asked of all texts: few are looked at. One of common words only, or of a beginning that
many words share, is asked of the newest texts, and says so when that was not all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import contextmanager

from scraper.archiver import newest
from scraper.archiver.newest import Part
from scraper.archiver.words import Query, Term

# Of the texts that match, at most so many of the newest are looked at for one page of results.
_WINDOW_TEXTS = 2000
# A word is rare that stands in no more than this part of the newest texts.
_RARE_PART = 1 / 256
_MOST_PROBES = 40
# A word that is rare among the newest may be common among all. SQLite counts the steps of its machine, and reading a
# page of the index takes some too; time would make answers differ from run to run.
_STEPS_A_LOOK = 200
_MOST_LOOKS = 100

Row = tuple[int, str, bool]


class Matches:
    """The texts that match, each with its URL and whether its title alone does: those first, the newest first.

    `floor` is set when `rows` has come to its end and texts below this number were not looked at.
    """

    def __init__(self, db: sqlite3.Connection, asked: Query, *, everything: bool = False) -> None:
        self._db = db
        self._asked = asked
        self._parts = [] if everything else newest.parts(db)
        self.floor: int | None = None

    def rows(self) -> Generator[Row, None, None]:
        if not self._parts:
            yield from self._of_all()
        elif not self._is_cheap():
            yield from self._of_newest()
        else:
            try:
                with _bounded(self._db):
                    yield from self._of_all()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorname != "SQLITE_INTERRUPT":
                    raise
                yield from self._of_newest()

    def _of_all(self) -> Iterator[Row]:
        in_titles = "bodies" if self._asked.unwanted else "titles"
        yield from self._select(in_titles, self._asked.expression(in_title=True), in_title=True)
        yield from self._select("bodies", self._asked.expression(), in_title=False)

    def _of_newest(self) -> Iterator[Row]:
        for in_title in (True, False):
            for part in self._parts:
                yield from self._select(part.table, self._asked.expression(in_title=in_title), in_title=in_title)
        self.floor = self._parts[-1].floor

    def _select(self, table: str, expression: str, *, in_title: bool) -> Iterator[Row]:
        rows = self._db.execute(
            f"SELECT f.rowid, t.url FROM {table} f CROSS JOIN texts t ON t.id = f.rowid "
            f"WHERE f.{table} MATCH ? ORDER BY f.rowid DESC LIMIT {_WINDOW_TEXTS}",
            (expression,),
        )
        return ((number, url, in_title) for number, url in rows)

    def _is_cheap(self) -> bool:
        """Whether all texts may be asked: matches come at once, or few texts come into question."""
        wanted, unwanted = self._asked.wanted, self._asked.unwanted
        if len(wanted) == 1 and len(wanted[0].forms) == 1 and not wanted[0].is_prefix and not unwanted:
            return True
        # Of a beginning, SQLite merges all texts with all the words before it gives the first.
        begun = [Term(term.forms[-1:], is_prefix=True) for term in (*wanted, *unwanted) if term.is_prefix]
        if not all(map(self._is_rare, begun)):
            return False
        if any(term.is_prefix for term in wanted):
            return True
        forms = [Term((form,), is_prefix=False) for term in wanted for form in term.forms]
        return any(map(self._is_rare, forms[:_MOST_PROBES]))

    def _is_rare(self, term: Term) -> bool:
        most = int(sum(part.texts for part in self._parts) * _RARE_PART)
        return sum(self._count(part, term, most + 1) for part in self._parts) <= most

    def _count(self, part: Part, term: Term, most: int) -> int:
        sql = f"SELECT count(*) FROM (SELECT 1 FROM {part.table} WHERE {part.table} MATCH ? LIMIT ?)"
        return int(self._db.execute(sql, (term.expression(), most)).fetchone()[0])


@contextmanager
def _bounded(db: sqlite3.Connection) -> Iterator[None]:
    """Within it SQLite stops, with SQLITE_INTERRUPT, after so many steps."""
    looks = 0

    def look() -> bool:
        nonlocal looks
        looks += 1
        return looks > _MOST_LOOKS

    db.set_progress_handler(look, _STEPS_A_LOOK)
    try:
        yield
    finally:
        db.set_progress_handler(None, 0)
