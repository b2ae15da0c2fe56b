"""The chosen subtree -> typed blocks, by BeautifulSoup; furniture inside it is left out. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from bs4.element import Tag

from scraper.extractor import marks
from scraper.model import Block, BlockKind, Link

_INLINE = frozenset(
    {
        *("a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font"),
        *("i", "img", "ins", "kbd", "label", "mark", "q", "rp", "rt", "ruby", "s", "samp", "small", "span", "strike"),
        *("strong", "sub", "sup", "time", "tt", "u", "var", "wbr", "picture", "amp-img", "o:p"),
    }
)
_SILENT = frozenset({"img", "rp", "wbr", "picture", "amp-img", "iframe", "amp-ad", "amp-embed"})
_HEADINGS = {"h1": 2, "h2": 2, "h3": 3, "h4": 4, "h5": 5, "h6": 6}
_FIGURE_TAGS = frozenset({"figure", "figcaption", "amp-story"})
# One blank, and a line end without blanks, are as they should be: a very long text has a million of them.
_SPACE = re.compile(r"[\t\r\f\v\u00a0\u2028\u2029][ \t\r\f\v\u00a0\u2028\u2029]*+| [ \t\r\f\v\u00a0\u2028\u2029]++")
_LINES = re.compile(r" \n ?|\n ")
_PARAGRAPH_BREAK = re.compile(r"\n{2,}")
_FURNITURE_SHARE = 0.3  # of the subtree's text: what would remove more is not furniture
_TRUSTED_SHARE = 0.35  # of the text that must be left when furniture by name is taken away
_BOX_LINKED = 0.6
_BOXES = frozenset({"div", "section", "ul", "ol", "table", "article", "header"})
_DEEPEST = 80  # levels of blocks that are told apart: the walk recurses, and Python allows 1,000 frames
_LONGEST_HEADING = 200  # letters, where paragraphs stand inside
_LONG_LINE = 100  # letters: single <br> between such lines part paragraphs


@dataclass(frozen=True, slots=True)
class Piece:
    """A block with what its cleaning asks: how much of it is links, the links, whether all of it is emphasised."""

    block: Block
    linked: int = 0
    links: tuple[Link, ...] = ()
    emphasised: bool = False


@dataclass(slots=True)
class _Size:
    """Letters of an element's text and of the links in it, the number of links, and whether blocks stand inside."""

    text: int = 0
    linked: int = 0
    links: int = 0
    blocks: bool = False


@dataclass(slots=True)
class _Reader:
    """Walks the subtree once (its notebook: the pieces so far and the current inline run)."""

    sizes: dict[int, _Size]
    total: int
    by_names: bool = True
    href: str = ""  # of the link around the blocks being read
    depth: int = 0  # levels below the container
    pieces: list[Piece] = field(default_factory=list)
    related: list[Link] = field(default_factory=list)
    run: list[str] = field(default_factory=list)
    run_links: list[Link] = field(default_factory=list)
    run_linked: int = 0
    run_strong: int = 0


def read(top: Tag) -> tuple[tuple[Piece, ...], tuple[Link, ...]]:
    """The pieces of a soup in order, and the related links found in boxes that are no text."""
    sizes = _measured(top)
    reader = _Reader(sizes, sizes[id(top)].text)
    _walk(reader, top)
    _flush(reader)
    if sum(len(piece.block.text) for piece in reader.pieces) < _TRUSTED_SHARE * reader.total:
        # Names that condemn nearly all of the text speak of something else.
        reader = _Reader(sizes, reader.total, by_names=False)
        _walk(reader, top)
        _flush(reader)
    return tuple(reader.pieces), tuple(reader.related)


def _measured(top: Tag) -> dict[int, _Size]:
    """The size of every element, by `id`: the tree stands as long as the walk lasts."""
    sizes = {id(top): _Size()}
    tags = [top]
    for node in top.descendants:
        if isinstance(node, Tag):
            sizes[id(node)] = _Size()
            tags.append(node)
        else:
            sizes[id(node.parent)].text += len(" ".join(str(node).split()))
    for tag in reversed(tags[1:]):
        size, above = sizes[id(tag)], sizes[id(tag.parent)]
        if tag.name == "a":
            size.linked, size.links = size.text, size.links + 1
        above.text += size.text
        above.linked += size.linked
        above.links += size.links
        above.blocks = above.blocks or size.blocks or (tag.name not in _INLINE and tag.name != "br")
    return sizes


