"""Which class names, tags and phrases mark page furniture. Pure; the only place that knows such words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

# Tags that never hold article text.
DEAD_TAGS = (
    *("script", "style", "noscript", "template", "svg", "canvas", "object", "audio", "video", "map", "button"),
    *("select", "textarea", "input", "dialog", "link", "meta", "source", "track", "math"),
)
# Tags without article text that were needed for the fields: captions, pictures.
FIGURE_TAGS = ("figure", "figcaption", "img", "picture", "amp-img", "iframe", "amp-iframe", "amp-ad", "amp-embed")
FURNITURE_TAGS = frozenset({"nav", "footer", "aside", "form", "menu"})
FURNITURE_ROLES = frozenset(
    {"navigation", "complementary", "contentinfo", "banner", "dialog", "alertdialog", "search", "menu"}
)


def _spellings(*names: str) -> frozenset[str]:
    """Each name as it is and with any of its hyphens left out: `read-more` is also written `readmore`."""
    found: set[str] = set()
    for name in names:
        first, *rest = name.split("-")
        heads = [first]
        for word in rest:
            heads = [head + joint + word for head in heads for joint in ("-", "")]
        found.update(heads)
    return frozenset(found)


# A name is cut into words at every non-letter and at camelCase humps; then one to three of its words in a row must be
# one of these. Never here: paywall, premium, content, article, story, body: they name the text itself as often as not.
_FURNITURE = _spellings(
    *("related", "recommend", "recommended", "recommendation", "recommendations", "recommender", "read-more"),
    *("read-also", "read-next", "see-also", "more-stories", "more-news", "more-on", "more-from", "more-like"),
    *("more-articles", "newsletter", "newsletters", "sign-up", "subscribe", "subscription", "subscriptions"),
    *("share", "sharing", "shares", "sharebar", "sharetools", "social", "socials", "addthis", "addtoany"),
    *("sharedaddy", "comment", "comments", "commenting", "respond", "disqus", "livefyre", "coral"),
    *("promo", "promos", "promotion", "promoted", "advert", "adverts", "advertisement", "advertising"),
    *("ad", "ads", "adslot", "adunit", "adbox", "banner", "sponsor", "sponsors", "sponsored"),
    *("outbrain", "taboola", "mgid", "revcontent", "zergnet", "dianomi", "teads", "jp-relatedposts", "relatedposts"),
    *("yarpp", "author-bio", "author-box", "author-info", "author-card", "author-profile", "author-about"),
    *("author-description", "about-author", "about-the-author", "bio", "bios", "post-author", "writer-bio"),
    *("tag", "tags", "tag-list", "tag-cloud", "tag-links", "taxonomy", "keywords", "topics"),
    *("breadcrumb", "breadcrumbs", "crumbs", "byline", "bylines", "dateline", "timestamp", "pub-date", "post-date"),
    *("entry-date", "entry-meta", "entry-footer", "post-meta", "post-footer", "post-info", "article-meta"),
    *("article-footer", "article-tools", "article-info", "article-actions", "metadata", "byline-wrapper"),
    *("screen-reader", "screen-reader-text", "sr-only", "visually-hidden", "print-only", "no-print", "offscreen"),
    *("most-read", "most-popular", "most-viewed", "most-commented", "most-shared", "popular", "trending", "trends"),
    *("toolbar", "follow", "follow-us", "sidebar", "rail", "pop-up", "modal", "overlay"),
    *("cookie", "cookies", "cookie-consent", "consent", "gdpr", "donate", "donation", "pagination", "pager"),
    *("nav", "navigation", "navbar", "menu", "footer", "masthead", "skip-link", "toc", "table-of-contents"),
    *("disclaimer", "disclosure", "copyright", "correction-policy", "feedback", "rating", "ratings", "poll", "quiz"),
    *("app-download", "app-promo", "teaser", "teasers", "read-time", "reading-time", "ticker", "marquee"),
    *("next-article", "next-post", "next-story", "prev-article", "prev-post", "prev-story", "previous-article"),
    *("previous-post", "previous-story", "post-nav", "post-navigation", "infobox-promo", "cta"),
    *("hidden", "hide", "d-none", "invisible", "widget", "widgets", "call-to-action"),
)
_CAPTION = _spellings(
    *("caption", "captions", "figcaption", "wp-caption", "wp-caption-text", "photo-caption", "photo-credit"),
    *("image-caption", "image-credit", "image-source", "credit", "credits", "cutline", "photographer"),
)
_EMBED = _spellings(
    *("twitter-tweet", "twitter-video", "instagram-media", "tiktok-embed", "fb-post", "fb-video", "reddit-card"),
    *("reddit-embed", "bluesky-embed", "telegram-post"),
)
_BODY = _spellings(
    *(
        f"{whole}-{part}"
        for whole in ("article", "entry", "post", "story", "news", "blog", "main", "page", "single", "content")
        for part in ("body", "content", "text", "copy", "txt")
    ),
    *("body-text", "body-copy", "body-content", "rich-text", "wysiwyg", "article-p-body", "article-page-body"),
)
_TAXONOMY = re.compile(r"(?:tag|category|status|format)-(?!list|links|cloud)")
_WORD = re.compile(r"[A-Z]+[a-z]*|[a-z]+")
_HIDDEN_STYLE = re.compile(r"(?:display\s{0,3}:\s{0,3}none|visibility\s{0,3}:\s{0,3}hidden)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Marked:
    """What an element's class names and id say of it."""

    furniture: bool = False
    body: bool = False
    caption: bool = False
    embed: bool = False
    related: bool = False


_NOTHING = Marked()


@lru_cache(maxsize=4096)
def marked(class_value: str, id_value: str) -> Marked:
    """Judge an element by its names; the same few names come again and again in a page."""
    names = class_value.split()
    if id_value:
        names += id_value.split()
    said = [judged for name in names[:24] if (judged := _judged(name)) is not _NOTHING]
    if len(said) < 2:
        return said[0] if said else _NOTHING
    body = any(one.body for one in said)
    return Marked(
        furniture=not body and any(one.furniture for one in said),
        body=body,
        caption=any(one.caption for one in said),
        embed=any(one.embed for one in said),
        related=any(one.related for one in said),
    )


@lru_cache(maxsize=16384)
def _judged(given: str) -> Marked:
    words = _WORD.findall(given[:80])
    name = "-".join(words).lower()
    # WordPress names an article by its tags and categories: `tag-elon-musk` is no list of tags.
    if not name or _TAXONOMY.match(name):
        return _NOTHING
    runs = _runs(name.split("-"))
    if "related-body" in name or "related-text" in name:
        runs.discard("related")
    body = not _BODY.isdisjoint(runs)
    judged = Marked(
        furniture=not body and not _FURNITURE.isdisjoint(runs),
        body=body,
        caption=not _CAPTION.isdisjoint(runs),
        embed=not _EMBED.isdisjoint(runs),
        related="related" in name or "internal-link" in name or "read-more" in name,
    )
    return _NOTHING if judged == _NOTHING else judged


def _runs(words: list[str]) -> set[str]:
    """Every one to three words in a row, joined by hyphens."""
    pairs = [f"{left}-{right}" for left, right in pairwise(words)]
    triples = [f"{pair}-{right}" for pair, right in zip(pairs, words[2:], strict=False)]
    return {*words, *pairs, *triples}


def is_hidden(attributes: Mapping[str, str | None]) -> bool:
    """Hidden from readers by attribute or inline style."""
    if "hidden" in attributes or attributes.get("aria-hidden") == "true":
        return True
    style = attributes.get("style")
    return bool(style and _HIDDEN_STYLE.search(style))
