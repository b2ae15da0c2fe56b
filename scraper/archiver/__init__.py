"""The only door to `archive/collections/`: WARC files, their index, and the texts derived from them. No network."""

from scraper.archiver.check import check, inspect
from scraper.archiver.collection import Collection, Kept
from scraper.archiver.excerpt import Excerpt, Piece
from scraper.archiver.foreign_history import captures
from scraper.archiver.history import Answer, Recorded, Told, Uses, recorded, told
from scraper.archiver.imports import Import, Imports, Refused, Source, file_sha256, unknown
from scraper.archiver.index import Index, IndexEntry, index_lines
from scraper.archiver.layout import IMPORTED, OPEN_SUFFIX, Layout, collections
from scraper.archiver.lock import Alone, Lock, Watch
from scraper.archiver.problems import Kind, Problem
from scraper.archiver.recovery import Recovery, beyond, rebuild_index, recover, untold
from scraper.archiver.repair import Mended, mend
from scraper.archiver.search import Everywhere, Hit, Search, SearchEntry, SearchIndex, find_everywhere
from scraper.archiver.searchfile import discard
from scraper.archiver.stream import PageStream
from scraper.archiver.survey import Survey
from scraper.archiver.text import Page, Pages, Texts
from scraper.archiver.visits import PageRecord

__all__ = [
    "IMPORTED",
    "OPEN_SUFFIX",
    "Alone",
    "Answer",
    "Collection",
    "Everywhere",
    "Excerpt",
    "Hit",
    "Import",
    "Imports",
    "Index",
    "IndexEntry",
    "Kept",
    "Kind",
    "Layout",
    "Lock",
    "Mended",
    "Page",
    "PageRecord",
    "PageStream",
    "Pages",
    "Piece",
    "Problem",
    "Recorded",
    "Recovery",
    "Refused",
    "Search",
    "SearchEntry",
    "SearchIndex",
    "Source",
    "Survey",
    "Texts",
    "Told",
    "Uses",
    "Watch",
    "beyond",
    "captures",
    "check",
    "collections",
    "discard",
    "file_sha256",
    "find_everywhere",
    "index_lines",
    "inspect",
    "mend",
    "rebuild_index",
    "recorded",
    "recover",
    "told",
    "unknown",
    "untold",
]
