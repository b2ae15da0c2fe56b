"""What a page says of itself outside its text: JSON-LD, OpenGraph, meta, microdata, links. Pure."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from selectolax.lexbor import LexborHTMLParser, LexborNode

from scraper.extractor import jsonld

_MICRODATA = frozenset(
    {
        "headline",
        "alternativeheadline",
        "datepublished",
        "datemodified",
        "author",
        "articlesection",
        "image",
        "keywords",
    }
)


@dataclass(frozen=True, slots=True)
class Party:
    """An author or publisher: `kind` is the schema.org type where one was given."""

    name: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Structured:
    """Candidate fields by source; `ld` is the article's JSON-LD object, `known` all objects by `@id`."""

    ld: Mapping[str, Any] = field(default_factory=dict)
    known: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    items: tuple[Mapping[str, Any], ...] = ()
    metas: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    micro: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    language: str = ""
    canonical: str = ""
    head_title: str = ""

    def meta(self, *names: str) -> tuple[str, str] | None:
        """The first non-empty of the named metas, as (name, value)."""
        for name in names:
            for value in self.metas.get(name, ()):
                if value:
                    return name, value
        return None

    def text(self, key: str, item: Mapping[str, Any] | None = None) -> str:
        """A text of the JSON-LD article (or another object), unescaped and folded; empty when absent."""
        value = (self.ld if item is None else item).get(key)
        while isinstance(value, list) and value:
            value = value[0]
        if isinstance(value, Mapping):
            value = value.get("@value") or value.get("name")
        return clean(value) if isinstance(value, str) else ""

    def texts(self, key: str) -> tuple[str, ...]:
        """All texts of a JSON-LD key."""
        value = self.ld.get(key)
        values = value if isinstance(value, list) else [value]
        return tuple(text for one in values if isinstance(one, str) and (text := clean(one)))

    def parties(self, key: str) -> tuple[Party, ...]:
        """The parties (authors, publisher…) under a key of the JSON-LD article."""
        return tuple(self._parties(self.ld.get(key), 0))

    def _parties(self, value: Any, depth: int) -> Iterator[Party]:
        if isinstance(value, str):
            yield Party(clean(value))
        elif isinstance(value, list) and depth < 4:
            for one in value[:50]:
                yield from self._parties(one, depth + 1)
        elif isinstance(value, Mapping) and depth < 4:
            item = value
            if "name" not in item and isinstance(item.get("@id"), str):
                item = self.known.get(item["@id"], item)
            kinds = jsonld.types(item)
            name = item.get("name")
            for one in name if isinstance(name, list) else [name]:
                if isinstance(one, str):
                    yield Party(clean(one), kinds[0] if kinds else "")
                elif isinstance(one, Mapping):
                    yield from self._parties(one, depth + 1)


def clean(text: str) -> str:
    """Entities resolved (twice escaped ones too), tags cut, white space folded."""
    if "&" in text:
        text = html.unescape(html.unescape(text))
    if "<" in text:
        text = _without_tags(text)
    return " ".join(text.replace("\u200b", "").replace("\xad", "").split())


def _without_tags(text: str) -> str:
    pieces = text.split("<")
    kept = [pieces[0]]
    for piece in pieces[1:]:
        inside, end, after = piece.partition(">")
        kept.append(
            after if end and inside[:1] in "/abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ!" else "<" + piece
        )
    return "".join(kept)


def read(tree: LexborHTMLParser) -> Structured:
    """Collect what the page says of itself, in one pass over the few nodes that can."""
    metas: dict[str, list[str]] = {}
    for node in tree.css("meta[content]"):
        attributes = node.attributes
        content = clean(attributes.get("content") or "")
        for key in ("property", "name", "itemprop", "http-equiv"):
            for name in (attributes.get(key) or "").lower().split():
                metas.setdefault(name, []).append(content)
    items = jsonld.objects(_scripts(tree))
    article = jsonld.article_object(items, _canonical(tree) or "".join(metas.get("og:url", [])[:1]))
    root = tree.root
    return Structured(
        ld=article,
        known=jsonld.ids(items),
        items=items,
        metas={name: tuple(values) for name, values in metas.items()},
        micro=_microdata(tree),
        language=(root.attributes.get("lang") or root.attributes.get("xml:lang") or "") if root else "",
        canonical=_canonical(tree),
        head_title=_head_title(tree),
    )


def _scripts(tree: LexborHTMLParser) -> list[str]:
    return [node.text(deep=True) for node in tree.css('script[type*="ld+json" i]')]


def _canonical(tree: LexborHTMLParser) -> str:
    node = tree.css_first('link[rel~="canonical" i][href]')
    return (node.attributes.get("href") or "").strip() if node else ""


def _head_title(tree: LexborHTMLParser) -> str:
    node = tree.css_first("head title") or tree.css_first("title")
    return " ".join(node.text().split()) if node else ""


def _microdata(tree: LexborHTMLParser) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for node in tree.css("body [itemprop]"):
        names = (node.attributes.get("itemprop") or "").lower().split()
        for name in _MICRODATA.intersection(names):
            if value := _value(node, name):
                found.setdefault(name, []).append(value)
    return {name: tuple(values) for name, values in found.items()}


def _value(node: LexborNode, name: str) -> str:
    """An item property's value (HTML standard, 5.2.4); of an author the name inside it."""
    attributes = node.attributes
    for key in ("content", "datetime") if name.startswith("date") else ("content",):
        if attributes.get(key):
            return clean(attributes[key] or "")
    if name == "image":
        inner = node if attributes.get("src") else node.css_first("img[src]")
        return (inner.attributes.get("src") or "") if inner else ""
    if name == "author" and (inner := node.css_first('[itemprop~="name"]')):
        return clean(inner.attributes.get("content") or inner.text())
    return clean(node.text())[:300]
