"""The addresses of our own pages. An archived URL is only ever part of a path of ours."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from urllib.parse import quote

# All that may stand in a path or query beside letters, digits and escapes: an archived URL stays as it is, but for
# what would end our address (`#`) or break it (blanks, quotes, controls).
_KEPT = "%/:?&=+,;@!$'()*~[]|^`{}\\-._"


@lru_cache(maxsize=256)  # a page has a dozen links to the same URL
def archived(url: str) -> str:
    """An archived URL as the end of an address of ours."""
    return quote(url, safe=_KEPT, errors="replace")


def stamp(moment: datetime | str) -> str:
    """The 14 digits of an instant, or of the state's text for it (`2019-09-09T12:03:00.000000Z`)."""
    text = moment if isinstance(moment, str) else moment.strftime("%Y%m%d%H%M%S")
    return "".join(letter for letter in text[:19] if letter.isdigit())


def page(collection: str, timestamp: str, url: str, modifier: str = "") -> str:
    """The page as it was; with `id_` its payload byte for byte."""
    return f"/{quote(collection)}/{timestamp}{modifier}/{archived(url)}"


def tab(collection: str, timestamp: str, name: str, url: str) -> str:
    """One of the tabs of a capture: text, fields, headers, raw, changes, player."""
    if name == "player":
        return f"/-/player/show/{quote(collection)}/{timestamp}/{archived(url)}"
    return f"/-/capture/{quote(collection)}/{timestamp}/{name}/{archived(url)}"


def captures(collection: str, url: str, prefix: str = "") -> str:
    """All captures of a URL, or those of a year (4 digits) or month (6 digits)."""
    return f"/-/captures/{quote(collection)}/{prefix}{'/' if prefix else ''}{archived(url)}"


def document(digest: str) -> str:
    """A citing document."""
    return f"/-/document/{quote(digest)}"


def search(words: str, number: int) -> str:
    """One page of search results; pages count from 1."""
    return f"/-/search?q={quote(words, safe='', errors='replace')}&page={number}"
