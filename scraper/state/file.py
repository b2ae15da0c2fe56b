"""The open state file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from scraper import urls
from scraper.model import Citation, Document, Held, HostMemory, Location, Purpose, State, Visit
from scraper.state.forgetting import Forgetting
from scraper.state.reader import HAS_PAGE, SAME_TEXT, TEXT_JOB, first_of_each_text
from scraper.state.rows import (
    TargetRow,
    TextJob,
    VisitRow,
    held_json,
    held_of,
    next_due_at,
    now,
    odd,
    stamp,
    visit_values,
)
from scraper.state.schema import FILE_NAME, migrate, translated


class StateFile(Forgetting):
    """The state file open for writing. Changes are pending until `commit`."""

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
        self.write_pending()
        with translated(self.path):
            if self._db.in_transaction:
                self._db.execute("COMMIT")

    def roll_back(self) -> None:
        """Forget what is pending."""
        self.forget_pending()
        with translated(self.path):
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """What is pending after it is all that was meant, or nothing: an error takes it back."""
        try:
            yield
        except BaseException:
            self.roll_back()
            raise

    def close(self) -> None:
        """Commit, and leave one plain file behind, which readers on read-only media can open."""
        try:
            self.commit()
            with suppress(sqlite3.OperationalError):
                # Somebody who reads just now keeps it a WAL database until the next clean end.
                self._db.execute("PRAGMA busy_timeout=500")
                self._db.execute("PRAGMA journal_mode=DELETE")
        finally:
            self._db.close()

    def abandon(self) -> None:
        """Close without committing what is pending."""
        self._db.close()

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

    def judge_anew(self, selection: str) -> None:
        """When the selection rules have changed, what a visit found excluded by them is pending again."""
        row = self._run("SELECT current FROM selection").fetchone()
        if row is not None and row[0] == selection:
            return
        self._run("DELETE FROM selection")
        self._run("INSERT INTO selection VALUES (?)", (selection,))
        self._run("UPDATE targets SET state = 'pending' WHERE state = 'excluded' AND reason IN ('port', 'address')")

    def forget_places(self, folder: str, kept: Collection[str]) -> None:
        """Documents below a folder that are there no more cite no more."""
        # "0" follows "/": all paths that begin with the folder.
        below = (f"{folder}/", f"{folder}0")
        for table in ("places", "troubles"):
            for (path,) in self._run(f"SELECT path FROM {table} WHERE path > ? AND path < ?", below).fetchall():
                if path not in kept:
                    self._run(f"DELETE FROM {table} WHERE path = ?", (path,))

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

    def unsettled(self, digests: Iterable[str]) -> list[int]:
        """The targets the documents want that are still to be tried: pending, deferred, failed or dead."""
        self._note_run(digests)
        rows = self._run(
            "SELECT DISTINCT t.id FROM run_documents r JOIN documents d ON d.digest = r.digest "
            "JOIN citations c ON c.document = d.id AND c.excluded IS NULL JOIN targets t ON t.id = c.target "
            "WHERE t.state IN ('pending', 'deferred', 'failed', 'dead')"
        )
        return [int(row[0]) for row in rows]

    def _note_run(self, digests: Iterable[str]) -> None:
        self._run("CREATE TEMP TABLE IF NOT EXISTS run_documents (number INTEGER PRIMARY KEY, digest TEXT UNIQUE)")
        self._run("DELETE FROM run_documents")
        for digest in digests:
            self._run("INSERT OR IGNORE INTO run_documents (digest) VALUES (?)", (digest,))

    def visit_of(self, target_id: int, collection: str) -> Visit:
        """What the fetcher is to do for a target: the payload to revalidate, and the documents that cite it.

        The payload must be of the same collection: a revisit refers to nothing outside of its own. Of the documents
        the first thousand are named.
        """
        (href,) = self._run("SELECT href FROM targets WHERE id = ?", (target_id,)).fetchone()
        via = self._run(
            "SELECT DISTINCT d.digest FROM citations c JOIN documents d ON d.id = c.document "
            "WHERE c.target = ? AND c.excluded IS NULL ORDER BY d.digest LIMIT 1000",
            (target_id,),
        )
        held = self._run(
            "SELECT held FROM visits WHERE target = ? AND collection = ? AND held IS NOT NULL "
            "AND state IN ('captured', 'unchanged') ORDER BY id DESC LIMIT 1",
            (target_id, collection),
        ).fetchone()
        if not urls.is_target(href):
            raise odd("address", href)
        return Visit(urls.target(href), held_of(held[0]) if held else None, tuple(row[0] for row in via))

    # ----------------------------------------------------------------- visits

    def record(self, row: VisitRow) -> tuple[int, TargetRow | None]:
        """Add a visit and bring its target to its new state.

        Gives the visit's number (0 if it was there already) and where its target stood before.
        """
        is_page = row.purpose is Purpose.PAGE
        target = self.target_id(row.href) if is_page else None
        before = self.target(row.href) if is_page else None
        visit_id, is_new = self._insert(row, target)
        if is_new and row.held and row.entity_sha256:
            held = held_json(row.held)
            self._run("INSERT OR IGNORE INTO payloads VALUES (?, ?, ?)", (row.collection, row.held.entity_sha256, held))
        if is_new and target is not None:
            self._advance(target, before.failures if before else 0, row, visit_id)
        return visit_id, before

    def _insert(self, row: VisitRow, target: int | None) -> tuple[int, bool]:
        cursor = self._run(
            "INSERT OR IGNORE INTO visits (target, href, final_href, started_at, ended_at, captured_at, state, reason,"
            " until, detail, tries, status, mime, collection, warc, visit_offset, visit_length, page_warc, page_offset,"
            " page_length, entity_sha256, held, text_path, purpose, of_visit) "
            "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            visit_values(row, target),
        )
        self.mark(row.collection, row.visit.warc, row.visit.offset + row.visit.length)
        return (int(cursor.lastrowid or 0), True) if cursor.rowcount else (0, False)

    def record_import(self, row: VisitRow, imported_at: datetime) -> int:
        """Add a capture which another tool made; gives the visit's number, 0 if it was there already.

        It counts for a target as a capture of our own does, but is not a visit: what the last one came to stays told.
        A visit of our own made after the import decides again.
        """
        target = self.target_id(row.href)
        visited_at, good_at = self._run(
            "SELECT t.visited_at, (SELECT captured_at FROM visits v WHERE v.id = t.good) FROM targets t WHERE id = ?",
            (target,),
        ).fetchone()
        visit_id, _ = self._insert(row, target)
        if not visit_id:
            return 0
        if good_at is None or good_at < stamp(row.captured_at):
            self._run("UPDATE targets SET good = ? WHERE id = ?", (visit_id, target))
        if visited_at is None or visited_at <= stamp(imported_at):
            self._run(
                "UPDATE targets SET state = 'captured', reason = '', due_at = NULL, failures = 0, "
                "visited_at = coalesce(visited_at, ?) WHERE id = ? AND state NOT IN ('captured', 'unchanged')",
                (stamp(row.captured_at), target),
            )
        return visit_id

    def note_import(self, sha256: str, warcs: Iterable[str], told: tuple[str, str, str], left_out: list[str]) -> None:
        """Keep that a file is in the archive; `told` are its name, the tool that made it, and when it came."""
        self._run(
            "INSERT INTO imports VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (sha256) DO UPDATE SET "
            "warcs = excluded.warcs, left_out = excluded.left_out",
            (sha256, json.dumps(sorted(warcs)), *told, json.dumps(left_out, ensure_ascii=False)),
        )

    def knows_target(self, href: str) -> bool:
        """Whether a target is known by this address: somebody cites it, or asked for it."""
        return self._run("SELECT 1 FROM targets WHERE href = ?", (href,)).fetchone() is not None

    def _advance(self, target: int, failures: int, row: VisitRow, visit_id: int) -> None:
        state, reason, until = row.outcome.state, row.outcome.reason, row.outcome.until
        good = state in (State.CAPTURED, State.UNCHANGED)
        failures = failures + 1 if state in (State.FAILED, State.DEAD) else 0 if good else failures
        due_at = next_due_at(state, failures, row.ended_at, until)
        # The order of visits is that of their records, not of the clock, which may be set back.
        self._run(
            "UPDATE targets SET state = ?, reason = ?, due_at = ?, failures = ?, visited_at = ?, "
            "good = coalesce(?, good) WHERE id = ?",
            (
                state, reason, due_at and stamp(due_at), failures, stamp(row.started_at),
                visit_id if state is State.CAPTURED else None, target,
            ),
        )  # fmt: skip

    def payload(self, collection: str, entity_sha256: str) -> Held | None:
        """What the collection already holds with the same content."""
        row = self._run(
            "SELECT held FROM payloads WHERE collection = ? AND entity_sha256 = ?", (collection, entity_sha256)
        ).fetchone()
        return held_of(row[0]) if row else None

    def held(self, href: str, collection: str) -> Held | None:
        """The newest good payload of an address that is not a target, for its next visit to revalidate."""
        row = self._run(
            "SELECT held FROM visits WHERE href = ? AND collection = ? AND held IS NOT NULL "
            "AND state IN ('captured', 'unchanged') ORDER BY id DESC LIMIT 1",
            (href, collection),
        ).fetchone()
        return held_of(row[0]) if row else None

    def visit_number(self, collection: str, visit: Location) -> int | None:
        """The number of the visit which the record at this place ends."""
        row = self._run(
            "SELECT id FROM visits WHERE collection = ? AND warc = ? AND visit_offset = ?",
            (collection, visit.warc, visit.offset),
        ).fetchone()
        return int(row[0]) if row else None

    def use(self, page: int | None, requisites: Iterable[int], collection: str, record: Location) -> None:
        """Note what a page needs that other pages' visits had brought, and the record that says so.

        Where the page's visit is lost (None), only that the record was read.
        """
        if page is not None:
            for requisite in requisites:
                self._run("INSERT OR IGNORE INTO uses VALUES (?, ?)", (page, requisite))
        self._mark(collection, record)

    def _mark(self, collection: str, record: Location) -> None:
        """Everything of a WARC up to the end of this record is known."""
        self._run(
            "INSERT INTO segments VALUES (?, ?, ?) ON CONFLICT (collection, warc) "
            "DO UPDATE SET end_offset = max(end_offset, excluded.end_offset)",
            (collection, record.warc, record.offset + record.length),
        )

    def text_jobs(self) -> list[TextJob]:
        """Committed captures whose text is missing; of those with the same text (redirects, imports) the first."""
        self._run(
            "UPDATE visits SET (text_path, title) = (SELECT v.text_path, v.title FROM visits v WHERE v.text_path > '' "
            f"AND {SAME_TEXT} LIMIT 1) WHERE text_path IS NULL AND page_offset IS NOT NULL AND EXISTS "
            f"(SELECT 1 FROM visits v WHERE v.text_path > '' AND {SAME_TEXT})"
        )
        return first_of_each_text(self._run(f"SELECT {TEXT_JOB} FROM visits WHERE text_path IS NULL AND {HAS_PAGE}"))

    def set_text(self, visit_id: int, text_path: str, title: str | None) -> bool:
        """Note the text of a visit, and of all that have the same; whether that is news."""
        sql = (
            "UPDATE visits SET text_path = :path, title = :title "
            "WHERE (text_path IS NOT :path OR title IS NOT :title) AND id IN (SELECT visits.id FROM visits v, visits "
            f"WHERE v.id = :id AND {SAME_TEXT} AND coalesce(visits.text_path, '-') != '')"
        )
        return self._run(sql, {"path": text_path, "title": title, "id": visit_id}).rowcount > 0

    # ------------------------------------------------------------------ hosts

    def hold(self, host: str, until: datetime) -> None:
        """Leave a host alone until then, if nothing longer is known."""
        memory = self.memory(host) or HostMemory(host)
        if memory.not_before is None or memory.not_before < until:
            self.remember(replace(memory, not_before=until, noted_at=now()))
