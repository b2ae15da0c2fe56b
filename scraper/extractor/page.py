"""The order of work on one page: judge, decode, parse, read what it says, find the body, choose the fields. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from bs4 import BeautifulSoup
from selectolax.lexbor import LexborHTMLParser

from scraper import decode, urls
from scraper.extractor import (
    blocks,
    clean,
    container,
    facts,
    fields,
    guard,
    jsonld,
    marks,
    people,
    sites,
    soup,
    structured,
    when,
)
from scraper.model import Article, Block, BlockKind, Evidence, Link, ParserLimits, SiteRules

_SHORTEST_ARTICLE = 250  # letters of body
_LONG_PARAGRAPH = 120  # letters
_OTHER_KINDS = frozenset(
    {
        *("Product", "ProductGroup", "CollectionPage", "QAPage", "DiscussionForumPosting", "SoftwareApplication"),
        *("Service", "JobPosting", "Event", "SearchResultsPage", "ItemPage", "RealEstateListing", "Course", "Hotel"),
    }
)


@dataclass(frozen=True, slots=True)
class Request:
    """What `extract` was asked."""

    url: str
    content_type: str | None
    captured_at: datetime | None
    rules: SiteRules | None
    limits: ParserLimits


@dataclass(slots=True)
class _Draft:
    """The fields as they are found, with their evidence (a notebook of this module)."""

    values: dict[str, Any] = field(default_factory=dict)
    evidence: dict[str, Evidence] = field(default_factory=dict)

    def take(self, name: str, chosen: tuple[Any, Evidence] | None) -> None:
        if chosen is not None and chosen[0]:
            self.values[name], self.evidence[name] = chosen


@dataclass(frozen=True, slots=True)
class _Found:
    """All that was read from a page's tree. `body` is the chosen part, as a tree of its own, and why it was chosen."""

    data: structured.Structured
    shown: facts.PageFacts
    names: tuple[str, ...]
    draft: _Draft
    site_fields: sites.SiteFields
    body: tuple[BeautifulSoup, str] | None


def article_of(html: bytes | str, request: Request) -> Article:
    """The article of a page; `skipped` where there is none to be read."""
    # A step for each form of the page: the text and both trees of a large one must not be in memory together.
    tree = _tree_of(html, request)
    if isinstance(tree, Article):
        return tree
    try:
        found = _read(tree, request)
    except soup.TooManyNodes:
        return Article(request.url, skipped=f"its text is in more than {soup.MOST_NODES:,} pieces")
    del tree
    return _composed(found, request)


def _tree_of(html: bytes | str, request: Request) -> LexborHTMLParser | Article:
    text = _text_of(html, request)
    if isinstance(text, Article):
        return text
    if why := guard.over_limits(text, request.limits):
        return Article(request.url, skipped=why)
    tree = LexborHTMLParser(text)
    if request.rules:
        sites.remove(tree, request.rules)
    return tree


def _text_of(html: bytes | str, request: Request) -> str | Article:
    url, limits = request.url, request.limits
    if len(html) > limits.max_bytes:
        return Article(url, skipped=f"larger than {limits.max_bytes:,} bytes")
    if not html or html.isspace():
        return Article(url, skipped="empty page")
    if isinstance(html, str):
        return html.replace("\0", "")
    if media_type := guard.not_html(html, request.content_type):
        return Article(url, skipped=f"not HTML: {media_type}")
    text = decode.html(html, request.content_type).text
    return text.replace("\0", "") if b"\0" in html else text


def _read(tree: LexborHTMLParser, request: Request) -> _Found:
    draft = _Draft()
    data = structured.read(tree)
    tree.strip_tags(list(marks.DEAD_TAGS))
    shown = facts.read(tree)
    names = fields.site_names(data, request.url)
    draft.take("title", fields.title(data, shown, names))
    draft.take("subtitle", fields.subtitle(data, shown, draft.values.get("title", "")))
    draft.take("publisher", fields.publisher(data))
    draft.take("section", fields.section(data))
    draft.take("language", fields.language(data))
    draft.take("canonical", fields.canonical(data, request.url))
    draft.take("published", when.published(data, shown, request.url, request.captured_at))
    draft.take("modified", when.modified(data, shown, request.captured_at))
    draft.take("tags", _tags(data, shown))
    if picture := fields.image(data, shown, request.url):
        draft.values["image"] = picture[0]
        draft.evidence.update(picture[1])
    site_fields = _by_rules(tree, request, draft)
    tree.strip_tags(list(marks.FIGURE_TAGS))
    return _Found(data, shown, names, draft, site_fields, _body(tree, request))


