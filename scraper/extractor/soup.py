"""Lexbor's nodes -> BeautifulSoup, without writing and parsing their HTML once more. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from bs4 import BeautifulSoup
from bs4.builder import HTMLTreeBuilder
from selectolax.lexbor import LexborNode

_TELLING = ("class", "id", "href", "role", "hidden", "aria-hidden", "style")  # attributes that any rule asks for


def of(nodes: Iterable[LexborNode]) -> BeautifulSoup:
    """A soup of the nodes one after the other; comments and attributes that tell nothing are left out."""
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
        # A node to be opened, or the name of a tag to be closed. No recursion: pages may be nested deeper than Python.
        waiting: list[LexborNode | str] = list(reversed(self._nodes))
        while waiting:
            node = waiting.pop()
            if isinstance(node, str):
                soup.handle_endtag(node)
            elif node.is_text_node:
                soup.handle_data(node.text_content or "")
            elif node.is_element_node:
                tag = node.tag or ""
                given = node.attributes
                soup.handle_starttag(tag, None, None, {key: given[key] or "" for key in _TELLING if key in given})
                waiting.append(tag)
                waiting.extend(reversed(list(node.iter(include_text=True))))
