"""extract(page) -> Article: pure, no I/O, no clock, no locale, no globals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from scraper.model import Article, ParserLimits, SiteRules

VERSION = "1"

_NO_LIMITS_NAMED = ParserLimits()


def extract(
    html: bytes | str,
    url: str,
    *,
    content_type: str | None = None,
    captured_at: datetime | None = None,
    rules: Sequence[SiteRules] | SiteRules | None = None,
    limits: ParserLimits = _NO_LIMITS_NAMED,
) -> Article:
    """Reduce a page to its article.

    `html` is the stored entity with its content coding removed, or text that is decoded already. `captured_at` bounds
    the dates (nothing is published after it was captured). A page that cannot be read says why in `skipped`.
    """
    from scraper.extractor.page import Request, article_of  # the parsers load with the first page
    from scraper.extractor.sites import chosen

    known = (rules,) if isinstance(rules, SiteRules) else tuple(rules or ())
    return article_of(html, Request(url, content_type, captured_at, chosen(known, url), limits))
