"""Does the index say what the WARCs hold, each record in one line, and all in order?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from scraper.archiver.index import index_files, read_line
from scraper.archiver.layout import Layout
from scraper.archiver.lock import Watch
from scraper.archiver.problems import REPAIR, Kind, Problem
from scraper.archiver.survey import Survey
from scraper.errors import IntegrityError

_TRIES = 10  # a run that merges index files removes them; then all are opened again


def check_index(layout: Layout, survey: Survey, watch: Watch) -> Iterator[Problem]:
    """Damaged files first, then lines in the order of the files, then the records that have none."""
    with ExitStack() as opened:
        files = _opened(layout, opened)
        is_whole = True
        for path, file in files.items():
            for problem in _read(path, file, survey):
                is_whole = is_whole and problem.kind is not Kind.INDEX_DAMAGED
                yield problem
        survey.settle()
        by_name = {path.name: (path, file) for path, file in files.items()}
        yield from _differing(layout, survey, by_name, watch)
        for name, at in survey.doubled_lines() if not watch.disturbed() else ():
            yield Problem(Kind.LINE_DOUBLED, by_name[name][0], at, "this line is there already", REPAIR)
    if not is_whole or watch.disturbed():
        return  # what a damaged file held, nobody knows; what a run has just closed came after we looked
    for warc, offset in survey.unlisted():
        if warc in survey.copies:
            continue
        yield Problem(Kind.LINE_MISSING, layout.warcs / warc, offset, "the record is missing from the index", REPAIR)


def _opened(layout: Layout, stack: ExitStack) -> dict[Path, BinaryIO]:
    for _ in range(_TRIES):
        try:
            return {path: stack.enter_context(path.open("rb")) for path in index_files(layout)}
        except FileNotFoundError:
            continue
    raise IntegrityError(f"{layout.indexes}: files come and go; try again")


def _read(path: Path, file: BinaryIO, survey: Survey) -> Iterator[Problem]:
    last, at, number = b"", 0, survey.number(path.name)
    for line in file:
        if line < last:
            yield Problem(Kind.LINE_UNSORTED, path, at, "the lines are not in order", REPAIR)
        try:
            place = read_line(line, path).location
        except IntegrityError:
            yield Problem(Kind.INDEX_DAMAGED, path, at, "this index is damaged", REPAIR)
            return
        survey.add("lines", survey.number(place.warc), place.offset, hash(line), number, at)
        last, at = line, at + len(line)


def _differing(
    layout: Layout, survey: Survey, files: dict[str, tuple[Path, BinaryIO]], watch: Watch
) -> Iterator[Problem]:
    read = {path.name.removesuffix(".open") for path in layout.all_warcs()}
    for name, at, warc, offset in survey.wrong_lines():
        if warc not in read or survey.is_damaged(warc, offset):
            continue  # a lost file and a damaged place are told of by themselves
        if watch.disturbed() and not survey.was_read(warc):
            continue  # its WARC came after we looked
        path, file = files[name]
        file.seek(at)
        url = read_line(file.readline(), path).url
        yield Problem(Kind.LINE_DIFFERS, path, at, f"the line of {url} does not agree with any record", REPAIR)
