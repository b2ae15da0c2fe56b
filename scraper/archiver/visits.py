"""One visit as WARC records: per exchange a response and a request, then one metadata record which ends it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import quote, unquote

from scraper import message
from scraper.archiver import records
from scraper.archiver.records import Record
from scraper.model import Capture, Exchange, Held, Location, Outcome, State, Truncation

SAME_PAYLOAD = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest"
NOT_MODIFIED = "http://netpreserve.org/warc/1.1/revisit/server-not-modified"
REFERS_TO_FILE = "WARC-Refers-To-Filename"
REFERS_TO_OFFSET = "WARC-Refers-To-File-Offset"
PACKED_TYPES = re.compile(
    r"(?i)\s*(?:image/(?!svg|bmp)|audio/|video/|font/woff|application/(?:zip|gzip|x-gzip|x-7z|x-rar|java-archive"
    r"|vnd\.(?:openxmlformats|oasis)|epub))"
)
DETAIL_CHARACTERS = 2000
PAGE_VISIT = "pageVisit"  # of a requisite: where the record lies that ends the visit of its page
USES = "uses"

# What the fields of a metadata record must not hold raw: line ends, controls, and "%", which escapes them.
_ESCAPED = re.compile(r"[%\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]|^\s|\s\Z")

Known = Callable[[str], Held | None]
Where = Callable[[Held], Location | None]


@dataclass(frozen=True, slots=True)
class Item:
    """A record to be written, and whether its block is packed already."""

    record: Record
    is_packed: bool = False


@dataclass(frozen=True, slots=True)
class WrittenVisit:
    """A visit as records, in order; `page` is the index of the one that decided the outcome."""

    items: tuple[Item, ...]
    page: int | None
    outcome: Outcome
    entity_sha256: str | None
    held: Held | None


@dataclass(frozen=True, slots=True)
class _Answer:
    """How one exchange is kept: its response or revisit record, and what later revisits may refer to."""

    items: tuple[Item, ...]
    entity_sha256: str | None
    held: Held | None
    hidden_head: bytes = b""  # the true head of a revisit which may not carry it


@dataclass(frozen=True, slots=True)
class Earlier:
    """What the collection holds already.

    `held` is the target's earlier payload: a 304 of the address which it may be asked of refers to it, and a page that
    is the same again is UNCHANGED.
    `known` finds any earlier payload by the sha256 of an entity. `where` says where a payload lies, if it is in the
    file being written, which has no index yet.
    """

    held: Held | None
    known: Known
    where: Where


@dataclass(frozen=True, slots=True)
class PageRecord:
    """The page that a requisite is for: its address, the id of its response record, the record that ends its visit."""

    href: str
    id: str
    visit: Location


def written(
    capture: Capture, via: Sequence[str], earlier: Earlier, requisite_of: PageRecord | None = None
) -> WrittenVisit:
    """Turn a visit into records; a requisite's say of which page."""
    answers = [_answer(exchange, earlier) for exchange in capture.exchanges]
    if requisite_of is not None:
        answers = [_beside(answer, requisite_of) for answer in answers]
    page = answers[-1] if answers else None
    outcome = _judged(capture, page, earlier.held)
    kept = page.held if page and outcome.state in (State.CAPTURED, State.UNCHANGED) else None
    items = [item for answer in answers for item in answer.items]
    has_page = bool(page and page.items and page.items[0].record.type in ("response", "revisit"))
    position = len(items) - len(page.items) if page and has_page else None
    summary = _Summary(outcome, via, items, position, page.entity_sha256 if page else None, kept, requisite_of)
    items.append(Item(_metadata(capture, summary, [answer.hidden_head for answer in answers])))
    return WrittenVisit(tuple(items), position, outcome, summary.entity_sha256, kept)