def _walk(reader: _Reader, parent: Tag) -> None:
    for child in parent.children:
        if isinstance(child, Tag):
            _element(reader, child)
        else:
            reader.run.append(str(child).replace("\n", " "))


def _element(reader: _Reader, tag: Tag) -> None:
    name = tag.name
    if name in _SILENT or name in _FIGURE_TAGS:
        return
    if name == "br":
        reader.run.append("\n")
        return
    if name in _INLINE and not reader.sizes[id(tag)].blocks:
        if not _dropped(reader, tag):
            _inline(reader, tag)
        return
    _flush(reader)
    if _dropped(reader, tag) or (name in _BOXES and _is_link_box(reader, tag)):
        reader.related.extend(_related_links(tag))
        return
    outer = reader.href
    reader.href = (name == "a" and _attribute(tag, "href")) or reader.href
    reader.depth += 1
    _block(reader, tag, name)
    _flush(reader)
    reader.depth -= 1
    reader.href = outer


def _block(reader: _Reader, tag: Tag, name: str) -> None:
    if reader.depth > _DEEPEST:
        reader.run.extend(_inline_text(tag))
    elif name in _HEADINGS:
        _add(reader, tag, BlockKind.HEADING, level=_HEADINGS[name])
    elif name == "pre":
        _code(reader, tag)
    elif name == "blockquote":
        _add(reader, tag, BlockKind.EMBED if _said(tag).embed else BlockKind.QUOTE)
    elif name in ("ul", "ol"):
        _list(reader, tag)
    elif name == "table":
        _table(reader, tag)
    else:
        _walk(reader, tag)


def _inline(reader: _Reader, tag: Tag) -> None:
    pieces = list(_inline_text(tag))
    text = "".join(pieces)
    reader.run.append(text)
    size = len(text.strip())
    if tag.name == "a":
        _note_link(reader, tag, text)
    else:
        for link in tag.find_all("a"):
            _note_link(reader, link, link.get_text())
    if tag.name in ("b", "strong", "em", "i"):
        reader.run_strong += size


def _note_link(reader: _Reader, link: Tag, text: str) -> None:
    href = link.get("href")
    folded = " ".join(text.split())
    if folded and isinstance(href, str):
        reader.run_linked += len(folded)
        reader.run_links.append(Link(folded, href.strip()))


def _inline_text(tag: Tag) -> Iterator[str]:
    for node in tag.descendants:
        if isinstance(node, Tag):
            if node.name == "br":
                yield "\n"
        else:
            yield str(node).replace("\n", " ")


def _said(tag: Tag) -> marks.Marked:
    return marks.marked(_attribute(tag, "class"), _attribute(tag, "id"))


def _attribute(tag: Tag, name: str) -> str:
    value = tag.attrs.get(name)
    return value if isinstance(value, str) else ""


def _dropped(reader: _Reader, tag: Tag) -> bool:
    if not tag.attrs and tag.name not in marks.FURNITURE_TAGS:
        return False
    said = _said(tag)
    suspicious = (
        tag.name in marks.FURNITURE_TAGS
        or _attribute(tag, "role") in marks.FURNITURE_ROLES
        or said.caption
        or (reader.by_names and (said.furniture or _is_hidden(tag)))
    )
    return suspicious and reader.sizes[id(tag)].text < _FURNITURE_SHARE * reader.total


def _is_hidden(tag: Tag) -> bool:
    return marks.is_hidden(
        {key: _attribute(tag, key) for key in ("hidden", "aria-hidden", "style") if key in tag.attrs}
    )


def _is_link_box(reader: _Reader, tag: Tag) -> bool:
    """A box whose text is mostly links: cards, "best of" lists, menus."""
    size = reader.sizes[id(tag)]
    return size.links > 1 and size.linked > _BOX_LINKED * size.text and size.text < _FURNITURE_SHARE * reader.total


def _related_links(tag: Tag) -> Iterator[Link]:
    if not _said(tag).related:
        return
    for link in tag.find_all("a", href=True)[:20]:
        heading = link.find(["h1", "h2", "h3", "h4", "h5", "h6"])
        title = " ".join((heading or link).get_text("" if heading else " ").split())
        if len(title) >= 15:
            yield Link(title, str(link["href"]).strip())


# --------------------------------------------------------------------- blocks


def fold(text: str) -> str:
    """White space folded as a browser shows it, line breaks kept."""
    return _LINES.sub("\n", _SPACE.sub(" ", text)).strip()


