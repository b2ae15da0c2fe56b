"""One run over the network: captures come in, records go to the WARC, rows to the state, texts to their files.

The order of a commit: record members written -> fdatasync (grouped) -> state rows -> derived files.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from scraper import __version__, archiver, urls
from scraper.fetcher import Fetched, Fetcher, Requisites, user_agent
from scraper.fetcher.politeness import HOST_DOWN
from scraper.model import Capture, Location, Outcome, Purpose, State, Visit
from scraper.pipeline.listening import HostDown, Listener, VisitResult
from scraper.pipeline.making import TextMade
from scraper.pipeline.searching import SearchIndexes
from scraper.pipeline.session import Session
from scraper.pipeline.texts import Texts
from scraper.settings import load_site_rules
from scraper.state import TargetRow, TextJob, VisitRow, row_of

TROUBLE = (State.FAILED, State.DEAD)
GOOD = (State.CAPTURED, State.UNCHANGED)


class Interrupted(BaseException):
    """A stop was asked for while documents were read: nothing of them is kept."""


@dataclass(slots=True)
class Stop:
    """The wish to stop early; the first signal sets it, and whoever waits is woken."""

    signal_number: int | None = None
    wake: Callable[[], object] | None = None

    def request(self, number: int) -> None:
        self.signal_number = number
        if self.wake is not None:
            self.wake()

    def requested(self) -> bool:
        return self.signal_number is not None

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Raise `Interrupted` at once, even out of a read that waits for ever."""

        def interrupt() -> None:
            raise Interrupted

        self.wake = interrupt
        try:
            if self.requested():
                interrupt()
            yield
        finally:
            self.wake = None


@dataclass(slots=True)
class Tally:
    """What the visits of a run came to. `answered` counts all that got an HTTP answer, those to robots.txt too.

    `visits` are those of pages; what pages need to be seen is counted in `requisites` and `missing`, and nowhere else.
    """

    visits: int = 0
    requisites: int = 0  # held now, in this version
    missing: int = 0
    answered: int = 0
    new_troubles: int = 0
    by_state: dict[State, int] = field(default_factory=dict)
    put_off: dict[str, int] = field(default_factory=dict)  # pages, by the host which is down

    def add(self, result: VisitResult) -> None:
        self.visits += 1
        self.new_troubles += result.new_trouble
        self.by_state[result.outcome.state] = self.by_state.get(result.outcome.state, 0) + 1
        if result.outcome.reason == HOST_DOWN:
            host = urls.host_key(result.final)
            self.put_off[host] = self.put_off.get(host, 0) + 1

    def add_requisite(self, outcome: Outcome) -> None:
        if outcome.state in GOOD:
            self.requisites += 1
        else:
            self.missing += 1


@dataclass(frozen=True, slots=True)
class KeptVisit:
    """A visit that was kept, as the requisites of its page name it: its number in the state, and its records."""

    number: int
    visit: Location
    page: archiver.PageRecord | None


