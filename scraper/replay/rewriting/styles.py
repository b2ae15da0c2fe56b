"""Style sheets and style attributes: every address in them leads into the archive."""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import unquote_to_bytes

from scraper.references import Kind, css_string, in_css
from scraper.replay.rewriting.place import MODIFIERS, MOST_CHARACTERS, MOST_WRITTEN, Place, TooLarge

_DATA = re.compile(r"[\x00-\x20]*+data:([^,;]*+)((?:;[^,;]*+)*+),", re.I)
_DEEPEST_SHEET = 3  # data: URLs in data: URLs
_INERT_DATA = (
    "image/",
    "font/",
    "audio/",
    "video/",
    "application/font",
    "application/x-font",
    "application/octet-stream",
)
_COMMENT_SIGNS = re.compile(r"<!--|<!\[CDATA\[|\]\]>")
_REFERENCE_LIKE = re.compile(r"&(?=[#A-Za-z])")
_TAG_LIKE = re.compile(r"<(?=[A-Za-z/!?])")


def stylesheet(text: str, place: Place) -> str:
    """A style sheet whose every address leads into the archive; all else stays as it was."""
    return _rewritten(text, place, 0)


def in_style_element(text: str, place: Place) -> str:
    """The same for a `<style>`: besides, nothing in it looks like a tag or a character reference.

    So it is the same to a parser that reads it as raw text (HTML) and to one that reads it as markup (SVG).
    """
    # Before the addresses are looked for, so that those of the very text that is written are found; what is written
    # for them holds no such sign.
    if "<" in text or "]]>" in text:
        text = _TAG_LIKE.sub(r"\\3c ", _COMMENT_SIGNS.sub(" ", text))
    if "&" in text:
        text = _REFERENCE_LIKE.sub(r"\\26 ", text)
    return stylesheet(text, place)


def embedded(url: str, kind: Kind, place: Place) -> str:
    """The address to write for what a page or a style sheet shows; "" where nothing may be asked for."""
    return _embedded(url, kind, place, 0)


def _embedded(url: str, kind: Kind, place: Place, depth: int) -> str:
    if _DATA.match(url):
        return _inert_data(url, kind, place, depth)
    return place.link(url, MODIFIERS[kind])


def _of_sheet(url: str, kind: Kind, place: Place, depth: int) -> str:
    """What a style sheet paints with is of no kind: a visible placeholder for it would lie behind every paragraph."""
    painted = kind is Kind.IMAGE and not _DATA.match(url)
    return place.link(url, MODIFIERS[Kind.OTHER]) if painted else _embedded(url, kind, place, depth)


def _rewritten(text: str, place: Place, depth: int) -> str:
    parts: list[str] = []
    done = size = 0
    if len(text) > MOST_CHARACTERS:
        raise TooLarge(f"{place.url}: a style sheet of {len(text):,} characters is not rewritten; read it raw")
    for found in in_css(text):
        if found.url.lstrip().startswith("#"):
            continue  # a part of this very document: a gradient, a filter
        address = _of_sheet(found.url, found.kind, place, depth)
        if address != found.url:
            parts += (text[done : found.start], css_string(address))
            done = found.end
            size += len(address)
            if size > MOST_WRITTEN:
                raise TooLarge(f"{place.url}: rewritten, its styles have more than {MOST_WRITTEN:,} characters")
    return "".join([*parts, text[done:]]) if parts else text


def _inert_data(url: str, kind: Kind, place: Place, depth: int) -> str:
    """A data: URL that can ask for nothing; style sheets are rewritten inside, pages are dropped."""
    found = _DATA.match(url)
    assert found is not None
    media_type = found[1].strip().lower()
    if kind in (Kind.IMAGE, Kind.FONT, Kind.MEDIA, Kind.OTHER):
        return url if media_type.startswith(_INERT_DATA) else ""
    if kind is not Kind.STYLE or depth >= _DEEPEST_SHEET:
        return ""
    content = unquote_to_bytes(url[found.end() :])
    if "base64" in found[2].lower():
        try:
            content = base64.b64decode(content + b"==")
        except binascii.Error:
            return ""
    sheet = _rewritten(content.decode("utf-8", "replace"), place, depth + 1)
    return "data:text/css;charset=utf-8;base64," + base64.b64encode(sheet.encode()).decode()
