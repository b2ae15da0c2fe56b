"""Applying a site's rules: CSS selectors that win over the general extractor. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from selectolax.lexbor import LexborHTMLParser, LexborNode

from scraper import bylines, dates
from scraper.extractor.facts import text_of
from scraper.model import Evidence, Image, Link, SiteRules

SiteFields = dict[str, tuple[Any, Evidence]]


def chosen(rules: Sequence[SiteRules], url: str) -> SiteRules | None:
    """The rules for a URL's host: the longest host name that is it or above it."""
    host = (urlsplit(url).hostname or "").lower() if "://" in url else ""
    best: tuple[int, SiteRules] | None = None
    for rule in rules:
        for name in rule.hosts:
            wanted = name.lower()
            if (host == wanted or host.endswith("." + wanted)) and (best is None or len(wanted) > best[0]):
                best = len(wanted), rule
    return best[1] if best else None


def remove(tree: LexborHTMLParser, rules: SiteRules) -> None:
    """Cut what the rules name, before anything is read."""
    for selector in rules.remove:
        for node in tree.css(selector):
            node.decompose()


def body_nodes(tree: LexborHTMLParser, rules: SiteRules) -> list[LexborNode]:
    """The nodes that the body rule selects, without those that stand inside another."""
    nodes = tree.css(rules.body) if rules.body else []
    chosen_ids = {node.mem_id for node in nodes}
    return [node for node in nodes if not _inside(node, chosen_ids)]


def _inside(node: LexborNode, ids: set[int]) -> bool:
    above = node.parent
    while above is not None:
        if above.mem_id in ids:
            return True
        above = above.parent
    return False


def fields(tree: LexborHTMLParser, rules: SiteRules, language: str | None, picture: Image | None) -> SiteFields:
    """The fields which the rules give, each with its evidence. `picture` is what the general extractor found."""
    found: SiteFields = {}
    for name in ("title", "subtitle", "section"):
        if text := _first(tree, getattr(rules, name)):
            found[name] = text, Evidence("site rule", text)
    if text := _first(tree, rules.byline):
        found |= _byline(text)
    if rules.published and (node := tree.css_first(rules.published)) is not None:
        raw = node.attributes.get("datetime") or node.attributes.get("content") or text_of(node)
        if moment := dates.parse(raw, language):
            found["published"] = moment, Evidence("site rule", raw)
    found |= _picture(tree, rules, picture)
    return found | _related(tree, rules)


def _first(tree: LexborHTMLParser, selector: str) -> str:
    node = tree.css_first(selector) if selector else None
    return text_of(node) if node is not None else ""


def _byline(text: str) -> SiteFields:
    read = bylines.parse(text)
    values = {"byline": read.text, "authors": read.authors, "agency": read.agency}
    return {name: (value, Evidence("site rule", text)) for name, value in values.items()}


def _picture(tree: LexborHTMLParser, rules: SiteRules, picture: Image | None) -> SiteFields:
    caption, credit = _first(tree, rules.caption), _first(tree, rules.credit)
    if not (caption or credit):
        return {}
    if credit and caption.endswith(credit):
        caption = caption[: -len(credit)].strip()  # the credit stands inside the caption
    image = Image(picture.url if picture else None, caption or None, credit or None)
    return {"image": (image, Evidence("site rule", f"{caption} {credit}".strip()))}


def _related(tree: LexborHTMLParser, rules: SiteRules) -> SiteFields:
    """The links that the rule selects; they leave the tree, for they are no text."""
    nodes = tree.css(rules.related) if rules.related else []
    links = []
    for node in nodes:
        anchor = node if node.tag == "a" else node.css_first("a[href]")
        if anchor is None:
            continue
        if title := text_of(anchor.css_first("h1, h2, h3, h4, h5, h6") or anchor):
            links.append(Link(title, anchor.attributes.get("href") or None))
    for node in nodes:
        node.decompose()
    return (
        {"related": (tuple(links), Evidence("site rule", "; ".join(link.title for link in links)[:300]))}
        if links
        else {}
    )