class Run:
    """The open archive of one run, and what is on its way into it."""

    def __init__(self, session: Session, listener: Listener, *, with_texts: bool = True) -> None:
        self._settings = session.settings
        self._state = session.state
        self._collection = session.collection
        rules = load_site_rules(Path(session.settings.sites))
        self._texts = Texts(session.root, session.settings, rules, self.text_made)
        self._search = SearchIndexes(session.root)
        self._listener = listener
        self._with_texts = with_texts
        self._uncommitted: list[tuple[VisitResult | None, TextJob | None]] = []
        self._root = session.root
        self._new_pages: dict[str, list[archiver.Page]] = {}
        self._due = 0
        self.tally = Tally()

    async def fetch(self, visits: Iterable[Visit], due: int, stop: Stop) -> None:
        """Visit them all; returns early when a stop is requested."""
        self._due = due
        agent = user_agent(__version__, self._settings.contact)
        held = partial(self._state.held, collection=self._settings.collection)
        requisites = Requisites(self._settings.capture, held, self._share)
        fetcher = Fetcher(self._settings.fetch, agent, self._state.memory, requisites)
        loop = asyncio.get_running_loop()
        stop.wake = lambda: loop.call_soon_threadsafe(fetcher.stop)
        if stop.requested():
            return
        ticking = asyncio.create_task(self._tick(fetcher))
        try:
            await self._until_first_fault(fetcher.run(visits, self._keep), ticking)
        finally:
            ticking.cancel()
            stop.wake = None
        self.flush()
        for memory, reason in fetcher.gone_down():
            put_off = self.tally.put_off.get(memory.host, 0)
            self._listener.host_down(HostDown(memory.host, memory.failures, reason, put_off, memory.not_before))

    @staticmethod
    async def _until_first_fault(fetching: object, ticking: asyncio.Task[None]) -> None:
        main = asyncio.ensure_future(fetching)  # type: ignore[call-overload]
        done, _ = await asyncio.wait({main, ticking}, return_when=asyncio.FIRST_COMPLETED)
        if ticking in done:  # it ends only by an exception
            main.cancel()
            await asyncio.gather(main, return_exceptions=True)
            ticking.result()
        await main

    async def _tick(self, fetcher: Fetcher) -> None:
        while True:
            await asyncio.sleep(self._settings.warc.sync_seconds or 1.0)
            self.flush()
            self._listener.progress(self.tally.visits, self._due, str(fetcher.progress()))

    async def _keep(self, fetched: Fetched) -> KeptVisit | None:
        of_page = fetched.page if isinstance(fetched.page, KeptVisit) else None
        kept = self._collection.append(
            fetched.capture,
            via=fetched.visit.via,
            held=fetched.visit.held,
            known=partial(self._state.payload, self._settings.collection),
            requisite_of=of_page.page if of_page else None,
        )
        # A page that comes back with the very bytes we hold of it is unchanged: the archive says so.
        capture = replace(fetched.capture, outcome=kept.outcome)
        row = row_of(capture, self._settings.collection, kept.visit, kept.page, kept.held)
        row = replace(row, entity_sha256=kept.entity_sha256, of_visit=of_page.number if of_page else None)
        visit_id, before = self._state.record(row)
        for memory in fetched.hosts:
            self._state.remember(memory)
        if capture.purpose is Purpose.REQUISITE:
            self.tally.add_requisite(capture.outcome)
        else:
            self.tally.answered += any(exchange.status for exchange in capture.exchanges)
        self._uncommitted.append((result_of(capture, before), text_job(visit_id, row)))
        if self._settings.warc.sync_seconds == 0:
            self.flush()
        return _kept_visit(visit_id, capture, kept)

    def _share(self, page: object, requisites: tuple[object, ...]) -> None:
        """Note what a page needs that was fetched for another one."""
        used = [one for one in requisites if isinstance(one, KeptVisit)]
        if isinstance(page, KeptVisit) and page.page is not None:
            record = self._collection.note_uses(page.page, [one.visit for one in used])
            self._state.use(page.number, (one.number for one in used), self._settings.collection, record)

    def raise_bugs(self) -> None:
        """A bug of the extractor is loud, but only after all else was done."""
        if self._texts.bugs:
            raise self._texts.bugs[0]

    async def only_texts(self, stop: Stop, suspects: Container[int] | None = None) -> None:
        """Make the texts that are missing, and nothing else."""
        try:
            self.make_missing_texts(suspects)
            await self.finish_texts(stop)
            self.finish_search(stop)
        finally:
            self.close()
        self.raise_bugs()

    def flush(self) -> None:
        """Make durable what was appended, then tell of it and have its texts made."""
        group, self._uncommitted = self._uncommitted, []
        pages = self._take_pages()
        self._collection.sync()
        self._state.commit()
        self._search.commit()
        for collection, listed in pages.items():
            archiver.Pages(self._root, collection).append(listed)
        for result, _ in group:
            if result is not None:
                self.tally.add(result)
                self._listener.visit(result)
        for _, job in group:
            if job is not None and self._with_texts:
                self._search.expect(job.collection)
                self._texts.submit(job)

    async def finish_texts(self, stop: Stop) -> None:
        """Wait for the texts that are still being made; a stop gives them up, the next run makes them."""
        loop = asyncio.get_running_loop()
        stopping = asyncio.Event()
        stop.wake = lambda: loop.call_soon_threadsafe(stopping.set)
        if stop.requested():
            stopping.set()
        draining, waiting = asyncio.create_task(self._texts.drain()), asyncio.create_task(stopping.wait())
        await asyncio.wait({draining, waiting}, return_when=asyncio.FIRST_COMPLETED)
        stop.wake = None
        waiting.cancel()
        if draining.done():
            draining.result()
        draining.cancel()
        self.flush()

    def close(self) -> None:
        """Give up the texts that are still being made; what was made stays."""
        self._texts.abandon()
        self._search.close(self._state)

    def text_made(self, made: TextMade) -> None:
        """Note a text: state and search know it from now on, pages.jsonl lists it with the next flush."""
        self._state.set_text(made.job.visit_id, made.path, made.title)
        page = archiver.Page(made.job.final_href, made.job.captured_at, made.title, made.status)
        self._search.add(made.job.collection, made.entry)
        self._new_pages.setdefault(made.job.collection, []).append(page)

    def finish_search(self, stop: Stop) -> None:
        """Index the texts that an earlier version or a crash left out."""
        if added := self._search.catch_up(self._state, stop.requested):
            self._listener.note(f"{added} texts were brought into the search index")

    def _take_pages(self) -> dict[str, list[archiver.Page]]:
        pages, self._new_pages = self._new_pages, {}
        return pages

    def make_texts_of(self, hrefs: Sequence[str]) -> None:
        """Texts of some pages which an earlier run did not make, and no others."""
        wanted = {(job.collection, job.page) for job in self._state.text_captures(hrefs)}
        for job in self._state.text_jobs():
            if (job.collection, job.page) in wanted:
                self._search.expect(job.collection)
                self._texts.submit(job, suspect=True)

    def make_missing_texts(self, suspects: Container[int] | None = None) -> None:
        """Texts of committed captures which an earlier run could not make any more.

        It may have died of one of these; where some are new, `suspects` are the numbers of the visits that are not.
        """
        for job in self._state.text_jobs():
            self._search.expect(job.collection)
            self._texts.submit(job, suspect=suspects is None or job.visit_id in suspects)


