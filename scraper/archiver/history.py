"""What a collection's WARCs say of its visits: the source from which state, pages and text are made again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from scraper import message, urls
from scraper.archiver import records
from scraper.archiver.collection import Kept
from scraper.archiver.index import Index, entry_of
from scraper.archiver.layout import Layout, warc_name
from scraper.archiver.members import Damaged
from scraper.archiver.records import OnDamage, Record
from scraper.archiver.visits import (
    NOT_MODIFIED,
    PAGE_VISIT,
    USES,
    Fields,
    read_fields,
    read_place,
    truncation,
    with_validators,
)
from scraper.errors import IntegrityError
from scraper.model import Held, Location, Outcome, Purpose, State, Target, Truncation

# Of these nobody need ask whether they are targets, and nearly all are such: no number for a host, nothing punycode.
_PLAIN = re.compile(r"https?://(?!.{0,255}xn--)[a-z0-9.-]{0,200}\.[a-z]{2,60}/[!-~]{0,2000}")


@dataclass(frozen=True, slots=True)
class Answer:
    """One exchange of a visit, as far as its host's memory needs it. `status` is 0 where nothing was answered."""

    target: Target
    ended_at: datetime
    seconds: float
    status: int
    truncated: Truncation | None = None
    retry_after: str | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """A visit as its records tell it, without bodies.

    `status`, `mime` and `captured_at` are of the page, None when nothing came (a revisit without a head of its own has
    status 304 or 200 and no mime). A visit whose end a crash cut off decides nothing: it is PENDING again.
    """

    target: Target
    final: Target
    started_at: datetime
    ended_at: datetime
    outcome: Outcome
    tries: int
    purpose: Purpose
    kept: Kept
    via: tuple[str, ...] = ()
    detail: str = ""
    status: int | None = None
    mime: str | None = None
    captured_at: datetime | None = None
    page_visit: Location | None = None  # of a requisite: the record that ends the visit of its page
    answers: tuple[Answer, ...] = ()  # in order of time


@dataclass(frozen=True, slots=True)
class Uses:
    """A page that needs what the visits of other pages had brought; visits are named by the records that end them."""

    page: Location
    requisites: tuple[Location, ...]
    record: Location


Told = Recorded | Uses
IsHeld = Callable[[str, str], bool]  # address and payload digest of an original


@dataclass(frozen=True, slots=True)
class Seen:
    """A record without its body, and where it lies. `payload_digest` is as indexed."""

    record: Record
    location: Location
    payload_digest: str = ""
    status: int | None = None
    mime: str | None = None
    truncated: Truncation | None = None
    retry_after: str | None = None


def recorded(root: Path, name: str, on_damage: Callable[[str], None] | None = None) -> Iterator[Recorded]:
    """Every visit of a collection, oldest file first; see `told`."""
    return (one for one in told(root, name, on_damage) if isinstance(one, Recorded))


def told(root: Path, name: str, on_damage: Callable[[str], None] | None = None) -> Iterator[Told]:
    """Everything that a collection's WARCs tell of visits, oldest file first.

    At a record that is not whole it raises `IntegrityError`, or tells `on_damage` (a sentence) and goes on after it. A
    capture whose page is lost, with its own record or with the one it revisits, is PENDING: due again.
    """
    layout = Layout(root, name)
    originals: set[int] = set()
    for path in layout.all_warcs():
        for items in _grouped(path, 0, telling(path, on_damage)):
            originals.update(_payload(item) for item in items if item.record.type == "response")
            yield uses_of(items) or _visit(items, lambda href, digest: hash((href, digest)) in originals)


def telling(path: Path, on_damage: Callable[[str], None] | None) -> OnDamage:
    """What to do at damage in a file: tell of it in a sentence, or stop with `IntegrityError`."""

    def tell(damage: Damaged) -> None:
        if on_damage is None:
            raise IntegrityError(f"{path}: {damage}; run `scraper check` to see what else") from damage
        on_damage(f"{path}: {damage}; run `scraper check`")

    return tell


def visits(layout: Layout, path: Path, start: int, on_damage: OnDamage) -> Iterator[Told]:
    """What one closed WARC tells of visits from an offset on. What a revisit refers to is looked up in the index."""
    index = Index(layout)
    for items in _grouped(path, start, on_damage):
        yield uses_of(items) or _visit(items, partial(_is_indexed, index))


def _is_indexed(index: Index, href: str, digest: str) -> bool:
    try:
        return any(entry.digest == digest and not entry.is_revisit for entry in index.find(href))
    except IntegrityError:
        return True  # a damaged index says nothing against a record


