"""Published and modified: chosen from what the page says, best source first. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from scraper import dates
from scraper.extractor.facts import PageFacts
from scraper.extractor.structured import Structured
from scraper.model import Evidence, Moment, Precision

_PUBLISHED_METAS = (
    *("article:published_time", "article:published", "og:article:published_time", "og:published_time", "datepublished"),
    *("parsely-pub-date", "sailthru.date", "dc.date.issued", "dcterms.issued", "dcterms.created", "dc.date.created"),
    *("cxenseparse:recs:publishtime", "publish-date", "publish_date", "publication_date", "pubdate", "pub_date"),
    *("article.published", "article_date_original", "originalpublicationdate", "datecreated", "citation_date"),
    *(
        "citation_publication_date",
        "dc.date",
        "dcterms.date",
        "date",
        "timestamp",
        "article-publication-date",
        "vr:published_time",
    ),
)
_MODIFIED_METAS = (
    *("article:modified_time", "og:article:modified_time", "og:updated_time", "article:updated_time", "datemodified"),
    *("lastmod", "last-modified", "dcterms.modified", "dc.date.modified", "article.updated", "dateupdated", "revised"),
)
_URL_DATE = re.compile(r"/(20\d\d|19\d\d)[/-]?(\d\d|(?<=[/-])\d)[/-]?(\d\d|(?<=[/-])\d)(?=[/_.-]|$)")
_CHANGED = re.compile(r"modif|updat|edited|aktualis|changed|обновл", re.IGNORECASE)


def published(data: Structured, facts: PageFacts, url: str, bound: datetime | None) -> tuple[Moment, Evidence] | None:
    """When the article was published; None when the page does not say."""
    language = data.language or None
    best: tuple[Moment, Evidence] | None = None
    for source, raw in _published(data, facts, url):
        moment = _read(raw, source, language)
        if moment is None or not _possible(moment, bound):
            continue
        if best is None or _refines(moment, best[0]):
            best = moment, Evidence(source, raw[:200])
        if _complete(best[0]):
            break
    return best


def modified(data: Structured, facts: PageFacts, bound: datetime | None) -> tuple[Moment, Evidence] | None:
    """When the article was last changed; None when the page does not say."""
    for source, raw in _modified(data, facts):
        moment = _read(raw, source, data.language or None)
        if moment is not None and _possible(moment, bound):
            return moment, Evidence(source, raw[:200])
    return None


def _published(data: Structured, facts: PageFacts, url: str) -> Iterator[tuple[str, str]]:
    for key in ("datePublished", "dateCreated", "uploadDate"):
        if value := data.text(key):
            yield "json-ld", value
    for name in _PUBLISHED_METAS:
        for value in data.metas.get(name, ()):
            yield "og" if ":" in name else "meta", value
    for value in data.micro.get("datepublished", ()):
        yield "microdata", value
    for item in facts.times:
        if not _CHANGED.search(f"{item.names} {item.text}"):
            yield "time", item.value or item.text
    if match := _URL_DATE.search(url):
        yield "url", f"{match[1]}-{int(match[2]):02}-{int(match[3]):02}"
    for item in (*facts.dates, *facts.bylines):
        if not _CHANGED.search(f"{item.names} {item.text}"):
            yield "visible", item.value or item.text


def _modified(data: Structured, facts: PageFacts) -> Iterator[tuple[str, str]]:
    if value := data.text("dateModified"):
        yield "json-ld", value
    for name in _MODIFIED_METAS:
        for value in data.metas.get(name, ()):
            yield "og" if ":" in name else "meta", value
    for value in data.micro.get("datemodified", ()):
        yield "microdata", value
    for item in facts.times:
        if _CHANGED.search(f"{item.names} {item.text}"):
            yield "time", item.value or item.text


def _read(raw: str, source: str, language: str | None) -> Moment | None:
    moment = dates.parse(raw, language)
    if moment is None and source == "visible":
        moment = dates.search(raw, language)
    return moment if moment and moment.precision not in (Precision.YEAR, Precision.MONTH) else None


def _possible(moment: Moment, bound: datetime | None) -> bool:
    if moment.at.year < 1990:
        return False  # 1970-01-01 and the like: an empty field of some software
    if bound is None:
        return True
    at = moment.at if moment.at.tzinfo else moment.at.replace(tzinfo=UTC)
    return at <= (bound if bound.tzinfo else bound.replace(tzinfo=UTC)) + timedelta(days=1)


def _complete(moment: Moment) -> bool:
    return moment.precision is not Precision.DAY and moment.at.tzinfo is not None


def _refines(moment: Moment, best: Moment) -> bool:
    """Does another source say the same day (or minute) more exactly?"""
    if moment.at.date() != best.at.date() or moment.precision is Precision.DAY:
        return False
    if best.precision is Precision.DAY:
        return True
    same_minute = moment.at.replace(tzinfo=None, second=0) == best.at.replace(tzinfo=None, second=0)
    return best.at.tzinfo is None and moment.at.tzinfo is not None and same_minute