def _kept_visit(number: int, capture: Capture, kept: archiver.Kept) -> KeptVisit | None:
    """What requisites are told of a visit; None of a page that is to have none: only a new capture gets them."""
    if capture.purpose is Purpose.REQUISITE:
        return KeptVisit(number, kept.visit, None)
    if capture.purpose is not Purpose.PAGE or capture.outcome.state is not State.CAPTURED or kept.page is None:
        return None
    return KeptVisit(number, kept.visit, archiver.PageRecord(capture.final.href, kept.page_id, kept.visit))


def result_of(capture: Capture, before: TargetRow | None) -> VisitResult | None:
    """What the user is told of a visit; nothing of robots.txt."""
    if capture.purpose is not Purpose.PAGE:
        return None
    was_known = before is not None and before.failures > 0
    return VisitResult(
        capture.target,
        capture.final,
        capture.outcome,
        capture.detail,
        new_trouble=capture.outcome.state in TROUBLE and not was_known,
    )


def text_job(visit_id: int, row: VisitRow) -> TextJob | None:
    """The text to be made of a visit: of captured pages only."""
    if not visit_id or row.purpose is not Purpose.PAGE or row.outcome.state is not State.CAPTURED or row.page is None:
        return None
    return TextJob(visit_id, row.href, row.final_href, row.captured_at, row.collection, row.page)
