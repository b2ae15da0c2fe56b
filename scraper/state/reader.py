"""The state file as its readers see it: nothing here changes it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from scraper.errors import IntegrityError, StateDamaged, UsageError
from scraper.model import Location
from scraper.state.rows import TargetRow, TextJob, at, moment, outcome_of, stored_json
from scraper.state.schema import FILE_NAME, MIGRATIONS, check_version, damaged, migrate, translated
from scraper.state.values import wrong_values

# Of a citation `c` with its target `t`: it is excluded by its document's rules, or stands where its target stands.
CITATION_STANDING = """
    CASE WHEN c.excluded IS NULL THEN t.state ELSE 'excluded' END AS state,
    CASE WHEN c.excluded IS NULL THEN t.reason ELSE c.excluded END AS reason,
    CASE WHEN c.excluded IS NULL THEN t.due_at END AS due_at,
    CASE WHEN c.excluded IS NULL THEN t.visited_at END AS visited_at
"""

# A text is known by collection, address and second: several visits may have led to it, or several files hold it.
SAME_TEXT = (
    "v.collection = visits.collection AND v.final_href = visits.final_href "
    "AND substr(v.captured_at, 1, 19) = substr(visits.captured_at, 1, 19)"
)
TEXT_JOB = "id, href, final_href, captured_at, collection, page_warc, page_offset, page_length"
HAS_PAGE = "page_offset IS NOT NULL"


def first_of_each_text(rows: Iterable[tuple[Any, ...]]) -> list[TextJob]:
    """The jobs of rows of `TEXT_JOB`, in the order in which they lie; of those with the same text the first."""
    first: dict[tuple[str, str, str], TextJob] = {}
    for r in sorted(rows, key=lambda row: (*row[4:7], row[0])):
        first.setdefault((r[4], r[2], r[3][:19]), TextJob(r[0], r[1], r[2], at(r[3]), r[4], Location(*r[5:8])))
    return list(first.values())


Fingerprint = tuple[tuple[int, int, int], ...]


def fingerprint(root: Path) -> Fingerprint:
    """What tells one version of an archive's state from the next: inode, time and size of its files."""
    found = []
    for name in (FILE_NAME, f"{FILE_NAME}-wal"):
        try:
            facts = (root / name).stat()
        except OSError:
            continue
        found.append((facts.st_ino, facts.st_mtime_ns, facts.st_size))
    return tuple(found)


