"""The open state file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from scraper.errors import IntegrityError
from scraper.model import Citation, Document, Held, HostMemory, Location, Purpose, State, Target, Visit
from scraper.state.rows import (
    TargetRow,
    TextJob,
    VisitRow,
    at,
    held_json,
    held_of,
    moment,
    next_due_at,
    outcome_of,
    stamp,
    visit_values,
)
from scraper.state.schema import check_version, migrate, translated

FILE_NAME = "state.sqlite3"


class StateFile:
    """The open state file. Changes are pending until `commit`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._db = connection

    # ---------------------------------------------------------------- opening

    @classmethod
    def open(cls, root: Path) -> StateFile:
        """Open for writing, making or migrating the file."""
        path = root / FILE_NAME
        with translated(path):
            db = sqlite3.connect(path, isolation_level=None)
            try:
                db.execute("PRAGMA journal_mode=WAL")
                db.execute("PRAGMA synchronous=FULL")
                migrate(db, path)
            except BaseException:
                db.close()
                raise
        return cls(path, db)

    @classmethod
    def open_for_reading(cls, root: Path) -> StateFile:
        """Open without changing anything, on read-only media too. Raises `IntegrityError` when there is none."""
        path = root / FILE_NAME
        if not path.exists():
            raise IntegrityError(f"{path}: there is no state here; `scraper run` or `scraper rebuild` makes it")
        with translated(path):
            # A WAL beside the file belongs to a run in progress or a crash: it must be read along.
            immutable = "" if Path(f"{path}-wal").exists() else "&immutable=1"
            db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{immutable}", uri=True, isolation_level=None)
            try:
                check_version(db, path)
            except BaseException:
                db.close()
                raise
        return cls(path, db)

    @classmethod
    def copy_in_memory(cls, root: Path) -> StateFile:
        """A copy that may be changed without a trace; an empty state where there is none yet."""
        path = root / FILE_NAME
        db = sqlite3.connect(":memory:", isolation_level=None)
        if path.exists():
            with cls.open_for_reading(root) as original, translated(path):
                original._db.backup(db)
        with translated(path):
            migrate(db, path)
        return cls(path, db)

    def commit(self) -> None:
        with translated(self.path):
            if self._db.in_transaction:
                self._db.execute("COMMIT")

    def roll_back(self) -> None:
        """Forget what is pending."""
        with translated(self.path):
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def close(self) -> None:
        """Commit, and leave one plain file behind, which readers on read-only media can open."""
        try:
            self.commit()
            with translated(self.path):
                self._db.execute("PRAGMA journal_mode=DELETE")
        finally:
            self._db.close()

    def abandon(self) -> None:
        """Close without committing what is pending."""
        self._db.close()

    def __enter__(self) -> StateFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def _run(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> sqlite3.Cursor:
        with translated(self.path):
            if not self._db.in_transaction and not sql.lstrip().startswith("SELECT"):
                self._db.execute("BEGIN")
            return self._db.execute(sql, values)

    # -------------------------------------------------------------- documents

    def is_known(self, digest: str, selection: str) -> bool:
        """Whether a document's bytes were read before under the same selection rules."""
        row = self._run("SELECT 1 FROM documents WHERE digest = ? AND selection = ?", (digest, selection)).fetchone()
        return row is not None

    def place(self, path: str, digest: str) -> None:
        """Note that a known document lies at `path`."""
        self._run(
            "INSERT INTO places (path, document) SELECT ?, id FROM documents WHERE digest = ? "
            "ON CONFLICT (path) DO UPDATE SET document = excluded.document",
            (path, digest),
        )
        self._run("DELETE FROM troubles WHERE path = ?", (path,))

    def note_trouble(self, path: str, sentence: str) -> bool:
        """Keep what is wrong with a document; whether it was not known before."""
        known = self._run("SELECT 1 FROM troubles WHERE path = ? AND sentence = ?", (path, sentence)).fetchone()
        self._run("INSERT OR REPLACE INTO troubles VALUES (?, ?)", (path, sentence))
        return known is None

    def add_document(
        self, document: Document, facts: str, judged: Iterable[tuple[Citation, str | None]], selection: str
    ) -> None:
        """Keep a document, its facts (JSON) and each citation with the reason why it is excluded, or None."""
        self._run(
            "INSERT INTO documents (digest, kind, charset, facts, selection) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (digest) DO UPDATE SET kind = excluded.kind, charset = excluded.charset, "
            "facts = excluded.facts, selection = excluded.selection",
            (document.digest, document.kind, document.charset, facts, selection),
        )
        number = self._document_id(document.digest)
        self._run("DELETE FROM citations WHERE document = ?", (number,))
        for index, (citation, excluded) in enumerate(judged):
            target = self.target_id(citation.target.href) if citation.target else None
            self._run(
                "INSERT INTO citations VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (number, index, citation.url, citation.role, citation.line, target, citation.refusal, excluded),
            )

    def _document_id(self, digest: str) -> int:
        row = self._run("SELECT id FROM documents WHERE digest = ?", (digest,)).fetchone()
        return int(row[0])

    def target_id(self, href: str) -> int:
        """The number of a target, made if it is new."""
        row = self._run("SELECT id FROM targets WHERE href = ?", (href,)).fetchone()
        if row is None:
            row = (self._run("INSERT INTO targets (href) VALUES (?)", (href,)).lastrowid,)
        return int(row[0])

    # -------------------------------------------------------------------- due

    def due(
        self, digests: Iterable[str], now: datetime, recheck: timedelta | None, robots_obeyed: bool = True
    ) -> list[int]:
        """The targets which the given documents want and which are due, in the documents' order."""
        self._note_run(digests)
        recheck_before = stamp(now - recheck) if recheck is not None else ""
        rows = self._run(
            """
            SELECT t.id FROM run_documents r
            JOIN documents d ON d.digest = r.digest
            JOIN citations c ON c.document = d.id AND c.excluded IS NULL
            JOIN targets t ON t.id = c.target
            WHERE t.state = 'pending'
               OR (t.state IN ('failed', 'dead', 'deferred') AND t.due_at <= :now)
               OR (t.state IN ('captured', 'unchanged') AND t.visited_at <= :recheck_before)
               OR (t.state = 'excluded' AND t.reason = 'robots' AND NOT :robots_obeyed)
            GROUP BY t.id ORDER BY min(r.number), min(c.number)
            """,
            {"now": stamp(now), "recheck_before": recheck_before, "robots_obeyed": robots_obeyed},
        )
        return [int(row[0]) for row in rows]

    def count_later(self, digests: Iterable[str]) -> int:
        """How many targets the documents want that are not settled: pending, deferred, failed or dead."""
        self._note_run(digests)
        row = self._run(
            "SELECT count(DISTINCT t.id) FROM run_documents r JOIN documents d ON d.digest = r.digest "
            "JOIN citations c ON c.document = d.id AND c.excluded IS NULL JOIN targets t ON t.id = c.target "
            "WHERE t.state IN ('pending', 'deferred', 'failed', 'dead')"
        ).fetchone()
        return int(row[0])

    def _note_run(self, digests: Iterable[str]) -> None:
        self._run("CREATE TEMP TABLE IF NOT EXISTS run_documents (number INTEGER PRIMARY KEY, digest TEXT UNIQUE)")
        self._run("DELETE FROM run_documents")
        for digest in digests:
            self._run("INSERT OR IGNORE INTO run_documents (digest) VALUES (?)", (digest,))

    def visit_of(self, target_id: int, make_target: Callable[[str], Target]) -> Visit:
        """What the fetcher is to do for a target: with the good capture to revalidate and the citing documents."""
        href, good = self._run("SELECT href, good FROM targets WHERE id = ?", (target_id,)).fetchone()
        via = self._run(
            "SELECT DISTINCT d.digest FROM citations c JOIN documents d ON d.id = c.document "
            "WHERE c.target = ? AND c.excluded IS NULL ORDER BY d.digest LIMIT 1000",
            (target_id,),
        )
        held = self._run("SELECT held FROM visits WHERE id = ?", (good,)).fetchone() if good else None
        target: Target = make_target(href)
        return Visit(target, held_of(held[0]) if held else None, tuple(row[0] for row in via))

    # ----------------------------------------------------------------- visits

    def record(self, row: VisitRow) -> tuple[int, TargetRow | None]:
        """Add a visit and bring its target to its new state.

        Gives the visit's number (0 if it was there already) and where its target stood before.
        """
        is_page = row.purpose is Purpose.PAGE
        target = self.target_id(row.href) if is_page else None
        before = self.target(row.href) if is_page else None
        cursor = self._run(
            "INSERT OR IGNORE INTO visits (target, href, final_href, started_at, ended_at, captured_at, state, reason,"
            " until, detail, tries, status, mime, collection, warc, visit_offset, visit_length, page_warc, page_offset,"
            " page_length, entity_sha256, held, text_path) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            visit_values(row, target),
        )
        visit_id = int(cursor.lastrowid or 0) if cursor.rowcount else 0
        self._run(
            "INSERT INTO segments VALUES (?, ?, ?) ON CONFLICT (collection, warc) "
            "DO UPDATE SET end_offset = max(end_offset, excluded.end_offset)",
            (row.collection, row.visit.warc, row.visit.offset + row.visit.length),
        )
        if cursor.rowcount and row.held and row.entity_sha256:
            held = held_json(row.held)
            self._run("INSERT OR IGNORE INTO payloads VALUES (?, ?, ?)", (row.collection, row.held.entity_sha256, held))
        if cursor.rowcount and target is not None:
            self._advance(target, row, visit_id)
        return visit_id, before

    def _advance(self, target: int, row: VisitRow, visit_id: int) -> None:
        state, reason, until = row.outcome.state, row.outcome.reason, row.outcome.until
        (failures,) = self._run("SELECT failures FROM targets WHERE id = ?", (target,)).fetchone()
        good = state in (State.CAPTURED, State.UNCHANGED)
        failures = failures + 1 if state in (State.FAILED, State.DEAD) else 0 if good else failures
        due_at = next_due_at(state, failures, row.ended_at, until)
        # The order of visits is that of their records, not of the clock, which may be set back.
        self._run(
            "UPDATE targets SET state = ?, reason = ?, due_at = ?, failures = ?, visited_at = ? WHERE id = ?",
            (state, reason, due_at and stamp(due_at), failures, stamp(row.started_at), target),
        )
        if state is State.CAPTURED:
            self._run("UPDATE targets SET good = ? WHERE id = ?", (visit_id, target))

    def payload(self, collection: str, entity_sha256: str) -> Held | None:
        """What the collection already holds with the same content."""
        row = self._run(
            "SELECT held FROM payloads WHERE collection = ? AND entity_sha256 = ?", (collection, entity_sha256)
        ).fetchone()
        return held_of(row[0]) if row else None

    def marks(self, collection: str) -> dict[str, int]:
        """How far each WARC of a collection is committed: name -> end offset in bytes."""
        return dict(self._run("SELECT warc, end_offset FROM segments WHERE collection = ?", (collection,)).fetchall())

    def text_jobs(self) -> list[TextJob]:
        """Committed captures whose text is missing."""
        rows = self._run(
            "SELECT id, href, final_href, captured_at, collection, page_warc, page_offset, page_length FROM visits "
            "WHERE text_path IS NULL AND page_offset IS NOT NULL ORDER BY id"
        )
        return [TextJob(r[0], r[1], r[2], at(r[3]), r[4], Location(r[5], r[6], r[7])) for r in rows]

    def set_text(self, visit_id: int, text_path: str, title: str | None) -> None:
        self._run("UPDATE visits SET text_path = ?, title = ? WHERE id = ?", (text_path, title, visit_id))

    def forget_visits(self) -> None:
        """Before they are read again from the WARCs: every target is pending, documents and hosts stay."""
        self._run(
            "UPDATE targets SET state = 'pending', reason = '', due_at = NULL, failures = 0, visited_at = NULL, "
            "good = NULL"
        )
        for table in ("visits", "payloads", "segments"):
            self._run(f"DELETE FROM {table}")

    # ------------------------------------------------------------------ hosts

    def memory(self, host: str) -> HostMemory | None:
        row = self._run("SELECT * FROM hosts WHERE host = ?", (host,)).fetchone()
        return HostMemory(row[0], moment(row[1]), row[2], row[3], moment(row[4]), *row[5:]) if row else None

    def remember(self, memory: HostMemory) -> None:
        self._run(
            "INSERT OR REPLACE INTO hosts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                memory.host,
                memory.not_before and stamp(memory.not_before),
                memory.response_seconds,
                memory.failures,
                memory.robots_at and stamp(memory.robots_at),
                memory.robots_status,
                memory.robots_body,
                memory.robots_schemes,
            ),
        )

    # ----------------------------------------------------------------- asking

    def target(self, href: str) -> TargetRow | None:
        """Where a target stands."""
        row = self._run(
            "SELECT t.state, t.reason, t.due_at, t.visited_at, t.good, coalesce((SELECT v.detail FROM visits v "
            "WHERE v.target = t.id ORDER BY v.id DESC LIMIT 1), '') FROM targets t WHERE t.href = ?",
            (href,),
        ).fetchone()
        if row is None:
            return None
        outcome = outcome_of(row[0], row[1], row[2])
        return TargetRow(href, outcome, moment(row[3]), row[5], row[4])

    def visits(self) -> Iterator[dict[str, Any]]:
        """Every visit of a page, oldest first."""
        return map(dict, self.query("SELECT * FROM visits WHERE target IS NOT NULL ORDER BY id"))

    def locations(self) -> Iterator[tuple[str, Location]]:
        """Every record that a row points at, with its collection."""
        for row in self.query("SELECT * FROM visits"):
            yield row["collection"], Location(row["warc"], row["visit_offset"], row["visit_length"])
            if row["page_offset"] is not None:
                yield row["collection"], Location(row["page_warc"], row["page_offset"], row["page_length"])

    def text_paths(self) -> Iterator[str]:
        """Every text that was made, relative to the archive's folder, without suffix."""
        for row in self.query("SELECT DISTINCT collection, text_path FROM visits WHERE text_path > ''"):
            yield f"collections/{row['collection']}/{row['text_path']}"

    def prove_sound(self) -> None:
        """Raises `IntegrityError` when SQLite finds the file damaged."""
        found = next(self.query("PRAGMA quick_check(1)"))[0]
        if found != "ok":
            raise IntegrityError(
                f"{self.path}: the state file is damaged ({found}); `scraper rebuild` makes it again from the WARCs"
            )

    def query(self, sql: str, values: Sequence[Any] = ()) -> Iterator[sqlite3.Row]:
        """Rows of a SELECT by column name, for the reports."""
        with translated(self.path):
            cursor = self._db.cursor()
            cursor.row_factory = sqlite3.Row
            # Not `yield from`: it would close the cursor after a reader that has left and closed the file.
            for row in cursor.execute(sql, values):  # noqa: UP028
                yield row
