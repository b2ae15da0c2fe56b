"""The values which the state keeps, and their form in the database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any, TypeVar

from scraper.errors import StateDamaged
from scraper.model import Capture, Held, HostMemory, Location, Outcome, Purpose, State
from scraper.state.schema import FILE_NAME, damaged
from scraper.stored import load_json

BACKOFF_DAYS_MAX = 30
STATES = frozenset(State)
_Form = TypeVar("_Form", dict[str, Any], list[Any])


@dataclass(frozen=True, slots=True)
class VisitRow:
    """What the state keeps of a visit, made from a capture just archived or from the WARC's own records.

    `page` is the response or revisit record that decided the outcome, `visit` the metadata record that ends the visit.
    """

    href: str
    final_href: str
    started_at: datetime
    ended_at: datetime
    outcome: Outcome
    tries: int
    detail: str
    purpose: Purpose
    collection: str
    visit: Location
    captured_at: datetime  # when the page itself was asked for, after redirects and retries
    page: Location | None = None
    status: int | None = None
    mime: str | None = None
    entity_sha256: str | None = None
    held: Held | None = None
    of_visit: int | None = None  # of a requisite: the number of its page's visit


@dataclass(frozen=True, slots=True)
class TextJob:
    """A committed capture whose text is to be made."""

    visit_id: int
    href: str
    final_href: str
    captured_at: datetime
    collection: str
    page: Location


@dataclass(frozen=True, slots=True)
class TargetRow:
    """Where a target stands: its last visit, and the newest good capture."""

    href: str
    outcome: Outcome
    visited_at: datetime | None
    detail: str
    good_visit: int | None
    failures: int  # in a row


def stamp(moment: datetime) -> str:
    """UTC as fixed-width text, which sorts as time does."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def now() -> datetime:
    """This instant, UTC."""
    return datetime.now(UTC)


def moment(text: str | None) -> datetime | None:
    return at(text) if text else None


def at(text: str) -> datetime:
    """The instant that `stamp` wrote; raises `StateDamaged`."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise odd("time", text) from None
    if found.tzinfo is not UTC:
        raise odd("time", text)
    return found


def odd(what: str, value: object) -> StateDamaged:
    """The error for a value which the state cannot have been given."""
    return StateDamaged(damaged(FILE_NAME, f"no {what}: {ascii(value)[:60]}"))


def stored_json(text: str, form: type[_Form]) -> _Form:
    """What a JSON column holds; raises `StateDamaged`."""
    try:
        found = load_json(text)
    except ValueError:
        raise odd("JSON", text) from None
    if not isinstance(found, form):
        raise odd(f"JSON {form.__name__}", text)
    return found


def next_due_at(state: State, failures: int, visited_at: datetime, until: datetime | None) -> datetime | None:
    """When a target is due again by itself: failures come back after 1, 2, 4 … at most 30 days."""
    if state is State.DEFERRED:
        return until or visited_at
    if state in (State.FAILED, State.DEAD):
        return visited_at + timedelta(days=min(2 ** (failures - 1), BACKOFF_DAYS_MAX))
    return None


def visit_values(row: VisitRow, target: int | None) -> tuple[Any, ...]:
    page = row.page
    # An unchanged page keeps the article of the capture it refers to.
    has_text = page is not None and row.purpose is Purpose.PAGE and row.outcome.state is State.CAPTURED
    return (
        target,
        row.href,
        row.final_href,
        stamp(row.started_at),
        stamp(row.ended_at),
        stamp(row.captured_at),
        row.outcome.state,
        row.outcome.reason,
        row.outcome.until and stamp(row.outcome.until),
        row.detail,
        row.tries,
        row.status,
        row.mime,
        row.collection,
        row.visit.warc,
        row.visit.offset,
        row.visit.length,
        page and page.warc,
        page and page.offset,
        page and page.length,
        row.entity_sha256,
        held_json(row.held) if row.held else None,
        None if has_text else "",  # "": there is no article to be made
        row.purpose,
        row.of_visit,
    )


def host_values(memory: HostMemory) -> tuple[Any, ...]:
    return (
        memory.host,
        memory.not_before and stamp(memory.not_before),
        memory.response_seconds,
        memory.failures,
        memory.robots_at and stamp(memory.robots_at),
        memory.robots_status,
        memory.robots_body,
        memory.robots_schemes,
        memory.slowdown,
        memory.noted_at and stamp(memory.noted_at),
    )


def host_memory(row: Sequence[Any]) -> HostMemory:
    host, not_before, response_seconds, failures, robots_at, status, body, schemes, slowdown, noted_at = row
    if not (0 <= response_seconds < inf and 0 <= slowdown < inf):
        raise odd("pace", (response_seconds, slowdown))
    robots = (moment(robots_at), status, body, schemes)
    return HostMemory(host, moment(not_before), response_seconds, failures, *robots, slowdown, moment(noted_at))


def outcome_of(state: str, reason: str, until: str | None) -> Outcome:
    if state not in STATES:
        raise odd("outcome", state)
    return Outcome(State(state), reason, moment(until) if state == State.DEFERRED else None)


def held_json(held: Held) -> str:
    payload = [held.href, stamp(held.captured_at), held.payload_digest, held.entity_sha256]
    return json.dumps([*payload, held.etag, held.last_modified, held.validators_href])


def held_of(text: str | None) -> Held | None:
    if not text:
        return None
    match stored_json(text, list):
        case [str(href), str(captured_at), str(digest), str(sha256), *rest] if len(rest) == 3 and all(
            isinstance(value, str | None) for value in rest
        ):
            return Held(href, at(captured_at), digest, sha256, *rest)
    raise odd("payload", text)


def row_of(capture: Capture, collection: str, visit: Location, page: Location | None, held: Held | None) -> VisitRow:
    """The row of a capture that was just archived."""
    exchange = capture.page
    mime = exchange.header("content-type") if exchange else None
    return VisitRow(
        href=capture.target.href,
        final_href=capture.final.href,
        started_at=capture.started_at,
        ended_at=capture.ended_at,
        outcome=capture.outcome,
        tries=capture.tries,
        detail=capture.detail,
        purpose=capture.purpose,
        collection=collection,
        visit=visit,
        captured_at=exchange.started_at if exchange else capture.started_at,
        page=page,
        status=exchange.status if exchange else None,
        mime=mime.partition(";")[0].strip().lower() if mime else None,
        entity_sha256=held.entity_sha256 if held else None,
        held=held,
    )
