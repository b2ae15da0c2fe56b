"""WARCs under names that are not their own, as renaming and swapping by hand leaves them: each tells its own first."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from scraper.archiver import records
from scraper.archiver.layout import OPEN_SUFFIX, SEAL_SUFFIX, Layout, rename_anew, writing
from scraper.archiver.members import Damaged
from scraper.archiver.segment import next_name

SEAL = re.compile(r"([0-9a-f]{64})  ([^\s/]{1,255})\n\Z")


@dataclass(frozen=True, slots=True)
class Renamed:
    """A file that got its own name back; nothing in it was touched."""

    path: Path
    name: str
    was_missing: bool

    def __str__(self) -> str:
        was = "was missing" if self.was_missing else "another file had"
        return f"{self.path}: by its first record it is {self.name}, which {was}: it has that name again"


def first_record(path: Path) -> records.Record | None:
    """The record that begins a WARC; None where it is not whole."""
    try:
        return next((record for _, record in records.read_all(path)), None)
    except Damaged:
        return None


def misnamed(layout: Layout, marks: Mapping[str, int]) -> dict[Path, str]:
    """The closed WARCs that have names of others, each with its own: one that is free, or that another such file has.

    The name must be one that the state knows (by its commit `marks`), or that a WARC has here. Whoever is what the
    state knows under the name that it has keeps it, whatever it says: it was renamed because its own was taken.
    """
    claims = _claims(layout, marks)
    while certain := {path: name for path, name in claims.items() if _is_certain(layout, marks, claims, path)}:
        if certain == claims:
            break
        claims = certain
    return certain


def _claims(layout: Layout, marks: Mapping[str, int]) -> dict[Path, str]:
    """The WARCs that say other names than they have; of several with one name the likeliest."""
    closed = layout.closed_warcs()
    known = {*marks, *(path.name for path in closed)}
    said = {path: name for path in closed if (name := _said_name(path)) != path.name and name in known}

    def doubts(path: Path) -> tuple[bool, bool, Path]:
        size = path.stat().st_size
        return size < marks.get(said[path], 0), marks.get(path.name) == size, path

    claims: dict[str, Path] = {}
    for path in sorted(said, key=doubts):
        claims.setdefault(said[path], path)
    return {path: name for name, path in claims.items()}


def _is_certain(layout: Layout, marks: Mapping[str, int], claims: Mapping[Path, str], path: Path) -> bool:
    name = claims[path]
    if layout.warcs / name in claims:
        return True
    size = path.stat().st_size
    is_another = marks.get(path.name) != size or path.name in claims.values()
    return is_another and _is_free(layout, name) and size >= marks.get(name, 0)


def named_back(layout: Layout, marks: Mapping[str, int], *, thoroughly: bool = False) -> Iterator[Renamed]:
    """Give WARCs their own names back, and checksums theirs. Needs the `Lock`; a kill leaves what it goes on from.

    Not `thoroughly`: first records are read only where a file is missing, or has not the size that the state knows.
    """
    if not (thoroughly or not marks or _is_suspicious(layout, marks)):
        return
    wrong = misnamed(layout, marks)
    were_free = {name for name in wrong.values() if _is_free(layout, name)}
    _move(layout, _seals_of(layout, wrong))
    _move(layout, {path: layout.warcs / name for path, name in wrong.items()})
    yield from (Renamed(path, name, name in were_free) for path, name in wrong.items())


def _said_name(path: Path) -> str:
    first = first_record(path)
    return first.header("WARC-Filename") if first else ""


def _is_free(layout: Layout, name: str) -> bool:
    return not any(os.path.lexists(layout.warcs / (name + end)) for end in ("", OPEN_SUFFIX))


def _is_suspicious(layout: Layout, marks: Mapping[str, int]) -> bool:
    sizes = {path.name: path.stat().st_size for path in layout.closed_warcs()}
    return any(sizes[name] != mark if name in sizes else _is_free(layout, name) for name, mark in marks.items())


def _seals_of(layout: Layout, wrong: Mapping[Path, str]) -> dict[Path, Path]:
    """Where the checksums of misnamed files belong: to the file they tell of, else to the one that they lie beside."""
    places: dict[Path, Path] = {}
    for seal in sorted(layout.warcs.glob(f"*{SEAL_SUFFIX}")):
        beside = wrong.get(seal.with_name(seal.name.removesuffix(SEAL_SUFFIX)))
        said = SEAL.match(seal.read_bytes().decode("ascii", "replace")) if seal.is_file() else None
        owner = said[2] if said and said[2] in wrong.values() else beside
        if owner and owner + SEAL_SUFFIX != seal.name:
            places[seal] = layout.warcs / (owner + SEAL_SUFFIX)
    return places


def _move(layout: Layout, places: Mapping[Path, Path]) -> None:
    """Rename files, none over another: of a circle, one waits under a name that comes after all others."""
    left = dict(places)
    while left:
        if path := next((path for path, place in left.items() if not os.path.lexists(place)), None):
            place = left.pop(path)
        elif path := next((path for path, place in left.items() if place in left), None):
            place = layout.warcs / _name_aside(layout, path)
            left[place] = left.pop(path)
        else:
            return  # what is in the way has its right name
        with writing(place):
            rename_anew(path, place)


def _name_aside(layout: Layout, path: Path) -> str:
    name = next_name(layout, records.timestamp14(datetime.now(UTC)))
    return name + SEAL_SUFFIX if path.name.endswith(SEAL_SUFFIX) else name
