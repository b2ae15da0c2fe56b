"""The memory of the runs: documents, citations, targets, visits and hosts, in one SQLite file.

Rows are the commit mark: a visit is done when its row is committed, which happens after its records are on disk.
"""

from scraper.state.file import StateFile
from scraper.state.reader import CITATION_STANDING, Fingerprint, StateReader, fingerprint
from scraper.state.rows import TargetRow, TextJob, VisitRow, moment, now, row_of, stamp, stored_json
from scraper.state.schema import FILE_NAME

__all__ = [
    "CITATION_STANDING",
    "FILE_NAME",
    "Fingerprint",
    "StateFile",
    "StateReader",
    "TargetRow",
    "TextJob",
    "VisitRow",
    "fingerprint",
    "moment",
    "now",
    "row_of",
    "stamp",
    "stored_json",
]
