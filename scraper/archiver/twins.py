"""WARCs that are there twice: what copying by hand leaves (cp -a, rsync)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from scraper.archiver import records
from scraper.archiver.history import Recorded, Told
from scraper.archiver.layout import OPEN_SUFFIX, SEAL_SUFFIX, Layout, rename_anew, sync_folder, warc_name, writing
from scraper.archiver.names import first_record
from scraper.archiver.quarantine import move
from scraper.archiver.segment import next_name

_COMPARED_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Parted:
    """What was done with a file that had a wrong name; all files are still there to the last byte."""

    path: Path
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


def part(layout: Layout, path: Path) -> Parted | None:
    """Let the two have names of their own; None where they are the same file, which loses the `.open` name."""
    final = layout.warcs / warc_name(path)
    if path.samefile(final):
        _drop_name(path, final)
        return None
    shared = _shared_bytes(path, final)
    if shared == path.stat().st_size:
        kept = move(layout, path, path.name)
        return Parted(path, f"all of it is in {final.name} too; it was moved to {kept}")
    if shared == final.stat().st_size:
        seal = final.with_name(final.name + SEAL_SUFFIX)
        if os.path.lexists(seal):
            move(layout, seal, seal.name)
        kept = move(layout, final, final.name)
        what = f"it begins with all of {final.name}, and goes on: it takes its place; that was moved to {kept}"
        return Parted(path, what)
    free = layout.warcs / (next_name(layout, records.timestamp14(datetime.now(UTC))) + OPEN_SUFFIX)
    with writing(free):
        rename_anew(path, free)
    return Parted(path, f"{final.name} is another file; it was renamed to {warc_name(free)}")


def _drop_name(path: Path, final: Path) -> None:
    """A crash came between the two steps of giving it its name; or one is a link to the other."""
    with writing(path):
        (final if final.is_symlink() and not path.is_symlink() else path).unlink()
        sync_folder(path.parent)


def copied_visits(layout: Layout, path: Path, marks: Mapping[str, int]) -> Callable[[Told], bool]:
    """Whether a visit of this WARC, of which no mark tells, is in another one too that was or is adopted before it.

    Copies begin with the same record; only of such a pair more is read.
    """
    first = None if path.name in marks else first_record(path)
    if first is None:
        return lambda _: False
    earlier = [other for other in layout.closed_warcs() if other != path and (other.name in marks or other < path)]
    ids: set[str] = set()
    for other in earlier:
        if (begins := first_record(other)) and begins.id == first.id:
            ids.update(record.id for _, record in records.read_all(other, on_damage=lambda _: None))
    if not ids:
        return lambda _: False
    pairs = records.read_all(path, on_damage=lambda _: None)
    copied = {member.offset for member, record in pairs if record.id in ids}
    return lambda told: (told.kept.visit if isinstance(told, Recorded) else told.record).offset in copied


def _shared_bytes(path: Path, other: Path) -> int:
    """How many bytes two files have in common from their first on."""
    shared = 0
    with path.open("rb") as one, other.open("rb") as two:
        while True:
            left, right = one.read(_COMPARED_BYTES), two.read(_COMPARED_BYTES)
            if left != right or not left:
                both = enumerate(zip(left, right, strict=False))
                return shared + next((at for at, (a, b) in both if a != b), min(len(left), len(right)))
            shared += len(left)
