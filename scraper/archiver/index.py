"""CDXJ: which records the collection holds of a URL, by binary search over sorted files."""

from __future__ import annotations

import heapq
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from scraper import urls
from scraper.archiver import records
from scraper.archiver.layout import Layout, is_utf8, make_folder, replace_file, sync_folder, warc_name, writing
from scraper.archiver.members import Damaged
from scraper.archiver.records import OnDamage, Record
from scraper.errors import IntegrityError
from scraper.model import Location
from scraper.stored import load_json

MAX_FILES = 16
MERGED_TO = 8  # merging half of them at a time rewrites each line a few times, not once per file
SUFFIX = ".cdxj"
REVISIT_MIME = "warc/revisit"

_STATUS = re.compile("[0-9]{3}")
_LINE = re.compile(rb"(\S+) ([0-9]{14}) (\{.*\})\r?\n?\Z")
MIME_END = re.compile(r"[;\s]")


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One line of a CDXJ file: a response or revisit that the collection holds. `status` may be missing or a dash."""

    key: str
    timestamp: str
    url: str
    digest: str
    location: Location
    mime: str | None = None
    status: str | None = None

    @property
    def captured_at(self) -> datetime:
        """The instant to the second, which is all that an index holds."""
        return datetime.fromisoformat(f"{self.timestamp[:8]}T{self.timestamp[8:]}Z")

    @property
    def is_revisit(self) -> bool:
        return self.mime == REVISIT_MIME

    def line(self) -> bytes:
        """The line as cdxj-indexer writes it."""
        where = self.location
        fields = {"url": self.url, "mime": self.mime, "status": self.status, "digest": self.digest}
        fields |= {"length": str(where.length), "offset": str(where.offset), "filename": where.warc}
        present = {name: value for name, value in fields.items() if value is not None}
        return f"{self.key} {self.timestamp} {json.dumps(present)}\n".encode()


def entry_of(record: Record, location: Location) -> IndexEntry | None:
    """The index entry of a record; None for those that are not listed."""
    if record.type not in ("response", "revisit"):
        return None
    url = record.header("WARC-Target-URI")
    part = records.http_part(record)
    digest = record.header("WARC-Payload-Digest") or records.sha1(record.block[part.body_at if part else 0 :])
    mime: str | None = REVISIT_MIME
    if record.type == "response":
        content_type = part.content_type if part else None
        mime = MIME_END.split(content_type, maxsplit=1)[0] if content_type else content_type
    # What is no HTTP has words there, which a server may have made of anything.
    status = part.status if part and _STATUS.fullmatch(part.status or "") else None
    return IndexEntry(urls.surt(url), records.timestamp14(record.date), url, digest, location, mime, status)


def same_address(url: str, href: str) -> bool:
    """Whether a recorded URL is this one: other tools record it as it was typed."""
    if url == href:
        return True
    try:
        return urls.target(url).href == href
    except urls.NotATarget:
        return False


def _size(said: object) -> int:
    """A count of bytes, as text or number; raises `ValueError` for more than any file has."""
    if not isinstance(said, str | int) or not 0 <= (size := int(said)) < 1 << 63:
        raise ValueError("no count of bytes")
    return size


def read_line(line: bytes, path: Path) -> IndexEntry:
    """Read one line; raises `IntegrityError` naming the file."""
    found = _LINE.match(line)
    try:
        if found is None:
            raise ValueError("no CDXJ line")
        fields = load_json(found[3])
        where = Location(str(fields["filename"]), _size(fields["offset"]), _size(fields["length"]))
        key, timestamp = found[1].decode(), found[2].decode()
        url, digest, mime, status = fields["url"], fields["digest"], fields.get("mime"), fields.get("status")
        if not all(isinstance(text, str) for text in (url, digest, mime or "", status or "")):
            raise ValueError("a field is no text")
        entry = IndexEntry(key, timestamp, url, digest, where, mime, status)
        _ = entry.captured_at  # 14 digits may name no instant
        return entry
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{path}: this index is damaged; run `scraper rebuild` to make it again") from error


class Index:
    """Look-ups in a collection's index files. Files may appear, merge and go while it is in use."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def find(self, href: str) -> list[IndexEntry]:
        """Every entry of exactly this URL, oldest first."""
        key = urls.surt(href).encode() + b" "
        found = {}
        for path in index_files(self._layout):
            try:
                with path.open("rb") as file:
                    for line in _lines_from(file, key, path):
                        entry = read_line(line, path)
                        found[entry.location] = entry
            except FileNotFoundError:
                continue  # merged into another meanwhile
        same = [entry for entry in found.values() if same_address(entry.url, href)]
        return sorted(same, key=lambda entry: (entry.timestamp, entry.location.warc, entry.location.offset))


