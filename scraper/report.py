"""What the archive holds and where every citation stands: read-only, for people and programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from scraper import archiver, urls
from scraper.errors import UsageError
from scraper.fetcher.politeness import FAILURES_IN_A_ROW
from scraper.model import Outcome, State
from scraper.state import CITATION_STANDING, StateReader, moment, stamp

_CITATION_STATES = f"""
    SELECT p.path, c.number, c.url, c.role, c.line, t.href, {CITATION_STANDING}, g.captured_at, g.text_path
    FROM places p
    JOIN citations c ON c.document = p.document
    LEFT JOIN targets t ON t.id = c.target
    LEFT JOIN visits g ON g.id = t.good
"""


@dataclass(frozen=True, slots=True)
class Ledger:
    """Every citation in exactly one state, and the sums which prove it."""

    documents: int  # places
    citations: int
    targets: int
    captures_held: int  # targets with a good capture, whatever their last visit came to
    by_state: dict[str, int]
    by_reason: dict[str, dict[str, int]]
    texts_waiting: int = 0  # of captures that are held: to be made by a run or by `extract`

    def as_fields(self) -> dict[str, Any]:
        """The ledger for programs."""
        return {**asdict(self), "agrees": self.agrees}

    @property
    def agrees(self) -> bool:
        """The states' sum is the number of citations, and each state's reasons sum up to it."""
        reasons = all(sum(self.by_reason[state].values()) == count for state, count in self.by_state.items())
        return reasons and sum(self.by_state.values()) == self.citations


def ledger(state: StateReader) -> Ledger:
    """Count the citations by state and reason; the total is counted by itself."""
    by_state = {str(name): 0 for name in State}
    by_reason: dict[str, dict[str, int]] = {str(name): {} for name in State}
    for row in state.query(f"SELECT state, reason, count(*) AS n FROM ({_CITATION_STATES}) GROUP BY state, reason"):
        by_state[row["state"]] = by_state.get(row["state"], 0) + row["n"]
        by_reason.setdefault(row["state"], {})[row["reason"]] = row["n"]
    total = next(state.query("SELECT count(*) AS n FROM places p JOIN citations c ON c.document = p.document"))["n"]
    counts = next(
        state.query(
            "SELECT (SELECT count(*) FROM places) AS documents, "
            "(SELECT count(*) FROM targets) AS targets, "
            "(SELECT count(*) FROM targets WHERE good IS NOT NULL) AS held"
        )
    )
    waiting = state.count_waiting()
    return Ledger(counts["documents"], total, counts["targets"], counts["held"], by_state, by_reason, waiting)


@dataclass(frozen=True, slots=True)
class DownHost:
    """A host that has been taken for down, and until when nothing is asked of it."""

    host: str
    failures: int  # in a row
    until: datetime


def hosts_down(state: StateReader, at: datetime) -> Iterator[DownHost]:
    """The hosts that are left alone now because they are down, by name."""
    rows = state.query(
        "SELECT host, failures, not_before FROM hosts WHERE failures >= ? AND not_before > ? ORDER BY host",
        (FAILURES_IN_A_ROW, stamp(at)),
    )
    for row in rows:
        until = moment(row["not_before"])
        assert until is not None
        yield DownHost(row["host"], row["failures"], until)


def citations(state: StateReader) -> Iterator[dict[str, Any]]:
    """One row per citation, in the order of the documents' places."""
    for row in state.query(_CITATION_STATES + " ORDER BY p.path, c.number"):
        fields = dict(row)
        if fields["state"] != State.DEFERRED:
            fields["next_due_at"] = fields.pop("due_at")
            fields["until"] = None
        else:
            fields["next_due_at"] = fields["until"] = fields.pop("due_at")
        outcome = Outcome(State(fields["state"]), fields["reason"], moment(fields["until"]))
        yield {**fields, "shown": str(outcome)}


@dataclass(frozen=True, slots=True)
class Shown:
    """All that is known of one URL."""

    href: str
    last_visit: dict[str, Any]
    capture: dict[str, Any] | None  # the newest good one
    text: dict[str, Any] | None  # the text file's fields
    markdown: str | None
    cited_by: tuple[dict[str, Any], ...]
    requisites: dict[str, int]  # of the capture: how many are captured, how many missing

    @property
    def is_good(self) -> bool:
        """Whether the last visit ended well."""
        return self.last_visit.get("state") in (State.CAPTURED, State.UNCHANGED)


