"""The archive opened for one run: lock, state, collection; what a crash left behind is mended first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from scraper import __version__, archiver, urls
from scraper.errors import ScraperError, UsageError
from scraper.fetcher import user_agent
from scraper.model import Outcome, State, Target
from scraper.pipeline.adopting import adopt_unknown, row_of_recorded
from scraper.settings import MIB, Settings
from scraper.state import FILE_NAME, StateFile, StateReader


@dataclass(frozen=True, slots=True)
class VisitResult:
    """One finished visit as told to the user. `new_trouble`: it went wrong, and its last visit had not."""

    target: Target
    final: Target
    outcome: Outcome
    detail: str
    new_trouble: bool


@dataclass(frozen=True, slots=True)
class Listener:
    """Who is told what happens: each finished visit, and now and then how far the run is."""

    visit: Callable[[VisitResult], None] = lambda _: None
    progress: Callable[[int, int, str], None] = lambda _done, _total, _waiting: None
    note: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Session:
    """The open archive of one run."""

    root: Path
    settings: Settings
    state: StateFile
    collection: archiver.Collection


@contextmanager
def opened(root: Path, settings: Settings, listener: Listener) -> Iterator[Session]:
    """Lock the archive, mend it, and close it whole at the end.

    When the body raises, what was appended stays: it is sealed if the disk allows, else the next start does it.
    """
    if settings.collection == archiver.IMPORTED:
        raise UsageError(
            f"the collection {archiver.IMPORTED} is for other tools' files; name your own otherwise:"
            " --set collection=main"
        )
    with archiver.Lock(root):
        ended_well = not (root / f"{FILE_NAME}-wal").exists()
        state = StateFile.open(root)
        try:
            adopt_leftovers(root, settings.collection, state, listener)
            if count := adopt_unknown(root, state):
                listener.note(f"adopted {count} captures of imported files")
            if not ended_well or any(unlisted(root, state)):
                rewrite_pages(root, state)
        except BaseException:
            state.abandon()
            raise
        collection = archiver.Collection(
            root, settings.collection, info=warcinfo(settings), segment_bytes=settings.warc.segment_mib * MIB
        )
        try:
            yield Session(root, settings, state, collection)
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


def adopt_leftovers(root: Path, collection: str, state: StateFile, listener: Listener) -> None:
    """Take in what a crash left beyond the commit mark; torn bytes are in quarantine."""
    recovery = archiver.recover(root, collection, state.marks(collection))
    for told in recovery.adopted:
        adopt(state, told, collection)
    state.commit()
    if adopted := sum(isinstance(told, archiver.Recorded) for told in recovery.adopted):
        listener.note(f"adopted {adopted} visits which an interrupted run had archived")
    for path in recovery.quarantined:
        listener.note(f"{path}: torn bytes of an interrupted run were moved here")


def adopt(state: StateFile, recorded: archiver.Told, collection: str) -> None:
    """Bring a visit from its records into the state; a server's wish to be left alone holds its host again."""
    if isinstance(recorded, archiver.Uses):
        page = state.visit_number(collection, recorded.page)
        used = (state.visit_number(collection, place) for place in recorded.requisites)
        state.use(page, filter(None, used), collection, recorded.record)
        return
    of_visit = state.visit_number(collection, recorded.page_visit) if recorded.page_visit else None
    state.record(replace(row_of_recorded(recorded, collection), of_visit=of_visit))
    if recorded.outcome.state is State.DEFERRED and recorded.outcome.until is not None:
        state.hold(urls.host_key(recorded.final), recorded.outcome.until)


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