def _composed(found: _Found, request: Request) -> Article:
    draft = found.draft
    _blocks(found.body, request, draft)
    _people(found.data, found.shown, found.names, draft)
    for name, (value, evidence) in found.site_fields.items():
        draft.values[name], draft.evidence[name] = value, evidence
    return _finished(found.data, request, draft)


def _tags(data: structured.Structured, shown: facts.PageFacts) -> tuple[tuple[str, ...], Evidence] | None:
    found, evidence = fields.tags(data, shown)
    return (found, evidence) if evidence else None


def _body(tree: LexborHTMLParser, request: Request) -> tuple[BeautifulSoup, str] | None:
    nodes = sites.body_nodes(tree, request.rules) if request.rules else []
    if nodes:
        return soup.of(nodes), "site rule"
    choice = container.choose(tree)
    return (soup.of([choice.node]), choice.reason) if choice else None


def _blocks(body: tuple[BeautifulSoup, str] | None, request: Request, draft: _Draft) -> None:
    if body is None:
        return
    pieces, boxed = blocks.read(body[0])
    kept, related = clean.article_pieces(pieces, draft.values.get("title"))
    draft.values["blocks"] = tuple(_absolute(piece.block, request.url) for piece in kept)
    links = _related([*related, *boxed], request.url)
    if links:
        draft.values["related"] = links
        draft.evidence["related"] = Evidence("body", "; ".join(link.title for link in links)[:300])
    draft.evidence["blocks"] = Evidence(body[1], f"{len(kept)} of {len(pieces)} pieces kept")


def _absolute(block: Block, url: str) -> Block:
    return replace(block, href=fields.absolute_url(block.href, url)) if block.href else block


def _related(links: Sequence[Link], url: str) -> tuple[Link, ...]:
    found: dict[str, Link] = {}
    for link in links:
        href = fields.absolute_url(link.href or "", url)
        if href and href not in found:
            found[href] = Link(clean.without_label(structured.clean(link.title)), href)
    return tuple(found.values())[:50]


def _people(data: structured.Structured, shown: facts.PageFacts, names: tuple[str, ...], draft: _Draft) -> None:
    blocks_found: tuple[Block, ...] = draft.values.get("blocks", ())
    first = blocks_found[0].text[:200] if blocks_found else ""
    found = people.choose(data, shown, names, first)
    for name in ("byline", "authors", "agency"):
        if value := getattr(found, name):
            draft.values[name] = value
    draft.evidence.update(found.evidence)


def _by_rules(tree: LexborHTMLParser, request: Request, draft: _Draft) -> sites.SiteFields:
    if request.rules is None:
        return {}
    found = sites.fields(tree, request.rules, draft.values.get("language"), draft.values.get("image"))
    if "related" in found:
        links, evidence = found["related"]
        found["related"] = _related(links, request.url), evidence
    return found


def _finished(data: structured.Structured, request: Request, draft: _Draft) -> Article:
    robots = " ".join(
        value for name in ("robots", "googlebot", "archive") for value in data.metas.get(name, ())
    ).lower()
    free = _free_to_read(data)
    if free is not None:
        draft.values["free_to_read"], draft.evidence["free_to_read"] = free
    article = Article(
        urls.without_userinfo(request.url), noarchive="noarchive" in robots, evidence=draft.evidence, **draft.values
    )
    return replace(article, is_article=_is_article(article, data))


def _free_to_read(data: structured.Structured) -> tuple[bool, Evidence] | None:
    value = data.ld.get("isAccessibleForFree")
    if isinstance(value, bool):
        return value, Evidence("json-ld", str(value))
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true", Evidence("json-ld", value)
    if tier := data.meta("article:content_tier", "og:article:content_tier"):
        return tier[1].lower() == "free", Evidence("og", tier[1])
    return None


def _is_article(article: Article, data: structured.Structured) -> bool:
    """Does the page say it is an article, or is it dated or long prose, and no product, listing or question page?"""
    prose = [len(block.text) for block in article.blocks if block.kind in (BlockKind.PARAGRAPH, BlockKind.QUOTE)]
    if sum(prose) < _SHORTEST_ARTICLE:
        return False
    kinds = {kind for item in data.items for kind in jsonld.types(item)}
    og = "".join(data.metas.get("og:type", ())[:1]).lower()
    if any(map(jsonld.ARTICLE.search, kinds - {"Review"})):
        return True
    if kinds & _OTHER_KINDS or og.startswith(("product", "profile", "video", "music", "book", "og:product")):
        return False
    if og == "article":
        return True
    dated = article.published is not None and article.evidence["published"].source != "visible"
    long = sum(size >= _LONG_PARAGRAPH for size in prose)
    return (dated and long >= 3) or (sum(prose) > 1500 and long >= 5)