_IN_ITS_OWN_RIGHT = "purpose != 'requisite'"
_VISIT_FIELDS = (
    "id, started_at, ended_at, captured_at, state, reason, until, detail, tries, status, mime, href, final_href, "
    "collection, warc, visit_offset, page_warc, page_offset, page_length, title, text_path"
)


def show(state: StateReader, root: Path, url: str) -> Shown:
    """The newest good capture of a URL with its text, and the last visit. Raises `UsageError` for one never met."""
    href = _known_href(state, url)
    target = state.target(href)
    # Our own visits in the order of their records, whatever the clock said; then what other tools had captured.
    visits = list(
        map(
            dict,
            state.query(
                f"SELECT {_VISIT_FIELDS} FROM visits WHERE href = ? AND purpose != 'requisite' "
                "ORDER BY collection = ?, CASE WHEN collection = ? THEN captured_at END DESC, id DESC",
                (href, archiver.IMPORTED, archiver.IMPORTED),
            ),
        )
    )
    wanted = target.good_visit if target else None
    captured = [visit for visit in visits if visit["state"] == State.CAPTURED]
    good = next((visit for visit in captured if visit["id"] == wanted), captured[0] if captured else None)
    text = text_of(root, good) if good else None
    cited = state.query(
        "SELECT p.path, c.line, c.role FROM targets t JOIN citations c ON c.target = t.id "
        "JOIN places p ON p.document = c.document WHERE t.href = ? ORDER BY p.path, c.number",
        (href,),
    )
    outcome = str(target.outcome) if target else ""
    last = {"outcome": outcome, **visits[0]} if visits else {"outcome": outcome}
    fields, markdown = text if text else (None, None)
    requisites = _requisites(state, good["id"] if good else 0)
    return Shown(href, last, good, fields, markdown, tuple(dict(row) for row in cited), requisites)


def _requisites(state: StateReader, visit_id: int) -> dict[str, int]:
    """What a capture needs to be seen, in numbers."""
    states = [row["state"] for row in state.requisites(visit_id)]
    captured = sum(one in (State.CAPTURED, State.UNCHANGED) for one in states)
    return {"captured": captured, "missing": len(states) - captured}


def _known_href(state: StateReader, url: str) -> str:
    """The target meant by what the user typed: as written, else with the scheme a browser would add."""
    for candidate in (url, f"https://{url}", f"http://{url}"):
        try:
            href = urls.target(candidate).href
        except urls.NotATarget:
            continue
        if state.target(href) is not None:
            return href
        found = next(
            state.query("SELECT href FROM visits WHERE final_href = ? AND purpose != 'requisite' LIMIT 1", (href,)),
            None,
        )
        if found is not None:
            return str(found["href"])
    raise UsageError(f"{urls.bare(url)}: not in this archive; `scraper fetch` it, or see `scraper status`")


def text_of(root: Path, visit: Mapping[str, Any]) -> tuple[dict[str, Any], str] | None:
    """The text file of a visit's row: its fields and its Markdown; None while it is not made."""
    if not visit["text_path"]:
        return None
    texts = archiver.Texts(root, visit["collection"])
    return texts.read(visit["final_href"], datetime.fromisoformat(visit["captured_at"]))


_FIELDS = (
    *("title", "subtitle", "byline", "authors", "agency", "publisher", "section", "published", "modified"),
    *("language", "canonical", "image", "tags", "is_article", "free_to_read", "noarchive", "skipped"),
)


def fields(shown: Shown) -> Iterator[tuple[str, str, str]]:
    """The article's fields that are there: name, value as text, and which source gave it."""
    article = (shown.text or {}).get("article", {})
    for name in _FIELDS:
        value = article.get(name)
        if value not in (None, [], "", False) or name == "is_article":
            source = article.get("evidence", {}).get(name, {}).get("source", "")
            if article:
                yield name, _as_text(value), source


def _as_text(value: Any) -> str:
    match value:
        case {"iso": iso}:
            return str(iso)
        case dict():
            return ", ".join(f"{key}: {part}" for key, part in value.items() if part)
        case list():
            return "; ".join(map(str, value))
        case bool():
            return "yes" if value else "no"
    return str(value)


def as_fields(shown: Shown) -> dict[str, Any]:
    """All of it for programs, as one flat line."""
    return {
        "url": shown.href,
        "outcome": shown.last_visit["outcome"],
        "last_visit": shown.last_visit,
        "capture": shown.capture,
        "cited_by": list(shown.cited_by),
        "requisites": shown.requisites,
        **((shown.text or {}).get("article") or {}),
    } | {"url": shown.href}
