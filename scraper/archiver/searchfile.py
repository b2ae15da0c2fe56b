"""The file of a search index: its schema, how it is opened, and SQLite's errors in our words."""

from __future__ import annotations

import os
import sqlite3
import zlib
from pathlib import Path

from scraper.archiver import newest, words
from scraper.archiver.layout import Layout
from scraper.errors import ArchiveUnwritable, IntegrityError

APPLICATION_ID = 0x73637273  # "scrs"
SCHEMA_VERSION = 2
_VERSION = SCHEMA_VERSION * 1000 + words.VERSION

NUMBERS_A_SECOND = 64

_SCHEMA = f"""
    CREATE TABLE texts (
        id INTEGER PRIMARY KEY,           -- second of the capture times {NUMBERS_A_SECOND}, or the next free one
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
    {newest.SCHEMA}
    PRAGMA user_version = {_VERSION};
    PRAGMA application_id = {APPLICATION_ID};
"""


def discard(root: Path, name: str) -> None:
    """Delete a collection's index: it is derived, and the next one who writes makes it again."""
    path = Layout(root, name).search
    for side in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        try:
            side.unlink(missing_ok=True)
        except OSError as error:
            raise ArchiveUnwritable(f"{side}: cannot be deleted: {error.strerror}; mend its rights") from error


# -------------------------------------------------------------------- opening


def reading(path: Path, option: str) -> sqlite3.Connection:
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


def writing(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    try:
        is_new = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
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
        raise IntegrityError(damaged(path, "it is of another version"))


def damaged(path: Path, why: object) -> str:
    return f"{path}: the search index cannot be read ({why}); {made_by(path)}"


def made_by(path: Path) -> str:
    """What a person can do for an index, as the end of a sentence."""
    verbs = "the next `scraper run`, `scraper extract --all` or `scraper rebuild` makes it"
    if os.access(path.parent, os.W_OK):
        return verbs
    return "nothing can be written here: copy the archive to where it can, then `scraper rebuild --archive COPY`"


class translated:
    """Turns SQLite's errors into ours, naming the file and what to do next."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, zlib.error):
            raise IntegrityError(damaged(self.path, error)) from error
        if not isinstance(error, sqlite3.Error):
            return
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            raise IntegrityError(damaged(self.path, error)) from error
        if name.startswith(("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_IOERR", "SQLITE_CANTOPEN")):
            raise ArchiveUnwritable(
                f"{self.path}: cannot be used: {error}; free or mount the disk, or mend its rights"
            ) from error
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise ArchiveUnwritable(f"{self.path}: another program holds this file; try again later") from error
