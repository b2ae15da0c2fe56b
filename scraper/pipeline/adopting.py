"""Imported WARCs into the state: at their import, after a crash, and when all is made again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from scraper import archiver, message
from scraper.state import StateFile, VisitRow


@dataclass(slots=True)
class Adopted:
    """What imports brought: the captures that were new to the state, and of those the pages that cannot be read yet.

    `unreadable` counts these by the reason, which says what to do.
    """

    captures: int = 0
    unreadable: Counter[str] = field(default_factory=Counter)


def adopt_unknown(root: Path, state: StateFile) -> int:
    """Bring into the state what an interrupted import had put in its place, or somebody by hand."""
    marks = state.marks(archiver.IMPORTED)
    count = 0
    for path in archiver.beyond(root, archiver.IMPORTED, marks):
        imports = archiver.Imports(root)
        imports.complete(path.name)
        count += adopt_imports(root, state, imports.of_warc(path.name) or [archiver.unknown(path.name)]).captures
    state.commit()
    return count


def adopt_imports(root: Path, state: StateFile, imports: Iterable[archiver.Import]) -> Adopted:
    """Bring what imports hold into the state."""
    adopted = Adopted()
    by_file: dict[str, list[archiver.Import]] = {}
    for item in imports:
        _adopt(root, state, item, adopted)
        if item.source.sha256:
            by_file.setdefault(item.source.sha256, []).append(item)
    for sha256, items in by_file.items():
        _note(state, sha256, items)
    return adopted


def _note(state: StateFile, sha256: str, items: Sequence[archiver.Import]) -> None:
    """Keep that a file was imported; of the WARCs that came out of a WACZ, this may be one more."""
    before = state.imported(sha256)
    warcs = {item.warc for item in items} | set(before["warcs"] if before else ())
    earlier = before["left_out"] if before else ()
    left_out = dict.fromkeys([*earlier, *(sentence for item in items for sentence in item.left_out)])
    first = items[0]
    told = (first.source.name, first.source.tool, first.imported_at)
    state.note_import(sha256, warcs, told, list(left_out))


def _adopt(root: Path, state: StateFile, item: archiver.Import, adopted: Adopted) -> None:
    path = archiver.Imports(root).path_of(item.warc)
    imported_at = datetime.fromisoformat(item.imported_at) if item.imported_at else datetime.now(UTC)
    for recorded in archiver.captures(path, item.source.pages, state.knows_target):
        if not state.record_import(row_of_recorded(recorded, archiver.IMPORTED), imported_at):
            continue
        adopted.captures += 1
        is_page_itself = recorded.kept.page == recorded.kept.visit
        if is_page_itself and (reason := message.unreadable(recorded.codings)):
            adopted.unreadable[reason] += 1
    state.mark(archiver.IMPORTED, item.warc, path.stat().st_size)


def row_of_recorded(recorded: archiver.Recorded, collection: str) -> VisitRow:
    """The state's row of a visit as the WARC itself tells it."""
    kept = recorded.kept
    return VisitRow(
        href=recorded.target.href,
        final_href=recorded.final.href,
        started_at=recorded.started_at,
        ended_at=recorded.ended_at,
        outcome=recorded.outcome,
        tries=recorded.tries,
        detail=recorded.detail,
        purpose=recorded.purpose,
        collection=collection,
        visit=kept.visit,
        captured_at=recorded.captured_at or recorded.started_at,
        page=kept.page,
        status=recorded.status,
        mime=recorded.mime,
        entity_sha256=kept.entity_sha256,
        held=kept.held,
    )
