"""Lexbor's nodes -> BeautifulSoup, without writing and parsing their HTML once more. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bs4 import BeautifulSoup
from bs4.builder import HTMLTreeBuilder
from selectolax.lexbor import LexborNode

# A tag takes a kilobyte of memory and a text half of that; no article has a tenth of this.
MOST_NODES = 200_000
_TELLING = ("class", "id", "href", "role", "hidden", "aria-hidden", "style")  # attributes that any rule asks for


class TooManyNodes(ValueError):
    """There are more than `MOST_NODES` tags and texts."""


def of(nodes: Iterable[LexborNode]) -> BeautifulSoup:
    """A soup of the nodes one after the other; comments and attributes that tell nothing are left out.

    Raises `TooManyNodes`.
    """
    return BeautifulSoup("", builder=_LexborBuilder(tuple(nodes)))


class _LexborBuilder(HTMLTreeBuilder):
    """A tree builder as BeautifulSoup asks for one; the mark-up it is fed is not looked at."""

    NAME = "lexbor"

    def __init__(self, nodes: Sequence[LexborNode]) -> None:
        super().__init__(multi_valued_attributes=None)
        self._nodes = nodes

    def prepare_markup(self, markup: Any, *_: Any, **__: Any) -> Any:
        yield markup, None, None, False

    def feed(self, markup: Any) -> None:
        soup = self.soup
        # Opened tags with those of their children that are still to come. No recursion: pages may be nested deeper than
        # Python; and no list: a paragraph may hold 100,000 lines.
        opened: list[tuple[Iterator[LexborNode], str]] = [(iter(self._nodes), "")]
        self._nodes = ()  # the soup keeps its builder, and a node keeps its whole page
        count = 0
        while opened:
            children, around = opened[-1]
            node = next(children, None)
            if node is None:
                opened.pop()
                if around:
                    soup.handle_endtag(around)
                continue
            count += 1
            if count > MOST_NODES:
                raise TooManyNodes
            if node.is_text_node:
                soup.handle_data(node.text_content or "")
            elif node.is_element_node:
                tag = node.tag or ""
                given = node.attributes
                soup.handle_starttag(tag, None, None, {key: given[key] or "" for key in _TELLING if key in given})
                opened.append((node.iter(include_text=True), tag))
