"""What a crash left behind: whole records are adopted, torn bytes set aside, files closed. No byte is deleted."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from scraper.archiver import foreign_index, records
from scraper.archiver.history import Told, telling, visits
from scraper.archiver.index import entries_of, index_files, merge_indexes, write_index
from scraper.archiver.layout import (
    OPEN_SUFFIX,
    Layout,
    make_folder,
    sync_data,
    sync_folder,
    warc_name,
    write_all,
    writing,
)
from scraper.archiver.members import Damaged
from scraper.archiver.segment import seal, write_missing_seal
from scraper.errors import IntegrityError

_COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Recovery:
    """What was found: visits that no state row tells of yet, and files of torn bytes."""

    adopted: tuple[Told, ...] = ()
    quarantined: tuple[Path, ...] = ()


def recover(root: Path, name: str, marks: Mapping[str, int]) -> Recovery:
    """Put a collection in order after a run that did not end well; at the start of a run, under the lock.

    `marks` are the commit marks: of each WARC the largest `Kept.end` that the state knows (of robots.txt visits
    too), 0 where absent. Every `.open` file loses its torn tail to `quarantine/` and is closed. Visits beyond
    the marks are given for adoption, in order. Raises `IntegrityError` where a committed record is damaged.
    """
    layout = Layout(root, name)
    adopted: list[Told] = []
    quarantined: list[Path] = []
    for path in layout.all_warcs():
        mark = marks.get(warc_name(path), 0)
        if not path.name.endswith(OPEN_SUFFIX):
            adopted += _beyond(path, mark)
            continue
        end, damage = _whole_end(path)
        if end < mark:
            raise IntegrityError(
                f"{path}: {damage}; what lies there was archived before: put the file back from a copy, or move it"
                " away and run `scraper rebuild`"
            )
        if end < path.stat().st_size or end == 0:
            quarantined.append(_set_aside(layout, path, end))
        if end:
            adopted += _beyond(path, mark)
            _close(layout, path)
    if layout.indexes.is_dir():
        merge_indexes(layout)
    return Recovery(tuple(adopted), tuple(quarantined))


def beyond(root: Path, name: str, marks: Mapping[str, int]) -> list[Path]:
    """The closed WARCs which hold more than the marks tell of."""
    return [path for path in Layout(root, name).closed_warcs() if path.stat().st_size > marks.get(path.name, 0)]


def _beyond(path: Path, mark: int) -> Iterator[Told]:
    """The visits that no state row tells of; of a closed file those before any damage, which `check` will name."""
    if path.stat().st_size <= mark:
        return
    try:
        yield from visits(path, mark)
    except Damaged:
        return


def _whole_end(path: Path) -> tuple[int, str]:
    """The offset after the last record in an unbroken row of whole, digest-right ones, and what comes there."""
    end = 0
    try:
        for member, record in records.read_all(path):
            if faults := records.digest_faults(record):
                return end, f"offset {end}: {faults[0]}"
            end = member.offset + member.length
    except Damaged as damage:
        return end, str(damage)
    return end, f"offset {end}: the file ends here"


def _set_aside(layout: Layout, path: Path, end: int) -> Path:
    """Copy the bytes from `end` on into quarantine, durably; only then cut them off (of an empty file, move it)."""
    make_folder(layout.quarantine)
    kept = _free_name(layout.quarantine / f"{warc_name(path)}.{end}.torn")
    with writing(kept):
        if end == 0:
            path.rename(kept)
            sync_folder(layout.warcs)
        else:
            _copy_tail(path, end, kept)
        sync_folder(layout.quarantine)
    if end:
        with writing(path), path.open("r+b") as file:
            file.truncate(end)
            os.fsync(file.fileno())
    return kept


def _free_name(path: Path) -> Path:
    number, free = 1, path
    while free.exists():
        number, free = number + 1, path.with_name(f"{path.name}.{number}")
    return free


def _copy_tail(source: Path, start: int, kept: Path) -> None:
    with source.open("rb") as file, kept.open("xb", buffering=0) as out:
        file.seek(start)
        while chunk := file.read(_COPY_BYTES):
            write_all(out.fileno(), chunk)
        os.fsync(out.fileno())


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
    staging = Layout(layout.folder / ".rebuild", name)
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
