"""A part of an archive as a WACZ: the chosen records, member by member as they lie there, in a WARC of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from scraper import archiver
from scraper.errors import IntegrityError
from scraper.exchange.choosing import Choice, Visit, by_second, with_requisites
from scraper.exchange.packing import copied, page_line
from scraper.exchange.wacz import Contents, PageLine, Warc, stored_gzip, stored_gzip_size, write
from scraper.model import Location
from scraper.state import StateReader


@dataclass(frozen=True, slots=True)
class Part:
    """A package of chosen captures, and a sentence for each revisit whose original is not in the archive."""

    contents: Contents
    unresolved: tuple[str, ...]


def part(state: StateReader, root: Path, choice: Choice) -> Part:
    """The chosen visits with their redirects and requisites, and what their revisits refer to."""
    excerpts: dict[str, archiver.Excerpt] = {}
    for visit in with_requisites(state, choice):
        name = visit["collection"]
        excerpt = excerpts.setdefault(name, archiver.Excerpt(archiver.Collection(root, name)))
        last = Location(visit["warc"], visit["visit_offset"], visit["visit_length"])
        if name == archiver.IMPORTED:  # a visit of another tool has no end of its own: its page, and what led there
            excerpt.add_capture(last)
            excerpt.add_capture(Location(visit["page_warc"], visit["page_offset"], visit["page_length"]))
        else:
            excerpt.add_visit(last, _start(state, name, last))
    pages = [visit for visit in choice.visits if _is_page(visit)]
    return _part(root, excerpts, choice, pages)


def single(root: Path, collection: str, entry: archiver.IndexEntry) -> Part:
    """One capture alone, for an archive whose state tells nothing of it."""
    excerpt = archiver.Excerpt(archiver.Collection(root, collection))
    excerpt.add_capture(entry.location)
    page = {
        "collection": collection,
        "final_href": entry.url,
        "captured_at": entry.captured_at.isoformat(),
        "title": None,
        "status": None,
        "text_path": None,
    }
    choice = Choice((), entry.url, f"{entry.url} as it was at {entry.captured_at:%Y-%m-%dT%H:%M:%SZ}")
    return _part(root, {collection: excerpt}, choice, [page])


def pack(root: Path, collection: str, entry: archiver.IndexEntry, output: Path) -> None:
    """Write the package of one capture: its whole visit with what the page needs, as far as the state tells of them."""
    try:
        reader = StateReader.open_for_reading(root)
    except IntegrityError:
        write(single(root, collection, entry).contents, output)
        return
    with reader as state:
        choice = by_second(state, collection, entry.url, entry.captured_at)
        chosen = part(state, root, choice) if choice else single(root, collection, entry)
        write(chosen.contents, output)


def _start(state: StateReader, collection: str, visit: Location) -> int:
    """Where a visit's first record lies: where the visit before it ends."""
    rows = state.query(
        "SELECT visit_offset + visit_length AS end FROM visits "
        "WHERE collection = ? AND warc = ? AND visit_offset < ? ORDER BY visit_offset DESC LIMIT 1",
        (collection, visit.warc, visit.offset),
    )
    return next((int(row["end"]) for row in rows), 0)


def _is_page(visit: Visit) -> bool:
    return visit["purpose"] == "page" and visit["state"] == "captured" and visit["page_offset"] is not None


def _part(root: Path, excerpts: dict[str, archiver.Excerpt], choice: Choice, pages: list[dict[str, Any]]) -> Part:
    warcs: list[Warc] = []
    lines: list[bytes] = []
    for name, excerpt in sorted(excerpts.items()):
        warc, its_lines = _warc(name, excerpt)
        warcs.append(warc)
        lines += its_lines
    newest = pages[-1] if pages else None
    contents = Contents(
        title=choice.title,
        description=choice.description,
        warcs=warcs,
        index=sorted(set(lines)),
        pages=_page_lines(root, pages),
        main_page=(newest["final_href"], newest["captured_at"]) if newest else None,
    )
    return Part(contents, tuple(sentence for excerpt in excerpts.values() for sentence in excerpt.unresolved))


def _page_lines(root: Path, pages: Iterable[dict[str, Any]]) -> Iterator[PageLine]:
    return (page_line(root, page) for page in pages)


def _warc(collection: str, excerpt: archiver.Excerpt) -> tuple[Warc, list[bytes]]:
    """The excerpt as one WARC: its pieces in order of their place, each file's warcinfo record before its own."""
    pieces = [piece for warc in excerpt.warcs for piece in excerpt.pieces(warc)]
    stamps = [piece.entry.timestamp for piece in pieces if piece.entry]
    identity = hashlib.sha256("\n".join(f"{p.location.warc} {p.location.offset}" for p in pieces).encode()).hexdigest()
    name = f"{collection}-excerpt-{max(stamps, default='0' * 14)}-{identity[:12]}.warc.gz"
    lines, offset = [], 0
    for piece in pieces:
        length = piece.location.length if piece.is_packed else stored_gzip_size(piece.location.length)
        if piece.entry is not None:
            lines.append(replace(piece.entry, location=Location(name, offset, length)).line())
        offset += length
    layout = excerpt.collection.layout
    return Warc(name, offset, lambda: _copied(layout, pieces)), lines


def _copied(layout: archiver.Layout, pieces: list[archiver.Piece]) -> Iterator[bytes | memoryview]:
    for (warc, is_packed), group in groupby(pieces, key=lambda piece: (piece.location.warc, piece.is_packed)):
        places = [(piece.location.offset, piece.location.length) for piece in group]
        if is_packed:
            yield from copied(layout, warc, places)
            continue
        for place in places:
            yield stored_gzip(b"".join(map(bytes, copied(layout, warc, [place]))))
