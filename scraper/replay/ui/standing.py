"""Sums over the whole archive, taken again only when the state file has changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from scraper.model import State
from scraper.replay.ui import plot, queries
from scraper.state import Fingerprint, StateReader, fingerprint


@dataclass(frozen=True, slots=True)
class Standing:
    """Citations by state, how many documents there are, and the visits over time; `kind` is of the spans."""

    counts: tuple[tuple[str, int], ...]
    documents: int
    kind: str
    visits: tuple[plot.Count, ...]


class StandingOf:
    """Remembers the sums of one state file for as long as it stays the same."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: tuple[Fingerprint, Standing] | None = None

    def read(self, state: StateReader) -> Standing:
        """The sums of the state."""
        found = fingerprint(self._root)
        known = self._known
        if known is None or known[0] != found:
            self._known = known = (found, standing(state))
        return known[1]


def standing(state: StateReader) -> Standing:
    """Take the sums."""
    counted = queries.by_state(state)
    counts = tuple((str(name), counted[name]) for name in State if counted.get(name))
    kind, visits = _visits(state)
    return Standing(counts, queries.document_count(state), kind, visits)


def _visits(state: StateReader) -> tuple[str, tuple[plot.Count, ...]]:
    ends = queries.time_span(state)
    if ends is None:
        return "day", ()
    kind, spans = plot.spans(*(date.fromisoformat(end[:10]) for end in ends))
    counted = ((span, queries.visit_counts(state, span.start.isoformat(), span.end.isoformat())) for span in spans)
    return kind, tuple(plot.Count(span, captured, failed) for span, (captured, failed) in counted)
