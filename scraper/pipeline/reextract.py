"""Extraction again: captures read from the WARCs in the order in which they lie, their texts made anew. No network."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import Any

from scraper import archiver, message, urls
from scraper.archiver import PageStream
from scraper.errors import IntegrityError, UsageError
from scraper.pipeline.batches import Failure, Stopping, results
from scraper.pipeline.comparing import Change, Comparison, compared
from scraper.pipeline.listening import Listener
from scraper.pipeline.making import LargePage, Maker, TextMade, TextTask, drawn, made, rules_digest
from scraper.pipeline.searching import SearchIndexes, entry_of_fields
from scraper.pipeline.session import opened, rewrite_pages
from scraper.settings import Settings, load_site_rules
from scraper.state import StateFile, StateReader, TextJob

_BATCH_PAGES = 16
_COMMIT_TEXTS = 500


@dataclass(frozen=True, slots=True)
class Choice:
    """Which captures are extracted again, and what becomes of it. No URL means all."""

    urls: tuple[str, ...] = ()
    if_older: bool = False
    diff: bool = False
    prune: bool = False


class Done(StrEnum):
    """What came of one capture."""

    WRITTEN = "written"
    SAME = "same"
    CURRENT = "current"  # not older than this extractor, so not looked at
    COMPARED = "compared"
    PUT_OFF = "put off"  # a large page, looked at after all others
    DAMAGED = "damaged"  # its record cannot be read: the text that there is stays


@dataclass(frozen=True, slots=True)
class Again:
    """One capture after it was looked at."""

    job: TextJob
    done: Done
    made: TextMade | None = None
    changes: tuple[Change, ...] = ()
    put_off: TextTask | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Captures of one WARC in order, for one worker."""

    tasks: tuple[TextTask, ...]
    if_older: bool
    diff: bool

    def __len__(self) -> int:
        return len(self.tasks)

    def part(self, start: int, end: int) -> Batch:
        return Batch(self.tasks[start:end], self.if_older, self.diff)

    @property
    def label(self) -> str:
        """The first page, for sentences."""
        return self.tasks[0].job.final_href


@dataclass(slots=True)
class Report:
    """What an extraction came to."""

    captures: int = 0
    by_done: dict[Done, int] = field(default_factory=dict)
    comparison: Comparison = field(default_factory=Comparison)
    failures: list[Failure] = field(default_factory=list)
    pruned: int = 0

    def raise_bugs(self) -> None:
        """A bug of the extractor is loud, but only after all else was done."""
        for failure in self.failures:
            if failure.bug is not None:
                raise failure.bug


def extract(
    root: Path,
    settings: Settings,
    choice: Choice,
    listener: Listener,
    stopped: Stopping,
    each: Callable[[Again], None] = lambda _: None,
) -> Report:
    """Make texts again from the archive alone, those that wait too, and tell of `each`; with `diff` nothing is written.

    Raises `UsageError` for a URL of which nothing is held.
    """
    report = Report()
    if choice.diff:
        with StateReader.open_for_reading(root) as state:
            batches = _batches(root, settings, choice, state)
            report.captures = sum(map(len, batches))
            for again in _each(batches, settings, report, listener, stopped):
                report.comparison.add(
                    again.job.final_href, f"{again.job.captured_at:%Y-%m-%dT%H:%M:%SZ}", again.changes
                )
                each(again)
        return report
    if not root.is_dir():
        raise UsageError(f"{root}: there is no archive here; name one with --archive")
    with opened(root, settings, listener) as session:
        batches = _batches(root, settings, choice, session.state)
        report.captures = sum(map(len, batches))
        keeper = _Keeper(root, session.state, stopped)
        keeper.expect(batches)
        keeper.keep(_each(batches, settings, report, listener, stopped), each)
        if choice.prune and not stopped():
            report.pruned = _prune(root, batches)
    return report


class _Keeper:
    """Notes what was made: state, search index, list of pages."""

    def __init__(self, root: Path, state: StateFile, stopped: Stopping) -> None:
        self._root = root
        self._state = state
        self._stopped = stopped
        self._search = SearchIndexes(root)

    def expect(self, batches: Sequence[Batch]) -> None:
        """Before the first text is written."""
        for collection in {batch.tasks[0].job.collection for batch in batches}:
            self._search.expect(collection)

    def keep(self, agains: Iterator[Again], each: Callable[[Again], None]) -> None:
        written = is_whole = False
        try:
            for number, again in enumerate(agains, start=1):
                if again.made is not None:
                    written |= self._state.set_text(again.made.job.visit_id, again.made.path, again.made.title)
                    self._search.add(again.job.collection, again.made.entry)
                if number % _COMMIT_TEXTS == 0:
                    self._commit()
                each(again)
            self._commit()
            if written:
                rewrite_pages(self._root, self._state)
            self._search.catch_up(self._state, self._stopped)
            # A worker that a stop has ended may have written a text and told nobody.
            is_whole = not self._stopped()
        finally:
            self._search.close(self._state, is_whole=is_whole)

    def _commit(self) -> None:
        # The texts were written without waiting for the disk, each; what the state says of them must not be earlier.
        os.sync()
        self._state.commit()
        self._search.commit()