def _flush(reader: _Reader) -> None:
    raw = "".join(reader.run)
    links, linked, strong = tuple(reader.run_links), reader.run_linked, reader.run_strong
    reader.run, reader.run_links, reader.run_linked, reader.run_strong = [], [], 0, 0
    if not raw or raw.isspace():
        return
    text = fold(raw)
    if reader.href:
        links, linked = (Link(" ".join(text.split()), reader.href),), len(text)
    paragraphs = _paragraphs(text)
    for paragraph in paragraphs:
        inside = tuple(link for link in links if link.title in paragraph) if len(paragraphs) > 1 else links
        count = sum(len(link.title) for link in inside) if len(paragraphs) > 1 else linked
        block = Block(BlockKind.PARAGRAPH, paragraph)
        reader.pieces.append(Piece(block, count, inside, strong >= 0.9 * len(text)))


def _paragraphs(text: str) -> list[str]:
    parts = [part.strip() for part in _PARAGRAPH_BREAK.split(text)]
    found: list[str] = []
    for part in parts:
        lines = part.split("\n")
        # Long lines parted by single breaks are paragraphs; short ones are verse or an address.
        if len(lines) > 1 and sum(map(len, lines)) / len(lines) > _LONG_LINE:
            found.extend(line.strip() for line in lines)
        else:
            found.append(part)
    return [part for part in found if part]


def _add(reader: _Reader, tag: Tag, kind: BlockKind, level: int = 0) -> None:
    inner = _Reader(reader.sizes, reader.total, reader.by_names, reader.href, reader.depth)
    _walk(inner, tag)
    _flush(inner)
    texts = [piece.block.text for piece in inner.pieces]
    if not texts:
        return
    text = " ".join(texts) if kind is BlockKind.HEADING else "\n".join(texts)
    if kind is BlockKind.HEADING and reader.sizes[id(tag)].blocks and len(text) > _LONGEST_HEADING:
        reader.pieces.extend(inner.pieces)  # a heading that was never closed, or paragraphs in its dress
        return
    links = tuple(link for piece in inner.pieces for link in piece.links)
    linked = sum(piece.linked for piece in inner.pieces)
    href = links[-1].href if kind is BlockKind.EMBED and links else None
    reader.pieces.append(Piece(Block(kind, text, level=level, href=href), linked, links))


def _code(reader: _Reader, tag: Tag) -> None:
    text = tag.get_text().strip("\n").rstrip()
    if text.strip():
        code = tag.find("code") is not None or "  " in text or "\t" in text
        kind = BlockKind.CODE if code else BlockKind.PARAGRAPH
        reader.pieces.append(Piece(Block(kind, text if code else fold(text))))


def _list(reader: _Reader, tag: Tag) -> None:
    items: list[str] = []
    links: list[Link] = []
    linked = 0
    for item in tag.find_all("li", recursive=False) or tag.find_all("li"):
        inner = _Reader(reader.sizes, reader.total, reader.by_names, reader.href, reader.depth)
        if _dropped(inner, item):
            continue
        _walk(inner, item)
        _flush(inner)
        text = " ".join(piece.block.text for piece in inner.pieces)
        if text:
            items.append(" ".join(text.split()))
            links.extend(link for piece in inner.pieces for link in piece.links)
            linked += sum(piece.linked for piece in inner.pieces)
    if items:
        block = Block(BlockKind.LIST, "\n".join(items), items=tuple(items), ordered=tag.name == "ol")
        reader.pieces.append(Piece(block, linked, tuple(links)))


def _table(reader: _Reader, tag: Tag) -> None:
    rows = [row for row in tag.find_all("tr") if row.find_parent("table") is tag]
    cells = [row.find_all(["td", "th"], recursive=False) for row in rows]
    if tag.find("table") is not None or max(map(len, cells), default=0) < 2:
        _walk(reader, tag)  # a table that only lays out
        return
    if any(len(cell.get_text()) > 600 for row in cells for cell in row):
        _walk(reader, tag)
        return
    texts = tuple(tuple(" ".join(fold("".join(_inline_text(cell))).split()) for cell in row) for row in cells if row)
    texts = tuple(row for row in texts if any(row))
    if texts:
        text = "\n".join("\t".join(row) for row in texts)
        links = tuple(Link(fold(a.get_text()), str(a["href"])) for a in tag.find_all("a", href=True))
        linked = sum(len(link.title) for link in links)
        reader.pieces.append(Piece(Block(BlockKind.TABLE, text, rows=texts), linked, links))
