"""HTML documents -> citations and facts, in one pass over the tags: no tree, so no depth is too deep. Pure.

The page is turned into lines of text in which every link's text stands in brackets, as in Markdown; the roles
are then read off the wording as in any other text.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from html.entities import html5
from io import StringIO
from itertools import chain

from scraper import urls
from scraper.citations import roles
from scraper.citations.boundaries import Found, bounded, refuse_too_many, scan
from scraper.citations.cite import cite, completed, unique
from scraper.model import Citation, Facts, Role

_MARKUP = re.compile(r"<(?:(!--)|(/?)([A-Za-z][^\s/>]*+)|[!?])")
_TAG_END = re.compile(r"[^>\"']*+(?:(?:\"[^\"]*+\"|'[^']*+')[^>\"']*+)*+>")
_ATTRIBUTE = re.compile(r"([^\s\"'<>/=]+)(?:\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s\"'>]++)))?")
# The HTML standard, 13.2.5.73: in an attribute `&copy=` and `&copyright` are text, `&copy;` and `&copy ` are not.
_REFERENCE = re.compile(r"&(?:#(\d{1,7});?|#[xX]([0-9a-fA-F]{1,6});?|([A-Za-z][A-Za-z0-9]{1,31})(;|(?![=A-Za-z0-9])))")
_RAW = frozenset({"script", "style", "template", "textarea", "xmp", "noembed", "noframes", "svg", "math", "select"})
_BLOCKS = frozenset(
    {
        *("address", "article", "aside", "blockquote", "body", "center", "dd", "details", "dialog", "dir", "div", "dl"),
        *("dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "head"),
        *("header", "hr", "html", "legend", "li", "main", "menu", "nav", "ol", "option", "p", "pre", "section"),
        *("summary", "table", "tbody", "tfoot", "thead", "tr", "ul", "br", "title"),
    }
)
_CELLS = frozenset({"td", "th"})
_LINKS = {"a": "href", "area": "href", "q": "cite", "blockquote": "cite", "iframe": "src", "embed": "src"}
_SAVED_FROM = re.compile(r"\bsaved from url=\(\d{1,6}\)(\S+)|Page saved with SingleFile\s+url:\s+(\S+)")
_BLANKS = re.compile(r"[ \t\f\r]+")
_QUOTE_TROUBLE_LIMIT = 100
_BLOCK_END = "\n\n"


@dataclass(frozen=True, slots=True)
class _Link:
    """A link as found: where its text ends in the flow, its address as written, its line in the source."""

    at: int
    href: str
    line: int


@dataclass(slots=True)
class _Page:
    """What one pass over a page gathers."""

    flow: StringIO = field(default_factory=StringIO)
    length: int = 0
    ends_block: bool = False
    offsets: array[int] = field(default_factory=partial(array, "q"))  # where in the flow …
    source_lines: array[int] = field(default_factory=partial(array, "q"))  # … text of which line of the source begins
    links: list[_Link] = field(default_factory=list)
    open_link: tuple[str, int] | None = None
    base: str | None = None
    canonical: tuple[str, int] | None = None
    og_url: tuple[str, int] | None = None
    saved_from: tuple[str, int] | None = None
    titles: dict[str, list[str]] = field(default_factory=dict)
    heading: list[str] | None = None
    paragraph: list[str] | None = None
    paragraphs: list[str] = field(default_factory=list)
    never_closed: set[str] = field(default_factory=set)

    def put(self, text: str, line: int) -> None:
        if not self.source_lines or self.source_lines[-1] != line:
            self.offsets.append(self.length)
            self.source_lines.append(line)
        self.flow.write(text)
        self.length += len(text)
        self.ends_block = text == _BLOCK_END

    def source_line(self, offset: int) -> int:
        at = bisect_right(self.offsets, offset) - 1
        return self.source_lines[at] if at >= 0 else 1


def read_page(text: str) -> tuple[Facts, tuple[Citation, ...]]:
    """The facts and citations of an HTML document."""
    page = _gathered(text)
    original = page.canonical or page.og_url or page.saved_from
    base = _base(page, original[0] if original else None)
    flow = page.flow.getvalue()
    links = (Found(link.at, link.at + 1, link.href, explicit=True) for link in page.links)
    found = sorted(bounded(chain(links, scan(flow))), key=lambda one: one.start)
    assigned = roles.assign(roles.Lines(flow), found)

    def cited() -> Iterator[Citation | None]:
        if original:
            yield cite(original[0], Role.ORIGINAL, original[1], base)
        link_lines = (link.line for link in page.links)  # links come in the order of the flow
        for one, role in zip(found, assigned.roles, strict=True):
            yield cite(one.url, role, next(link_lines) if one.explicit else page.source_line(one.start), base)

    return _facts(page), tuple(sorted(unique(cited()), key=lambda one: one.line))


def _base(page: _Page, own: str | None) -> str | None:
    """What relative addresses are relative to: `<base>`, itself relative to the page's own address, or that."""
    address = completed(own) if own else None
    for candidate in (page.base, own):
        if not candidate:
            continue
        try:
            return urls.target(completed(candidate), address).href
        except urls.NotATarget:
            try:
                return urls.target(completed(candidate)).href
            except urls.NotATarget:
                continue
    return None


def _facts(page: _Page) -> Facts:
    headings = [text for text in page.titles.get("h1", []) if text]
    candidates = [*(headings if len(headings) == 1 else []), *page.titles.get("og", []), *page.titles.get("title", [])]
    title = next((text for text in (*candidates, *headings) if text), None)
    return Facts(title=title, paragraphs=tuple(page.paragraphs))


# ------------------------------------------------------------------ the pass


