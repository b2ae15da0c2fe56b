"""What a crash or a bad disk left behind: whole records stay, torn bytes are set aside, files are closed.

No byte is ever deleted.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from scraper.archiver import filler, foreign_index, records
from scraper.archiver.history import Told, telling, visits
from scraper.archiver.index import entries_of, index_files, merge_indexes, write_index
from scraper.archiver.layout import (
    Layout,
    make_folder,
    sync_data,
    sync_folder,
    warc_name,
    write_all,
    writing,
)
from scraper.archiver.leftovers import STAGING, sweep
from scraper.archiver.members import Damaged
from scraper.archiver.names import named_back
from scraper.archiver.quarantine import copy_bytes, move
from scraper.archiver.segment import seal, write_missing_seal
from scraper.archiver.twins import copied_visits, part


@dataclass(frozen=True, slots=True)
class Recovery:
    """What was found in the files that nobody had closed.

    `quarantined` are files of torn bytes; `parted` says what was done with two files of one name. `reread` are the
    WARCs of which records before the commit mark were damaged or gone: what the state says of them has to be forgotten
    and read again. `losses` says what was lost, in sentences.
    """

    quarantined: tuple[Path, ...] = ()
    reread: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    parted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Gap:
    """Damaged bytes with whole records behind them, and what is wrong with them."""

    start: int
    end: int
    what: str


@dataclass(frozen=True, slots=True)
class _Extent:
    """How much of a file is whole: up to `end`, except for the `gaps`."""

    end: int
    gaps: tuple[_Gap, ...]
    what_ends_it: str


def recover(root: Path, name: str, marks: Mapping[str, int], *, after_crash: bool = True) -> Recovery:
    """Put a collection in order after a run that did not end well; at the start of a run, under the lock.

    `marks` are the commit marks: of each WARC the largest `Kept.end` that the state knows (of robots.txt visits
    too), 0 where absent. Every `.open` file is closed: what is torn at its end moves to `quarantine/`, what is damaged
    before whole records is copied there and its place filled, so that no record moves. Not `after_crash`: the last run
    ended well, and less is looked at.
    """
    layout = Layout(root, name)
    quarantined: list[Path] = []
    reread: list[str] = []
    losses: list[str] = []
    parted = [str(done) for path in layout.twins() if (done := part(layout, path))]
    parted += map(str, named_back(layout, marks))
    for path in layout.open_warcs():
        if os.path.lexists(layout.warcs / warc_name(path)):
            continue  # it cannot be compared now; `oddities` tells of it, and its records are read where they are
        mark = marks.get(warc_name(path), 0)
        found = _extent(path)
        quarantined += _mended(layout, path, found)
        if lost := list(_lost(found, mark)):
            reread.append(warc_name(path))
            losses += [f"{path}: {what}; moved to {layout.quarantine}; what was lost is due again" for what in lost]
        if found.end:
            _close(layout, path)
    sweep(layout, after_crash=after_crash)
    return Recovery(tuple(quarantined), tuple(reread), tuple(losses), tuple(parted))


def untold(
    root: Path, name: str, marks: Mapping[str, int], on_damage: Callable[[str], None] | None = None
) -> Iterator[Told]:
    """What a collection's WARCs tell of visits that the marks do not cover, oldest file first.

    What another WARC holds too, for one is a copy of the other, is told once. Raises `IntegrityError` at a record that
    is not whole, or tells `on_damage` (a sentence) and goes on after it.
    """
    layout = Layout(root, name)
    for path in beyond(root, name, marks):
        is_copied = copied_visits(layout, path, marks)
        told = visits(layout, path, marks.get(path.name, 0), telling(path, on_damage))
        yield from (one for one in told if not is_copied(one))


def beyond(root: Path, name: str, marks: Mapping[str, int]) -> list[Path]:
    """The closed WARCs which hold more than the marks tell of."""
    return [path for path in Layout(root, name).closed_warcs() if path.stat().st_size > marks.get(path.name, 0)]


# ------------------------------------------------------------------ open files


def _extent(path: Path) -> _Extent:
    """Which part of a file is made of whole, digest-right records."""
    end = 0
    faults: list[str] = []
    gaps: list[_Gap] = []
    for member, record in records.read_all(path, on_damage=lambda damage: faults.append(str(damage))):
        if wrong := records.digest_faults(record):
            faults.append(f"offset {member.offset}: {wrong[0]}")
            continue
        if faults:
            gaps.append(_Gap(end, member.offset, faults[0]))
            faults.clear()
        end = member.offset + member.length
    return _Extent(end, tuple(gaps), faults[0] if faults else f"offset {end}: the file ends here")


def _mended(layout: Layout, path: Path, found: _Extent) -> Iterator[Path]:
    """Set damaged bytes aside; gives the files that hold them now."""
    for gap in found.gaps:
        yield _filled(layout, path, gap)
    size = path.stat().st_size
    if found.end == 0:
        yield move(layout, path, f"{warc_name(path)}.0.torn")
    elif found.end < size:
        yield copy_bytes(layout, path, found.end, size, f"{warc_name(path)}.{found.end}.torn").path
        with writing(path), path.open("r+b") as file:
            file.truncate(found.end)
            os.fsync(file.fileno())


def _filled(layout: Layout, path: Path, gap: _Gap) -> Path:
    """Copy damaged bytes into quarantine, durably; only then let one whole record take their place."""
    kept = copy_bytes(layout, path, gap.start, gap.end, f"{warc_name(path)}.{gap.start}.damaged")
    said = {"quarantined": kept.path.name, "sha256": kept.sha256, "reason": gap.what}
    pieces = filler.filler(gap.end - gap.start, said, datetime.now(UTC))
    assert pieces is not None, "a gap is never shorter than a filler"
    with writing(path), path.open("r+b", buffering=0) as file:
        file.seek(gap.start)
        for piece in pieces:
            write_all(file.fileno(), piece)
        sync_data(file.fileno())
    return kept.path


def _lost(found: _Extent, mark: int) -> Iterator[str]:
    """What was damaged of the part that the state knows."""
    yield from (gap.what for gap in found.gaps if gap.start < mark)
    if found.end < mark:
        yield found.what_ends_it


def _close(layout: Layout, path: Path) -> None:
    """Close a recovered file as its writer would have."""
    with writing(path), path.open("r+b") as file:
        sync_data(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    seal(layout, path, list(entries_of(path, warc_name(path))), digest)


def rebuild_index(root: Path, name: str, on_damage: Callable[[str], None] | None = None) -> int:
    """Make the index again from the WARCs alone, and checksums where they are missing; gives the number of its lines.

    Under the lock. The old files serve until the new ones are whole. At a record that is not whole it raises
    `IntegrityError`, or tells `on_damage` (a sentence) and goes on after it; such a file gets no new checksum.
    """
    layout = Layout(root, name)
    old = index_files(layout)
    fresh: list[Path] = []
    lines = 0
    staging = Layout(layout.folder / STAGING, name)
    shutil.rmtree(staging.root, ignore_errors=True)  # what an earlier attempt left unfinished
    for path in layout.closed_warcs():
        damages: list[Damaged] = []
        if layout.is_foreign:
            entries = list(foreign_index.entries(path, path.name, damages))
        else:
            entries = list(entries_of(path, path.name, damages.append))
        for damage in damages:
            telling(path, on_damage)(damage)
        if not damages:
            write_missing_seal(layout, path)
        fresh.append(write_index(staging, path.name, entries))
        lines += len(entries)
    _exchange_indexes(layout, old, fresh)
    shutil.rmtree(staging.root, ignore_errors=True)
    return lines


def _exchange_indexes(layout: Layout, old: list[Path], fresh: list[Path]) -> None:
    """Take the new index files into use and the old ones out of it."""
    make_folder(layout.indexes)
    with writing(layout.indexes):
        names = set()
        for path in fresh:
            path.replace(layout.indexes / path.name)
            names.add(path.name)
        for path in old:
            if path.name not in names:
                path.unlink(missing_ok=True)
        sync_folder(layout.indexes)
    merge_indexes(layout)
