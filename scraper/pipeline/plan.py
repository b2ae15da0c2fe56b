"""What a run would do, without doing it: `urls` and `run --dry-run`. No network, nothing written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from scraper import citations, urls
from scraper.errors import UsageError
from scraper.fetcher import politeness, robots
from scraper.model import HostMemory
from scraper.pipeline.ingest import Judge, ingest
from scraper.pipeline.sources import find
from scraper.settings import Settings
from scraper.state import StateFile, now


@dataclass(frozen=True, slots=True)
class Planned:
    """One page that is due, and the earliest instant at which its host may be asked."""

    href: str
    host: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """The pages that are due, by time, and how many wait for a later run."""

    visits: tuple[Planned, ...]
    later: int
    troubles: tuple[tuple[str, str, bool], ...]


def plan(root: Path, settings: Settings, documents: Sequence[str]) -> Plan:
    """Read the documents into a copy of the state, and lay out what is due."""
    sources = find(documents or settings.documents.paths, citations.SUFFIXES)
    with StateFile.copy_in_memory(root) as state:
        ingested = ingest(state, sources, settings)
        moment = now()
        due = state.due(ingested.digests, moment, settings.fetch.recheck_after, settings.fetch.robots == "obey")
        targets = [state.visit_of(number, settings.collection).target for number in due]
        free_at: dict[str, datetime] = {}
        visits = []
        for target in targets:
            host = urls.host_key(target)
            memory = state.memory(host)
            at = free_at.get(host) or politeness.next_visit_at(memory, moment)
            visits.append(Planned(target.href, host, at))
            free_at[host] = at + timedelta(seconds=_delay_seconds(memory, settings))
        later = len(set(state.unsettled(ingested.digests)) - set(due))
    return Plan(tuple(sorted(visits, key=lambda item: item.at)), later, ingested.troubles)


def _delay_seconds(memory: HostMemory | None, settings: Settings) -> float:
    """The pause between two pages of a host, as far as its memory tells."""
    if memory is None:
        return politeness.delay_seconds(settings.fetch, None, 0.0)
    obeyed = settings.fetch.robots == "obey"
    crawl_delay = robots.parse(memory.robots_body, robots.PRODUCT).crawl_delay_seconds if obeyed else None
    return politeness.delay_seconds(settings.fetch, crawl_delay, memory.response_seconds, memory.slowdown)


@dataclass(frozen=True, slots=True)
class Listing:
    """Every URL of some documents, one row each, and what could not be read."""

    rows: tuple[dict[str, Any], ...]
    troubles: tuple[str, ...]
    without_url: tuple[str, ...]


def list_urls(documents: Sequence[str], settings: Settings) -> Listing:
    """Each URL with role, line, normal form, and whether it would be fetched."""
    judge = Judge.of(settings)
    rows: list[dict[str, Any]] = []
    troubles: list[str] = []
    empty: list[str] = []
    for source in find(documents, citations.SUFFIXES).found:
        try:
            document = citations.read_document(source.read(), source.name)
        except UsageError as error:
            troubles.append(str(error) if source.label in str(error) else f"{source.label}: {error}")
            continue
        if not document.citations:
            empty.append(source.label)
        for citation, excluded in judge(document):
            href = citation.target.href if citation.target else None
            rows.append(
                {
                    "document": source.shown,
                    "line": citation.line,
                    "role": str(citation.role),
                    "url": citation.url,
                    "target": href,
                    "fetch": excluded is None,
                    "excluded": excluded,
                }
            )
    return Listing(tuple(rows), tuple(troubles), tuple(empty))
