"""Is the archive whole? Stricter than the common readers, which pass over torn and flipped bytes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from scraper.archiver import foreign, foreign_index, records
from scraper.archiver.index import entry_of, index_files, read_line
from scraper.archiver.layout import OPEN_SUFFIX, SEAL_SUFFIX, Layout, warc_name
from scraper.archiver.members import Damaged, Member
from scraper.archiver.records import Record
from scraper.errors import IntegrityError
from scraper.model import Location

RESTORE = (
    "put the file back from a copy, or move it and its .sha256 away and run `scraper rebuild`: "
    "its pages are then fetched again"
)
REBUILD = "run `scraper rebuild`"
RECOVER = "the next `scraper run` sets it right"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it must be: in which file, where, what, and what to do next."""

    path: Path
    offset: int | None
    what: str
    advice: str

    def __str__(self) -> str:
        where = f" at offset {self.offset}" if self.offset is not None else ""
        return f"{self.path}{where}: {self.what}; {self.advice}"


@dataclass(slots=True)
class _Found:
    """What the WARCs hold, gathered while they are read: the yardstick for index and state."""

    records: set[tuple[str, int, int]] = field(default_factory=set)
    listed: dict[tuple[str, int], int] = field(default_factory=dict)  # -> hash of the index line it must have
    damaged: set[str] = field(default_factory=set)
    originals: set[tuple[str, str]] = field(default_factory=set)  # (URL, payload digest) of responses
    revisits: list[tuple[Path, int, str, str]] = field(default_factory=list)


def check(root: Path, name: str, rows: Iterable[Location] = ()) -> Iterator[Problem]:
    """Every fault of a collection: members, records, digests, seals, index lines, and the state's `rows`.

    Each member must be whole with a right CRC and hold exactly one record whose digests are right; each closed file
    must be as its seal says; each listed record have its line and each line its record; each revisit what it refers
    to; each row a whole record. Run it under the lock, or expect to see the torn end of a file being written.
    """
    layout = Layout(root, name)
    found = _Found()
    for path in layout.all_warcs():
        yield from _check_foreign(path, found) if layout.is_foreign else _check_warc(path, found)
    yield from _check_seals(layout)
    if not layout.is_foreign:  # of other tools' revisits, some refer to what was never here
        yield from _check_revisits(found)
    yield from _check_index(layout, found)
    yield from _check_rows(layout, rows, found)


# -------------------------------------------------------------------- records


def _check_warc(path: Path, found: _Found) -> Iterator[Problem]:
    name, advice = warc_name(path), RECOVER if path.name.endswith(OPEN_SUFFIX) else RESTORE
    if path.stat().st_size == 0:
        yield Problem(path, 0, "the file is empty", advice)
        return
    damages: list[Damaged] = []
    for member, record in records.read_all(path, on_damage=damages.append):
        yield from _check_record(record, member, path, found)
    for damage in damages:
        found.damaged.add(name)
        yield Problem(path, damage.offset, damage.what, advice)


def _check_foreign(path: Path, found: _Found) -> Iterator[Problem]:
    """Of other tools' files only what the standard asks is asked: whole records with right digests."""
    damages: list[Damaged] = []
    for item in foreign.scan_on(path, damages, foreign.PROOF):
        for fault in item.faults:
            yield Problem(path, item.offset, fault, RESTORE)
        found.records.add((path.name, item.offset, item.length))
        if entry := foreign_index.entry_of(item, path.name):
            found.listed[path.name, item.offset] = hash(entry.line())
    for damage in damages:
        found.damaged.add(path.name)
        yield Problem(path, damage.offset, damage.what, RESTORE)


def _check_record(record: Record, member: Member, path: Path, found: _Found) -> Iterator[Problem]:
    if member.offset == 0 and record.type != "warcinfo":
        yield Problem(path, 0, "the file does not begin with a warcinfo record", RESTORE)
    for fault in records.digest_faults(record):
        yield Problem(path, member.offset, fault, RESTORE)
    _note(record, path, Location(warc_name(path), member.offset, member.length), found)


