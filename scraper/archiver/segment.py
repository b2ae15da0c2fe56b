"""The WARC that is being written: appended to by whole visits, then sealed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from scraper.archiver import records
from scraper.archiver.index import IndexEntry, write_index
from scraper.archiver.layout import (
    OPEN_SUFFIX,
    SEAL_SUFFIX,
    WARC_SUFFIX,
    Layout,
    make_folder,
    rename_anew,
    replace_file,
    sync_data,
    sync_folder,
    warc_name,
    write_together,
    writing,
)
from scraper.archiver.members import pack, store
from scraper.archiver.quarantine import move
from scraper.archiver.visits import Item, escaped
from scraper.errors import ArchiveUnwritable
from scraper.model import Location

CONFORMS_TO = "http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/"
_MOST_IN_A_SECOND = 99_999  # the number in a name has five digits


class Segment:
    """One WARC file under its `.open` name. It begins with a warcinfo record; every append is all or nothing.

    After an error of the disk it takes nothing more and is never sealed. A failed fsync may not be tried again: the
    kernel has dropped what it could not write, and the second call would say that all is well (fsync(2), "fsyncgate").
    The next run's recovery reads what is really there.
    """

    def __init__(self, layout: Layout, info: Mapping[str, str], now: datetime) -> None:
        make_folder(layout.warcs)
        self._layout = layout
        self.name, self._path, self._descriptor = _create(layout, now)
        self.size = 0
        self._digest = hashlib.sha256()
        self._synced = False
        self._fault: str | None = None  # why it takes nothing more
        self.info_id = ""
        warcinfo = _warcinfo(self.name, info, now)
        try:
            self.append([Item(warcinfo)])
        except ArchiveUnwritable:
            self.abandon()
            self._path.unlink(missing_ok=True)  # nothing is in it
            raise
        self.info_id = warcinfo.id

    def append(self, items: Sequence[Item]) -> list[Location]:
        """Write records, all or none: on an error of the disk the file is cut back to where it was."""
        members = [self._member(item) for item in items]
        with self._writing():
            try:
                write_together(self._descriptor, members)
            except OSError:
                os.ftruncate(self._descriptor, self.size)
                os.lseek(self._descriptor, self.size, os.SEEK_SET)
                raise
        locations = []
        for member in members:
            locations.append(Location(self.name, self.size, len(member)))
            self._digest.update(member)
            self.size += len(member)
        return locations

    def _member(self, item: Item) -> bytes:
        record = item.record
        if self.info_id:
            record = records.Record((*record.headers, ("WARC-Warcinfo-ID", self.info_id)), record.block)
        return (store if item.is_packed else pack)(records.serialise(record))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        if self._fault is not None:  # whoever comes second may be heard first
            raise ArchiveUnwritable(f"an earlier write failed: {self._fault}")
        try:
            with writing(self._path):
                yield
        except ArchiveUnwritable as error:
            self._fault = str(error)
            raise

    def sync(self) -> None:
        """Make what was appended outlive a power failure."""
        with self._writing():
            sync_data(self._descriptor)
            if not self._synced:
                sync_folder(self._layout.warcs)
                self._synced = True

    def close(self, entries: Sequence[IndexEntry]) -> None:
        """Sync, write index and seal, then give the file its final name."""
        try:
            self.sync()
        finally:
            self.abandon()
        seal(self._layout, self._path, entries, self._digest.hexdigest())

    def abandon(self) -> None:
        """Let go of the file as it is: the next run recovers it."""
        self._fault = self._fault or f"{self._path}: let go of; the next `scraper run` goes on"
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):  # what had to be durable is so already
                os.close(descriptor)


def seal(layout: Layout, path: Path, entries: Sequence[IndexEntry], sha256: str) -> Path:
    """Close a synced `.open` file: index and checksum first, the name last, so that a crash between is no loss."""
    name = warc_name(path)
    final = layout.warcs / name
    if os.path.lexists(final):
        raise ArchiveUnwritable(f"{final}: somebody put a file here; the next `scraper run` gives ours another name")
    write_index(layout, name, entries)
    if layout.sealed_as(name) != sha256:
        _set_seal_aside(layout, name)
        _write_seal(layout, name, sha256)
    with writing(final):
        rename_anew(path, final)
    return final


def _set_seal_aside(layout: Layout, name: str) -> None:
    """A seal of other bytes is kept: of a file that was lost it may be all there is."""
    seal = layout.warcs / (name + SEAL_SUFFIX)
    if os.path.lexists(seal):
        move(layout, seal, seal.name)


def write_missing_seal(layout: Layout, path: Path) -> None:
    """Make the checksum of a closed file that has none (put there by hand, say); one that is there is never changed."""
    if os.path.lexists(path.with_name(path.name + SEAL_SUFFIX)):
        return
    with path.open("rb") as file:
        _write_seal(layout, path.name, hashlib.file_digest(file, "sha256").hexdigest())


def _write_seal(layout: Layout, name: str, sha256: str) -> None:
    replace_file(layout.warcs / (name + SEAL_SUFFIX), f"{sha256}  {name}\n".encode())


def _create(layout: Layout, now: datetime) -> tuple[str, Path, int]:
    """Make a new file, whose name comes after all others even when the clock was set back."""
    while True:
        name = next_name(layout, records.timestamp14(now))
        path = layout.warcs / (name + OPEN_SUFFIX)
        with writing(path):
            try:
                return name, path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            except FileExistsError:
                continue


def next_name(layout: Layout, stamp: str) -> str:
    """A name for a new WARC that comes after all others, and that nothing has, not even a seal without its file."""
    form = re.compile(rf"{re.escape(layout.name)}-([0-9]{{14}})-([0-9]{{5}}){re.escape(WARC_SUFFIX)}(?:\..*)?")
    taken = [(found[1], int(found[2])) for path in layout.warcs.iterdir() if (found := form.fullmatch(path.name))]
    newest, number = max(taken, default=("", 0))
    if newest < stamp:
        return f"{layout.name}-{stamp}-00000{WARC_SUFFIX}"
    if number == _MOST_IN_A_SECOND:
        newest, number = f"{int(newest) + 1:014d}", -1
    return f"{layout.name}-{newest}-{number + 1:05d}{WARC_SUFFIX}"


def _warcinfo(name: str, info: Mapping[str, str], now: datetime) -> records.Record:
    lines = {"format": "WARC File Format 1.1", "conformsTo": CONFORMS_TO, **info}
    block = "".join(f"{records.one_line(key)}: {escaped(value)}\r\n" for key, value in lines.items() if value)
    fields = [("WARC-Date", records.iso(now)), ("WARC-Filename", name), ("Content-Type", records.WARC_FIELDS)]
    return records.make("warcinfo", fields, block.encode("utf-8"))
