"""What the page shows around the text: headlines, bylines, dates, pictures' captions. Read by lexbor. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser, LexborNode

_MOST = 40  # nodes of a kind that are looked at
_LONGEST = 600  # letters of a visible field

_BYLINES = (
    '[class*="byline" i], [rel~="author"], [itemprop~="author"], [class*="author" i], [data-testid*="byline" i],'
    ' [class*="autor" i], [class*="auteur" i], [class*="writer" i]'
)
_DATES = (
    '[class*="date" i], [class*="publish" i], [class*="timestamp" i], [class*="posted" i], [class*="time" i],'
    ' [id*="date" i], [class*="datum" i], [class*="fecha" i]'
)
_SUBTITLES = (
    '[itemprop~="alternativeHeadline"], [class*="subtitle" i], [class*="subhead" i], [class*="standfirst" i],'
    ' [class*="dek" i], [class*="sub-title" i], [class*="article__excerpt" i], [class*="sapo" i], [class*="vorspann" i]'
)
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


def read(tree: LexborHTMLParser) -> PageFacts:
    """Collect the visible fields of the page."""
    return PageFacts(
        headlines=tuple(text for node in tree.css("h1")[:_MOST] if (text := text_of(node))),
        subtitles=tuple(text for node in tree.css(_SUBTITLES)[:10] if 20 <= len(text := text_of(node)) <= _LONGEST),
        bylines=tuple(_bylines(tree)),
        times=tuple(_time(node) for node in tree.css("time")[:_MOST]),
        dates=tuple(_dates(tree)),
        figures=tuple(_figures(tree)),
        tags=tuple(text for node in tree.css('a[rel~="tag"]')[:_MOST] if (text := text_of(node))),
    )


def text_of(node: LexborNode) -> str:
    """The text of a node as shown: folded, without scripts, styles and hidden parts."""
    return " ".join(node.text(deep=True).split())


def _bylines(tree: LexborHTMLParser) -> list[Shown]:
    found = []
    for node in tree.css(_BYLINES)[:_MOST]:
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


def _dates(tree: LexborHTMLParser) -> list[Shown]:
    found = []
    for node in tree.css(_DATES)[:_MOST]:
        text = text_of(node)
        if 6 <= len(text) <= 120 and any(map(str.isdigit, text)):
            attributes = node.attributes
            found.append(Shown(text, attributes.get("datetime") or attributes.get("content") or "", _names(attributes)))
    return found


def _figures(tree: LexborHTMLParser) -> list[Figure]:
    found = []
    for node in tree.css("figure, [class*='wp-caption'], [class*='image-caption']")[:12]:
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
