"""What goes into a WACZ: whole collections, their WARCs byte for byte."""

from __future__ import annotations

import heapq
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from io import FileIO
from pathlib import Path
from typing import Any

from scraper import archiver
from scraper.errors import IntegrityError, UsageError
from scraper.exchange.wacz import Contents, PageLine, Warc
from scraper.state import StateReader

_COPY_BYTES = 1 << 20
_PLACE = re.compile(rb'"offset": "([0-9]{1,18})", "filename": "([^"]{1,255})"\}\r?\n?\Z')


def whole(state: StateReader, root: Path, names: list[str]) -> Contents:
    """Whole collections. Of a WARC which is being written, the visits that the state knows."""
    sources = [source for name in names for source in _sources(state, root, name)]
    if not sources:
        raise UsageError(f"{root}: nothing is archived here yet; `scraper run` or `scraper fetch` begins")
    called = _names(sources)
    shown = ", ".join(names)
    return Contents(
        title=f"Web archive: {shown}",
        description=f"All captures of {'collection' if len(names) == 1 else 'collections'} {shown}",
        warcs=[source.warc(called[source]) for source in sources],
        index=_index(root, names, sources, called),
        pages=_pages(state, root, names),
    )


@dataclass(frozen=True, slots=True)
class _Source:
    """A WARC of the archive and how many of its bytes count."""

    root: Path
    collection: str
    name: str
    size: int
    is_open: bool

    def warc(self, called: str) -> Warc:
        layout = archiver.Layout(self.root, self.collection)
        seal = None if self.is_open else layout.sealed_as(self.name)
        return Warc(called, self.size, lambda: copied(layout, self.name, [(0, self.size)]), seal)


def copied(layout: archiver.Layout, name: str, ranges: list[tuple[int, int]]) -> Iterator[memoryview]:
    """Ranges (offset, length) of a WARC's bytes; raises `IntegrityError` where they cannot be read."""
    buffer = memoryview(bytearray(_COPY_BYTES))
    with layout.open_warc(name) as file:
        for offset, length in ranges:
            yield from _range(file, buffer, offset, length)


def _range(file: FileIO, buffer: memoryview, offset: int, length: int) -> Iterator[memoryview]:
    try:
        file.seek(offset)
        while length:
            count = file.readinto(buffer[: min(length, len(buffer))])
            if not count:
                raise IntegrityError(f"{file.name}: the file is shorter than the archive knows; run `scraper check`")
            yield buffer[:count]
            length -= count
    except OSError as error:
        raise IntegrityError(f"{file.name}: cannot be read: {error.strerror}; run `scraper check`") from error


def _sources(state: StateReader, root: Path, name: str) -> Iterator[_Source]:
    layout, marks = archiver.Layout(root, name), state.marks(name)
    for path in layout.all_warcs():
        is_open = path.name.endswith(archiver.OPEN_SUFFIX)
        called = path.name.removesuffix(archiver.OPEN_SUFFIX)
        size = marks.get(called, 0) if is_open else path.stat().st_size
        if size:
            yield _Source(root, name, called, size, is_open)


def _names(sources: list[_Source]) -> dict[_Source, str]:
    """The WARCs' names in the package: their own, or with the collection's before it where another has it already."""
    taken: set[str] = set()
    called = {}
    for source in sources:
        name = source.name if source.name not in taken else f"{source.collection}.{source.name}"
        taken.add(name)
        called[source] = name
    return called


# ---------------------------------------------------------------------- index


def _index(root: Path, names: list[str], sources: list[_Source], called: Mapping[_Source, str]) -> Iterator[bytes]:
    """The lines of all collections, merged; equal ones once."""
    per_collection = [
        _lines(root, name, {source.name: (source, called[source]) for source in sources if source.collection == name})
        for name in names
    ]
    last = b""
    for line in heapq.merge(*per_collection):
        if line != last:
            yield line
        last = line


def _lines(root: Path, name: str, sources: Mapping[str, tuple[_Source, str]]) -> Iterator[bytes]:
    for line in archiver.index_lines(root, name):
        found = _PLACE.search(line)
        if found is None:
            raise IntegrityError(f"{root}/collections/{name}: its index is damaged; run `scraper rebuild`")
        source, called = sources.get(found[2].decode("utf-8"), (None, ""))
        # What came into the archive while the package was being written is not in it.
        if source is None or int(found[1]) >= source.size:
            continue
        if called == source.name:
            yield line
        else:
            yield line[: found.start(2)] + json.dumps(called)[1:-1].encode() + line[found.end(2) :]


# ---------------------------------------------------------------------- pages


def _pages(state: StateReader, root: Path, names: list[str]) -> Iterator[PageLine]:
    places = ", ".join("?" * len(names))
    rows = state.query(
        f"SELECT collection, final_href, captured_at, title, status, text_path FROM visits WHERE purpose = 'page' "
        f"AND state = 'captured' AND page_offset IS NOT NULL AND collection IN ({places}) "
        "ORDER BY captured_at, final_href, collection",
        names,
    )
    for row in rows:
        yield page_line(root, dict(row))


def page_line(root: Path, visit: Mapping[str, Any]) -> PageLine:
    """The line of a visit's row, with the article's text where there is one."""
    captured_at = datetime.fromisoformat(visit["captured_at"])
    page = archiver.Page(visit["final_href"], captured_at, visit["title"], visit["status"])
    text = None
    if visit["text_path"]:
        stored = archiver.Texts(root, visit["collection"]).read_fields(visit["final_href"], captured_at)
        text = stored["article"].get("text") if stored else None
    return PageLine(page.line(), text)
