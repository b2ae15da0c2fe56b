"""The work of the verbs that go out to the network, or would; nothing here prints."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from scraper import citations, urls
from scraper.errors import UsageError
from scraper.model import State, Target, Visit
from scraper.pipeline.ingest import Ingested, ingest
from scraper.pipeline.listening import Listener
from scraper.pipeline.plan import plan
from scraper.pipeline.run import Interrupted, Run, Stop, Tally
from scraper.pipeline.session import opened
from scraper.pipeline.sources import find
from scraper.settings import Settings
from scraper.state import now

__all__ = ["Summary", "fetch", "plan", "run", "targets_of"]


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run came to."""

    tally: Tally
    due: int
    ingested: Ingested | None
    signal_number: int | None

    @property
    def exit_code(self) -> int:
        """As README documents: 128 + the signal, 2 an unreadable document, 4 nothing reached, 3 new trouble, 0."""
        if self.signal_number is not None:
            return 128 + self.signal_number
        if self.tally.new_troubles and not self.tally.answered:
            return 4
        if self.tally.new_troubles:
            return 3
        return self._documents_code

    @property
    def exit_code_of_all(self) -> int:
        """For URLs the user named: old trouble counts too, and whatever else was not captured."""
        if self.signal_number is not None:
            return 128 + self.signal_number
        if self.tally.by_state.get(State.FAILED) and not self.tally.answered:
            return 4
        good = sum(self.tally.by_state.get(state, 0) for state in (State.CAPTURED, State.UNCHANGED))
        return 0 if good == self.due else 3

    @property
    def _documents_code(self) -> int:
        return 2 if self.ingested and any(new for _, _, new in self.ingested.troubles) else 0


def run(root: Path, settings: Settings, documents: Sequence[str], listener: Listener, stop: Stop) -> Summary:
    """Cron's job: read the documents, fetch what is due, archive it, make its text.

    Without `documents`, those of the settings. Raises `ScraperError`s; what the web does is in the summary.
    """
    sources = find(documents or settings.documents.paths, citations.SUFFIXES)
    with opened(root, settings, listener) as session:
        try:
            with stop.interrupting():
                ingested = ingest(session.state, sources, settings)
        except Interrupted:
            session.state.roll_back()
            return Summary(Tally(), 0, None, stop.signal_number)
        recheck = settings.fetch.recheck_after
        obeyed = settings.fetch.robots == "obey"
        due = session.state.due(ingested.digests, now(), recheck, obeyed)
        visits = (session.state.visit_of(number, settings.collection) for number in due)
        job = Run(session, listener, with_texts=settings.extract.at_once)
        waiting = job.make_missing_texts if settings.extract.at_once else None
        tally = asyncio.run(_work(job, visits, len(due), stop, waiting))
    return Summary(tally, len(due), ingested, stop.signal_number)  # a signal may have come while all was closed


def fetch(root: Path, settings: Settings, targets: Sequence[Target], listener: Listener, stop: Stop) -> Summary:
    """Archive the given targets now, due or not."""
    with opened(root, settings, listener) as session:
        numbers = [session.state.target_id(target.href) for target in targets]
        visits = [session.state.visit_of(number, settings.collection) for number in dict.fromkeys(numbers)]
        job = Run(session, listener)  # whoever names URLs wants to read them
        of_these = partial(job.make_texts_of, [target.href for target in targets])
        waiting = job.make_missing_texts if settings.extract.at_once else of_these
        tally = asyncio.run(_work(job, visits, len(visits), stop, waiting))
    return Summary(tally, len(visits), None, stop.signal_number)


def targets_of(names: Sequence[str]) -> list[Target]:
    """The targets of URLs as a user types them. Raises `UsageError` for what is none."""
    found = []
    for name in names:
        try:
            found.append(urls.target(name))
        except urls.NotATarget as error:
            hint = "only http and https are fetched" if error.refusal == "scheme" else "write it as https://host/path"
            raise UsageError(f"{urls.bare(name)}: not a web address ({error.refusal}); {hint}") from error
    return found


async def _work(job: Run, visits: Iterable[Visit], due: int, stop: Stop, waiting: Callable[[], None] | None) -> Tally:
    """Fetch and make texts until all is done or a stop is asked for; a bug in either ends both, loudly."""
    try:
        if waiting is not None:
            waiting()
        await job.fetch(visits, due, stop)
        if not stop.requested():
            await job.finish_texts(stop)
            job.finish_search(stop)
    finally:
        job.close()
    job.raise_bugs()
    return job.tally
