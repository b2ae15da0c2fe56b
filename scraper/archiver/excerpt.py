"""A part of a collection: visits whole, and what their revisits refer to, as places in its WARCs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

from scraper.archiver import foreign, members, records
from scraper.archiver.collection import Collection
from scraper.archiver.foreign_source import GZIP_MAGIC
from scraper.archiver.index import IndexEntry, entry_of
from scraper.archiver.members import Damaged
from scraper.archiver.records import Record
from scraper.archiver.visits import REFERS_TO_FILE, REFERS_TO_OFFSET, referred_timestamp
from scraper.errors import IntegrityError
from scraper.model import Location


@dataclass(frozen=True, slots=True)
class Piece:
    """A record of an excerpt: where it lies, all its bytes, and its index entry if it has one.

    Of another tool's file it may lie there plain.
    """

    location: Location
    entry: IndexEntry | None = None
    is_packed: bool = True


class Excerpt:
    """Records chosen from a collection; each once, in order of their place."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        self.unresolved: list[str] = []  # a sentence for each revisit whose original the collection does not hold
        self._pieces: dict[tuple[str, int], Piece] = {}
        self._warcinfos: dict[str, Piece | None] = {}

    def add_visit(self, visit: Location, start: int) -> None:
        """Take the records of a visit: it lies between `start`, where the visit before it ends, and its last record."""
        found = list(self._between(visit.warc, start, visit.offset + visit.length))
        summary = found[-1][1] if found else None
        own = {*summary.all("WARC-Concurrent-To"), summary.id} if summary and summary.type == "metadata" else None
        for piece, record in found:
            if record.type != "warcinfo" and (own is None or record.id in own):
                self._take(piece, record)

    def add_capture(self, where: Location) -> None:
        """Take a response or revisit with its request, without the rest of its visit."""
        found = list(self._between(where.warc, where.offset, None, most=2))
        for number, (piece, record) in enumerate(found):
            if number == 0 or self._is_request_of(found[0][1], record):
                self._take(piece, record)

    def _is_request_of(self, response: Record, following: Record) -> bool:
        if self.collection.layout.is_foreign:
            return following.type == "request" and foreign.target_uri(following) == foreign.target_uri(response)
        return following.header("WARC-Concurrent-To") == response.id

    def pieces(self, warc: str) -> list[Piece]:
        """The chosen records of one WARC in order, its warcinfo record first."""
        chosen = [piece for (name, _), piece in sorted(self._pieces.items()) if name == warc]
        info = self._warcinfos[warc]
        return [info, *chosen] if info else chosen

    @property
    def warcs(self) -> list[str]:
        """The names of the WARCs that something was chosen from."""
        return sorted(self._warcinfos)

    def _take(self, piece: Piece, record: Record) -> None:
        warc, place = piece.location.warc, (piece.location.warc, piece.location.offset)
        if place in self._pieces:
            return
        self._pieces[place] = piece
        if warc not in self._warcinfos:
            self._warcinfos[warc] = self._warcinfo(warc)
        if piece.entry is not None and piece.entry.is_revisit:
            self._take_original(record, piece.entry)

    def _warcinfo(self, warc: str) -> Piece | None:
        for piece, record in self._between(warc, 0, None, most=1):
            if record.type == "warcinfo":
                return piece
        return None

    def _take_original(self, revisit: Record, entry: IndexEntry) -> None:
        original = self._original(revisit, entry.digest)
        if original is None:
            href = revisit.header("WARC-Refers-To-Target-URI") or entry.url
            self.unresolved.append(f"{entry.url}: a revisit of {href}, which the collection does not hold")
        else:
            self.add_capture(original.location)

    def _original(self, revisit: Record, digest: str) -> IndexEntry | None:
        href = revisit.header("WARC-Refers-To-Target-URI").strip("<> ") or foreign.target_uri(revisit)
        found = [entry for entry in self.collection.find(href) if not entry.is_revisit and entry.digest == digest]
        wanted = referred_timestamp(revisit)
        place = (revisit.header(REFERS_TO_FILE), revisit.header(REFERS_TO_OFFSET))

        def nearness(entry: IndexEntry) -> tuple[bool, bool, str]:
            where = entry.location
            return (where.warc, str(where.offset)) != place, entry.timestamp != wanted, entry.timestamp

        return min(found, key=nearness, default=None)

    def _between(self, warc: str, start: int, end: int | None, most: int = 0) -> Iterator[tuple[Piece, Record]]:
        """The records of a WARC from an offset to another, or the first `most`, without their blocks.

        Raises `IntegrityError`.
        """
        if self.collection.layout.is_foreign:
            yield from self._foreign(warc, start, most)
            return
        with self.collection.layout.open_warc(warc) as file:
            try:
                for number, member in enumerate(members.scan_open(file, start), start=1):
                    if end is not None and member.offset >= end:
                        return
                    record = records.parse(member.data, member.offset)
                    location = Location(warc, member.offset, member.length)
                    yield Piece(location, entry_of(record, location)), replace(record, block=b"")
                    if number == most:
                        return
            except Damaged as damage:
                if most and start < damage.offset:
                    return  # what was asked for came before it
                raise IntegrityError(f"{file.name}: no whole record at {damage}; run `scraper check`") from damage

    def _foreign(self, warc: str, start: int, most: int) -> Iterator[tuple[Piece, Record]]:
        """The first records of another tool's WARC from an offset on; raises `IntegrityError`."""
        with self.collection.layout.open_warc(warc) as file:
            is_packed = os.pread(file.fileno(), 2, start) == GZIP_MAGIC
            offset = start
            for _ in range(most):
                try:
                    found = foreign.read_at(file, offset)
                except Damaged as damage:
                    if offset > start:
                        return
                    raise IntegrityError(f"{file.name}: no whole record at {damage}; run `scraper check`") from damage
                location = Location(warc, offset, found.end - offset)
                yield Piece(location, self._listed(found.href, location), is_packed), replace(found.record, block=b"")
                offset = found.end

    def _listed(self, href: str, place: Location) -> IndexEntry | None:
        """What the index says of a record: its digest may stand nowhere else."""
        same = (entry for entry in self.collection.find(href) if entry.location.offset == place.offset)
        return next((entry for entry in same if entry.location.warc == place.warc), None)