def _beside(answer: _Answer, page: PageRecord) -> _Answer:
    """WARC 1.1, 5.7: records made of the same capture event name each other; a requisite's name the page's."""
    first, *others = answer.items
    if page.id not in first.record.all("WARC-Concurrent-To"):
        headers = (*first.record.headers, ("WARC-Concurrent-To", page.id))
        first = replace(first, record=replace(first.record, headers=headers))
    return replace(answer, items=(first, *others))


def written_uses(page: PageRecord, at: datetime, requisites: Sequence[Location]) -> Item:
    """The record which says that a page needs what other pages' visits of the same run had brought."""
    fields = [("WARC-Date", records.iso(at)), ("WARC-Target-URI", page.href), ("WARC-Concurrent-To", page.id)]
    lines = [(PAGE_VISIT, _written_place(page.visit)), *((USES, _written_place(place)) for place in requisites)]
    block = "".join(f"{name}: {value}\r\n" for name, value in lines)
    return Item(records.make("metadata", [*fields, ("Content-Type", records.WARC_FIELDS)], block.encode()))


def _written_place(place: Location) -> str:
    return f"{place.warc} {place.offset} {place.length}"


def read_place(text: str) -> Location | None:
    """A record's place as a metadata record names it; None where it cannot be read."""
    found = re.fullmatch(r"(\S{1,255}) ([0-9]{1,15}) ([0-9]{1,15})", text)
    return Location(found[1], int(found[2]), int(found[3])) if found else None


def _judged(capture: Capture, page: _Answer | None, held: Held | None) -> Outcome:
    same = page is not None and held is not None and page.entity_sha256 == held.entity_sha256
    if same and capture.outcome.state is State.CAPTURED:
        return Outcome(State.UNCHANGED)
    return capture.outcome


# ------------------------------------------------------------------ exchanges


def _answer(exchange: Exchange, earlier: Earlier) -> _Answer:
    if not exchange.received:
        return _Answer(_request(exchange, None), None, None)
    held = earlier.held
    if exchange.status == 304 and exchange.truncated is None and held and held.asked_href == exchange.target.href:
        return _not_modified(exchange, held, earlier.where)
    entity = message.entity(exchange.received)
    digest = hashlib.sha256(entity).hexdigest() if entity else None
    part = records.http_head(exchange.received)
    payload = records.sha1(exchange.received[part.body_at if part else 0 :])
    if digest is None or exchange.status != 200 or exchange.truncated is not None:
        return _Answer(_response(exchange, payload), digest, None)
    original = earlier.known(digest)
    if original is not None and original.entity_sha256 == digest:
        return _same_payload(exchange, original, payload, earlier.where)
    fresh = Held(
        exchange.target.href,
        exchange.started_at,
        payload,
        digest,
        exchange.header("etag"),
        exchange.header("last-modified"),
    )
    return _Answer(_response(exchange, payload), digest, fresh)


def _response(exchange: Exchange, payload: str) -> tuple[Item, ...]:
    fields = _shared_fields(exchange)
    # Readers take the digest over the body as it lies there, the standard over the body without its transfer coding:
    # it is given where both are the same. Readers compute their own otherwise, as `index` does.
    if exchange.header("transfer-encoding") is None and _parted_alike(exchange):
        fields.append(("WARC-Payload-Digest", payload))
    if exchange.truncated is not None:
        fields.append(("WARC-Truncated", str(exchange.truncated)))
    record = records.make("response", [*fields, ("Content-Type", records.HTTP_RESPONSE)], exchange.received)
    return (Item(record, _is_packed(exchange)), *_request(exchange, record.id))


def _parted_alike(exchange: Exchange) -> bool:
    """Whether the common readers see the head end where it does: some odd heads they end earlier or later."""
    part = records.http_head(exchange.received)
    return part is not None and 0 < exchange.head_length == part.body_at


