"""Title, publisher, section, language, picture and the like: chosen from their candidates, with evidence. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scraper import urls
from scraper.extractor import jsonld
from scraper.extractor.facts import Figure, PageFacts
from scraper.extractor.structured import Structured, clean
from scraper.model import Evidence, Image

_WORD = re.compile(r"\w+")
_PARTS = re.compile(
    r"\s{1,20}(?:\||-|–|—|::|»|«|·|•|/|:)\s{1,20}|\s{0,20}\|\s{0,20}|\s{0,20}｜\s{0,20}|\s{0,20}_\s{0,20}(?=[^_]{2,30}$)"
)
_LANGUAGE = re.compile(r"^[a-zA-Z]{2,3}(?:[-_][a-zA-Z0-9]{2,8}){0,3}$")
_CREDIT = re.compile(
    r"^(?P<caption>.*?)[\s(\[|]{1,3}(?P<credit>(?:(?:photo(?:graph)?|image|picture|foto|bild|credit|source"
    r"|crédit)s?\s?(?:by|credit|:|/|©)"
    r"|©|\(c\)|via\s).{2,100}?)[)\]]?$",
    re.IGNORECASE,
)
_AGREES = 0.5  # similarity from which a headline on the page is the page's headline

Chosen = tuple[str, Evidence] | None


def similarity(left: str, right: str) -> float:
    """Share of words in common (Dice), 0 to 1; characters where a script has no spaces."""
    a, b = _bag(left), _bag(right)
    size = sum(a.values()) + sum(b.values())
    return 2 * sum((a & b).values()) / size if size else 0.0


def _bag(text: str) -> Counter[str]:
    words = _WORD.findall(text.casefold())
    if any("\u2e80" < char < "\ufb00" for char in text):
        return Counter("".join(words))
    return Counter(words)


def title(data: Structured, facts: PageFacts, sites: Sequence[str]) -> Chosen:
    """The h1 that agrees best with what the page says of itself; else the JSON-LD headline; else og:title."""
    og = data.meta("og:title", "twitter:title", "dc.title", "title", "parsely-title", "sailthru.title")
    headline = data.text("headline") or (data.text("name") if "headline" not in data.ld else "")
    told = [
        ("json-ld", headline),
        ("og", without_site(og[1], sites) if og else ""),
        ("title", without_site(data.head_title, sites)),
    ]
    witnesses = [text for _, text in told if text]
    best, agreement = "", 0.0
    for shown in facts.headlines:
        score = max((similarity(shown, witness) for witness in witnesses), default=0.0)
        if score > agreement:
            best, agreement = shown, score
    if best and agreement >= _AGREES:
        return best, Evidence("h1", best)
    for source, text in told:
        if text and (source != "title" or not facts.headlines):
            return text, Evidence(source, text)
    if len(facts.headlines) == 1 or not witnesses:
        return next(((shown, Evidence("h1", shown)) for shown in facts.headlines if not _is_site(shown, sites)), None)
    return witnesses[0], Evidence(told[-1][0], data.head_title)


def without_site(text: str, sites: Sequence[str]) -> str:
    """A `<title>` without the site's name before or behind it."""
    parts = [part for part in _PARTS.split(text) if part.strip()]
    if len(parts) < 2:
        return text
    keys = {_key(site) for site in sites if site}
    end = len(parts)
    while end > 1 and _names_site(parts[end - 1], keys):
        end -= 1
    start = 1 if end > 1 and _names_site(parts[0], keys) else 0
    if (start, end) == (0, len(parts)):
        return text
    first = text.index(parts[start])
    last = text.rindex(parts[end - 1]) + len(parts[end - 1])
    return text[first:last].strip()


def _names_site(part: str, keys: set[str]) -> bool:
    key = _key(part)
    return bool(key) and any(
        key == site or (len(key) >= 4 and (key in site or (len(site) >= 4 and site in key))) for site in keys
    )


def _is_site(text: str, sites: Sequence[str]) -> bool:
    return _key(text) in {_key(site) for site in sites}


def _key(text: str) -> str:
    return "".join(_WORD.findall(text.casefold())).removeprefix("the")


def subtitle(data: Structured, facts: PageFacts, found_title: str) -> Chosen:
    """The standfirst: as shown, or JSON-LD's alternative headline."""
    for shown in facts.subtitles:
        if similarity(shown, found_title) < 0.8:
            return shown, Evidence("subtitle", shown)
    told = data.text("alternativeHeadline")
    if told and similarity(told, found_title) < 0.8:
        return told, Evidence("json-ld", told)
    return None


def publisher(data: Structured) -> Chosen:
    """Who publishes the site."""
    for party in data.parties("publisher"):
        if party.name and not party.name.startswith("http"):
            return party.name, Evidence("json-ld", party.name)
    if named := data.meta("og:site_name"):
        return named[1], Evidence("og", named[1])
    if named := data.meta("publisher", "dc.publisher", "dcterms.publisher", "application-name", "citation_publisher"):
        return named[1], Evidence("meta", named[1])
    return None


def site_names(data: Structured, url: str) -> tuple[str, ...]:
    """What the site may be called in titles and bylines."""
    names = [party.name for party in data.parties("publisher")]
    for item in data.items:
        if {"WebSite", "NewsMediaOrganization", "Organization"}.intersection(jsonld.types(item)):
            names.append(data.text("name", item))
    names += [
        value
        for key in ("og:site_name", "application-name", "publisher", "twitter:site")
        for value in data.metas.get(key, ())
    ]
    try:
        host = urls.target(url).host
    except urls.NotATarget:
        host = ""
    domain = urls.registered_domain(host) if host else ""
    names += [domain, domain.partition(".")[0]]
    return tuple(dict.fromkeys(name.lstrip("@") for name in names if 2 <= len(name) <= 60))


