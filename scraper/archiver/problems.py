"""What can be wrong with an archive: a fixed word for programs, and a sentence for people."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

REPAIR = "run `scraper check --repair`"
RESTORE = (
    "put the file back from a copy, or run `scraper check --repair`: it keeps what is damaged in quarantine/, and the"
    " pages are fetched again"
)
SEAL = "no record is lost: `scraper check --repair` seals it anew"
RENAME = "no record is lost: `scraper check --repair` gives it that name back"
RECOVER = "the next `scraper run` sets it right"


class Kind(StrEnum):
    """The fixed words by which programs know a problem."""

    STATE = "state"  # the state file is missing or damaged
    COLLECTION_MISSING = "collection-missing"
    WARC_MISSING = "warc-missing"
    WARC_EMPTY = "warc-empty"
    WARCINFO_MISSING = "warcinfo-missing"
    WARC_TWICE = "warc-twice"  # unfinished beside a finished one of the same name
    WARC_MISNAMED = "warc-misnamed"  # it has the name of another, or one that nobody knows
    WARC_AWAY = "warc-away"  # a link whose target is missing, or no file: nothing can be said of what it holds
    NAME = "name"  # a file that cannot be told of by its name
    DAMAGED = "damaged"  # bytes that are no whole, right record
    DIGEST = "digest"  # a record that is not what its own digests say
    DOUBLED = "doubled"  # a record whose id an earlier one has
    REVISIT = "revisit"  # it refers to what is not here
    SEAL_MISSING = "seal-missing"
    SEAL_DAMAGED = "seal-damaged"
    SEAL_DIFFERS = "seal-differs"
    PROVENANCE = "provenance"  # of an imported file, what says where it is from
    INDEX_DAMAGED = "index-damaged"
    LINE_MISSING = "line-missing"
    LINE_DOUBLED = "line-doubled"
    LINE_DIFFERS = "line-differs"
    LINE_UNSORTED = "line-unsorted"
    ROW_DIFFERS = "row-differs"  # the state knows a record that is not there
    ROW_MISSING = "row-missing"  # the state does not know a visit
    MARK = "mark"  # the state knows more of a file than there is
    TEXT_MISSING = "text-missing"
    TEXT_DAMAGED = "text-damaged"
    TEXT_DIFFERS = "text-differs"  # it names a record that is not there
    TEXT_UNKNOWN = "text-unknown"  # the state does not know it
    PAGES = "pages"
    SEARCH = "search"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it must be: in which file, where, what, and what to do next."""

    kind: Kind
    path: Path
    offset: int | None
    what: str
    advice: str

    def __str__(self) -> str:
        where = f" at offset {self.offset}" if self.offset is not None else ""
        return f"{self.path}{where}: {self.what}; {self.advice}"
