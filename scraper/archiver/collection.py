"""A collection: visits go in, exchanges come out. The only writer of WARC files."""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from scraper import message, urls
from scraper.archiver import foreign, members, records
from scraper.archiver.index import Index, IndexEntry, OpenEntries, entry_of, merge_indexes, same_address
from scraper.archiver.layout import Layout
from scraper.archiver.lookup import Lookup
from scraper.archiver.members import MAX_MEMBER_BYTES, Damaged
from scraper.archiver.records import Record
from scraper.archiver.segment import Segment
from scraper.archiver.visits import (
    REFERS_TO_FILE,
    REFERS_TO_OFFSET,
    Earlier,
    Item,
    Known,
    PageRecord,
    referred_timestamp,
    truncation,
    written,
    written_uses,
)
from scraper.errors import IntegrityError, LargeRecord
from scraper.model import Capture, Exchange, Held, Location, Outcome


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a visit lies, and what later visits may refer to.

    `locations` are all its records in order; the last is the metadata record, which ends the visit. `page` is the
    response or revisit that decided the outcome, None when nothing came. `outcome` is the capture's own, except that a
    captured page whose entity is that of `held` is UNCHANGED. `held` is the payload for later revisits: the page's own,
    or for a revisit the original's with the newest validators; None unless captured or unchanged.
    """

    locations: tuple[Location, ...]
    page: Location | None
    outcome: Outcome
    held: Held | None = None
    entity_sha256: str | None = None
    page_id: str = ""  # of the page's record, which requisites name

    @property
    def visit(self) -> Location:
        """The record that ends the visit."""
        return self.locations[-1]

    @property
    def warc(self) -> str:
        return self.visit.warc

    @property
    def end(self) -> int:
        """The offset just after the visit: the commit mark of its WARC, once `sync` has returned."""
        return self.visit.offset + self.visit.length


def _nothing_known(_sha256: str) -> Held | None:
    return None


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Collection:
    """The WARCs of one collection. Reading needs no lock; `append`, `sync` and `close` need the archive's `Lock`.

    `info` fills the warcinfo record of each file (software, user agent, robots policy, settings without secrets). No
    file is made before the first `append`. A file is closed when it has grown past `segment_bytes`.
    """

    def __init__(
        self,
        root: Path,
        name: str,
        *,
        info: Mapping[str, str] | None = None,
        segment_bytes: int = 1000 * 1024 * 1024,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self.layout = Layout(root, name)
        self.index = Index(self.layout)
        self._lookup = Lookup(self.layout)
        self._info = dict(info or {})
        self._segment_bytes = segment_bytes
        self._now = now
        self._segment: Segment | None = None
        self._entries: list[IndexEntry] = []
        self._originals: dict[tuple[str, str], Location] = {}  # of the file being written, by URL and digest
        self._open_entries = OpenEntries(self.layout)

    # ---------------------------------------------------------------- writing

    def append(
        self,
        capture: Capture,
        *,
        via: Sequence[str] = (),
        held: Held | None = None,
        known: Known = _nothing_known,
        requisite_of: PageRecord | None = None,
    ) -> Kept:
        """Write the records of one visit, all or none; durable only after `sync`.

        `via` are the sha256 (hex) of the citing documents. `held` is the target's earlier payload; a 304 revisits it.
        `known` finds any earlier payload by the sha256 of an entity: the same again becomes a revisit record.
        Raises `ArchiveUnwritable`; the file is then as it was before, and so does all that follows but `abandon`.
        """
        visit = written(capture, via, Earlier(held, known, self._place_of), requisite_of)
        locations = self._written(visit.items)
        for item, location in zip(visit.items, locations, strict=True):
            if entry := entry_of(item.record, location):
                self._entries.append(entry)
                if not entry.is_revisit:
                    self._originals[entry.url, entry.digest] = location
        if visit.page is None:
            return Kept(locations, None, visit.outcome, visit.held, visit.entity_sha256)
        page_id = visit.items[visit.page].record.id
        return Kept(locations, locations[visit.page], visit.outcome, visit.held, visit.entity_sha256, page_id)

    def note_uses(self, page: PageRecord, requisites: Sequence[Location]) -> Location:
        """Write that a page needs what earlier visits of the same run brought; gives where the record lies."""
        return self._written((written_uses(page, self._now(), requisites),))[0]

    def _written(self, items: Sequence[Item]) -> tuple[Location, ...]:
        if self._segment is not None and self._segment.size >= self._segment_bytes:
            self.close()
        if self._segment is None:
            self._segment = Segment(self.layout, self._info, self._now())
        return tuple(self._segment.append(items))

    def _place_of(self, held: Held) -> Location | None:
        return self._originals.get((held.href, held.payload_digest))

    def sync(self) -> None:
        """Make everything appended so far outlive a power failure."""
        if self._segment is not None:
            self._segment.sync()

    def close(self) -> None:
        """Finish the WARC being written: sync, index, checksum, final name. Nothing to do when there is none.

        When that fails it stays, so that no later `sync` says that all is well: only `abandon` lets go of it.
        """
        if self._segment is not None:
            self._segment.close(self._entries)
            self._segment, self._entries, self._originals = None, [], {}
            merge_indexes(self.layout)

    def abandon(self) -> None:
        """Leave the WARC being written for the next run's recovery (after an error of the disk)."""
        segment, self._segment = self._segment, None
        self._entries, self._originals = [], {}
        if segment is not None:
            segment.abandon()

    # ---------------------------------------------------------------- reading

    def find(self, href: str) -> list[IndexEntry]:
        """Every response and revisit of a URL, oldest first: the files of this moment's writers included."""
        # A file closed meanwhile is in the index before its `.open` name goes: what is unindexed comes first.
        found = {entry.location: entry for entry in self._unindexed() if same_address(entry.url, href)}
        found |= {entry.location: entry for entry in self.index.find(href)}
        return sorted(found.values(), key=lambda entry: (entry.timestamp, entry.location.warc, entry.location.offset))

    def find_alike(self, href: str) -> list[IndexEntry]:
        """The same of every URL that has the SURT key of this one."""
        key = urls.surt(href)
        found = {entry.location: entry for entry in self._unindexed() if entry.key == key}
        found |= {entry.location: entry for entry in self._lookup.alike(key)}
        return sorted(found.values(), key=lambda entry: (entry.timestamp, entry.location.warc, entry.location.offset))

    def between(self, start: str, end: str) -> Iterator[IndexEntry]:
        """Every response and revisit whose SURT key lies from `start` to below `end`, in the order of an index."""
        unindexed = [entry for entry in self._unindexed() if start <= entry.key < end]
        unindexed.sort(key=_line_order)
        seen = {entry.location for entry in unindexed}
        indexed = (entry for entry in self._lookup.between(start, end) if entry.location not in seen)
        return heapq.merge(unindexed, indexed, key=_line_order)

    def record(self, location: Location) -> Record:
        """The record at a location; raises `IntegrityError` when there is no whole one."""
        return self._record(location)[0]

    def load(self, location: Location, *, with_request: bool = True, most_bytes: int = MAX_MEMBER_BYTES) -> Exchange:
        """Read a response back; a revisit comes with the body it refers to. Its request costs a second reading.

        The seconds of an exchange are not in its records and come as 0. `received` is byte for byte what came, for a
        revisit without a head of its own what came for the original. Raises `IntegrityError`; `LargeRecord` for one of
        another tool that has more than `most_bytes`.
        """
        record, after = self._record(location, most_bytes)
        if self.layout.is_foreign and not urls.is_target(foreign.target_uri(record)):
            raise IntegrityError(f"{location.warc}: the record at offset {location.offset} has no web address")
        if record.type in ("resource", "metadata") and self.layout.is_foreign:
            return exchange_of(record, _with_head(record), b"")
        if record.type not in ("response", "revisit"):
            raise IntegrityError(f"{location.warc}: the record at offset {location.offset} is no response")
        received = record.block if record.type == "response" else self._resolved(record, location)
        request = self._request_after(record, location.warc, after) if with_request else b""
        return exchange_of(record, received, request)

    def _record(self, location: Location, most_bytes: int = MAX_MEMBER_BYTES) -> tuple[Record, int]:
        with self.layout.open_warc(location.warc) as file:
            try:
                if self.layout.is_foreign:
                    found = foreign.read_at(file, location.offset, most_bytes)
                    return found.record, found.end
                member = next(members.scan_open(file, location.offset), None)
                if member is None:
                    raise Damaged(location.offset, "the file ends before it")
                return records.parse(member.data, member.offset), member.offset + member.length
            except foreign.TooLarge as large:
                raise LargeRecord(f"{file.name}: {large}") from large
            except Damaged as damage:
                raise IntegrityError(f"{file.name}: no whole record at {damage}; run `scraper check`") from damage

    def _resolved(self, revisit: Record, location: Location) -> bytes:
        original = self._original(revisit, location)
        if not revisit.block:
            return original.block
        part = records.http_part(original)  # the digest by which it was found is over the body as readers part it
        return revisit.block + original.block[part.body_at if part else 0 :]

    def _original(self, revisit: Record, location: Location) -> Record:
        href, digest = _referred(revisit), revisit.header("WARC-Payload-Digest")
        if named := self._named_original(revisit, href, digest):
            return named
        matching = [entry for entry in self.index.find(href) if _holds(entry, href, digest)]
        matching = matching or [entry for entry in self.find(href) if _holds(entry, href, digest)]
        if not matching:
            raise IntegrityError(
                f"{location.warc}: the revisit at offset {location.offset} refers to a capture of {href} which the"
                " collection does not hold; run `scraper rebuild`, then `scraper check`"
            )
        wanted = referred_timestamp(revisit)
        best = min(matching, key=lambda entry: (entry.timestamp != wanted, entry.timestamp))
        return self._record(best.location)[0]

    def _named_original(self, revisit: Record, href: str, digest: str) -> Record | None:
        """The original at the place that the revisit names, if it names one and it is there."""
        warc, offset = revisit.header(REFERS_TO_FILE), revisit.header(REFERS_TO_OFFSET)
        if not warc or not re.fullmatch(r"[0-9]{1,18}", offset):
            return None
        try:
            record = self._record(Location(warc, int(offset), 0))[0]
        except IntegrityError:
            return None  # moved since; the index knows better
        if self.layout.is_foreign:
            return None  # the names of imported files are others than their tools gave them
        entry = entry_of(record, Location(warc, int(offset), 0))
        return record if entry and _holds(entry, href, digest) else None

    def _unindexed(self) -> Iterator[IndexEntry]:
        """The entries of WARCs without an index yet: our own from memory, another writer's from its records."""
        yield from self._entries
        yield from self._open_entries.entries(own=self._segment.name if self._segment else "")

    def _request_after(self, response: Record, warc: str, offset: int) -> bytes:
        with self.layout.open_warc(warc) as file:
            try:
                if self.layout.is_foreign:
                    return _foreign_request(response, foreign.read_at(file, offset).record)
                following = next(members.scan_open(file, offset), None)
                record = records.parse(following.data, offset) if following else None
            except Damaged:
                return b""
        if record is None or record.type != "request" or record.header("WARC-Concurrent-To") != response.id:
            return b""
        return record.block