def _gathered(text: str) -> _Page:
    page = _Page()
    at, line, trouble = 0, 1, 0
    while (match := _MARKUP.search(text, at)) is not None:
        _text(page, text[at : match.start()], line)
        line += text.count("\n", at, match.start())
        name = (match[3] or "").lower()
        if match[1]:
            end = _after(text, "-->", match.end())
            _comment(page, text[match.end() : min(end, match.end() + 2000)], line)
        elif not name:
            end = _after(text, ">", match.end())
        else:
            close = _TAG_END.match(text, match.end()) if trouble < _QUOTE_TROUBLE_LIMIT else None
            trouble += close is None
            end = close.end() if close else _after(text, ">", match.end())
            if match[2]:
                _end_tag(page, name, line)
            else:
                _start_tag(page, name, text[match.end() : end], line)
                end = _skipped(page, text, name, end, line)
        line += text.count("\n", match.start(), end)
        at = end
    _text(page, text[at:], line)
    _end_paragraph(page)
    _close_link(page)
    return page


def _after(text: str, mark: str, at: int) -> int:
    found = text.find(mark, at)
    return found + len(mark) if found >= 0 else len(text)


def _skipped(page: _Page, text: str, name: str, at: int, line: int) -> int:
    """Where the content of an element ends that holds no text of the page; the title is kept."""
    if name != "title" and name not in _RAW:
        return at
    if name in page.never_closed or (text[at - 2 : at] == "/>" and name in ("svg", "math")):
        return at
    close = _CLOSERS[name].search(text, at)
    if close is None:
        page.never_closed.add(name)
    end = close.start() if close else (len(text) if name in ("script", "style") else at)
    if name == "title" and close:
        page.titles.setdefault("title", []).append(" ".join(_decoded(text[at:end]).split()))
    return end


_CLOSERS = {name: re.compile(rf"(?i)</{name}\b") for name in (*_RAW, "title")}


def _comment(page: _Page, text: str, line: int) -> None:
    match = _SAVED_FROM.search(text) if page.saved_from is None else None
    if match:
        page.saved_from = (match[1] or match[2], line)


def _start_tag(page: _Page, name: str, source: str, line: int) -> None:
    if name in _BLOCKS:
        _break(page, name, line)
    elif name in _CELLS:
        page.put(" ", line)
    if name == "p":
        page.paragraph = []
    elif name == "h1":
        page.heading = []
    if name in _LINKS or name in ("link", "meta", "base"):
        attributes = _attributes(source)
        if name in _LINKS:
            _link(page, name, attributes.get(_LINKS[name]), line)
        else:
            _head_element(page, name, attributes, line)


def _link(page: _Page, name: str, href: str | None, line: int) -> None:
    if href is None:
        return
    refuse_too_many(len(page.links))
    if name != "a":
        page.links.append(_Link(page.length, href, line))
        page.put(" ", line)
        return
    _close_link(page)
    page.put("[", line)
    page.open_link = (href, line)


def _close_link(page: _Page) -> None:
    if page.open_link is not None:
        href, line = page.open_link
        page.links.append(_Link(page.length, href, line))
        page.put("]", line)
        page.open_link = None


def _head_element(page: _Page, name: str, attributes: dict[str, str], line: int) -> None:
    href = attributes.get("href")
    if name == "base" and page.base is None and href:
        page.base = href
    elif name == "link" and href and "canonical" in attributes.get("rel", "").lower().split():
        page.canonical = page.canonical or (href, line)
    elif name == "meta":
        content = attributes.get("content", "").strip()
        what = (attributes.get("property") or attributes.get("name") or "").lower()
        if what == "og:url" and content:
            page.og_url = page.og_url or (content, line)
        elif what == "og:title" and content:
            page.titles.setdefault("og", []).append(" ".join(content.split()))


def _end_tag(page: _Page, name: str, line: int) -> None:
    if name == "a":
        _close_link(page)
    if name == "h1" and page.heading is not None:
        page.titles.setdefault("h1", []).append(" ".join("".join(page.heading).split()))
        page.heading = None
    if name in _BLOCKS:
        _break(page, name, line)


def _break(page: _Page, name: str, line: int) -> None:
    if name == "br":
        if page.paragraph is not None:
            page.paragraph.append(" ")
        page.put("\n", line)
        return
    _end_paragraph(page)
    if page.length and not page.ends_block:
        page.put(_BLOCK_END, line)


def _end_paragraph(page: _Page) -> None:
    if page.paragraph is not None:
        text = " ".join("".join(page.paragraph).split())
        if text:
            page.paragraphs.append(text)
        page.paragraph = None


def _text(page: _Page, text: str, line: int) -> None:
    if not text:
        return
    decoded_lines = text.split("\n")
    for number, part in enumerate(decoded_lines):
        shown = _BLANKS.sub(" ", _decoded(part))
        if number:
            shown = f" {shown}"
        if not shown:
            continue
        page.put(shown, line + number)
        if page.paragraph is not None:
            page.paragraph.append(shown)
        if page.heading is not None:
            page.heading.append(shown)


# ---------------------------------------------------- attributes and entities


def _attributes(source: str) -> dict[str, str]:
    """The attributes of a start tag, decoded; the first of a name counts (the HTML standard, 13.2.5.33)."""
    found: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(source):
        value = next((group for group in match.groups()[1:] if group is not None), "")
        found.setdefault(match[1].lower(), _decoded(value))
    return found


def _decoded(text: str) -> str:
    return _REFERENCE.sub(_character, text) if "&" in text else text


def _character(match: re.Match[str]) -> str:
    decimal, hexadecimal, name, end = match.groups()
    if name is None:
        code = int(decimal) if decimal else int(hexadecimal, 16)
        return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"
    return html5.get(f"{name}{end}") or match.group()
