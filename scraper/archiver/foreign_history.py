"""Which records of other tools' WARCs are captures of pages: what the state is told of an import."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from scraper import message, urls
from scraper.archiver import foreign
from scraper.archiver.collection import Kept
from scraper.archiver.foreign import Found
from scraper.archiver.history import Recorded
from scraper.archiver.records import Record
from scraper.archiver.visits import read_fields
from scraper.model import Location, Outcome, Purpose, State, Target

HTML = frozenset({"text/html", "application/xhtml+xml"})
# How long after a redirect its goal was asked for, and how many in a row a browser follows.
_CHAIN_TIME = timedelta(minutes=10)
_MOST_HOPS = 20
_NO_DOCUMENT_HOPS = "EIXP"  # Heritrix: embedded, inferred, speculative, prerequisite


@dataclass(frozen=True, slots=True)
class ForeignCapture(Recorded):
    """A capture that another tool made; `codings` are the content codings of its page, as its head names them."""

    codings: str = ""


@dataclass(frozen=True, slots=True)
class _Answer:
    """A response in short: a page, or a redirect to `goal`."""

    target: Target
    at: datetime
    place: Location
    status: int
    mime: str | None
    names: tuple[str, ...]  # by which a request or metadata record may speak of it
    goal: str | None = None
    codings: str = ""


@dataclass(slots=True)
class _Survey:
    """What one reading of a file gathers."""

    pages: list[_Answer] = field(default_factory=list)
    redirects: dict[str, list[_Answer]] = field(default_factory=dict)
    embedded: set[str] = field(default_factory=set)  # names of what was asked for by a page, not by a person


def captures(
    path: Path, pages: Iterable[tuple[str, str]] = (), wanted: Callable[[str], bool] = lambda _: False
) -> Iterator[ForeignCapture]:
    """The captures of pages in a WARC, and of the addresses that redirect to them, in order.

    `pages` are the addresses and times which a WACZ lists: they decide where there are any. Elsewhere a page is a whole
    2xx answer of HTML which nothing shows to be a part of another page. What is `wanted` by its address always counts,
    whatever its type. Damage is gone over: whoever imports has judged it.
    """
    survey = _surveyed(path, wanted)
    listed = frozenset(_normal(href) for href, _ in pages)
    chosen = [page for page in survey.pages if _is_page(page, listed, survey.embedded) or wanted(page.target.href)]
    by_href: dict[str, list[_Answer]] = {}
    for page in chosen:
        by_href.setdefault(page.target.href, []).append(page)
    found = [_recorded(page, page) for page in chosen]
    for redirects in survey.redirects.values():
        for redirect in redirects:
            if goal := _followed(redirect, survey.redirects, by_href):
                found.append(_recorded(redirect, goal))
    yield from sorted(found, key=lambda item: (item.kept.visit.offset, item.target.href))


def _surveyed(path: Path, wanted: Callable[[str], bool]) -> _Survey:
    survey = _Survey()
    for found in foreign.scan_on(path, [], foreign.GLANCE):
        record = found.record
        if record.type == "response" and (answer := _answer(found, path.name)):
            if answer.goal is not None:
                survey.redirects.setdefault(answer.target.href, []).append(answer)
            elif answer.mime in HTML or wanted(answer.target.href):
                survey.pages.append(answer)
        elif (record.type == "request" and _asks_for_a_part(record)) or (
            record.type == "metadata" and _is_hop_to_a_part(record)
        ):
            survey.embedded.update(_names(record))
    return survey


def _answer(found: Found, warc: str) -> _Answer | None:
    record = found.record
    head = message.parse_head(record.block)
    if head is None or found.is_shared or record.header("WARC-Truncated"):
        return None
    target = _target(found.href)
    goal = _goal(head, found.href) if 300 <= head.status < 400 else None
    if target is None or (goal is None and not 200 <= head.status < 300):
        return None
    mime = (head.header("content-type") or "").partition(";")[0].strip().lower() or None
    place = Location(warc, found.offset, found.length)
    codings = ", ".join(head.all("content-encoding"))
    return _Answer(target, record.date, place, head.status, mime, _names(record), goal, codings)


def _target(href: str) -> Target | None:
    try:
        return urls.target(href)
    except urls.NotATarget:
        return None


def _normal(href: str) -> str:
    target = _target(href)
    return target.href if target else href


def _goal(head: message.Head, base: str) -> str | None:
    location = head.header("location")
    if not location:
        return None
    try:
        return urls.target(location, base).href
    except urls.NotATarget:
        return None


def _names(record: Record) -> tuple[str, ...]:
    """The ids by which records of one event point at each other; without any, address and time have to do."""
    ids = [record.id, *record.all("WARC-Concurrent-To"), *record.all("WARC-Refers-To")]
    return (*filter(None, ids), f"{foreign.target_uri(record)} {record.header('WARC-Date')}")


def _asks_for_a_part(request: Record) -> bool:
    """What a browser says of a request that no navigation made (Fetch Metadata; XMLHttpRequest by custom)."""
    for line in request.block.lower().split(b"\n")[1:]:
        name, _, value = line.partition(b":")
        if name == b"sec-fetch-dest" and value.strip() not in (b"document", b""):
            return True
        if name == b"x-requested-with" and value.strip() == b"xmlhttprequest":
            return True
    return False


def _is_hop_to_a_part(metadata: Record) -> bool:
    """Heritrix says by what kind of link each address was found; the last letter is the last hop."""
    return read_fields(metadata.block).raw("hopsFromSeed")[-1:] in tuple(_NO_DOCUMENT_HOPS)


def _is_page(page: _Answer, listed: frozenset[str], embedded: set[str]) -> bool:
    if listed:
        return page.target.href in listed
    return page.mime in HTML and embedded.isdisjoint(page.names)


def _followed(
    redirect: _Answer, redirects: dict[str, list[_Answer]], pages: dict[str, list[_Answer]]
) -> _Answer | None:
    """The page where a chain of redirects ends, if it is here and was asked for soon after."""
    hop = redirect
    for _ in range(_MOST_HOPS):
        if hop.goal is None:
            return hop
        following = _nearest(hop, pages.get(hop.goal, [])) or _nearest(hop, redirects.get(hop.goal, []))
        if following is None or following is redirect:
            return None
        hop = following
    return None


def _nearest(hop: _Answer, answers: list[_Answer]) -> _Answer | None:
    near = [answer for answer in answers if abs(answer.at - hop.at) <= _CHAIN_TIME]
    return min(near, key=lambda answer: abs(answer.at - hop.at), default=None)


def _recorded(asked: _Answer, page: _Answer) -> ForeignCapture:
    places = (page.place, asked.place) if asked is not page else (page.place,)
    outcome = Outcome(State.CAPTURED)
    return ForeignCapture(
        target=asked.target,
        final=page.target,
        started_at=asked.at,
        ended_at=page.at,
        outcome=outcome,
        tries=1,
        purpose=Purpose.PAGE,
        kept=Kept(places, page.place, outcome),
        status=page.status,
        mime=page.mime,
        captured_at=page.at,
        codings=page.codings,
    )