class OpenEntries:
    """The entries of WARCs which another writer has not closed yet, read from their records once."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._seen: dict[str, tuple[int, list[IndexEntry]]] = {}

    def entries(self, own: str = "") -> Iterator[IndexEntry]:
        """Those of every `.open` file but our own; the torn end of one is where its writer is at work."""
        for path in self._layout.open_warcs():
            name = warc_name(path)
            if name != own:
                yield from self._read_on(path, name)

    def _read_on(self, path: Path, name: str) -> list[IndexEntry]:
        end, entries = self._seen.get(name, (0, []))
        try:
            for member, record in records.read_all(path, end):
                if entry := entry_of(record, Location(name, member.offset, member.length)):
                    entries.append(entry)
                end = member.offset + member.length
        except (Damaged, FileNotFoundError):
            pass
        self._seen[name] = (end, entries)
        return entries


def _lines_from(file: BinaryIO, prefix: bytes, path: Path) -> Iterator[bytes]:
    """The lines that start with a prefix, found by bisecting the file's bytes."""
    low, high = 0, os.fstat(file.fileno()).st_size
    while low < high:
        middle = (low + high) // 2
        file.seek(middle)
        if middle:
            file.seek(middle - 1)
            file.readline()  # to the start of the first line at or after `middle`
        at = file.tell()
        line = file.readline()
        if line and _LINE.match(line) is None:
            raise IntegrityError(f"{path}: this index is damaged; run `scraper rebuild` to make it again")
        if line and line < prefix:
            low = at + len(line)
        else:
            high = middle
    file.seek(low)
    for line in file:
        if not line.startswith(prefix):
            return
        yield line


def holds_line(path: Path, line: bytes) -> bool:
    """Whether an index file holds exactly this line, which costs a few reads of it."""
    with path.open("rb") as file:
        return line in _lines_from(file, line, path)


def index_files(layout: Layout) -> list[Path]:
    """The index files, in order of name; what is no file under such a name counts as missing."""
    return sorted(path for path in layout.indexes.glob(f"*{SUFFIX}") if path.is_file() and is_utf8(path.name))


def index_path(layout: Layout, warc: str) -> Path:
    """The file that holds the lines of one WARC before any merging."""
    return layout.indexes / f"{warc.removesuffix('.gz').removesuffix('.warc')}{SUFFIX}"


def index_lines(root: Path, name: str) -> Iterator[bytes]:
    """Every line of a collection in order, equal ones once: those of WARCs which are still being written included."""
    layout = Layout(root, name)
    # As in `Collection.find`: what is unindexed comes first.
    unindexed = sorted(entry.line() for entry in OpenEntries(layout).entries())
    last = b""
    for line in heapq.merge(unindexed, *map(_lines, index_files(layout))):
        if line != last:
            yield line
        last = line


# ------------------------------------------------------------------- writing


def write_index(layout: Layout, warc: str, entries: Iterable[IndexEntry]) -> Path:
    """Write the index of one WARC, sorted; the file is whole or not there."""
    path = index_path(layout, warc)
    replace_file(path, b"".join(sorted(entry.line() for entry in entries)))
    return path


def entries_of(warc: Path, name: str, on_damage: OnDamage | None = None) -> Iterator[IndexEntry]:
    """The index entries of a WARC, read from its records; raises `Damaged`, or tells `on_damage` and goes on."""
    for member, record in records.read_all(warc, on_damage=on_damage):
        if entry := entry_of(record, Location(name, member.offset, member.length)):
            yield entry


def merge_indexes(layout: Layout) -> None:
    """Keep the index files few: when there are more than 16, the smallest become one.

    A crash between the new file's name and the old ones' removal leaves lines twice, which readers count once.
    """
    files = index_files(layout)
    if len(files) <= MAX_FILES:
        return
    files.sort(key=lambda path: path.stat().st_size)
    smallest = files[: len(files) - MERGED_TO + 1]
    merge_files(layout, smallest)
    with writing(layout.indexes):
        for path in smallest:
            path.unlink(missing_ok=True)
        sync_folder(layout.indexes)


def merge_files(layout: Layout, files: list[Path]) -> Path:
    """Merge sorted files into a new one, streaming; equal lines once."""
    make_folder(layout.indexes)
    number = 1 + max((_merge_number(path) for path in index_files(layout)), default=0)
    path = layout.indexes / f"merged-{number:06d}{SUFFIX}"
    temporary = layout.indexes / f".{path.name}.tmp"
    with writing(path):
        try:
            with temporary.open("wb") as out:
                last = b""
                for line in heapq.merge(*map(_lines, files)):
                    if line != last:
                        out.write(line)
                    last = line
                out.flush()
                os.fsync(out.fileno())
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(layout.indexes)
    return path


def _merge_number(path: Path) -> int:
    found = re.fullmatch(r"merged-([0-9]{6,9})\.cdxj", path.name)
    return int(found[1]) if found else 0


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file
