"""What the pages ask of the state. Every question is answered by an index, or looks at no more rows than it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scraper.model import State
from scraper.state import CITATION_STANDING, StateReader, stored_json

Row = dict[str, Any]

# With the newest good capture of the target, else with the newest answer that was captured: a 404 can be looked at too.
_CITATION = f"""
    SELECT c.document, c.number, c.url, c.role, c.line, t.href, t.good, {CITATION_STANDING},
           g.collection, g.final_href, g.captured_at, g.title, g.text_path
    FROM citations c
    LEFT JOIN targets t ON t.id = c.target
    LEFT JOIN visits g ON g.id = coalesce(t.good, (
        SELECT v.id FROM visits v WHERE v.target = t.id AND v.page_offset IS NOT NULL
        ORDER BY v.started_at DESC LIMIT 1
    ))
"""
_NO_FACTS: Row = {"title": None, "byline": None, "published": None, "paragraphs": []}


@dataclass(frozen=True, slots=True)
class Citing:
    """A document that cites a page, by the first of its places."""

    digest: str
    path: str
    line: int


def newest(state: StateReader, limit: int) -> list[Row]:
    """The newest captures of pages."""
    rows = state.query(
        "SELECT collection, href, final_href, captured_at, status, state, title FROM visits "
        "WHERE purpose = 'page' AND state IN ('captured', 'unchanged') ORDER BY captured_at DESC LIMIT ?",
        (limit,),
    )
    return [dict(row) for row in rows]


def document_count(state: StateReader) -> int:
    """How many places documents lie at."""
    return int(next(state.query("SELECT count(*) AS n FROM places"))["n"])


def documents(state: StateReader, limit: int, offset: int) -> list[Row]:
    """Documents in the order of their places, each with what its title is said to be."""
    rows = state.query(
        "SELECT p.path, d.id, d.digest, d.kind, json_extract(d.facts, '$.title') AS title "
        "FROM (SELECT path, document FROM places ORDER BY path LIMIT ? OFFSET ?) p "
        "JOIN documents d ON d.id = p.document ORDER BY p.path",
        (limit, offset),
    )
    return [dict(row) for row in rows]


def document(state: StateReader, digest: str) -> Row | None:
    """One document with its facts and places; None when the state knows none of that digest."""
    row = next(state.query("SELECT id, digest, kind, charset, facts FROM documents WHERE digest = ?", (digest,)), None)
    if row is None:
        return None
    places = state.query("SELECT path FROM places WHERE document = ? ORDER BY path", (row["id"],))
    return {
        **dict(row),
        "facts": {**_NO_FACTS, **stored_json(row["facts"], dict)},
        "places": [place["path"] for place in places],
    }


def citations(state: StateReader, document_id: int, limit: int, offset: int = 0) -> list[Row]:
    """A document's citations in their order, with where each stands and its newest good capture."""
    rows = state.query(
        _CITATION + " WHERE c.document = ? ORDER BY c.number LIMIT ? OFFSET ?", (document_id, limit, offset)
    )
    return [dict(row) for row in rows]


def citation_count(state: StateReader, document_id: int) -> int:
    """How many URLs a document cites."""
    return int(next(state.query("SELECT count(*) AS n FROM citations WHERE document = ?", (document_id,)))["n"])


def citing(state: StateReader, url: str, limit: int) -> tuple[list[Citing], int]:
    """The documents which cite a page, directly or by an address that led to it: the first ones, and how many."""
    targets = [
        row["id"]
        for row in state.query(
            "SELECT id FROM targets WHERE href = ? UNION SELECT target FROM visits "
            "WHERE final_href = ? AND +purpose = 'page' AND target IS NOT NULL LIMIT 100",
            (url, url),
        )
    ]
    if not targets:
        return [], 0
    marks = ", ".join("?" * len(targets))
    rows: Sequence[Any] = list(
        state.query(
            "SELECT d.digest, min(c.line) AS line, "
            "coalesce((SELECT min(path) FROM places p WHERE p.document = d.id), '') AS path "
            f"FROM citations c JOIN documents d ON d.id = c.document WHERE c.target IN ({marks}) "
            "GROUP BY d.id ORDER BY path LIMIT ?",
            (*targets, max(limit, 1000)),
        )
    )
    return [Citing(row["digest"], row["path"], row["line"]) for row in rows[:limit]], len(rows)


def leads_to(state: StateReader, url: str) -> list[Row]:
    """Where visits of a URL were led to by redirects: address and time of the captures there, newest first."""
    rows = state.query(
        "SELECT collection, final_href, captured_at, title FROM visits WHERE href = ? AND final_href <> href "
        "AND +purpose = 'page' AND state IN ('captured', 'unchanged') ORDER BY started_at DESC LIMIT 50",
        (url,),
    )
    return [dict(row) for row in rows]


def requisites(state: StateReader, collection: str, url: str, second: str) -> list[Row]:
    """What was fetched so that a page can be seen; `second` is its time, as `2019-09-09T12:03:00`."""
    visits = state.query(
        "SELECT max(id) AS id FROM visits WHERE final_href = ? AND +collection = ? "
        "AND captured_at >= ? AND captured_at < ? || '~' AND +purpose = 'page'",
        (url, collection, second, second),
    )
    return state.requisites(next(visits)["id"] or 0)


def by_state(state: StateReader) -> dict[str, int]:
    """How many citations stand in each state; a document at two places cites twice."""
    # Sums in one pass: GROUP BY would sort all citations first.
    sums = ", ".join(
        f"coalesce(sum(t.state = '{name}' AND c.excluded IS NULL), 0) AS {name}"
        for name in State
        if name is not State.EXCLUDED
    )
    row = next(
        state.query(
            f"SELECT {sums}, coalesce(sum(c.excluded IS NOT NULL OR t.state = 'excluded'), 0) AS excluded "
            "FROM places p CROSS JOIN citations c ON c.document = p.document LEFT JOIN targets t ON t.id = c.target"
        )
    )
    return dict(row)


def time_span(state: StateReader) -> tuple[str, str] | None:
    """When the first and the last visit of a page were; None when there was none."""
    ends = [
        next(
            state.query(f"SELECT captured_at FROM visits WHERE purpose = 'page' ORDER BY captured_at {order} LIMIT 1"),
            None,
        )
        for order in ("ASC", "DESC")
    ]
    return (ends[0]["captured_at"], ends[1]["captured_at"]) if ends[0] and ends[1] else None


def visit_counts(state: StateReader, start: str, end: str) -> tuple[int, int]:
    """How many visits of pages between two times (the second one excluded) ended well, and how many did not."""
    row = next(
        state.query(
            "SELECT coalesce(sum(state IN ('captured', 'unchanged')), 0) AS captured, "
            "coalesce(sum(state IN ('failed', 'dead')), 0) AS failed "
            "FROM visits WHERE captured_at >= ? AND captured_at < ? AND purpose = 'page'",
            (start, end),
        )
    )
    return row["captured"], row["failed"]
