"""Other tools' captures: from their files into the archive, the state and the texts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scraper import archiver
from scraper.errors import IntegrityError, UsageError
from scraper.pipeline.adopting import adopt_imports
from scraper.pipeline.listening import Listener
from scraper.pipeline.run import Run, Stop
from scraper.pipeline.session import Session, opened, rewrite_pages
from scraper.settings import Settings
from scraper.state import now


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one file. `error` says why nothing of it was taken, with the exit code it means.

    `captures` counts the pages of it that are new to the state; `known` says that it was here already; `remarks` are
    what is odd about it, and `unreadable` what keeps pages of it from being read, in sentences.
    """

    file: str
    sha256: str = ""
    warcs: tuple[str, ...] = ()
    captures: int = 0
    left_out: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    known: bool = False
    error: str = ""
    exit_code: int = 0


def import_files(
    root: Path, settings: Settings, files: Sequence[str], salvage: bool, listener: Listener, stop: Stop
) -> Iterator[Imported]:
    """Take in WARC and WACZ files one after the other, then make their texts.

    A file that cannot be taken does not keep the others out. Raises `ArchiveUnwritable`.
    """
    with opened(root, settings, listener) as session:
        # What an earlier run left over may be what it died of; only that is kept out of this process.
        leftover = frozenset(job.visit_id for job in session.state.text_jobs())
        for name in files:
            if stop.requested():
                return
            yield _import(session, name, salvage)
        asyncio.run(Run(session, listener).only_texts(stop, leftover))
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
    adopted = adopt_imports(session.root, state, taken)
    state.commit()
    return Imported(
        name,
        sha256,
        tuple(sorted({item.warc for item in taken})),
        adopted.captures,
        left_out=tuple(sentence for item in taken for sentence in item.left_out),
        remarks=tuple(sentence for item in taken for sentence in _remarks(item)),
        unreadable=tuple(_pages(count, reason) for reason, count in sorted(adopted.unreadable.items())),
    )


def _remarks(item: archiver.Import) -> Iterator[str]:
    """What is told of a WARC; where the file held more than one, with its name in it."""
    for sentence in item.remarks:
        yield f"{item.source.member}: {sentence}" if item.source.member else sentence


def _pages(count: int, reason: str) -> str:
    advice = "; then `scraper extract --all --if-older` makes their texts" if "install" in reason else ""
    return f"{count} {'page has' if count == 1 else 'pages have'} no text: {reason}{advice}"
