"""Is this a page that a parser may be given? Judged by a linear scan of the text, before any parser. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate
from operator import sub

from scraper.model import ParserLimits

# Tags that have no content (HTML standard, 13.1.2), and those whose end tag is often left out: they do not nest.
_FLAT = frozenset(
    {
        *(
            "area",
            "base",
            "br",
            "col",
            "embed",
            "hr",
            "img",
            "input",
            "link",
            "meta",
            "param",
            "source",
            "track",
            "wbr",
        ),
        *("p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "option"),
    }
)
_TAG = re.compile(r"<(/?[a-zA-Z][a-zA-Z0-9:-]{0,30})")
# Parsers compare each attribute of a tag with all before it: 10,000 take a second, 1,000,000 three hours. The most in
# one tag, and in what would be a tag if a script were mark-up, as it is inside SVG.
_MOST_ATTRIBUTES = 256
_MOST_ATTRIBUTES_IN_RAW = 1_000
_BLANK = r"[ \t\n\f\r]"
_NO_NAME = r" \t\n\f\r/>"
_ATTRIBUTE = (
    rf"(?:[ \t\n\f\r/]*+[^{_NO_NAME}][^{_NO_NAME}=]*+"
    rf"""(?:{_BLANK}*+={_BLANK}*+(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z)|[^ \t\n\f\r>"'][^ \t\n\f\r>]*+)?+)?+)"""
)
_CROWDED = rf"<[a-zA-Z][^{_NO_NAME}]*+(?P<crowded>{_ATTRIBUTE}{{%d}})"
# In a declaration, an instruction or an odd end tag, what looks like a comment is none.
_BOGUS_COMMENT = r"<(?:[!?]|/[^a-zA-Z>])[^>]*+(?:>|\Z)"
_REST_OF_TAG = rf"[^{_NO_NAME}]*+{_ATTRIBUTE}*+[ \t\n\f\r/]*+(?:>|\Z)"
_ANY_TAG = rf"{_BOGUS_COMMENT}|</?[a-zA-Z]{_REST_OF_TAG}"
# What has no mark-up in it is passed over in runs: a lazy `.*?` looks for its end at each character.
_COMMENT = r"<!--(?:-?>|(?:[^-]++|-(?!-!?>))*+(?:--!?>|\Z))"
_RAW = "script|style|textarea|title|xmp|iframe|noembed|noframes"
_RAW_ELEMENT = rf"<(?P<name>(?ai:{_RAW}))(?=[{_NO_NAME}])(?P<raw>(?:[^<]++|<(?!/(?ai:(?P=name))[{_NO_NAME}]))*+)"
_CROWDED_TAG = re.compile(f"{_COMMENT}|{_CROWDED % (_MOST_ATTRIBUTES + 1)}|{_RAW_ELEMENT}|{_ANY_TAG}")
_CROWDED_IN_RAW = re.compile(f"{_CROWDED % (_MOST_ATTRIBUTES_IN_RAW + 1)}|{_ANY_TAG}")
# Tags where it counts, as the HTML standard's tokenizer has it (13.2.5): no mark-up in comments, attribute values,
# scripts, styles and the like. Every branch can end with the text, hence nothing is scanned twice.
_TAG_AND_REST = rf"<(?P<tag>/?[a-zA-Z][^{_NO_NAME}]{{0,30}}){_REST_OF_TAG}"
_STRICT_TAG = re.compile(rf"{_COMMENT}|{_RAW_ELEMENT}(?:</[^>]*+(?:>|\Z))?+|{_BOGUS_COMMENT}|{_TAG_AND_REST}")
# The same inside SVG and MathML, where scripts and titles are elements like any other (HTML standard, 13.2.6.5).
_FOREIGN_TAG = re.compile(f"{_COMMENT}|{_BOGUS_COMMENT}|{_TAG_AND_REST}")
_FOREIGN = frozenset({"svg", "math"})
# HTML goes on inside these, and an end tag in it may end nothing outside: where one was, nobody can tell by a scan.
_INTEGRATION_POINTS = frozenset({"foreignobject", "desc", "title", "annotation-xml", "mi", "mo", "mn", "ms", "mtext"})
# No tag has so many without one of these: a long stretch without its end, or an end hidden in an attribute's value.
_STRETCH = re.compile(r"<[a-zA-Z][^>]{500}")
_HIDDEN_END = re.compile(r"""=\s*+(?:"[^">]{0,500}+>|'[^'>]{0,500}+>)""")
_FEW_TAGS = 10_000  # whatever end tags these hide in comments: the parser is done with it in a moment
_HTML_SIGN = re.compile(
    r"<(?:!doctype|html|head|body|title|meta|script|link|div|p|h[1-6]|article|table|a|br|span|!--)\b", re.I
)
_HTML_TYPES = frozenset(
    {"text/html", "application/xhtml+xml", "application/xml", "text/xml", "application/vnd.wap.xhtml+xml"}
)
_MAGIC = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"RIFF", "application/octet-stream"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
    (b"\x00\x00\x00\x18ftyp", "video/mp4"),
    (b"\x00\x00\x00\x20ftyp", "video/mp4"),
    (b"ID3", "audio/mpeg"),
    (b"OggS", "application/ogg"),
    (b"\xd0\xcf\x11\xe0", "application/msword"),
)