def _not_modified(exchange: Exchange, held: Held, where: Where) -> _Answer:
    """A 304: a revisit without an HTTP block, for with one pywb replays an empty 304."""
    items = _revisit(exchange, held, b"", [("WARC-Profile", NOT_MODIFIED), *_place(where(held))])
    etag = exchange.header("etag") or held.etag
    # RFC 9111, 4.3.4: the validators of a 304 take the place of the stored ones.
    kept = replace(held, etag=etag, last_modified=exchange.header("last-modified") or held.last_modified)
    return _Answer(items, held.entity_sha256, kept, exchange.received[: exchange.head_length])


def _same_payload(exchange: Exchange, original: Held, payload: str, where: Where) -> _Answer:
    """A payload which the collection holds already.

    The head goes into the block only where the original's body fits below it byte for byte: otherwise a reader would
    put, say, a chunked body under a head that does not call it so.
    """
    head = exchange.received[: exchange.head_length]
    fits = payload == original.payload_digest and _parted_alike(exchange)
    fields = [("WARC-Profile", SAME_PAYLOAD), *_place(where(original))]
    items = _revisit(exchange, original, head if fits else b"", fields)
    validators = (exchange.header("etag"), exchange.header("last-modified"))
    kept = with_validators(original, exchange.target.href, *validators)
    return _Answer(items, original.entity_sha256, kept, b"" if fits else head)


def with_validators(held: Held, href: str, etag: str | None, last_modified: str | None) -> Held:
    """The same payload with the validators of an address."""
    whose = None if href == held.href else href
    return replace(held, etag=etag, last_modified=last_modified, validators_href=whose)


def _place(location: Location | None) -> list[tuple[str, str]]:
    """Where the original lies, in the two fields which Heritrix uses beyond the standard."""
    if location is None:
        return []
    return [(REFERS_TO_FILE, location.warc), (REFERS_TO_OFFSET, str(location.offset))]


def _revisit(exchange: Exchange, original: Held, head: bytes, more: list[tuple[str, str]]) -> tuple[Item, ...]:
    fields = [
        *_shared_fields(exchange),
        *more,
        ("WARC-Refers-To-Target-URI", original.href),
        ("WARC-Refers-To-Date", records.iso(original.captured_at)),
        ("WARC-Payload-Digest", original.payload_digest),
        ("Content-Type", records.HTTP_RESPONSE),
    ]
    record = records.make("revisit", fields, head)
    return (Item(record), *_request(exchange, record.id))


def _request(exchange: Exchange, concurrent_to: str | None) -> tuple[Item, ...]:
    if not exchange.request:
        return ()
    fields = _shared_fields(exchange)
    if concurrent_to is not None:
        fields.append(("WARC-Concurrent-To", concurrent_to))
    return (Item(records.make("request", [*fields, ("Content-Type", records.HTTP_REQUEST)], exchange.request)),)


def _shared_fields(exchange: Exchange) -> list[tuple[str, str]]:
    # WARC 1.1, 5.4: records of one capture event share their WARC-Date.
    fields = [("WARC-Date", records.iso(exchange.started_at)), ("WARC-Target-URI", exchange.target.href)]
    if exchange.peer_ip is not None:
        fields.append(("WARC-IP-Address", exchange.peer_ip))
    return fields + [("WARC-Protocol", value) for value in exchange.protocol]


def _is_packed(exchange: Exchange) -> bool:
    """Deflating what is packed already costs a millisecond a page and saves nothing."""
    coding = message.codings(exchange.headers) or "identity"
    if coding.strip().lower() != "identity":
        return True
    return PACKED_TYPES.match(exchange.header("content-type") or "") is not None


# ------------------------------------------------------------- metadata records


@dataclass(frozen=True, slots=True)
class _Summary:
    outcome: Outcome
    via: Sequence[str]
    items: Sequence[Item]
    page: int | None
    entity_sha256: str | None
    held: Held | None
    requisite_of: PageRecord | None = None


