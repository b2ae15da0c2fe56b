"""Where a page stands in the archive, and what an address in it leads to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from scraper import urls
from scraper.errors import ScraperError
from scraper.references import Kind

MOST_CHARACTERS = 20_000_000  # of what is to be rewritten
MOST_WRITTEN = 80_000_000  # characters of addresses, as they are written

# pywb's modifiers: they tell the server what a placeholder must be like when the resource is missing.
MODIFIERS = {
    Kind.IMAGE: "im_",
    Kind.STYLE: "cs_",
    Kind.SCRIPT: "js_",
    Kind.FRAME: "if_",
    Kind.FONT: "oe_",
    Kind.MEDIA: "oe_",
    Kind.OTHER: "oe_",
    Kind.LINK: "",
}
# Addresses which the WHATWG parser would give back as they are, or with the base's origin before them: nothing to
# escape, to lower or (as there is neither "/." nor "/%2") to walk up. The last label begins with a letter, for
# others may be IPv4 numbers.
_HOST = r"https?://(?:[a-z0-9-]+\.)+[a-z][a-z0-9-]*+/"
_PATH = r"[A-Za-z0-9~_?=&;,:+!*%$()@./-]*+"
_NORMAL = re.compile(_HOST + _PATH)
_ROOTED = re.compile(r"/(?!/)" + _PATH)
_SPACE = "".join(map(chr, range(0x21)))


class TooLarge(ScraperError):
    """A page or style sheet too large to be rewritten in bounded time and memory; its bytes can be had as they are."""


@dataclass(frozen=True, slots=True)
class Place:
    """A capture's collection, its timestamp (14 digits) and URL; `base` is the page's `<base href>`, if any."""

    collection: str
    timestamp: str
    url: str
    base: str = ""

    def resolve(self, url: str) -> str | None:
        """An address made absolute, with its fragment and without userinfo; None where it is none of the web's."""
        if len(url) <= urls.LONGEST_URL and not ("/." in url or "/%2" in url or "xn--" in url):
            if _NORMAL.fullmatch(url):
                return url
            if _ROOTED.fullmatch(url) and (origin := _origin(self.base or self.url)):
                return origin + url
        plain = url.strip(_SPACE)
        fragment = plain.partition("#")[2]
        try:
            href = urls.target(plain, self.base or self.url).href
        except urls.NotATarget:
            return None
        return f"{href}#{fragment}" if fragment else href

    def link(self, url: str, modifier: str = "") -> str:
        """The address in the archive of an absolute or relative URL, or "" where that is none of the web's."""
        href = self.resolve(url)
        return f"/{self.collection}/{self.timestamp}{modifier}/{href}" if href else ""


@lru_cache(maxsize=64)
def _origin(url: str) -> str:
    """What goes before a path to make it absolute; "" where the base is none of the web's."""
    try:
        return urls.origin(urls.target(url))
    except urls.NotATarget:
        return ""
