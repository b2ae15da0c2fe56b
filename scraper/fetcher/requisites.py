"""What a page needs to be seen: images, style sheets with what they import, fonts, icons. Pure.

Not what runs or is played: scripts, frames, audio and video stay where they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from selectolax.lexbor import LexborHTMLParser, LexborNode

from scraper import decode, message, references, urls
from scraper.extractor import guard
from scraper.fetcher import choice
from scraper.model import Exchange, ParserLimits, Target
from scraper.references import Kind, Reference

# What is larger is archived, but nothing is looked for in it: no page for people is like that.
_LIMITS = ParserLimits(max_bytes=4 * 1024 * 1024, max_tags=100_000, max_depth=512)
_LARGEST_SHEET_BYTES = 2 * 1024 * 1024
_PAGE_TYPES = frozenset({"text/html", "application/xhtml+xml"})
_MOST_NEEDS = 2_000  # of one page or style sheet; the budget is smaller by far
_SELECTOR = (
    "base[href],link[href],link[imagesrcset],img,style,"
    r'[style*="url(" i],[style*="image-set(" i],[style*="\\"],'
    "[background],input[src],video[poster],image,use,feImage"
)
# Style without any of these asks for nothing (`\\` may spell one of them by escapes): most has none.
_TELLING = ("url(", "@import", "image-set(", "\\")
_COUNTER_PX = frozenset({"0", "1", "0px", "1px"})


class Rank(IntEnum):
    """What goes first: what names more, then what is seen most."""

    STYLE = 0
    FONT = 1
    IMAGE = 2
    ICON = 3
    DECORATION = 4  # images that style sheets name, perhaps for nothing on this page


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that a page needs to be seen."""

    target: Target
    kind: Kind
    rank: Rank


@dataclass(frozen=True, slots=True)
class _Found:
    """An address as written, before it is judged."""

    url: str
    kind: Kind
    rank: Rank
    base: str = ""  # "": the page's own


def is_page(exchange: Exchange) -> bool:
    """Whether an answer is a page by its headers alone."""
    mime = (exchange.header("content-type") or "").partition(";")[0].strip().lower()
    return exchange.status == 200 and mime in _PAGE_TYPES


def of_page(page: Exchange) -> list[Need]:
    """What a page names, most needed first; nothing for what no parser should be given."""
    body = _content(page, _LIMITS.max_bytes)
    content_type = page.header("content-type")
    if not body or guard.not_html(body, content_type) is not None:
        return []
    text = decode.html(body, content_type).text
    if guard.over_limits(text, _LIMITS) is not None:
        return []
    return _needs(_Page(text, page.target.href).found(), page.target.href)


def of_sheet(sheet: Exchange) -> list[Need]:
    """What a style sheet names: imports, one file a font face, images."""
    body = _content(sheet, _LARGEST_SHEET_BYTES)
    return _needs(in_style(decode.plain(body).text, sheet.target.href), sheet.target.href) if body else []


def _content(exchange: Exchange, largest_bytes: int) -> bytes:
    """The body as it was meant; empty where it is too large or cannot be unpacked."""
    try:
        return message.content(message.entity(exchange.received), message.codings(exchange.headers), largest_bytes)[
            :largest_bytes
        ]
    except message.TooLarge:
        return b""


def _needs(found: Iterator[_Found], own_href: str) -> list[Need]:
    """What can be asked for, each once, and never the page itself."""
    needs: dict[str, Need] = {}
    for one in found:
        url = one.url.strip()
        if not url or url.startswith("#"):
            continue
        try:
            target = urls.target(url, one.base or own_href)
        except urls.NotATarget:
            continue
        if target.href != own_href:
            needs.setdefault(target.href, Need(target, one.kind, one.rank))
        if len(needs) >= _MOST_NEEDS:
            break
    return sorted(needs.values(), key=lambda need: need.rank)


# ----------------------------------------------------------------------- CSS


def in_style(text: str, base: str) -> Iterator[_Found]:
    """What a style sheet or a style attribute names."""
    if not (_tells(text) or _tells(text.lower())):
        return
    faces: list[tuple[Reference, str]] = []
    face_end = -1
    for one in references.in_css(text):
        if one.kind is Kind.FONT:
            if one.start >= face_end:
                yield from _face(faces, base)
                faces, face_end = [], _end_of_block(text, one.start)
            faces.append((one, text[one.end : one.end + 80]))
        elif one.kind is Kind.STYLE:
            yield _Found(one.url, Kind.STYLE, Rank.STYLE, base)
        elif one.kind is Kind.IMAGE:
            yield _Found(one.url, Kind.IMAGE, Rank.DECORATION, base)
    yield from _face(faces, base)


def _tells(text: str) -> bool:
    # Plain searches are ten times as fast as one for a pattern.
    return any(word in text for word in _TELLING)


def _face(faces: list[tuple[Reference, str]], base: str) -> Iterator[_Found]:
    if (chosen := choice.font(faces)) is not None:
        yield _Found(chosen.url, Kind.FONT, Rank.FONT, base)


