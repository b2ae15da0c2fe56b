"""The archive's captures for other programs: as tables, and as WACZ."""

from scraper.exchange.choosing import Choice, by_document, by_second, by_urls
from scraper.exchange.excerpts import Part, pack, part, single
from scraper.exchange.packing import whole
from scraper.exchange.tables import rows, write
from scraper.exchange.wacz import Contents
from scraper.exchange.wacz import write as write_wacz

__all__ = [
    "Choice",
    "Contents",
    "Part",
    "by_document",
    "by_second",
    "by_urls",
    "pack",
    "part",
    "rows",
    "single",
    "whole",
    "write",
    "write_wacz",
]
