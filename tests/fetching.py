"""Helpers of the fetcher's tests: run it, and get what it kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from scraper import urls
from scraper.fetcher import Fetched, Fetcher, user_agent
from scraper.model import Capture, HostMemory, Purpose, Visit
from scraper.settings import FetchSettings

AGENT = user_agent("0.1.0", "keeper@example.org")


def stranger(host: str) -> HostMemory | None:
    """A memory that knows no host."""
    return None


def fetch_all(
    settings: FetchSettings, visits: Iterable[Visit | str], recall: Callable[[str], HostMemory | None] = stranger
) -> list[Fetched]:
    """Fetch visits (or the URLs of some); everything kept, robots.txt too, in the order of keeping."""
    kept: list[Fetched] = []

    async def keep(fetched: Fetched) -> None:
        kept.append(fetched)

    asked = (visit if isinstance(visit, Visit) else Visit(urls.target(visit)) for visit in visits)
    asyncio.run(Fetcher(settings, AGENT, recall).run(asked, keep))
    return kept


def captures(kept: Iterable[Fetched]) -> dict[str, Capture]:
    """The captures of pages, by the href of their target."""
    return {one.capture.target.href: one.capture for one in kept if one.capture.purpose is Purpose.PAGE}


def fetch(settings: FetchSettings, url: str) -> Capture:
    """The capture of one page."""
    return captures(fetch_all(settings, [url]))[urls.target(url).href]
