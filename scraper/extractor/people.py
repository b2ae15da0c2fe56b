"""Authors, agency and byline: persons before organisations, no publishers, no roles. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from scraper import bylines
from scraper.extractor.facts import PageFacts
from scraper.extractor.structured import Structured
from scraper.model import Evidence

_METAS = (
    *(
        "author",
        "article:author",
        "parsely-author",
        "sailthru.author",
        "dc.creator",
        "dcterms.creator",
        "byl",
        "byline",
    ),
    *(
        "cxenseparse:author",
        "article:author_name",
        "vr:author",
        "citation_author",
        "authors",
        "og:article:author",
        "dc.author",
    ),
)
_ORGANISATION = re.compile(r"Organi[sz]ation|Corporation|Brand")
_WORD = re.compile(r"\w+")
_AGENCY_DATELINE = re.compile(
    r"^.{0,80}?\((Reuters|AP|AFP|UPI|Xinhua|TASS|dpa|Bloomberg|PTI|IANS|ANI|EFE|ANSA|Kyodo)\)\s{0,3}[-–—]"
)
_AGENCY_SLASH = re.compile(r"^.{0,60}?/(AFP|dpa|ANSA|EFE|PA)/\s")


@dataclass(frozen=True, slots=True)
class People:
    """Who wrote it; the evidence is of the source that gave the names."""

    byline: str | None = None
    authors: tuple[str, ...] = ()
    agency: str | None = None
    evidence: tuple[tuple[str, Evidence], ...] = ()


@dataclass(frozen=True, slots=True)
class _Reading:
    source: str
    raw: str
    authors: tuple[str, ...]
    organisations: tuple[str, ...]
    agency: str | None


def choose(data: Structured, facts: PageFacts, publishers: tuple[str, ...], first_text: str) -> People:
    """Pick the best source: persons of JSON-LD, metas, microdata, the visible byline; then organisations."""
    sites = {_key(name) for name in publishers if name}
    readings = [reading for reading in _readings(data, facts, sites) if reading is not None]
    chosen = next((reading for reading in readings if reading.authors), None)
    if chosen is None:
        chosen = next((reading for reading in readings if reading.organisations), None)
    agency = next(((reading.agency, reading.source, reading.raw) for reading in readings if reading.agency), None)
    if agency is None and (match := _AGENCY_DATELINE.match(first_text) or _AGENCY_SLASH.match(first_text)):
        agency = match[1], "dateline", match[0].strip()
    authors = (chosen.authors or chosen.organisations) if chosen else ()
    evidence = []
    if chosen and authors:
        evidence.append(("authors", Evidence(chosen.source, chosen.raw[:300])))
    if agency:
        evidence.append(("agency", Evidence(agency[1], agency[2][:300])))
    name = agency[0] if agency else None
    byline = _byline(facts, authors, name)
    if byline:
        evidence.append(("byline", byline))
    elif authors or name:
        evidence.append(("byline", evidence[0][1]))
    text = bylines.strip_prefix(byline.raw) if byline else bylines.compose(authors, name)
    return People(text, authors, name, tuple(evidence))


def _byline(facts: PageFacts, authors: tuple[str, ...], agency: str | None) -> Evidence | None:
    """The visible byline, when it says just what the fields say."""
    for item in facts.bylines:
        read = bylines.parse(item.text)
        plain = "|" not in read.text and not any(map(str.isdigit, read.text))
        if plain and (authors or agency) and (read.authors, read.agency) == (authors, agency):
            return Evidence("byline", item.text)
    return None


def _readings(data: Structured, facts: PageFacts, sites: set[str]) -> Iterator[_Reading | None]:
    for key in ("author", "creator", "contributor"):
        parties = data.parties(key)
        if parties:
            yield _from_parties([(party.name, party.kind) for party in parties], sites)
    for name in _METAS:
        values = data.metas.get(name, ())
        if values:
            yield _from_texts("og" if ":" in name else "meta", values, sites)
    if data.micro.get("author"):
        yield _from_texts("microdata", data.micro["author"][:6], sites)
    strong = [item.text for item in facts.bylines if item.strong]
    if strong:
        yield _first_texts("byline", strong, sites)
    weak = [item.text for item in facts.bylines if not item.strong]
    if weak:
        yield _first_texts("byline", weak, sites)
    for key in ("sourceOrganization", "provider", "copyrightHolder"):
        for party in data.parties(key):
            if bylines.is_agency(party.name):
                yield _Reading("json-ld", party.name, (), (), party.name)


def _first_texts(source: str, texts: list[str], sites: set[str]) -> _Reading | None:
    """The first visible byline that holds a name."""
    for text in texts[:8]:
        reading = _from_texts(source, (text,), sites)
        if reading is None:
            continue
        names = tuple(name for name in reading.authors if any(char.isupper() or not char.isascii() for char in name))
        if names or reading.agency:
            return _Reading(source, text, names, (), reading.agency)
    return None


def _from_parties(parties: list[tuple[str, str]], sites: set[str]) -> _Reading | None:
    authors: list[str] = []
    organisations: list[str] = []
    agency = None
    for name, kind in parties:
        read = bylines.parse(name)
        agency = agency or read.agency
        if _ORGANISATION.search(kind):
            if not bylines.is_agency(name) and _key(name) not in sites and bylines.person(name):
                organisations.append(name)
            continue
        authors += [author for author in read.authors if author not in authors and not _is_site(author, sites)]
    raw = "; ".join(name for name, _ in parties)
    return _Reading("json-ld", raw, tuple(authors), tuple(organisations), agency)


def _from_texts(source: str, texts: tuple[str, ...] | list[str], sites: set[str]) -> _Reading | None:
    authors: list[str] = []
    agency = None
    for text in texts[:20]:
        read = bylines.parse(text)
        agency = agency or read.agency
        authors += [name for name in read.authors if name not in authors and not _is_site(name, sites)]
    return _Reading(source, "; ".join(texts[:20]), tuple(authors), (), agency) if authors or agency else None


def _is_site(name: str, sites: set[str]) -> bool:
    key = _key(name)
    return not key or any(
        key == site or (len(site) >= 5 and (site in key or (key in site and len(key) >= 6))) for site in sites
    )


def _key(name: str) -> str:
    return "".join(_WORD.findall(name.casefold())).removeprefix("the")