def _grouped(path: Path, start: int = 0, on_damage: OnDamage | None = None) -> Iterator[list[Seen]]:
    """The records of one visit after the other.

    Those that no metadata record ends are one visit: a writer works on one at a time, so they can only be the last.
    """
    pending: list[Seen] = []
    for member, record in records.read_all(path, start, on_damage):
        location = Location(warc_name(path), member.offset, member.length)
        yield from next_visit(seen(record, location), pending)
    if pending:
        yield pending


def next_visit(item: Seen, pending: list[Seen]) -> Iterator[list[Seen]]:
    """Take one more record: it ends a visit, or waits in `pending` for the one that does."""
    if item.record.type in ("response", "revisit", "request") and _is_web(item.record):
        pending.append(item)
    elif item.record.type == "metadata" and _visit_fields(item.record):
        own = set(item.record.all("WARC-Concurrent-To"))
        if strangers := [other for other in pending if other.record.id not in own]:
            yield strangers
        yield [*(other for other in pending if other.record.id in own), item]
        pending.clear()
    elif item.record.type == "metadata" and uses_of([item]):
        yield [item]


def _is_web(record: Record) -> bool:
    href = record.header("WARC-Target-URI")
    return _PLAIN.fullmatch(href) is not None or urls.is_target(href)


def _visit_fields(record: Record) -> Fields | None:
    if record.header("Content-Type") != records.WARC_FIELDS or not _is_web(record):
        return None
    fields = read_fields(record.block)
    return fields if fields.raw("outcome") in set(State) else None


def uses_of(items: list[Seen]) -> Uses | None:
    record = items[-1].record
    if record.type != "metadata" or record.header("Content-Type") != records.WARC_FIELDS:
        return None
    fields = read_fields(record.block)
    page = read_place(fields.raw(PAGE_VISIT))
    if page is None or fields.raw("outcome"):
        return None
    places = (read_place(text) for text in fields.all_raw(USES))
    return Uses(page, tuple(place for place in places if place is not None), items[-1].location)


def seen(record: Record, location: Location) -> Seen:
    """A record without its body."""
    entry = entry_of(record, location)
    if entry is None:
        return Seen(record, location)
    part = records.http_part(record)
    head = record.block[: part.body_at] if part else b""
    parsed = message.parse_head(head)
    bare = Record(record.headers, head)
    if parsed is None:
        return Seen(bare, location, entry.digest, None, None, truncation(record))
    mime = (parsed.header("content-type") or "").partition(";")[0].strip().lower() or None
    retry_after = parsed.header("retry-after")
    return Seen(bare, location, entry.digest, parsed.status, mime, truncation(record), retry_after)


# ----------------------------------------------------------------- one visit


def _visit(items: list[Seen], is_held: IsHeld) -> Recorded:
    """A visit from its records; `is_held` says whether an original is there that a revisit refers to.

    A field that cannot be read counts as one that is not there: what else the records tell stays true.
    """
    fields = _visit_fields(items[-1].record)
    return _finished(items, fields, is_held) if fields else _unfinished(items)


def _payload(item: Seen) -> int:
    """What a revisit names its original by, as a hash: there may be millions."""
    return hash((item.record.header("WARC-Target-URI"), item.payload_digest))


def _is_there(page: Seen | None, is_held: IsHeld) -> bool:
    if page is None or page.record.type != "revisit":
        return page is not None
    return is_held(page.record.header("WARC-Refers-To-Target-URI"), page.payload_digest)


def _finished(items: list[Seen], fields: Fields, is_held: IsHeld) -> Recorded:
    summary = items[-1].record
    ended_at = _moment(fields, "endedAt") or summary.date
    page = next((item for item in items if item.record.id == fields.raw("page")), None)
    outcome = Outcome(State(fields.raw("outcome")), fields.text("reason"), _moment(fields, "until"))
    sha256 = fields.raw("entitySha256") or None
    good = outcome.state in (State.CAPTURED, State.UNCHANGED)
    if good and not _is_there(page, is_held):
        good, outcome = False, Outcome(State.PENDING, "damaged")
    held = _held(page, sha256, fields) if page and sha256 and good else None
    target = urls.target(summary.header("WARC-Target-URI"))
    final = fields.raw("final")
    if not urls.is_target(final):
        final = page.record.header("WARC-Target-URI") if page else target.href
    return Recorded(
        target=target,
        final=urls.target(final),
        started_at=_moment(fields, "startedAt") or summary.date,
        ended_at=ended_at,
        outcome=outcome,
        tries=_number(fields.raw("tries"), 1),
        purpose=Purpose(fields.raw("purpose")) if fields.raw("purpose") in set(Purpose) else Purpose.PAGE,
        kept=_kept(items, page, outcome, held, sha256),
        via=_via(fields),
        detail=fields.text("detail"),
        status=_status(page),
        mime=page.mime if page else None,
        captured_at=page.record.date if page else None,
        page_visit=read_place(fields.raw(PAGE_VISIT)),
        answers=tuple(_answers(items, fields.all_raw("fetchTimeMs"))),
    )


