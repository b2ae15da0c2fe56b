"""What the page shows around the text: headlines, bylines, dates, pictures' captions. Read by lexbor. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from selectolax.lexbor import LexborHTMLParser, LexborNode

_MOST = 40  # nodes of a kind that are looked at
_LONGEST = 600  # letters of a visible field

# What class names (and ids) hold when they name such a field, in any case.
_BYLINE = re.compile("byline|author|autor|auteur|writer")
_DATE = re.compile("date|publish|time|posted|datum|fecha")
_SUBTITLE = re.compile("subtitle|subhead|standfirst|dek|sub-title|article__excerpt|sapo|vorspann")
_FIGURE = re.compile("wp-caption|image-caption")
_ASKED = frozenset({"id", "rel", "itemprop", "data-testid"})  # other attributes that can name a field
_ANY = re.compile("|".join(one.pattern for one in (_BYLINE, _DATE, _SUBTITLE, _FIGURE)))
_CREDITS = (
    '[class*="credit" i], [class*="copyright" i], [class*="source" i], [class*="photographer" i], [itemprop~="author"],'
    ' [itemprop~="copyrightHolder"], small, cite, em, i, span'
)


@dataclass(frozen=True, slots=True)
class Shown:
    """A visible field: its text, its machine value (`datetime`, href) and whether its mark-up names it clearly."""

    text: str
    value: str = ""
    names: str = ""
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture with what is written below it."""

    src: str
    caption: str
    credit: str


@dataclass(frozen=True, slots=True)
class PageFacts:
    """Visible fields, each in document order."""

    headlines: tuple[str, ...]
    subtitles: tuple[str, ...]
    bylines: tuple[Shown, ...]
    times: tuple[Shown, ...]
    dates: tuple[Shown, ...]
    figures: tuple[Figure, ...]
    tags: tuple[str, ...]
    text_start: str = ""


@dataclass(frozen=True, slots=True)
class _Named:
    """Which fields a class value names."""

    byline: bool = False
    date: bool = False
    subtitle: bool = False
    figure: bool = False


_NOTHING = _Named()


@dataclass(slots=True)
class _Nodes:
    """The nodes that may show a field, each kind in document order (the notebook of one pass)."""

    headlines: list[LexborNode] = field(default_factory=list)
    subtitles: list[LexborNode] = field(default_factory=list)
    bylines: list[LexborNode] = field(default_factory=list)
    times: list[LexborNode] = field(default_factory=list)
    dates: list[LexborNode] = field(default_factory=list)
    figures: list[LexborNode] = field(default_factory=list)
    tags: list[LexborNode] = field(default_factory=list)


def read(tree: LexborHTMLParser) -> PageFacts:
    """Collect the visible fields of the page."""
    nodes = _gathered(tree)
    return PageFacts(
        headlines=tuple(text for node in nodes.headlines[:_MOST] if (text := text_of(node))),
        subtitles=tuple(text for node in nodes.subtitles[:10] if 20 <= len(text := text_of(node)) <= _LONGEST),
        bylines=tuple(_bylines(nodes.bylines[:_MOST])),
        times=tuple(_time(node) for node in nodes.times[:_MOST]),
        dates=tuple(_dates(nodes.dates[:_MOST])),
        figures=tuple(_figures(nodes.figures[:12])),
        tags=tuple(text for node in nodes.tags[:_MOST] if (text := text_of(node))),
    )


def _gathered(tree: LexborHTMLParser) -> _Nodes:
    """One pass for all fields: a CSS selection for each of them costs three times as much."""
    nodes = _Nodes()
    if tree.root is None:
        return nodes
    for node in tree.root.traverse():
        if not node.is_element_node:
            continue
        tag = node.tag
        if tag == "h1":
            nodes.headlines.append(node)
        elif tag == "time":
            nodes.times.append(node)
        attributes = node.attributes
        if attributes:
            _sort_in(nodes, node, tag or "", attributes)
        elif tag == "figure":
            nodes.figures.append(node)
    return nodes


def _sort_in(nodes: _Nodes, node: LexborNode, tag: str, attributes: dict[str, str | None]) -> None:
    get = attributes.get
    named = _named(get("class") or "")
    if named is _NOTHING and tag != "figure" and _ASKED.isdisjoint(attributes):
        return
    rel, itemprop = get("rel"), get("itemprop")
    if (
        named.byline
        or _has(rel, "author")
        or _has(itemprop, "author")
        or "byline" in (get("data-testid") or "").lower()
    ):
        nodes.bylines.append(node)
    if named.date or "date" in (get("id") or "").lower():
        nodes.dates.append(node)
    if named.subtitle or _has(itemprop, "alternativeHeadline"):
        nodes.subtitles.append(node)
    if named.figure or tag == "figure":
        nodes.figures.append(node)
    if tag == "a" and _has(rel, "tag"):
        nodes.tags.append(node)