def _note(record: Record, path: Path, location: Location, found: _Found) -> None:
    found.records.add((location.warc, location.offset, location.length))
    entry = entry_of(record, location)
    if entry is None:
        return
    if not path.name.endswith(OPEN_SUFFIX):  # a file gets its index when it is closed
        found.listed[location.warc, location.offset] = hash(entry.line())
    if record.type == "response":
        found.originals.add((entry.url, entry.digest))
    elif refers_to := record.header("WARC-Refers-To-Target-URI"):
        found.revisits.append((path, location.offset, refers_to, entry.digest))


def _check_revisits(found: _Found) -> Iterator[Problem]:
    for path, offset, href, digest in found.revisits:
        if (href, digest) not in found.originals and not found.damaged:
            yield Problem(path, offset, f"the revisit refers to a capture of {href} that is not here", RESTORE)


# ---------------------------------------------------------------------- seals


def _check_seals(layout: Layout) -> Iterator[Problem]:
    for path in layout.closed_warcs():
        seal = path.with_name(path.name + SEAL_SUFFIX)
        try:
            said = re.match(r"([0-9a-f]{64})  (\S+)\n\Z", seal.read_text(encoding="ascii"))
        except FileNotFoundError:
            yield Problem(seal, None, "the checksum file is missing", REBUILD)
            continue
        except UnicodeDecodeError:
            said = None
        if said is None or said[2] != path.name:
            advice = "delete it and run `scraper rebuild`, which makes it"
            yield Problem(seal, None, "the checksum file is damaged", advice)
            continue
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != said[1]:
                yield Problem(path, None, "the file is not what it was when it was closed", RESTORE)
    for seal in sorted(layout.warcs.glob(f"*{SEAL_SUFFIX}")):
        if not seal.with_suffix("").exists() and not seal.with_suffix(OPEN_SUFFIX).exists():
            open_path = layout.warcs / (seal.name.removesuffix(SEAL_SUFFIX) + OPEN_SUFFIX)
            if not open_path.exists():
                yield Problem(seal.with_suffix(""), None, "the file is missing, only its checksum is there", RESTORE)


# ---------------------------------------------------------------------- index


def _check_index(layout: Layout, found: _Found) -> Iterator[Problem]:
    unlisted = dict(found.listed)
    for path in index_files(layout):
        try:
            yield from _check_index_file(path, found, unlisted, layout)
        except IntegrityError:
            yield Problem(path, None, "this index is damaged", REBUILD)
            return
    for warc, offset in sorted(unlisted):
        yield Problem(layout.warcs / warc, offset, "the record is missing from the index", REBUILD)


def _check_index_file(
    path: Path, found: _Found, unlisted: dict[tuple[str, int], int], layout: Layout
) -> Iterator[Problem]:
    last, at = b"", 0
    with path.open("rb") as file:
        for line in file:
            if line < last:
                yield Problem(path, at, "the lines are not in order", REBUILD)
            entry = read_line(line, path)
            last, at = line, at + len(line)
            place = (entry.location.warc, entry.location.offset)
            unlisted.pop(place, None)
            if found.listed.get(place) == hash(line) or entry.location.warc in found.damaged:
                continue
            if (layout.warcs / (entry.location.warc + OPEN_SUFFIX)).exists():
                continue  # a crash came between its index and its name
            yield Problem(path, at - len(line), f"the line of {entry.url} does not agree with any record", REBUILD)


# ----------------------------------------------------------------------- rows


def _check_rows(layout: Layout, rows: Iterable[Location], found: _Found) -> Iterator[Problem]:
    for row in rows:
        if (row.warc, row.offset, row.length) not in found.records:
            path = layout.warcs / row.warc
            yield Problem(path, row.offset, f"the state knows a record of {row.length} bytes that is not here", RESTORE)