def _metadata(capture: Capture, summary: _Summary, hidden_heads: Sequence[bytes]) -> Record:
    """The record which ends a visit: how it went, and which records belong to it."""
    fields = [("WARC-Date", records.iso(capture.started_at)), ("WARC-Target-URI", capture.target.href)]
    fields += [("WARC-Concurrent-To", item.record.id) for item in summary.items]
    fields.append(("Content-Type", records.WARC_FIELDS))
    lines = [*_visit_lines(capture, summary), *_payload_lines(summary)]
    lines += [("headOfRevisit", quote(head, safe=_PRINTABLE)) for head in hidden_heads if head]
    block = "".join(f"{name}: {value}\r\n" for name, value in lines if value)
    return records.make("metadata", fields, block.encode("utf-8"))


_PRINTABLE = "".join(chr(code) for code in range(32, 127) if chr(code) != "%")


def _visit_lines(capture: Capture, summary: _Summary) -> list[tuple[str, str]]:
    outcome, page = summary.outcome, summary.requisite_of
    return [
        ("outcome", str(outcome.state)),
        ("reason", escaped(outcome.reason)),
        ("until", records.iso(outcome.until) if outcome.until else ""),
        ("detail", escaped(capture.detail[:DETAIL_CHARACTERS])),
        ("purpose", str(capture.purpose)),
        ("tries", str(capture.tries)),
        ("final", records.one_line(capture.final.href)),
        ("startedAt", records.iso(capture.started_at)),
        ("endedAt", records.iso(capture.ended_at)),
        *[("fetchTimeMs", str(round(exchange.seconds * 1000))) for exchange in capture.exchanges],
        *[("via", f"urn:sha256:{escaped(digest)}") for digest in summary.via],
        *([("via", records.one_line(page.href)), (PAGE_VISIT, _written_place(page.visit))] if page else []),
    ]


def _payload_lines(summary: _Summary) -> list[tuple[str, str]]:
    held = summary.held
    page = summary.items[summary.page].record.id if summary.page is not None else ""
    return [
        ("page", page),
        ("entitySha256", summary.entity_sha256 or ""),
        ("etag", escaped(held.etag or "") if held else ""),
        ("lastModified", escaped(held.last_modified or "") if held else ""),
    ]


def escaped(text: str) -> str:
    """Percent-encode a free text for one line of `application/warc-fields`."""
    return _ESCAPED.sub(lambda found: quote(found[0], safe="", errors="replace"), text)


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a metadata or warcinfo record, in order."""

    lines: tuple[tuple[str, str], ...]

    def all(self, name: str) -> tuple[str, ...]:
        """Every value, unescaped."""
        return tuple(unquote(value) for key, value in self.lines if key == name)

    def all_raw(self, name: str) -> tuple[str, ...]:
        """Every value as it stands there."""
        return tuple(value for key, value in self.lines if key == name)

    def raw(self, name: str) -> str:
        """The first value as it stands there (URLs are not escaped), empty when there is none."""
        return next((value for key, value in self.lines if key == name), "")

    def text(self, name: str) -> str:
        """The first value, unescaped; empty when there is none."""
        return unquote(self.raw(name))

    def moment(self, name: str) -> datetime | None:
        """The first value as an instant; None when there is none."""
        return records.parse_date(self.raw(name)) if self.raw(name) else None


def read_fields(block: bytes) -> Fields:
    """Read `application/warc-fields`, leniently: a line without a colon is skipped."""
    lines = []
    for line in block.decode("utf-8", "replace").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            lines.append((name, value.strip(" ")))
    return Fields(tuple(lines))


def referred_timestamp(revisit: Record) -> str:
    """When the original of a revisit was captured, in 14 digits; empty where it says no date, or an odd one."""
    try:
        return records.timestamp14(records.parse_date(revisit.header("WARC-Refers-To-Date")))
    except ValueError:
        return ""


def truncation(record: Record) -> Truncation | None:
    """What WARC-Truncated says; `unspecified` and other words count as a lost connection."""
    word = record.header("WARC-Truncated").lower()
    if not word:
        return None
    return Truncation(word) if word in set(Truncation) else Truncation.DISCONNECT
