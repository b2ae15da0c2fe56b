"""Which part of the page holds the article: one walk over the tree, then a descent to where the text is. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser, LexborNode

from scraper.extractor import marks

_INLINE = frozenset(
    {
        *("a", "abbr", "acronym", "b", "bdi", "bdo", "big", "br", "cite", "code", "data", "del", "dfn", "em", "font"),
        *("i", "img", "ins", "kbd", "label", "mark", "q", "rp", "rt", "ruby", "s", "samp", "small", "span", "strike"),
        *("strong", "sub", "sup", "time", "tt", "u", "var", "wbr"),
    }
)
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup"})
_LEAVES = frozenset(
    {"p", "pre", "blockquote", "li", "dd", "dt", "tr", "td", "th", "figcaption", "ul", "ol", "table", "tbody"}
)
_TEXT_TAGS = frozenset({"main", "article", "body"})  # no class name makes furniture of these
_SENTENCE_END = frozenset('.!?。！？…”"»।')

_SHORTEST_TEXT = 25  # letters of a block that counts as text
_MOST_LINKED = 0.5
_DESCEND_SHARE = 0.75  # of the text that a child must hold to be the better container
_FURNITURE_SHARE = 0.4  # furniture never holds so much of a page's text
_TRUSTED_SHARE = 0.2  # of the text that must be left when furniture by name is taken away
_PRUNED_SHARE = 0.3  # of the chosen text: furniture that holds more is judged again, block by block
_BODY_NAME_SHARE = 0.6
_WIDE = 2.0  # more than a letter: a CJK character says about as much as three
_WIDE_CHARS = re.compile("[\u2e80-\ufaff]")


@dataclass(slots=True, eq=False)
class Part:
    """An element and what its text weighs (the walk's notebook; never leaves this module's functions).

    Its names are judged late, by `_judge`: most elements of a page hold no text that weighs anything.
    """

    node: LexborNode
    tag: str
    judged: bool = False
    furniture: bool = False  # by its tag or role
    suspect: bool = False  # by its names, or hidden
    related: bool = False
    body_name: bool = False
    own_text: float = 0.0
    own_linked: float = 0.0
    ends_like_prose: bool = False
    own_weight: float = 0.0
    weight: float = 0.0
    total: float = 0.0
    children: Sequence[Part] = ()  # most elements have none, and a page may have 300,000 elements


@dataclass(frozen=True, slots=True)
class Choice:
    """The container, its share of the page's text weight, and why it was taken."""

    node: LexborNode
    weight: float
    page_weight: float
    reason: str


def choose(tree: LexborHTMLParser) -> Choice | None:
    """The element that holds the article's text; None for a page without text."""
    body = tree.body
    if body is None:
        return None
    parts = _walk(body)
    root = parts[0]
    _weigh(parts, by_names=True)
    trusted = root.weight >= _TRUSTED_SHARE * root.total
    if not trusted:
        # Names that condemn nearly all of a page speak of something else (builders call every block a widget).
        _weigh(parts, by_names=False)
    if root.weight <= 0:
        return None
    path = _descend(root)
    named = _named_body(path)
    chosen = named or path[-1]
    if trusted:
        _prune(chosen)
    return Choice(chosen.node, chosen.weight, root.weight, "named body" if named else "scored body")


def _walk(body: LexborNode) -> list[Part]:
    """The block elements in document order; inline elements are only noted as the block they stand in, and whether in
    a link."""
    root = Part(body, "body", judged=True)  # the names of <body> speak of the site
    parts = [root]
    path = [(body.mem_id, root, False)]  # the open elements: each with its block, and whether it is in a link
    nodes = body.traverse(include_text=True)
    next(nodes)  # the body itself
    for node in nodes:
        text = None
        if node.is_text_node:
            text = node.text_content
            if text is None or text.isspace():
                continue
        above = node.parent
        if above is None or not _close_down_to(above.mem_id, path):
            continue
        _, block, linked = path[-1]
        if text is not None:
            _add_text(block, text, linked)
        elif node.is_element_node:
            tag = node.tag or ""
            if tag in _INLINE:
                path.append((node.mem_id, block, linked or tag == "a"))
            else:
                part = Part(node, tag)
                if isinstance(block.children, list):
                    block.children.append(part)
                else:
                    block.children = [part]
                parts.append(part)
                path.append((node.mem_id, part, linked))
    for part in parts:
        part.own_weight = _own_weight(part)
    return parts


