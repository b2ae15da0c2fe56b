"""What a browser would choose: of a srcset one candidate, of a font face one file. Pure.

The browser is a wide desktop one: 1280 px, one device pixel a CSS pixel, a light colour scheme.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from scraper import references
from scraper.references import Reference

VIEWPORT_PX = 1280.0
_EM_PX = 16.0

_MEDIA_TYPE = re.compile(r"\s*(?:only\s+)?(all|screen|print|speech|aural|braille|embossed|handheld|projection|tty)\b")
_WIDTH = re.compile(r"\(\s*(min|max)-(?:device-)?width\s*:\s*([0-9]{1,7}(?:\.[0-9]{1,7})?)\s*(px|r?em)\s*\)")
_LENGTH = re.compile(r"([0-9]{1,7}(?:\.[0-9]{1,7})?)(px|r?em|vw)\Z")
_CONDITION = re.compile(r"\s*+((?:\([^()]{0,200}\)|\s|and|not|only|screen|all){0,20})([^\s(),]{1,20})\s*\Z")
_DESCRIPTOR = re.compile(r"([0-9]{1,7}(?:\.[0-9]{1,7})?)([wx])\Z")
_SHOWN_TYPES = re.compile(r"image/(?:avif|webp|jpe?g|png|apng|gif|svg\+xml|bmp|x-icon|vnd\.microsoft\.icon)\Z")
_FORMAT = re.compile(r"\s{0,20}\)?\s{0,20}format\(\s{0,20}[\"']?([a-z0-9-]{1,30})", re.IGNORECASE)
_FONT_FORMATS = {"woff2": 0, "woff2-variations": 0, "woff": 1, "woff-variations": 1}
_OTHER_FORMAT = 2
_UNREAD_FORMATS = {"embedded-opentype", "svg", "eot"}
_FONT_ENDINGS = {"woff2": 0, "woff": 1}


def is_for_screen(media: str) -> bool:
    """Whether a media query list can hold on some screen: style sheets for print alone are not fetched."""
    queries = media.lower().split(",")
    return any((named := _MEDIA_TYPE.match(query)) is None or named[1] in ("all", "screen") for query in queries)


def matches(media: str) -> bool:
    """Whether a media query list holds in our browser, as far as widths, colour scheme and media type tell."""
    return is_for_screen(media) and any(_holds(query) for query in media.lower().split(",") if is_for_screen(query))


def _holds(query: str) -> bool:
    if "prefers-color-scheme" in query and "dark" in query:
        return False
    for bound, number, unit in _WIDTH.findall(query):
        width = float(number) * (1.0 if unit == "px" else _EM_PX)
        if width > VIEWPORT_PX if bound == "min" else width < VIEWPORT_PX:
            return False
    return True


def is_shown(media_type: str) -> bool:
    """Whether browsers show pictures of this type; an empty one says nothing."""
    return not media_type or _SHOWN_TYPES.match(media_type.strip().lower()) is not None


def candidate(srcset: str, sizes: str = "") -> str | None:
    """The one address of a srcset: the smallest that has a pixel for every pixel of the screen, else the largest."""
    found = list(references.in_srcset(srcset))
    if not found:
        return None
    width = width_px(sizes)
    dense = [(density, one.url) for one in found if (density := _density(one, width)) is not None]
    if not dense:
        return found[0].url
    enough = [pair for pair in dense if pair[0] >= 1.0]
    return min(enough, key=_first)[1] if enough else max(dense, key=_first)[1]


def _first(pair: tuple[float, str]) -> float:
    return pair[0]


def _density(one: Reference, width: float) -> float | None:
    if not one.descriptor:
        return 1.0
    for word in one.descriptor.split():
        if said := _DESCRIPTOR.match(word):
            return float(said[1]) if said[2] == "x" else float(said[1]) / max(width, 1.0)
    return None


def width_px(sizes: str) -> float:
    """The width that a `sizes` attribute gives the picture in our window; the whole of it where it gives none."""
    for part in sizes.lower()[:2000].split(","):
        said = _CONDITION.match(part)
        if said is None or not matches(said[1].strip() or "all"):
            continue
        if length := _LENGTH.match(said[2]):
            factor = {"px": 1.0, "vw": VIEWPORT_PX / 100}.get(length[2], _EM_PX)
            return float(length[1]) * factor
    return VIEWPORT_PX


def font(sources: Iterable[tuple[Reference, str]]) -> Reference | None:
    """The one file of a `@font-face`: WOFF 2 before WOFF before the rest. Each source comes with the text after it."""
    ranked = [(rank, one) for one, after in sources if (rank := _font_rank(one, after)) is not None]
    return min(ranked, key=lambda pair: pair[0])[1] if ranked else None


def _font_rank(one: Reference, after: str) -> int | None:
    if said := _FORMAT.match(after):
        name = said[1].lower()
        return None if name in _UNREAD_FORMATS else _FONT_FORMATS.get(name, _OTHER_FORMAT)
    if one.url.lower().startswith("data:"):
        return 0 if "woff2" in one.url[:60] else 1
    ending = one.url.partition("#")[0].partition("?")[0].lower().rpartition(".")[2]
    return None if ending in _UNREAD_FORMATS else _FONT_ENDINGS.get(ending, _OTHER_FORMAT)