def _end_of_block(text: str, at: int) -> int:
    end = text.find("}", at)
    return end if end >= 0 else len(text)


# ---------------------------------------------------------------------- HTML


class _Page:
    """One pass over a page's elements."""

    def __init__(self, text: str, href: str) -> None:
        self._nodes = LexborHTMLParser(text).css(_SELECTOR)
        self._href = href
        self._base = href
        self._has_icon = False

    def found(self) -> Iterator[_Found]:
        """Every address that is needed, as written."""
        self._base = self._first_base()
        for node in self._nodes:
            for one in self._of(node):
                yield one if one.base else _Found(one.url, one.kind, one.rank, self._base)
        if not self._has_icon:
            yield _Found("/favicon.ico", Kind.IMAGE, Rank.ICON, self._href)

    def _first_base(self) -> str:
        for node in self._nodes:
            if node.tag == "base" and (href := node.attributes.get("href")):
                base = urls.resolved(href.strip(), self._href)
                return base if base.startswith(("http://", "https://")) else self._href
        return self._href

    def _of(self, node: LexborNode) -> Iterator[_Found]:
        named = node.attributes
        match node.tag:
            case "link":
                yield from self._link(named)
            case "img":
                yield from self._image(node, named)
            case "style":
                if choice.is_for_screen(named.get("media") or "all"):
                    yield from in_style(node.text(deep=True), self._base)
            case "input":
                if (named.get("type") or "").strip().lower() == "image":
                    yield _image(named.get("src"))
            case "video":
                yield _image(named.get("poster"))
            case "image" | "use" | "feImage" | "feimage":
                yield _image(named.get("href") or named.get("xlink:href"))
        yield from self._dress(named)

    def _dress(self, named: dict[str, str | None]) -> Iterator[_Found]:
        """What any element can wear."""
        if style := named.get("style"):
            yield from in_style(style, self._base)
        if background := named.get("background"):
            yield _image(background)

    def _link(self, named: dict[str, str | None]) -> Iterator[_Found]:
        words = (named.get("rel") or "").lower().split()
        href = named.get("href") or ""
        if "stylesheet" in words:
            # An alternate one is worn only when the reader asks for it, which needs a script or a menu.
            if "alternate" not in words and choice.is_for_screen(named.get("media") or "all"):
                yield _Found(href, Kind.STYLE, Rank.STYLE)
        elif "icon" in words:
            self._has_icon = True
            yield _Found(href, Kind.IMAGE, Rank.ICON)
        elif "preload" in words and choice.matches(named.get("media") or "all"):
            kind = references.link_kind("preload", named.get("as") or "")
            if kind is Kind.IMAGE:
                srcset = choice.candidate(named.get("imagesrcset") or "", named.get("imagesizes") or "")
                yield _image(srcset or href)
            elif kind in (Kind.STYLE, Kind.FONT):
                yield _Found(href, kind, Rank.STYLE if kind is Kind.STYLE else Rank.FONT)

    def _image(self, node: LexborNode, named: dict[str, str | None]) -> Iterator[_Found]:
        if named.get("width") in _COUNTER_PX and named.get("height") in _COUNTER_PX:
            return  # a counter, not a picture
        parent = node.parent
        if parent is not None and parent.tag == "picture" and (chosen := _of_picture(parent, node)):
            yield _image(chosen)
        else:
            yield _image(_of_image(named, named.get("sizes") or ""))


def _image(url: str | None) -> _Found:
    return _Found(url or "", Kind.IMAGE, Rank.IMAGE)


def _of_picture(picture: LexborNode, image: LexborNode) -> str | None:
    """The first source before the image that our browser would take (HTML standard, 4.8.4.3.5)."""
    for source in picture.iter():
        if source == image:
            return None
        if source.tag != "source":
            continue
        named = source.attributes
        if not choice.matches(named.get("media") or "all") or not choice.is_shown(named.get("type") or ""):
            continue
        srcset = _srcset(named)
        if srcset and (chosen := choice.candidate(srcset, named.get("sizes") or "")):
            return chosen
    return None


def _of_image(named: dict[str, str | None], sizes: str) -> str | None:
    """What an image shows: of its srcset one, else its src; what a script would put there where both are stand-ins."""
    srcset = _srcset(named)
    if srcset and (chosen := choice.candidate(srcset, sizes)):
        return chosen
    src = named.get("src") or ""
    if not references.is_placeholder(src):
        return src
    return next((lazy for name in references.LAZY_SOURCES if (lazy := named.get(name))), None)


def _srcset(named: dict[str, str | None]) -> str:
    """The srcset, or the one that a script would put in its place."""
    srcset = named.get("srcset") or ""
    if srcset and not references.is_placeholder(srcset):
        return srcset
    if not references.is_placeholder(named.get("src") or ""):
        return ""
    return next((lazy for name in references.LAZY_SRCSETS if (lazy := named.get(name))), "")