def _line_order(entry: IndexEntry) -> tuple[str, str, str]:
    return entry.key, entry.timestamp, entry.url


def _foreign_request(response: Record, following: Record) -> bytes:
    """What follows a response, if it is its request: tools point from the one to the other, or not at all."""
    same = foreign.target_uri(following) == foreign.target_uri(response)
    return following.block if same and following.type == "request" else b""


def _with_head(resource: Record) -> bytes:
    """A resource (what an FTP server, say, or a program gave) as a response, which it never was."""
    kind = records.one_line(resource.header("Content-Type") or "application/octet-stream")
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(resource.block)}\r\n\r\n"
    return head.encode("latin-1", "replace") + resource.block


def _referred(revisit: Record) -> str:
    """The address a revisit refers to; older tools name none and mean its own."""
    href = revisit.header("WARC-Refers-To-Target-URI").strip("<> ")
    return urls.bare(href or foreign.target_uri(revisit))  # as the index has it


def _holds(entry: IndexEntry, href: str, digest: str) -> bool:
    return same_address(entry.url, href) and not entry.is_revisit and entry.digest == digest


def exchange_of(record: Record, received: bytes, request: bytes) -> Exchange:
    head = message.parse_head(received)
    return Exchange(
        target=urls.target(foreign.target_uri(record)),
        started_at=record.date,
        seconds=0.0,
        request=request,
        answer=received,
        head_length=head.length if head else 0,
        status=head.status if head else 0,
        reason=head.reason if head else "",
        headers=head.headers if head else (),
        peer_ip=record.header("WARC-IP-Address") or None,
        protocol=tuple(record.all("WARC-Protocol")),
        truncated=truncation(record),
    )
