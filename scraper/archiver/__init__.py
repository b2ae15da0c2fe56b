"""The only door to `archive/collections/`: WARC files, their index, and the texts derived from them. No network."""

from scraper.archiver.check import Problem, check
from scraper.archiver.collection import Collection, Kept
from scraper.archiver.history import Recorded, recorded
from scraper.archiver.index import Index, IndexEntry, index_lines
from scraper.archiver.layout import OPEN_SUFFIX, Layout, collections
from scraper.archiver.lock import Lock
from scraper.archiver.recovery import Recovery, beyond, rebuild_index, recover
from scraper.archiver.search import Hit, Search, SearchEntry, SearchIndex
from scraper.archiver.text import Page, Pages, Texts

__all__ = [
    "OPEN_SUFFIX",
    "Collection",
    "Hit",
    "Index",
    "IndexEntry",
    "Kept",
    "Layout",
    "Lock",
    "Page",
    "Pages",
    "Problem",
    "Recorded",
    "Recovery",
    "Search",
    "SearchEntry",
    "SearchIndex",
    "Texts",
    "beyond",
    "check",
    "collections",
    "index_lines",
    "rebuild_index",
    "recorded",
    "recover",
]