def _has(value: str | None, word: str) -> bool:
    return value is not None and word in value.split()


@lru_cache(maxsize=4096)
def _named(class_value: str) -> _Named:
    said = class_value.lower()
    if not _ANY.search(said):
        return _NOTHING
    return _Named(
        byline=bool(_BYLINE.search(said)),
        date=bool(_DATE.search(said)),
        subtitle=bool(_SUBTITLE.search(said)),
        figure=bool(_FIGURE.search(class_value)),
    )


def text_of(node: LexborNode) -> str:
    """The text of a node as shown: folded, without scripts, styles and hidden parts."""
    return " ".join(node.text(deep=True).split())


def _bylines(nodes: Iterable[LexborNode]) -> list[Shown]:
    found = []
    for node in nodes:
        if node.tag in ("meta", "link", "img", "script", "body", "html"):
            continue
        text = text_of(node)
        if not 2 <= len(text) <= 200:
            continue
        attributes = node.attributes
        names = _names(attributes)
        strong = (
            "author" in (attributes.get("rel") or "")
            or "author" in (attributes.get("itemprop") or "")
            or "byline" in names
        )
        found.append(Shown(_spaced(node), attributes.get("href") or "", names, strong))
    return found


def _spaced(node: LexborNode) -> str:
    """The text of a byline with a bar between elements that stand apart: name, role and date do not run together."""
    line = ""
    for piece in node.text(deep=True, separator="\x1f").split("\x1f"):
        apart = bool(line) and not _joins(line[-1]) and not _joins(piece[:1])
        line += f" | {piece}" if apart else piece
    return " ".join(line.split())


def _joins(char: str) -> bool:
    """A blank or comma in the running text (a line break is only the source's lay-out)."""
    return char in (" ", "\u00a0", ",", ";", "|", "/", "&")


def _names(attributes: dict[str, str | None]) -> str:
    return " ".join(filter(None, (attributes.get("class"), attributes.get("id"), attributes.get("itemprop")))).lower()


def _time(node: LexborNode) -> Shown:
    attributes = node.attributes
    around = _names(attributes)
    parent = node.parent
    if parent is not None:
        around += " " + _names(parent.attributes)
    text = text_of(node)[:120]
    return Shown(text, attributes.get("datetime") or attributes.get("content") or "", around)


def _dates(nodes: Iterable[LexborNode]) -> list[Shown]:
    found = []
    for node in nodes:
        text = text_of(node)
        if 6 <= len(text) <= 120 and any(map(str.isdigit, text)):
            attributes = node.attributes
            found.append(Shown(text, attributes.get("datetime") or attributes.get("content") or "", _names(attributes)))
    return found


def _figures(nodes: Iterable[LexborNode]) -> list[Figure]:
    found = []
    for node in nodes:
        image = node.css_first("img")
        caption_node = node.css_first("figcaption") or node.css_first('[class*="caption" i]')
        if image is None and caption_node is None:
            continue
        caption, credit = _caption(caption_node) if caption_node is not None else ("", "")
        found.append(Figure(_source(image), caption, credit))
    return found


def _source(image: LexborNode | None) -> str:
    if image is None:
        return ""
    attributes = image.attributes
    for key in ("src", "data-src", "data-lazy-src", "data-original"):
        value = (attributes.get(key) or "").strip()
        if value and not value.startswith("data:"):
            return value
    first = (attributes.get("srcset") or attributes.get("data-srcset") or "").strip().partition(" ")[0]
    return "" if first.startswith("data:") else first.rstrip(",")


def _caption(node: LexborNode) -> tuple[str, str]:
    """Caption and credit: the credit is a marked part at the end (or the start) of the caption's text."""
    whole = text_of(node)
    for part in node.css(_CREDITS):
        text = text_of(part)
        if text == whole and "credit" in _names(part.attributes):
            return "", text
        if not text or text == whole:
            continue
        named = any(word in _names(part.attributes) for word in ("credit", "copyright", "source", "photographer"))
        if (named or part.tag in ("span", "small", "cite")) and whole.endswith(text):
            if named or len(text) <= 80:
                return whole[: -len(text)].strip(" \t|/-–—"), text
        elif named and whole.startswith(text):
            return whole[len(text) :].strip(" \t|/-–—"), text
    return whole, ""
