"""Other tools' captures: from their files into the archive, the state and the texts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from scraper import archiver
from scraper.errors import IntegrityError, UsageError
from scraper.pipeline.run import Run, Stop
from scraper.pipeline.session import Listener, Session, opened, rewrite_pages, row_of_recorded
from scraper.settings import Settings
from scraper.state import StateFile, now


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one file. `error` says why nothing of it was taken, with the exit code it means.

    `captures` counts the pages of it that are new to the state; `known` says that it was here already.
    """

    file: str
    sha256: str = ""
    warcs: tuple[str, ...] = ()
    captures: int = 0
    left_out: tuple[str, ...] = ()
    known: bool = False
    error: str = ""
    exit_code: int = 0


def import_files(
    root: Path, settings: Settings, files: Sequence[str], salvage: bool, listener: Listener, stop: Stop
) -> Iterator[Imported]:
    """Take in WARC and WACZ files one after the other, then make their texts.

    A file that cannot be taken does not keep the others out. Raises `ArchiveUnwritable`.
    """
    if settings.collection == archiver.IMPORTED:
        raise UsageError(
            f"the collection {archiver.IMPORTED} is for other tools' files; name your own otherwise:"
            " --set collection=main"
        )
    with opened(root, settings, listener) as session:
        adopt_unknown(root, session.state)
        for name in files:
            if stop.requested():
                return
            yield _import(session, name, salvage)
        asyncio.run(Run(session, listener).only_texts(stop))
        rewrite_pages(root, session.state)


def _import(session: Session, name: str, salvage: bool) -> Imported:
    path, state = Path(name), session.state
    try:
        sha256 = archiver.file_sha256(path)
        if (known := state.imported(sha256)) is not None:
            return Imported(name, sha256, tuple(known["warcs"]), 0, tuple(known["left_out"]), known=True)
        taken = archiver.Imports(session.root).add_file(path, sha256, now(), salvage=salvage)
    except (UsageError, IntegrityError) as error:
        return Imported(name, error=str(error), exit_code=error.exit_code)
    captures = adopt_imports(session.root, state, taken)
    state.commit()
    left_out = tuple(sentence for item in taken for sentence in item.left_out)
    return Imported(name, sha256, tuple(sorted({item.warc for item in taken})), captures, left_out)


def adopt_unknown(root: Path, state: StateFile) -> int:
    """Bring into the state what an interrupted import had put in its place, or somebody by hand."""
    imports = archiver.Imports(root)
    marks = state.marks(archiver.IMPORTED)
    count = 0
    for path in archiver.beyond(root, archiver.IMPORTED, marks):
        imports.complete(path.name)
        count += adopt_imports(root, state, imports.of_warc(path.name) or [archiver.unknown(path.name)])
    state.commit()
    return count


def adopt_imports(root: Path, state: StateFile, imports: Iterable[archiver.Import]) -> int:
    """Bring what imports hold into the state; gives the number of captures that were new to it."""
    count = 0
    by_file: dict[str, list[archiver.Import]] = {}
    for item in imports:
        count += _adopt(root, state, item)
        if item.source.sha256:
            by_file.setdefault(item.source.sha256, []).append(item)
    for sha256, items in by_file.items():
        _note(state, sha256, items)
    return count


def _note(state: StateFile, sha256: str, items: Sequence[archiver.Import]) -> None:
    """Keep that a file was imported; of the WARCs that came out of a WACZ, this may be one more."""
    before = state.imported(sha256)
    warcs = {item.warc for item in items} | set(before["warcs"] if before else ())
    earlier = before["left_out"] if before else ()
    left_out = dict.fromkeys([*earlier, *(sentence for item in items for sentence in item.left_out)])
    first = items[0]
    told = (first.source.name, first.source.tool, first.imported_at)
    state.note_import(sha256, warcs, told, list(left_out))


def _adopt(root: Path, state: StateFile, item: archiver.Import) -> int:
    path = archiver.Imports(root).path_of(item.warc)
    imported_at = datetime.fromisoformat(item.imported_at) if item.imported_at else datetime.now(UTC)
    count = 0
    for recorded in archiver.captures(path, item.source.pages, state.knows_target):
        row = row_of_recorded(recorded, archiver.IMPORTED)
        count += bool(state.record_import(row, imported_at))
    state.mark(archiver.IMPORTED, item.warc, path.stat().st_size)
    return count