def _answers(items: list[Seen], milliseconds: Sequence[str]) -> Iterator[Answer]:
    """The exchanges of a visit: responses, and requests that nothing answered."""
    ids = {item.record.id for item in items if item.record.type in ("response", "revisit")}
    times = iter(milliseconds)
    for item in items[:-1]:
        if item.record.type == "request" and not ids.isdisjoint(item.record.all("WARC-Concurrent-To")):
            continue
        seconds = _number(next(times, "0"), 0) / 1000
        target = urls.target(item.record.header("WARC-Target-URI"))
        ended_at = item.record.date + timedelta(seconds=seconds)
        status = _status(item) if item.record.type != "request" else None
        yield Answer(target, ended_at, seconds, status or 0, item.truncated, item.retry_after)


def _kept(items: list[Seen], page: Seen | None, outcome: Outcome, held: Held | None, sha256: str | None) -> Kept:
    if page is None:
        return Kept(_places(items), None, outcome, held, sha256)
    return Kept(_places(items), page.location, outcome, held, sha256, page.record.id)


def _via(fields: Fields) -> tuple[str, ...]:
    """The digests of the citing documents; of a requisite the address of its page, which is not escaped."""
    if fields.raw(PAGE_VISIT):
        return fields.all_raw("via")
    return tuple(value.removeprefix("urn:sha256:") for value in fields.all("via"))


def _held(page: Seen, sha256: str, fields: Fields) -> Held | None:
    etag, last_modified = fields.text("etag") or None, fields.text("lastModified") or None
    record = page.record
    if record.type == "revisit":
        href = record.header("WARC-Refers-To-Target-URI")
        refers_to = record.header("WARC-Refers-To-Date")
        if not urls.is_target(href):
            return None
        try:
            captured_at = records.parse_date(refers_to) if refers_to else record.date
        except ValueError:
            return None  # a revisit of it would say a wrong date
        original = Held(href, captured_at, page.payload_digest, sha256)
        return with_validators(original, record.header("WARC-Target-URI"), etag, last_modified)
    if page.status != 200 or page.truncated is not None:
        return None
    return Held(record.header("WARC-Target-URI"), record.date, page.payload_digest, sha256, etag, last_modified)


def _unfinished(items: list[Seen]) -> Recorded:
    """A visit whose metadata record a crash cut off: evidence, but nobody knows what it was to come to."""
    page = next((item for item in reversed(items) if item.record.type in ("response", "revisit")), None)
    target = urls.target(items[0].record.header("WARC-Target-URI"))
    outcome = Outcome(State.PENDING, "interrupted")
    return Recorded(
        target=target,
        final=urls.target(items[-1].record.header("WARC-Target-URI")),
        started_at=items[0].record.date,
        ended_at=items[-1].record.date,
        outcome=outcome,
        tries=1,
        purpose=_unfinished_purpose(items, target),
        kept=Kept(_places(items), page.location if page else None, outcome),
        detail="the run stopped before the visit was finished",
        status=_status(page),
        mime=page.mime if page else None,
        captured_at=page.record.date if page else None,
    )


def _unfinished_purpose(items: list[Seen], target: Target) -> Purpose:
    """Of requisites alone the first record names one of another visit."""
    own = {item.record.id for item in items}
    if any(name not in own for name in items[0].record.all("WARC-Concurrent-To")):
        return Purpose.REQUISITE
    return Purpose.ROBOTS if target.path == "/robots.txt" else Purpose.PAGE


def _status(page: Seen | None) -> int | None:
    if page is None or page.status is not None or page.record.type != "revisit":
        return page.status if page else None
    return 304 if page.record.header("WARC-Profile") == NOT_MODIFIED else 200


def _moment(fields: Fields, name: str) -> datetime | None:
    try:
        return fields.moment(name)
    except ValueError:
        return None


def _places(items: list[Seen]) -> tuple[Location, ...]:
    return tuple(item.location for item in items)


def _number(text: str, otherwise: int) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else otherwise
