"""The schema of the state file, its migrations, and SQLite's errors in our words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from scraper.errors import ArchiveUnwritable, ConfigError, IntegrityError, StateDamaged

FILE_NAME = "state.sqlite3"
APPLICATION_ID = 0x73637270  # "scrp": tells our files from other SQLite files

# Each entry brings the schema one version up; the file's version is the number of entries applied.
MIGRATIONS = (
    """
    CREATE TABLE documents (
        id INTEGER PRIMARY KEY,
        digest TEXT NOT NULL UNIQUE,      -- sha256 of the bytes, hex
        kind TEXT NOT NULL,
        charset TEXT NOT NULL,
        facts TEXT NOT NULL,              -- JSON: the yardstick for the capture
        selection TEXT NOT NULL           -- under which settings `excluded` was judged
    ) STRICT;
    CREATE TABLE places (                 -- where a document lies: the same bytes elsewhere cite again
        path TEXT PRIMARY KEY,
        document INTEGER NOT NULL REFERENCES documents
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX places_by_document ON places (document);
    CREATE TABLE selection (              -- the rules of the last run; when they change, all is judged anew
        current TEXT NOT NULL
    ) STRICT;
    CREATE TABLE troubles (               -- documents which cannot be read: told once, not every night
        path TEXT PRIMARY KEY,
        sentence TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE targets (
        id INTEGER PRIMARY KEY,
        href TEXT NOT NULL UNIQUE,
        state TEXT NOT NULL DEFAULT 'pending',
        reason TEXT NOT NULL DEFAULT '',
        due_at TEXT,                      -- of failed, dead and deferred ones
        failures INTEGER NOT NULL DEFAULT 0,
        visited_at TEXT,                  -- the last visit
        good INTEGER REFERENCES visits    -- the newest good capture, never hidden by a later failure
    ) STRICT;
    CREATE TABLE citations (
        document INTEGER NOT NULL REFERENCES documents,
        number INTEGER NOT NULL,
        url TEXT NOT NULL,
        role TEXT NOT NULL,
        line INTEGER NOT NULL,
        target INTEGER REFERENCES targets,
        refusal TEXT,                     -- scheme, malformed: nothing can be fetched
        excluded TEXT,                    -- role, scheme, malformed, port, address; NULL is wanted
        PRIMARY KEY (document, number)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX citations_by_target ON citations (target);
    CREATE TABLE visits (
        id INTEGER PRIMARY KEY,
        target INTEGER REFERENCES targets, -- NULL: robots.txt
        href TEXT NOT NULL,
        final_href TEXT NOT NULL,
        started_at TEXT NOT NULL,
        ended_at TEXT NOT NULL,
        captured_at TEXT NOT NULL,        -- when the page itself was asked for
        state TEXT NOT NULL,
        reason TEXT NOT NULL,
        until TEXT,
        detail TEXT NOT NULL,
        tries INTEGER NOT NULL,
        status INTEGER,
        mime TEXT,
        collection TEXT NOT NULL,
        warc TEXT NOT NULL,
        visit_offset INTEGER NOT NULL,
        visit_length INTEGER NOT NULL,
        page_warc TEXT,
        page_offset INTEGER,
        page_length INTEGER,
        entity_sha256 TEXT,
        held TEXT,                        -- JSON: what a later revisit refers to
        title TEXT,
        text_path TEXT,                   -- relative to the collection, without suffix; NULL: not made yet
        UNIQUE (collection, warc, visit_offset)
    ) STRICT;
    CREATE INDEX visits_by_target ON visits (target, started_at);
    CREATE INDEX visits_without_text ON visits (id) WHERE text_path IS NULL AND page_offset IS NOT NULL;
    CREATE TABLE payloads (               -- what the collection holds, by content
        collection TEXT NOT NULL,
        entity_sha256 TEXT NOT NULL,
        held TEXT NOT NULL,
        PRIMARY KEY (collection, entity_sha256)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE segments (               -- how far each WARC is committed
        collection TEXT NOT NULL,
        warc TEXT NOT NULL,
        end_offset INTEGER NOT NULL,
        PRIMARY KEY (collection, warc)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE hosts (
        host TEXT PRIMARY KEY,
        not_before TEXT,
        response_seconds REAL NOT NULL,
        failures INTEGER NOT NULL,
        robots_at TEXT,
        robots_status INTEGER,
        robots_body BLOB NOT NULL,
        robots_schemes TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    """,
    """
    ALTER TABLE visits ADD COLUMN purpose TEXT NOT NULL DEFAULT 'page';  -- page, robots, requisite
    UPDATE visits SET purpose = 'robots' WHERE target IS NULL;
    ALTER TABLE visits ADD COLUMN of_visit INTEGER REFERENCES visits;    -- of a requisite: the visit of its page
    CREATE INDEX visits_of_visit ON visits (of_visit) WHERE of_visit IS NOT NULL;
    CREATE INDEX visits_by_href ON visits (href);
    CREATE INDEX visits_by_final_href ON visits (final_href);
    CREATE INDEX visits_by_time ON visits (captured_at, purpose, state);
    CREATE TABLE uses (                   -- requisites which an earlier page of the same run had brought already
        page INTEGER NOT NULL REFERENCES visits,
        requisite INTEGER NOT NULL REFERENCES visits,
        PRIMARY KEY (page, requisite)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE imports (                -- files of other tools, by the sha256 of their bytes as they came
        sha256 TEXT PRIMARY KEY,
        warcs TEXT NOT NULL,              -- JSON: the names of the WARCs which came out of it
        source TEXT NOT NULL,             -- the name of the file as it was given
        tool TEXT NOT NULL,               -- what its warcinfo or datapackage says made it
        imported_at TEXT NOT NULL,
        left_out TEXT NOT NULL            -- JSON: what of it could not be taken, one sentence each
    ) STRICT, WITHOUT ROWID;
    """,
    """
    ALTER TABLE hosts ADD COLUMN slowdown REAL NOT NULL DEFAULT 1.0;  -- how many times its delay is kept
    ALTER TABLE hosts ADD COLUMN noted_at TEXT;                       -- when not_before was promised
    -- Each run counts the texts, whose rows are large.
    CREATE INDEX visits_with_text ON visits (collection, text_path) WHERE text_path > '';
    """,
)


Columns = tuple[tuple[str, str | None], ...]  # table and column, in order


def migrate(db: sqlite3.Connection, path: Path) -> None:
    version = check_version(db, path)
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        marks = f"PRAGMA user_version = {number}; PRAGMA application_id = {APPLICATION_ID}"
        db.executescript(f"BEGIN; {script}; {marks}; COMMIT;")


def check_version(db: sqlite3.Connection, path: Path) -> int:
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    owner = int(db.execute("PRAGMA application_id").fetchone()[0])
    empty = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if owner != APPLICATION_ID and not (owner == 0 and version == 0 and empty):
        raise IntegrityError(f"{path}: this is another program's database; move it away, then run `scraper rebuild`")
    if version < 0:
        raise StateDamaged(damaged(path, f"schema {version}"))
    if version > len(MIGRATIONS):
        raise ConfigError(
            f"{path}: made by a newer scraper (schema {version}, this one knows {len(MIGRATIONS)}); upgrade scraper"
        )
    found, promised = set(_columns(db)), set(promised_columns(version))
    if different := sorted(f"{table}.{column}" for table, column in found ^ promised):
        raise StateDamaged(damaged(path, f"schema {version} is not so made: {', '.join(different[:3])[:200]}"))
    return version


def _columns(db: sqlite3.Connection) -> Iterator[tuple[str, str | None]]:
    """Every column of every table; what is neither table nor index has none, and none is promised."""
    yield from db.execute(
        "SELECT m.name, c.name FROM sqlite_master m LEFT JOIN pragma_table_info(m.name) c "
        "WHERE m.type != 'index' AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    )


@cache
def promised_columns(version: int) -> Columns:
    """The tables of a schema, as its migrations make them."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    try:
        for script in MIGRATIONS[:version]:
            db.executescript(script)
        return tuple(_columns(db))
    finally:
        db.close()


def damaged(path: Path | str, why: object) -> str:
    """The sentence for a state file that cannot be read."""
    return f"{path}: the state file is damaged ({why}); the next `scraper run` makes it again from the WARCs"


class translated:
    """Turns SQLite's errors into ours, naming the file and what to do next."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if not isinstance(error, sqlite3.Error):
            return
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_IOERR", "SQLITE_CANTOPEN")):
            raise ArchiveUnwritable(
                f"{self.path}: cannot be used: {error}; free or mount the disk, or mend its rights"
            ) from error
        # A text that is no UTF-8 or no JSON any more has no name of its own among SQLite's errors.
        is_wrong = "Could not decode" in str(error) or "malformed JSON" in str(error)
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or is_wrong:
            raise StateDamaged(damaged(self.path, error)) from error
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise ArchiveUnwritable(f"{self.path}: another program holds the state file; try again later") from error
