"""Keeps the web pages that documents cite: the exact HTTP exchange as WARC, the article as clean text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scraper.extractor import extract as extract
    from scraper.replay.transport import ArchiveTransport as ArchiveTransport

__all__ = ["ArchiveTransport", "extract"]
__version__ = "0.3.0"


def __getattr__(name: str) -> Any:
    # Lazily: `import scraper` costs nothing; the parsers load when the first page is extracted.
    if name == "extract":
        from scraper.extractor import extract

        return extract
    if name == "ArchiveTransport":
        from scraper.replay.transport import ArchiveTransport

        return ArchiveTransport
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