def section(data: Structured) -> Chosen:
    """The part of the site the article stands in."""
    if told := data.text("articleSection"):
        return told, Evidence("json-ld", told)
    if named := data.meta("article:section", "og:article:section"):
        return named[1], Evidence("og", named[1])
    if named := data.meta("parsely-section", "section", "dc.subject", "cxenseparse:section", "sailthru.section"):
        return named[1], Evidence("meta", named[1])
    for value in data.micro.get("articlesection", ()):
        return value, Evidence("microdata", value)
    return None


def language(data: Structured) -> Chosen:
    """The BCP 47 tag of the text: html lang, og:locale, JSON-LD, Content-Language."""
    named = data.meta("og:locale")
    header = data.meta("content-language", "dc.language", "language")
    for source, raw in (
        ("html", data.language),
        ("og", named[1] if named else ""),
        ("json-ld", data.text("inLanguage")),
        ("meta", header[1] if header else ""),
    ):
        if _LANGUAGE.match(raw.strip()):
            return _tag(raw.strip()), Evidence(source, raw)
    return None


def _tag(raw: str) -> str:
    first, *rest = raw.replace("_", "-").split("-")
    return "-".join([first.lower(), *(part.upper() if len(part) == 2 else part.title() for part in rest)])


def canonical(data: Structured, url: str) -> Chosen:
    """The page's own address, absolute."""
    named = data.meta("og:url")
    for source, raw in (("link", data.canonical), ("og", named[1] if named else "")):
        if raw and (absolute := absolute_url(raw, url)):
            return absolute, Evidence(source, raw)
    return None


def absolute_url(raw: str, base: str) -> str | None:
    """An address of the page made absolute, without userinfo; None for what is no web address."""
    try:
        return urls.target(raw.strip(), base).href if raw.strip() else None
    except urls.NotATarget:
        return None


def tags(data: Structured, facts: PageFacts) -> tuple[tuple[str, ...], Evidence | None]:
    """Key words, in the order of the best source that has any."""
    for source, values in _tag_sources(data, facts):
        found = tuple(dict.fromkeys(part for value in values for part in _split_tags(value) if 1 < len(part) <= 60))
        if found:
            return found[:50], Evidence(source, "; ".join(values)[:300])
    return (), None


def _tag_sources(data: Structured, facts: PageFacts) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield "json-ld", data.texts("keywords")
    yield "og", data.metas.get("article:tag", ())
    for name in ("news_keywords", "parsely-tags", "sailthru.tags", "keywords"):
        yield "meta", data.metas.get(name, ())
    yield "rel", facts.tags


def _split_tags(value: str) -> list[str]:
    return [part.strip() for part in re.split(r"[,;，、]", value)]


# -------------------------------------------------------------------- picture


def image(data: Structured, facts: PageFacts, url: str) -> tuple[Image, Mapping[str, Evidence]] | None:
    """The lead picture: the address told by the page, with caption and credit of the figure that shows it."""
    told = next(_image_addresses(data), None)
    address = absolute_url(told[1], url) if told else None
    figure = _figure_of(address, facts.figures, url)
    if address is None and figure is not None and figure.src:
        told, address = ("figure", figure.src), absolute_url(figure.src, url)
    caption, credit = (figure.caption, figure.credit) if figure else ("", "")
    if caption and not credit and (match := _CREDIT.match(caption)):
        caption, credit = match["caption"].strip(), match["credit"].strip()
    evidence = {"image.caption": Evidence("figure", caption)} if caption else {}
    if credit:
        evidence["image.credit"] = Evidence("figure", credit)
    described = _image_object(data)
    if not caption and (caption := data.text("caption", described)):
        evidence["image.caption"] = Evidence("json-ld", caption)
    if not credit and (credit := data.text("creditText", described)):
        evidence["image.credit"] = Evidence("json-ld", credit)
    if not (address or caption or credit):
        return None
    if told and address:
        evidence["image"] = Evidence(told[0], told[1])
    return Image(address, clean(caption) or None, clean(credit) or None), evidence


def _image_addresses(data: Structured) -> Iterator[tuple[str, str]]:
    for value in (*data.metas.get("og:image", ()), *data.metas.get("og:image:url", ())):
        if value:
            yield "og", value
    for address in _addresses(data.ld.get("image")):
        yield "json-ld", address
    for name in ("twitter:image", "twitter:image:src", "parsely-image-url", "sailthru.image.full", "thumbnail"):
        for value in data.metas.get(name, ()):
            if value:
                yield "meta", value
    for value in data.micro.get("image", ()):
        yield "microdata", value


def _addresses(value: Any) -> Iterator[str]:
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, Mapping):
            one = one.get("url") or one.get("contentUrl")
        if isinstance(one, str) and one.strip():
            yield one.strip()


def _image_object(data: Structured) -> Mapping[str, Any]:
    value = data.ld.get("image")
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, Mapping):
            return data.known.get(str(one.get("@id")), one) if len(one) == 1 else one
    return {}


def _figure_of(address: str | None, figures: Sequence[Figure], url: str) -> Figure | None:
    """The figure showing the lead picture (same file name), else the first with something written below it."""
    if address:
        name = _file_name(address)
        for figure in figures:
            if figure.src and name and _file_name(absolute_url(figure.src, url) or "") == name:
                return figure
    return next((figure for figure in figures[:2] if figure.caption or figure.credit), None)


def _file_name(address: str) -> str:
    return address.partition("?")[0].rpartition("/")[2].lower()
