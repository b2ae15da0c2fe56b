"""Mends the closed WARCs of a collection by what a check has found; no byte of evidence is ever deleted.

Damaged bytes are copied to quarantine, durably; only then a record of the same length takes their place, so that no
other record moves. After a kill at any moment, the same again ends well.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from scraper.archiver.filler import filler
from scraper.archiver.layout import SEAL_SUFFIX, Layout, make_folder, sync_folder, write_all, writing
from scraper.archiver.problems import Kind, Problem
from scraper.archiver.quarantine import Copy, copy_bytes, move
from scraper.archiver.records import QUARANTINED
from scraper.archiver.segment import write_missing_seal
from scraper.archiver.survey import Survey

_COPY_BYTES = 1 << 20
_ALL_RIGHT = "each of its records is right, so it was sealed anew"
_SEALS = (Kind.SEAL_DAMAGED, Kind.SEAL_DIFFERS, Kind.SEAL_MISSING)

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Mended:
    """What was done to a WARC. `is_loss`: evidence is lost from it; `is_restored`: it is as it was when closed."""

    path: Path
    what: str
    is_loss: bool = False
    is_restored: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


def mend(layout: Layout, survey: Survey, problems: list[Problem], now: datetime) -> Iterator[Mended]:
    """Mend the closed WARCs and their seals; of imported ones only seals that are missing. Needs the `Lock`.

    `survey` and `problems` are what `inspect` gave. Index, state and texts are to be made again after it.
    """
    kinds: dict[Path, set[Kind]] = {}
    for problem in problems:
        kinds.setdefault(problem.path, set()).add(problem.kind)
    for path in layout.closed_warcs():
        found = kinds.get(path, set()) | kinds.get(_seal_of(path), set())
        if layout.is_foreign:
            if found == {Kind.SEAL_MISSING}:
                yield from _sealed(layout, path)
            continue
        size = path.stat().st_size
        spans = [(start, min(stop, size)) for start, stop in survey.spans(path.name) if start < size]
        if size == 0 or spans == [(0, size)]:
            yield from _moved(layout, path, survey)
        elif spans:
            yield from _cured(layout, path, spans, now)
        elif found & set(_SEALS):
            yield from _sealed(layout, path)
    for problem in problems:
        if problem.kind is Kind.WARC_MISSING and (seal := _seal_of(problem.path)).exists() and not layout.is_foreign:
            kept = move(layout, seal, seal.name)
            yield Mended(problem.path, f"the file is gone; its checksum was moved to {kept}", is_loss=True)


def _seal_of(path: Path) -> Path:
    return path.with_name(path.name + SEAL_SUFFIX)


def _moved(layout: Layout, path: Path, survey: Survey) -> Iterator[Mended]:
    """A file in which nothing is whole that is not elsewhere; of one that nothing tells of nothing is lost."""
    origin = survey.copies.get(path.name)
    is_empty = path.stat().st_size == 0
    is_known = any(survey.tellers(path.name)) or _seal_of(path).exists()
    if (seal := _seal_of(path)).exists():
        move(layout, seal, seal.name)
    kept = move(layout, path, path.name)
    what = "the file is empty" if is_empty else "nothing in it is whole"
    what = f"it was a copy of {origin}" if origin else what
    yield Mended(path, f"{what}; it was moved to {kept}", is_loss=is_known and not origin)


def _cured(layout: Layout, path: Path, spans: list[Span], now: datetime) -> Iterator[Mended]:
    copies = [copy_bytes(layout, path, *span, f"{path.name}.{span[0]}.damaged") for span in spans]
    if _sha256_without(path, spans) == layout.sealed_as(path.name):
        _rewrite_without(path, spans)
        for (start, stop), copy in zip(spans, copies, strict=True):
            what = f"{stop - start} bytes at offset {start} were not in it when it was closed"
            what += f"; they were moved to {copy.path}, and the file is as it was"
            yield Mended(path, what, is_restored=True)
        return
    too_short: list[Span] = []
    for span, copy in zip(spans, copies, strict=True):
        is_filled = _filled(path, span, copy, now)
        if not is_filled:
            too_short.append(span)
        done = "a record that says so is in their place" if is_filled else "they were cut out"
        what = f"{span[1] - span[0]} damaged bytes at offset {span[0]} are kept in {copy.path}"
        yield Mended(path, f"{what}; {done}", is_loss=True)
    if too_short:
        _rewrite_without(path, too_short)
    yield from _sealed(layout, path, "all its other records are right, and it was sealed anew as it is now")


def _filled(path: Path, span: Span, copy: Copy, now: datetime) -> bool:
    """Put a record into the place of damaged bytes; not where they end the file, or are fewer than a record has."""
    start, stop = span
    if stop == path.stat().st_size:
        return False
    said = {QUARANTINED: copy.path.name, "length": str(stop - start), "sha256": copy.sha256}
    pieces = filler(stop - start, said, now)
    if pieces is None:
        return False
    with writing(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.lseek(descriptor, start, os.SEEK_SET)
            for piece in pieces:
                write_all(descriptor, piece)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return True


def _pieces_without(path: Path, spans: list[Span]) -> Iterator[bytes]:
    at = 0
    with path.open("rb") as file:
        for start, stop in [*spans, (path.stat().st_size, 0)]:
            file.seek(at)
            while at < start and (piece := file.read(min(_COPY_BYTES, start - at))):
                at += len(piece)
                yield piece
            at = stop


def _sha256_without(path: Path, spans: list[Span]) -> str:
    digest = hashlib.sha256()
    for piece in _pieces_without(path, spans):
        digest.update(piece)
    return digest.hexdigest()


def _rewrite_without(path: Path, spans: list[Span]) -> None:
    """Close the file up over bytes that are in quarantine: cut where they end it, else by a new file in its place."""
    with writing(path):
        if len(spans) == 1 and spans[0][1] == path.stat().st_size:
            with path.open("r+b") as file:
                file.truncate(spans[0][0])
                os.fsync(file.fileno())
            return
        temporary = path.with_name(f".{path.name}.tmp")
        try:
            with temporary.open("wb") as out:
                out.writelines(_pieces_without(path, spans))
                out.flush()
                os.fsync(out.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)


def _sealed(layout: Layout, path: Path, what: str = _ALL_RIGHT) -> Iterator[Mended]:
    """Seal a file anew in which nothing damaged is left; the old seal is kept."""
    make_folder(layout.warcs)
    seal, kept = _seal_of(path), None
    if seal.exists():
        kept = move(layout, seal, seal.name)
    write_missing_seal(layout, path)
    told = f"; the old checksum was moved to {kept}" if kept else ""
    yield Mended(path, f"{what}{told}")