def _batches(root: Path, settings: Settings, choice: Choice, state: StateReader) -> list[Batch]:
    """The captures, in batches of one WARC each, in the order in which they lie."""
    maker = Maker.of(root, settings, load_site_rules(Path(settings.sites)))
    jobs = state.text_captures(_hrefs(choice.urls, state))
    batches = []
    for _, of_warc in groupby(jobs, key=lambda job: (job.collection, job.page.warc)):
        tasks = [maker.task(job) for job in of_warc]
        starts = range(0, len(tasks), _BATCH_PAGES)
        batches += [Batch(tuple(tasks[n : n + _BATCH_PAGES]), choice.if_older, choice.diff) for n in starts]
    return batches


def _hrefs(names: Sequence[str], state: StateReader) -> list[str] | None:
    if not names:
        return None
    hrefs = []
    for name in names:
        try:
            href = urls.target(name).href
        except urls.NotATarget as error:
            raise UsageError(f"{urls.bare(name)}: not a web address ({error.refusal})") from error
        if not state.text_captures([href]):
            raise UsageError(f"{href}: no capture of it can have a text; `scraper show` says what is held")
        hrefs.append(href)
    return list(dict.fromkeys(hrefs))


def _each(
    batches: Sequence[Batch], settings: Settings, report: Report, listener: Listener, stopped: Stopping
) -> Iterator[Again]:
    """What comes of each capture; the large pages come last, each alone in a process that ends with it."""
    workers = settings.extract.workers or os.cpu_count() or 1
    for number, result in enumerate(_results(batches, workers, stopped), start=1):
        if isinstance(result, Failure):
            report.failures.append(result)
        else:
            report.by_done[result.done] = report.by_done.get(result.done, 0) + 1
            yield result
        listener.progress(number, report.captures, "reading the archive")


def _results(batches: Sequence[Batch], workers: int, stopped: Stopping) -> Iterator[Again | Failure]:
    large: list[Batch] = []
    for result in results(extract_batch, batches, workers, stopped):
        if isinstance(result, Failure):
            yield result
            continue
        for again in result:
            if again.put_off is None:
                yield again
            else:
                task = replace(again.put_off, may_be_large=True)
                large.append(Batch((task,), batches[0].if_older, batches[0].diff))
    for batch in large:
        yield from _results([batch], 1, stopped)


def _prune(root: Path, batches: Sequence[Batch]) -> int:
    return sum(
        archiver.Texts(root, task.job.collection).prune(task.job.final_href, task.job.captured_at)
        for batch in batches
        for task in batch.tasks
    )


# ------------------------------------------------------------- in the workers


def extract_batch(batch: Batch) -> list[Again]:
    """Extract the captures of one batch."""
    first = batch.tasks[0]
    collection = archiver.Collection(first.root, first.job.collection)
    texts = archiver.Texts(first.root, first.job.collection)
    with PageStream(collection) as pages:
        return [_again(task, batch, texts, pages) for task in batch.tasks]


def _again(task: TextTask, batch: Batch, texts: archiver.Texts, pages: PageStream) -> Again:
    job = task.job
    stem = texts.stem(job.final_href, job.captured_at)
    before = _text_before(texts, stem) if batch.if_older or batch.diff else None
    if batch.if_older and before is not None and not is_older(before, task):
        return Again(job, Done.CURRENT, _noted(job, stem, before) if not batch.diff else None)
    try:
        text = drawn(task, pages.load)
    except IntegrityError:
        return Again(job, Done.DAMAGED)
    except LargePage:
        return Again(job, Done.PUT_OFF, put_off=task)
    if batch.diff:
        return Again(job, Done.COMPARED, changes=compared(before and before["article"], text.fields["article"]))
    is_new = texts.renew(stem, text.fields, text.markdown)
    return Again(job, Done.WRITTEN if is_new else Done.SAME, made(task, text, stem))


def _text_before(texts: archiver.Texts, stem: str) -> dict[str, Any] | None:
    try:
        return texts.load(stem)
    except IntegrityError:
        return None


def _noted(job: TextJob, stem: str, fields: dict[str, Any]) -> TextMade:
    """What state and search must know of a text that is left as it is: a crash may have come between."""
    return TextMade(job, stem, fields["article"]["title"], fields["status"], entry_of_fields(stem, fields))


def is_older(fields: dict[str, Any], task: TextTask) -> bool:
    """Whether a text was made by an older extractor, under other site rules than today's, or lacking a codec."""
    from scraper.extractor import VERSION

    if message.is_readable_now(fields["article"].get("skipped") or ""):
        return True
    version = str(fields.get("extractor", ""))
    if version.isdecimal() and VERSION.isdecimal() and int(version) != int(VERSION):
        return int(version) < int(VERSION)
    return version != VERSION or fields.get("rules") != rules_digest(task.rules)
