"""The only door to `archive/collections/`: WARC files, their index, and the texts derived from them. No network."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scraper.archiver.collection import Collection as Collection
    from scraper.archiver.collection import Kept as Kept
    from scraper.archiver.excerpt import Excerpt as Excerpt
    from scraper.archiver.excerpt import Piece as Piece
    from scraper.archiver.foreign_history import captures as captures
    from scraper.archiver.history import Answer as Answer
    from scraper.archiver.history import Recorded as Recorded
    from scraper.archiver.history import Told as Told
    from scraper.archiver.history import Uses as Uses
    from scraper.archiver.history import recorded as recorded
    from scraper.archiver.history import told as told
    from scraper.archiver.imports import Import as Import
    from scraper.archiver.imports import Imports as Imports
    from scraper.archiver.imports import Refused as Refused
    from scraper.archiver.imports import Source as Source
    from scraper.archiver.imports import file_sha256 as file_sha256
    from scraper.archiver.imports import unknown as unknown
    from scraper.archiver.index import Index as Index
    from scraper.archiver.index import IndexEntry as IndexEntry
    from scraper.archiver.index import index_lines as index_lines
    from scraper.archiver.layout import IMPORTED as IMPORTED
    from scraper.archiver.layout import OPEN_SUFFIX as OPEN_SUFFIX
    from scraper.archiver.layout import Layout as Layout
    from scraper.archiver.layout import collections as collections
    from scraper.archiver.lock import Alone as Alone
    from scraper.archiver.lock import Lock as Lock
    from scraper.archiver.lock import Watch as Watch
    from scraper.archiver.oddities import away as away
    from scraper.archiver.oddities import away_folders as away_folders
    from scraper.archiver.problems import Kind as Kind
    from scraper.archiver.problems import Problem as Problem
    from scraper.archiver.proving import check as check
    from scraper.archiver.proving import inspect as inspect
    from scraper.archiver.recovery import Recovery as Recovery
    from scraper.archiver.recovery import beyond as beyond
    from scraper.archiver.recovery import rebuild_index as rebuild_index
    from scraper.archiver.recovery import recover as recover
    from scraper.archiver.recovery import untold as untold
    from scraper.archiver.repair import Mended as Mended
    from scraper.archiver.repair import mend as mend
    from scraper.archiver.search import Everywhere as Everywhere
    from scraper.archiver.search import Hit as Hit
    from scraper.archiver.search import Search as Search
    from scraper.archiver.search import SearchEntry as SearchEntry
    from scraper.archiver.search import SearchIndex as SearchIndex
    from scraper.archiver.search import find_everywhere as find_everywhere
    from scraper.archiver.searchfile import discard as discard
    from scraper.archiver.stream import PageStream as PageStream
    from scraper.archiver.survey import Survey as Survey
    from scraper.archiver.text import Page as Page
    from scraper.archiver.text import Pages as Pages
    from scraper.archiver.text import Texts as Texts
    from scraper.archiver.visits import PageRecord as PageRecord

_MODULES = {
    "IMPORTED": "layout",
    "OPEN_SUFFIX": "layout",
    "Alone": "lock",
    "Answer": "history",
    "Collection": "collection",
    "Everywhere": "search",
    "Excerpt": "excerpt",
    "Hit": "search",
    "Import": "imports",
    "Imports": "imports",
    "Index": "index",
    "IndexEntry": "index",
    "Kept": "collection",
    "Kind": "problems",
    "Layout": "layout",
    "Lock": "lock",
    "Mended": "repair",
    "Page": "text",
    "PageRecord": "visits",
    "PageStream": "stream",
    "Pages": "text",
    "Piece": "excerpt",
    "Problem": "problems",
    "Recorded": "history",
    "Recovery": "recovery",
    "Refused": "imports",
    "Search": "search",
    "SearchEntry": "search",
    "SearchIndex": "search",
    "Source": "imports",
    "Survey": "survey",
    "Texts": "text",
    "Told": "history",
    "Uses": "history",
    "Watch": "lock",
    "away": "oddities",
    "away_folders": "oddities",
    "beyond": "recovery",
    "captures": "foreign_history",
    "check": "proving",
    "collections": "layout",
    "discard": "searchfile",
    "file_sha256": "imports",
    "find_everywhere": "search",
    "index_lines": "index",
    "inspect": "proving",
    "mend": "repair",
    "rebuild_index": "recovery",
    "recorded": "history",
    "recover": "recovery",
    "told": "history",
    "unknown": "imports",
    "untold": "recovery",
}

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


def __getattr__(name: str) -> Any:
    # Lazily: who appends needs no check and no import, and every command and worker comes by here.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return found
