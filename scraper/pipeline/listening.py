"""Who is told what a run does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from scraper.model import Outcome, Target


@dataclass(frozen=True, slots=True)
class VisitResult:
    """One finished visit as told to the user. `new_trouble`: it went wrong, and its last visit had not."""

    target: Target
    final: Target
    outcome: Outcome
    detail: str
    new_trouble: bool


@dataclass(frozen=True, slots=True)
class HostDown:
    """A host that was taken for down in this run, told at its end. `put_off`: how many other URLs wait for it."""

    host: str
    failures: int  # in a row
    reason: str  # of the last one
    put_off: int
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Listener:
    """Who is told what happens: each finished visit, and now and then how far the run is."""

    visit: Callable[[VisitResult], None] = lambda _: None
    host_down: Callable[[HostDown], None] = lambda _: None
    progress: Callable[[int, int, str], None] = lambda _done, _total, _waiting: None
    note: Callable[[str], None] = lambda _: None
    trouble: Callable[[str], None] = lambda _: None  # something of the archive was lost, or had to be made again
