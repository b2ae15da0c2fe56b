"""Which captures are meant: by URL, by a document that cites them, or one by its time."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from scraper import urls
from scraper.errors import UsageError
from scraper.state import StateReader

Visit = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Choice:
    """Visits that were chosen, oldest first, and how they are called: in a title, and in a sentence."""

    visits: tuple[Visit, ...]
    title: str
    description: str

    @property
    def of_pages(self) -> list[Visit]:
        """Those of pages: not of robots.txt, and not of what a page needs."""
        return [visit for visit in self.visits if visit["purpose"] == "page"]


def by_urls(state: StateReader, written: Iterable[str]) -> Choice:
    """Every visit of some URLs, as the target or where redirects led. Raises `UsageError` for one without a capture."""
    hrefs = list(dict.fromkeys(_href(state, url) for url in written))
    visits = [visit for href in hrefs for visit in _visits(state, href)]
    shown = ", ".join(hrefs[:3]) + (f" and {len(hrefs) - 3} more" if len(hrefs) > 3 else "")
    titles = [visit["title"] for visit in visits if visit["title"]] if len(hrefs) == 1 else []
    return Choice(_in_order(visits), titles[-1] if titles else shown, f"All captures of {shown}")


def by_document(state: StateReader, named: str) -> Choice:
    """Every visit of what a document cites: a file, or the first six digits or more of the sha256 of its bytes.

    Raises `UsageError` when the archive does not know it, or nothing that it cites is captured.
    """
    digest = _digest(state, named)
    rows = state.query(
        "SELECT DISTINCT t.href FROM documents d JOIN citations c ON c.document = d.id "
        "JOIN targets t ON t.id = c.target WHERE d.digest = ? AND c.excluded IS NULL ORDER BY t.href",
        (digest,),
    )
    visits = [visit for row in list(rows) for visit in _visits(state, row["href"])]
    if not any(visit["page_offset"] is not None for visit in visits):
        raise UsageError(f"{named}: nothing that this document cites is captured; `scraper status` tells why")
    return Choice(_in_order(visits), f"Pages cited by {digest[:12]}", f"All captures cited by the document {digest}")


def by_second(state: StateReader, collection: str, href: str, second: datetime) -> Choice | None:
    """The visit that made a capture of a URL at a second; None where the state knows of none."""
    stamp = f"{second:%Y-%m-%dT%H:%M:%S}"
    rows = state.query(
        "SELECT * FROM visits WHERE final_href = ? AND collection = ? AND substr(captured_at, 1, 19) = ? "
        "AND page_offset IS NOT NULL ORDER BY id",
        (href, collection, stamp),
    )
    visits = tuple(map(dict, rows))
    return Choice(visits, href, f"{href} as it was at {stamp}Z") if visits else None


def with_requisites(state: StateReader, choice: Choice) -> Iterator[Visit]:
    """The chosen visits, each with what its page needs to be seen; the same visit may come twice."""
    for visit in choice.visits:
        yield visit
        yield from state.requisites(visit["id"])


def _href(state: StateReader, written: str) -> str:
    """The URL that is meant: as written, else with the scheme a browser would add."""
    for candidate in (written, f"https://{written}", f"http://{written}"):
        try:
            href = urls.target(candidate).href
        except urls.NotATarget:
            continue
        visits = _visits(state, href)
        if any(visit["page_offset"] is not None for visit in visits):
            return href
        if visits:
            last = visits[-1]
            how = f"{last['state']}({last['reason']})" if last["reason"] else last["state"]
            raise UsageError(f"{href}: was asked for, but nothing is captured; the last visit ended as {how}")
    raise UsageError(f"{urls.bare(written)}: not in this archive; `scraper fetch` it, or see `scraper status`")


def _visits(state: StateReader, href: str) -> list[Visit]:
    """The visits that asked for a URL or ended there."""
    rows = state.query(
        "SELECT * FROM visits WHERE id IN "
        "(SELECT id FROM visits WHERE href = :href UNION SELECT id FROM visits WHERE final_href = :href) ORDER BY id",
        {"href": href},
    )
    return [dict(row) for row in rows]


def _in_order(visits: Iterable[Visit]) -> tuple[Visit, ...]:
    """Each once, in an order that follows from the WARCs and not from when rows were written."""
    each = {visit["id"]: visit for visit in visits}.values()
    return tuple(sorted(each, key=lambda visit: (visit["captured_at"], visit["collection"], visit["visit_offset"])))


def _digest(state: StateReader, named: str) -> str:
    path = Path(named)
    place = str(path.absolute())
    if path.is_file():
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise UsageError(f"{named}: cannot be read: {error.strerror}") from error
        known = [row["digest"] for row in state.query("SELECT digest FROM documents WHERE digest = ?", (digest,))]
    elif re.fullmatch(r"[0-9a-fA-F]{6,64}", named):
        pattern = named.lower() + "*"
        rows = state.query("SELECT digest FROM documents WHERE digest GLOB ? ORDER BY digest LIMIT 2", (pattern,))
        known = [row["digest"] for row in rows]
    else:
        known = []
    if not known:
        sql = "SELECT d.digest FROM places p JOIN documents d ON d.id = p.document WHERE p.path = ?"
        known = [row["digest"] for row in state.query(sql, (place,))]
    if len(known) > 1:
        raise UsageError(f"{named}: more than one document begins so; give more digits")
    if not known:
        raise UsageError(f"{named}: no document that this archive knows; {_advice(path)}")
    return str(known[0])


def _advice(path: Path) -> str:
    if path.is_file():
        return f"`scraper run {path}` reads it and fetches what it cites"
    return "name its file, or six digits or more of its sha256; `scraper replay` lists the documents"