def _close_down_to(mem_id: int, path: list[tuple[int, Part, bool]]) -> bool:
    """Close what the walk has left, so that this element is the innermost one; False when it is not open."""
    for size in range(len(path), 0, -1):
        if path[size - 1][0] == mem_id:
            del path[size:]
            return True
    return False


def _judge(part: Part) -> None:
    """Note what tag, role and names say of the element."""
    if part.judged:
        return
    part.judged = True
    part.furniture = part.tag in marks.FURNITURE_TAGS
    attributes = part.node.attributes
    if attributes:
        said = marks.marked(attributes.get("class") or "", attributes.get("id") or "")
        part.related = said.related
        part.suspect = (said.furniture and part.tag not in _TEXT_TAGS) or marks.is_hidden(attributes)
        part.furniture = part.furniture or attributes.get("role") in marks.FURNITURE_ROLES
        part.body_name = said.body or attributes.get("itemprop") == "articleBody"


def _add_text(block: Part, text: str, linked: bool) -> None:
    folded = " ".join(text.split())
    if not folded:
        return
    size = len(folded) if folded.isascii() else len(folded) + _WIDE * len(_WIDE_CHARS.findall(folded))
    block.own_text += size
    if linked:
        block.own_linked += size
    else:
        block.ends_like_prose = folded[-1] in _SENTENCE_END


def _weigh(parts: list[Part], by_names: bool) -> None:
    """Text weight bottom-up; furniture gives its parents nothing unless it holds the better part of the page."""
    for part in reversed(parts):  # children come behind their parents
        part.total = part.own_weight
        for child in part.children:
            part.total += child.total
    most = _FURNITURE_SHARE * parts[0].total
    for part in reversed(parts):
        part.weight = part.own_weight
        if part.total <= 0:
            continue
        _judge(part)
        for child in part.children:
            part.weight += child.weight
        if (part.furniture or (by_names and part.suspect)) and part.total < most:
            part.weight = 0.0


def _own_weight(part: Part) -> float:
    unlinked = part.own_text - part.own_linked
    if part.tag in _HEADINGS or unlinked < _SHORTEST_TEXT or part.own_linked > _MOST_LINKED * part.own_text:
        return 0.0
    if part.tag == "figcaption":
        return 0.0
    if unlinked < 80 and not part.ends_like_prose:
        return unlinked * 0.2
    return unlinked * (0.7 if part.tag in ("li", "td") else 1.0)


def _descend(root: Part) -> list[Part]:
    """The way from the root down to the element that holds most of the text."""
    path = [root]
    while path[-1].children:
        heaviest = max(path[-1].children, key=lambda child: child.weight)
        if heaviest.weight < _DESCEND_SHARE * path[-1].weight or heaviest.tag in _LEAVES:
            break
        path.append(heaviest)
    return path


def _named_body(path: list[Part]) -> Part | None:
    """An element whose name says that it is the body, when its text agrees with the descent."""
    best = path[-1]
    found: Part | None = None
    inside = [best]
    for part in inside:
        if part.body_name and part.tag not in _LEAVES and part.weight >= _BODY_NAME_SHARE * best.weight:
            found = part  # the innermost one
        inside.extend(child for child in part.children if child.weight >= _BODY_NAME_SHARE * best.weight)
    if found is not None:
        return found
    for above in reversed(path[:-1]):
        if above.weight > best.weight / _BODY_NAME_SHARE:
            break
        if above.body_name:
            return above
    return None


def _prune(chosen: Part) -> None:
    """Cut small furniture out of the chosen element here, where it is cheap; related boxes stay for their links."""
    doomed: list[Part] = []
    inside = list(chosen.children)
    for part in inside:
        _judge(part)
        if (part.furniture or part.suspect) and not part.related and part.total < _PRUNED_SHARE * chosen.total:
            doomed.append(part)
        else:
            inside.extend(part.children)
    if sum(part.total for part in doomed) <= _PRUNED_SHARE * chosen.total:
        for part in doomed:
            part.node.decompose()
