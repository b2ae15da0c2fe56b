"""The archive opened for one run: lock, state, collection; what a crash left behind is mended first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scraper import __version__, archiver
from scraper.errors import IntegrityError, ScraperError, StateDamaged, UsageError
from scraper.fetcher import user_agent
from scraper.pipeline.listening import Listener
from scraper.pipeline.mending import Mender
from scraper.settings import MIB, Settings
from scraper.state import FILE_NAME, StateFile, StateReader


@dataclass(frozen=True, slots=True)
class Session:
    """The open archive of one run."""

    root: Path
    settings: Settings
    state: StateFile
    collection: archiver.Collection


@contextmanager
def opened(root: Path, settings: Settings, listener: Listener, *, anew: bool = False) -> Iterator[Session]:
    """Lock the archive, mend it, and close it whole at the end.

    With `anew` the body reads all visits again itself, and nothing is adopted before.

    When the body raises, what was appended stays: it is sealed if the disk allows, else the next start does it.
    """
    if settings.collection == archiver.IMPORTED:
        raise UsageError(
            f"the collection {archiver.IMPORTED} is for other tools' files; name your own otherwise:"
            " --set collection=main"
        )
    with archiver.Lock(root):
        ended_well = not (root / f"{FILE_NAME}-wal").exists()
        mender = Mender(root, settings, listener, is_adopting=not anew, after_crash=not ended_well)
        state = mender.opened_state()
        collection = archiver.Collection(
            root, settings.collection, info=warcinfo(settings), segment_bytes=settings.warc.segment_mib * MIB
        )
        try:
            if not ended_well or any(unlisted(root, state)):
                rewrite_pages(root, state)
            yield Session(root, settings, state, collection)
        except StateDamaged as damage:
            _salvage(state, collection)
            raise IntegrityError(f"{damage}; {mender.set_aside()}") from damage
        except BaseException:
            _salvage(state, collection)
            raise
        _close(state, collection)


def _close(state: StateFile, collection: archiver.Collection) -> None:
    """Commit first, seal after: what is sealed at the end of a run needs no adoption."""
    collection.sync()
    state.commit()
    collection.close()
    state.close()


def _salvage(state: StateFile, collection: archiver.Collection) -> None:
    """After a fault: keep what is whole. If even that cannot be written, the next start adopts it from the WARC."""
    try:
        _close(state, collection)
    except ScraperError:
        collection.abandon()
        state.abandon()


def unlisted(root: Path, state: StateReader) -> Iterator[Path]:
    """The lists of pages that should be there and are not."""
    for name in archiver.collections(root):
        path = archiver.Layout(root, name).pages
        if not path.is_file() and state.count_texts(name):
            yield path


def rewrite_pages(root: Path, state: StateFile) -> None:
    """Make each collection's list of pages again from the state."""
    for name in archiver.collections(root):
        pages = (archiver.Page(href, at, title, status) for href, at, title, status in state.pages(name))
        archiver.Pages(root, name).rewrite(pages)


def warcinfo(settings: Settings) -> dict[str, str]:
    """What each WARC says of how it was made: settings without secrets."""
    fetch = settings.fetch
    return {
        "software": f"scraper/{__version__}",
        "format": "WARC File Format 1.1",
        "http-header-user-agent": user_agent(__version__, settings.contact),
        "robots": "obeyed (RFC 9309)" if fetch.robots == "obey" else "ignored",
        "operator": settings.contact,
        "settings": (
            f"delay_seconds={fetch.delay_seconds:g} max_tries={fetch.max_tries} max_redirects={fetch.max_redirects} "
            f"deadline_seconds={fetch.deadline_seconds:g} max_wire_mib={fetch.max_wire_mib} recheck={fetch.recheck} "
            f"requisites={settings.capture.requisites}"
        ),
    }
