"""Which class names, tags and phrases mark page furniture. Pure; the only place that knows such words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

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

# Names are cut at every non-letter and at camelCase humps first, then these words (or word pairs) must stand whole.
# Never here: paywall, premium, content, article, story, body: they name the text itself as often as not.
_FURNITURE = re.compile(
    r"(?:^|-)(?:"
    r"related(?!-?(?:body|text))|recommend(?:ed|ations?|er)?|read-?(?:more|also|next)|see-?also|more-?(?:stories"
    r"|news|on|from|like|articles)"
    r"|newsletters?|sign-?up|subscribe|subscription|subscriptions|share|sharing|shares|sharebar|sharetools|social"
    r"|socials|addthis|addtoany|sharedaddy"
    r"|comments?|commenting|respond|disqus|livefyre|coral|promos?|promotion|promoted|advert(?:s|isement|ising)?"
    r"|ads?|adslot|adunit|adbox|banner|sponsor(?:ed|s)?"
    r"|outbrain|taboola|mgid|revcontent|zergnet|dianomi|teads|jp-relatedposts|relatedposts|yarpp"
    r"|author-?(?:bio|box|info|card|profile|about|description)|about-?(?:the-?)?author|bio|bios|post-?author"
    r"|writer-?bio"
    r"|tags?|tag-?(?:list|cloud|links)|taxonomy|keywords|topics|breadcrumbs?|crumbs"
    r"|byline|bylines|dateline|timestamp|pub-?date|post-?date|entry-?(?:date|meta|footer)|post-?(?:meta|footer"
    r"|info)|article-?(?:meta|footer|tools|info|actions)|metadata|byline-?wrapper"
    r"|screen-?reader(?:-?text)?|sr-?only|visually-?hidden|visuallyhidden|print-?only|noprint|no-?print|offscreen"
    r"|most-?(?:read|popular|viewed|commented|shared)|popular|trending|trends|toolbar|follow(?:-?us)?|sidebar|rail"
    r"|popup|pop-?up|modal|overlay|cookie(?:s|-?consent)?|consent|gdpr"
    r"|donate|donation|pagination|pager|nav|navigation|navbar|menu|footer|masthead|skip-?link|toc|table-?of-?contents"
    r"|disclaimer|disclosure|copyright|correction-?policy|feedback|rating|ratings|poll|quiz|app-?(?:download"
    r"|promo)|teasers?|read-?time|reading-?time"
    r"|ticker|marquee|next-?(?:article|post|story)|prev(?:ious)?-?(?:article|post|story)|post-?nav(?:igation)?"
    r"|infobox-?promo|cta|hidden|hide|d-none|invisible|widgets?|call-?to-?action"
    r")(?:$|-)"
)
_CAPTION = re.compile(
    r"(?:^|-)(?:captions?|figcaption|wp-caption(?:-text)?|photo-?(?:caption|credit)|image-?(?:caption|credit"
    r"|source)|credits?|cutline|photographer)(?:$|-)"
)
_EMBED = re.compile(
    r"(?:^|-)(?:twitter-?(?:tweet|video)|instagram-?media|tiktok-?embed|fb-?(?:post|video)|reddit-?(?:card|embed)"
    r"|bluesky-?embed|telegram-?post)(?:$|-)"
)
_BODY = re.compile(
    r"(?:^|-)(?:(?:article|entry|post|story|news|blog|main|page|single|content)-?(?:body|content|text|copy|txt)"
    r"|articlebody|storybody|bodytext|body-?(?:text|copy|content)|rich-?text|wysiwyg|article-?p(?:age)?-?body)(?:$"
    r"|-)"
)
_TAXONOMY = re.compile(r"(?:tag|category|status|format)-(?!list|links|cloud)")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_SPLIT = re.compile(r"[^A-Za-z]+")
_HIDDEN_STYLE = re.compile(r"(?:display\s{0,3}:\s{0,3}none|visibility\s{0,3}:\s{0,3}hidden)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Marked:
    """What an element's class names and id say; `names` are in one form (`articleBody_main` -> `article-body-main`)."""

    names: tuple[str, ...] = ()
    furniture: bool = False
    body: bool = False
    caption: bool = False
    embed: bool = False
    related: bool = False


_NOTHING = Marked()


@lru_cache(maxsize=4096)
def marked(class_value: str, id_value: str) -> Marked:
    """Judge an element by its names; the same few names come again and again in a page."""
    said = [_judged(name) for name in f"{class_value} {id_value}".split()[:24]]
    if not said:
        return _NOTHING
    body = any(one.body for one in said)
    return Marked(
        names=tuple(name for one in said for name in one.names),
        furniture=not body and any(one.furniture for one in said),
        body=body,
        caption=any(one.caption for one in said),
        embed=any(one.embed for one in said),
        related=any(one.related for one in said),
    )


@lru_cache(maxsize=16384)
def _judged(given: str) -> Marked:
    name = _SPLIT.sub("-", _HUMP.sub("-", given[:80])).strip("-").lower()
    # WordPress names an article by its tags and categories: `tag-elon-musk` is no list of tags.
    if not name or _TAXONOMY.match(name):
        return _NOTHING
    return Marked(
        names=(name,),
        furniture=bool(_FURNITURE.search(name)),
        body=bool(_BODY.search(name)),
        caption=bool(_CAPTION.search(name)),
        embed=bool(_EMBED.search(name)),
        related="related" in name or "internal-link" in name or "read-more" in name,
    )


def is_hidden(attributes: Mapping[str, str | None]) -> bool:
    """Hidden from readers by attribute or inline style."""
    if "hidden" in attributes or attributes.get("aria-hidden") == "true":
        return True
    style = attributes.get("style")
    return bool(style and _HIDDEN_STYLE.search(style))