class StateReader:
    """The open state file, for asking."""

    def __init__(self, path: Path, connection: sqlite3.Connection, *, is_copy: bool = False) -> None:
        self.path = path
        self.is_copy = is_copy  # in memory, of an older scraper's state; any thread may read it in its turn
        self._db = connection

    @classmethod
    def open_for_reading(cls, root: Path) -> Self:
        """Open without changing anything, on read-only media too. Raises `IntegrityError` when there is none."""
        path = root / FILE_NAME
        if not root.is_dir():
            raise UsageError(f"{root}: there is no archive here; name one with --archive")
        if not path.exists():
            raise IntegrityError(f"{path}: there is no state here; `scraper run` or `scraper rebuild` makes it")
        with translated(path):
            try:
                db, is_copy = _reading(path, "")
            except sqlite3.OperationalError:
                # A WAL that nobody can write beside: read-only media after a crash.
                db, is_copy = _reading(path, "&immutable=1")
            return cls(path, db, is_copy=is_copy)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the file go."""
        self._db.close()

    def _run(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> sqlite3.Cursor:
        with translated(self.path):
            if not self._db.in_transaction and not sql.lstrip().startswith("SELECT"):
                self._db.execute("BEGIN")
            return self._db.execute(sql, values)

    def target(self, href: str) -> TargetRow | None:
        """Where a target stands."""
        row = self._run(
            "SELECT t.state, t.reason, t.due_at, t.visited_at, t.good, t.failures, coalesce((SELECT v.detail "
            "FROM visits v WHERE v.target = t.id ORDER BY v.id DESC LIMIT 1), '') FROM targets t WHERE t.href = ?",
            (href,),
        ).fetchone()
        if row is None:
            return None
        outcome = outcome_of(row[0], row[1], row[2])
        return TargetRow(href, outcome, moment(row[3]), row[6], row[4], row[5])

    def visits(self) -> Iterator[dict[str, Any]]:
        """Every visit of a page, oldest first."""
        return map(dict, self.query("SELECT * FROM visits WHERE target IS NOT NULL ORDER BY id"))

    def requisites(self, visit_id: int) -> list[dict[str, Any]]:
        """The visits of what a page needed to be seen, in the order they were made; failed ones too.

        Those made for it, and those which an earlier page of the same run had brought already. A page that was found
        unchanged is seen with those of the capture it refers to.
        """
        rows = self.query(
            """
            WITH page (id) AS (
                SELECT coalesce((
                    SELECT max(g.id) FROM visits v JOIN visits g
                    ON g.target = v.target AND g.id <= v.id AND g.state = 'captured'
                    WHERE v.id = :visit AND v.state = 'unchanged'
                ), :visit)
            )
            SELECT r.* FROM page JOIN visits r ON r.of_visit = page.id
            UNION ALL
            SELECT r.* FROM page JOIN uses u ON u.page = page.id JOIN visits r ON r.id = u.requisite
            ORDER BY id
            """,
            {"visit": visit_id},
        )
        return [dict(row) for row in rows]

    def tries(self, href: str, limit: int, collection: str | None = None) -> list[dict[str, Any]]:
        """The visits of a page, or of one that led to it, which ended without a capture of it, newest first."""
        # `+`: the index that begins with the collection would be the slow way.
        rows = self.query(
            "SELECT started_at, state, reason, detail, status, tries, href, final_href, collection FROM visits "
            "WHERE id IN (SELECT id FROM visits WHERE href = :href UNION "
            "SELECT id FROM visits WHERE final_href = :href) AND +purpose = 'page' "
            "AND state NOT IN ('captured', 'unchanged') "
            "AND (:collection IS NULL OR +collection = :collection) ORDER BY started_at DESC, id DESC LIMIT :limit",
            {"href": href, "collection": collection, "limit": limit},
        )
        return [dict(row) for row in rows]

    def places(self) -> Iterator[sqlite3.Row]:
        """Where the records of each visit lie, how it ended, and its text."""
        return self.query(
            "SELECT collection, warc, visit_offset, visit_length, page_warc, page_offset, page_length, state, "
            "final_href, text_path FROM visits"
        )

    def pages(self, collection: str) -> Iterator[tuple[str, datetime, str | None, int | None]]:
        """Every page of a collection that has a text, oldest first: address, time, title, status."""
        rows = self.query(
            "SELECT final_href, captured_at, title, status FROM visits "
            "WHERE collection = ? AND text_path > '' ORDER BY id",
            (collection,),
        )
        return ((row[0], at(row[1]), row[2], row[3]) for row in rows)

    def marks(self, collection: str) -> dict[str, int]:
        """How far each WARC of a collection is committed: name -> end offset in bytes."""
        return dict(self._run("SELECT warc, end_offset FROM segments WHERE collection = ?", (collection,)).fetchall())

    def imported(self, sha256: str) -> dict[str, Any] | None:
        """What is known of an imported file, by the sha256 of its bytes: `warcs`, `source`, `tool`, `imported_at`,
        `left_out`; None when it was never imported."""
        row = next(self.query("SELECT * FROM imports WHERE sha256 = ?", (sha256,)), None)
        if row is None:
            return None
        return dict(row) | {name: stored_json(row[name], list) for name in ("warcs", "left_out")}

    def text_paths(self) -> Iterator[str]:
        """Every text that was made, relative to the archive's folder, without suffix."""
        for row in self.query("SELECT DISTINCT collection, text_path FROM visits WHERE text_path > ''"):
            yield f"collections/{row['collection']}/{row['text_path']}"

    def texts_of(self, collection: str) -> Iterator[str]:
        """Every text of a collection, oldest visit first, relative to the collection's folder, without suffix."""
        rows = self.query(
            "SELECT text_path FROM visits WHERE collection = ? AND text_path > '' ORDER BY id", (collection,)
        )
        return (row[0] for row in rows)

    def text_captures(self, hrefs: Sequence[str] | None = None) -> list[TextJob]:
        """The captures that have a text or wait for it, in the order in which they lie; of some addresses, or all."""
        sql = f"SELECT {TEXT_JOB} FROM visits WHERE (text_path > '' OR text_path IS NULL) AND {HAS_PAGE}"
        rows: set[tuple[Any, ...]] = set()
        if hrefs is None:
            rows.update(self._run(sql))
        for href in hrefs or ():
            same = f"SELECT visits.id FROM visits v, visits WHERE (v.href = ? OR v.final_href = ?) AND {SAME_TEXT}"
            rows.update(self._run(f"{sql} AND id IN ({same})", (href, href)))
        return first_of_each_text(rows)

    def count_waiting(self) -> int:
        """How many texts are still to be made of captures that are held."""
        sql = (
            "SELECT count(*) FROM (SELECT DISTINCT collection, final_href, substr(captured_at, 1, 19) FROM visits "
            f"WHERE text_path IS NULL AND {HAS_PAGE} AND NOT EXISTS "
            f"(SELECT 1 FROM visits v WHERE v.text_path > '' AND {SAME_TEXT}))"
        )
        return int(self._run(sql).fetchone()[0])

    def may_lack_texts(self) -> bool:
        """Whether any capture has no text of its own yet; another one of the same page and second may have it."""
        sql = f"SELECT 1 FROM visits INDEXED BY visits_without_text WHERE text_path IS NULL AND {HAS_PAGE} LIMIT 1"
        return self._run(sql).fetchone() is not None

    def count_texts(self, collection: str) -> int:
        """How many texts a collection has."""
        sql = "SELECT count(DISTINCT text_path) FROM visits WHERE collection = ? AND text_path > ''"
        return int(self._run(sql, (collection,)).fetchone()[0])

    def prove_sound(self) -> None:
        """Raises `StateDamaged` when SQLite finds the file damaged, or a row holds what nobody can have written."""
        found = next(self.query("PRAGMA quick_check(1)"))[0]
        if found != "ok":
            raise StateDamaged(damaged(self.path, found))
        if wrong := next(wrong_values(self.query), None):
            raise StateDamaged(damaged(self.path, wrong))

    def query(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> Iterator[sqlite3.Row]:
        """Rows of a SELECT by column name, for the reports."""
        with translated(self.path):
            cursor = self._db.cursor()
            cursor.row_factory = sqlite3.Row
            # Not `yield from`: it would close the cursor after a reader that has left and closed the file.
            for row in cursor.execute(sql, values):  # noqa: UP028
                yield row


def _reading(path: Path, option: str) -> tuple[sqlite3.Connection, bool]:
    """Open read-only, as one snapshot: a run that writes meanwhile changes nothing of what is read.

    And whether it is a copy, because the file has an older schema.
    """
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{option}", uri=True, isolation_level=None)
    try:
        db.execute("BEGIN")
        version = check_version(db, path)
        if version == 0:
            raise IntegrityError(f"{path}: there is no state here; `scraper run` or `scraper rebuild` makes it")
        is_copy = version != len(MIGRATIONS)
        return _brought_up(db, path) if is_copy else db, is_copy
    except BaseException:
        db.close()
        raise


def _brought_up(older: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """An older scraper's state in today's schema, in memory: a reader changes nothing on disk."""
    db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    with closing(older):
        older.backup(db)
    migrate(db, path)
    return db