def not_html(body: bytes, content_type: str | None) -> str | None:
    """The media type of what is not HTML, by its first bytes or its Content-Type; None for a page."""
    for magic, media_type in _MAGIC:
        if body.startswith(magic):
            return media_type
    declared = (content_type or "").partition(";")[0].strip().lower()
    if declared in _HTML_TYPES:
        return None
    head = body[:4096].replace(b"\0", b"").decode("latin-1")
    if _HTML_SIGN.search(head):
        # Servers call pages text/plain or octet-stream; what begins like a page is read as one.
        return None if declared in ("", "text/plain", "application/octet-stream") or "html" in declared else declared
    if declared:
        return declared
    start = head.lstrip("\ufeff \t\r\n")[:1]
    return "application/json" if start in ("{", "[") else "text/plain"


def over_limits(text: str, limits: ParserLimits) -> str | None:
    """Why a page is too much for the parsers, or None. The depth is an estimate which unclosed tags can only raise."""
    if len(text) > limits.max_tags and text.count("<") > limits.max_tags:
        return f"more than {limits.max_tags:,} tags"
    if _is_crowded(text):
        return f"more than {_MOST_ATTRIBUTES:,} attributes in one tag"
    tags = _TAG.findall(text)
    is_doubtful = _deeper(tags, limits.max_depth) or len(tags) > _FEW_TAGS
    if is_doubtful and _deeper(list(_strict_tags(text)), limits.max_depth):
        return f"nested deeper than {limits.max_depth} levels"
    return None


def _is_crowded(text: str) -> bool:
    """Has a tag more attributes than a parser should be given?"""
    if not (_STRETCH.search(text) or _HIDDEN_END.search(text)):
        return False
    for found in _CROWDED_TAG.finditer(text):
        if found["crowded"]:
            return True
        raw = found["raw"] or ""
        # By itself, so that no quotation mark in what stands before can hide anything in it.
        if len(raw) > _MOST_ATTRIBUTES_IN_RAW and any(tag["crowded"] for tag in _CROWDED_IN_RAW.finditer(raw)):
            return True
    return False


def _strict_tags(text: str) -> Iterator[str]:
    """The tags that a tokenizer sees: after what may not have ended the SVG, all that may be one."""
    at, foreign, is_lost = 0, 0, False
    while found := (_FOREIGN_TAG if foreign or is_lost else _STRICT_TAG).search(text, at):
        at = found.end()
        if not (tag := found["tag"]):
            continue
        yield tag
        name = tag.lower()
        if name in _FOREIGN:
            foreign += 1
        elif foreign and name.lstrip("/") in _FOREIGN:
            foreign -= 1
        elif foreign and name in _INTEGRATION_POINTS:
            is_lost = True


def _deeper(tags: list[str], most: int) -> bool:
    """Is anything nested deeper than that, where an end tag without its start does not count?"""
    levels = list(accumulate(map(_step, tags), initial=0))
    if max(levels) - min(levels) <= most:
        return False  # as nearly every page; below is the exact reckoning
    deepest: int = max(map(sub, levels, accumulate(levels, min)))
    return deepest > most


@lru_cache(maxsize=1024)
def _step(tag: str) -> int:
    name = tag.lstrip("/").lower()
    return 0 if name in _FLAT else -1 if tag.startswith("/") else 1
