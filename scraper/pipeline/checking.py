"""Is the archive whole? Its WARCs, and whether index, state, texts, lists of pages and search agree with them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from scraper import archiver
from scraper.archiver import Kind, Problem, Survey, Watch
from scraper.errors import IntegrityError, StateDamaged, UsageError
from scraper.model import Location
from scraper.state import FILE_NAME, StateReader

_MAKE_AGAIN = "run `scraper check --repair`"
_NEXT_RUN = "the next `scraper run` sets it right"
_TEXT_NAME = re.compile(r"([0-9]{14}-[0-9a-f]{12})(?:\.v[^/]{1,100})?\.(?:md|json)")


def check(root: Path) -> Iterator[Problem]:
    """Every fault of the archive: of the state file, then of each collection; nothing is changed, no lock is held.

    While a run is at work, what it has not finished is no fault. Raises `UsageError` when there is no archive at all.
    """
    if not root.is_dir():
        raise UsageError(f"{root}: there is no archive here; name one with --archive")
    watch = Watch(root)
    with ExitStack() as stack:
        surveys = {name: stack.enter_context(Survey()) for name in archiver.collections(root)}
        try:
            with StateReader.open_for_reading(root) as state:
                state.prove_sound()
                lost = note_state(state, surveys)
        except IntegrityError as error:
            if isinstance(error, StateDamaged) or not watch.disturbed():  # else a first run is just making it
                yield _of_state(root, error)
            lost = set()
            surveys = {name: stack.enter_context(Survey()) for name in surveys}
        absent = list(archiver.away_folders(root))
        yield from absent
        for name, survey in surveys.items():
            yield from check_collection(root, name, survey, watch)
    for name in sorted(lost - {problem.path.relative_to(root / "collections").parts[0] for problem in absent}):
        what = "this collection is gone, but the state knows its captures"
        advice = f"put it back from a copy, or {_MAKE_AGAIN}"
        yield Problem(Kind.COLLECTION_MISSING, root / "collections" / name, None, what, advice)


def _of_state(root: Path, error: IntegrityError) -> Problem:
    said = str(error).removeprefix(f"{root / FILE_NAME}: ")
    what, _, advice = said.rpartition("; ")
    return Problem(Kind.STATE, root / FILE_NAME, None, what or said, advice)


def note_state(state: StateReader, surveys: Mapping[str, Survey]) -> set[str]:
    """Put into surveys what the state knows of their collections; gives the collections that are not there.

    All at once, and first: what a run adds while the WARCs are read is in the WARCs before it is in the state.
    """
    lost: set[str] = set()
    for name, survey in surveys.items():
        survey.marks = state.marks(name)
        for href, at, title, status in state.pages(name):
            survey.add("pages", hash(archiver.Page(href, at, title, status).line()))
    for row in state.places():
        if row["collection"] not in surveys:
            lost.add(row["collection"])
            continue
        survey = surveys[row["collection"]]
        survey.add_row(Location(row["warc"], row["visit_offset"], row["visit_length"]), ends=True)
        if row["page_offset"] is not None:
            given_up = row["state"] not in ("captured", "unchanged")
            page = Location(row["page_warc"], row["page_offset"], row["page_length"])
            # A visit that ended on its way has the last answer it got, which is of another address.
            href = "" if given_up or row["collection"] == archiver.IMPORTED else row["final_href"]
            survey.add_row(page, href=href, given_up=given_up)
        if row["text_path"]:
            survey.add("texts", row["text_path"])
    _note_waiting(state, surveys)
    return lost


def _note_waiting(state: StateReader, surveys: Mapping[str, Survey]) -> None:
    """Texts that are to be made: of these, a run that was stopped may have written files already."""
    waiting = (
        "SELECT collection, final_href, captured_at FROM visits WHERE text_path IS NULL AND captured_at IS NOT NULL"
    )
    for name, href, captured_at in state.query(waiting):
        if name in surveys:
            stem = archiver.Texts(state.path.parent, name).stem(href, datetime.fromisoformat(captured_at))
            surveys[name].add("waiting", stem)


def check_collection(root: Path, name: str, survey: Survey, watch: Watch) -> Iterator[Problem]:
    """Every fault of one collection; `survey` holds what the state knows, and afterwards all that was read."""
    layout = archiver.Layout(root, name)
    yield from archiver.inspect(layout, survey, watch)
    if survey.marks is None:
        return
    yield from _check_texts(layout, survey)
    yield from _check_unknown_texts(layout, survey, watch)
    (count,) = next(survey.ask("SELECT count(*) FROM texts"))
    yield from _check_pages(layout, survey, watch, count)
    yield from _check_search(layout, watch, count)


# ---------------------------------------------------------------------- texts


def _check_texts(layout: archiver.Layout, survey: Survey) -> Iterator[Problem]:
    texts = archiver.Texts(layout.root, layout.name)
    for (path,) in survey.ask("SELECT path FROM texts ORDER BY path"):
        markdown, data = layout.folder / f"{path}.md", layout.folder / f"{path}.json"
        missing = [file for file in (markdown, data) if not file.is_file()]
        for file in missing:
            yield Problem(Kind.TEXT_MISSING, file, None, "this text is missing", _MAKE_AGAIN)
        if missing:
            continue
        try:
            place = place_of(texts.load(path))
            is_whole = markdown.read_bytes().decode("utf-8") != ""
        except (IntegrityError, UnicodeDecodeError):
            place, is_whole = None, False
        if place is None or not is_whole:
            yield Problem(Kind.TEXT_DAMAGED, data if is_whole else markdown, None, "this text is damaged", _MAKE_AGAIN)
        elif not survey.holds(place) and not survey.is_damaged(place.warc, place.offset):
            what = f"the text is of a record at offset {place.offset} of {place.warc}, which is not there"
            yield Problem(Kind.TEXT_DIFFERS, data, None, what, _MAKE_AGAIN)


def place_of(fields: Mapping[str, object] | None) -> Location | None:
    """The record that a text says it was made from; None where it says nothing readable."""
    said = (fields or {}).get("warc")
    if not isinstance(said, dict) or not isinstance(said.get("file"), str):
        return None
    offset, length = said.get("offset"), said.get("length")
    if not isinstance(offset, int) or not isinstance(length, int) or max(offset, length) >= 1 << 63:
        return None
    return Location(said["file"], offset, length)


def _check_unknown_texts(layout: archiver.Layout, survey: Survey, watch: Watch) -> Iterator[Problem]:
    for file, path in text_files(layout):
        sql = "SELECT 1 FROM texts WHERE path = ?1 UNION SELECT 1 FROM waiting WHERE path = ?1"
        known = next(survey.ask(sql, path), None)
        if known is None and not watch.disturbed():
            yield Problem(Kind.TEXT_UNKNOWN, file, None, "the state knows no capture of this text", _MAKE_AGAIN)


def text_files(layout: archiver.Layout) -> Iterator[tuple[Path, str]]:
    """Every text file, older versions too, with the path by which the state knows its text."""
    for folder in sorted(layout.text.glob("*/*")):
        for file in sorted(folder.iterdir()) if folder.is_dir() else ():
            if found := _TEXT_NAME.fullmatch(file.name):
                yield file, f"text/{folder.parent.name}/{folder.name}/{found[1]}"


# ----------------------------------------------------------- pages and search


def _check_pages(layout: archiver.Layout, survey: Survey, watch: Watch, texts: int) -> Iterator[Problem]:
    (wanted,) = next(survey.ask("SELECT count(*) FROM pages"))
    if not layout.pages.is_file():
        if texts and not watch.disturbed():
            yield Problem(Kind.PAGES, layout.pages, None, "this list of pages is missing", _NEXT_RUN)
        return
    seen: set[int] = set()
    strange = 0
    with layout.pages.open("rb") as file:
        is_headed = file.readline().startswith(b'{"format": "json-pages-1.0"')
        for line in file:
            known = next(survey.ask("SELECT 1 FROM pages WHERE line = ?", hash(line)), None)
            if known is None:
                strange += 1
            else:
                seen.add(hash(line))
    if (strange or len(seen) != wanted or not is_headed) and not watch.disturbed():
        what = f"this list of pages has {len(seen)} of {wanted} pages right and {strange} lines that are none"
        yield Problem(Kind.PAGES, layout.pages, None, what, _MAKE_AGAIN)


def _check_search(layout: archiver.Layout, watch: Watch, texts: int) -> Iterator[Problem]:
    """What is wrong with the search index.

    One that is not there, or says itself that it is not finished, is completed by the next run, and no fault.
    """
    try:
        with archiver.Search.open_for_reading(layout.root, layout.name) as search:
            search.prove_sound()
            indexed, is_settled = search.count(), search.is_settled()
    except UsageError:
        return
    except IntegrityError as error:
        if watch.disturbed():
            return  # it may be in the making
        what = str(error).removeprefix(f"{layout.search}: ")
        said, _, advice = what.rpartition("; ")
        yield Problem(Kind.SEARCH, layout.search, None, said, advice)
        return
    if indexed != texts and is_settled and not watch.disturbed():
        what = f"holds {indexed} captures of {texts}"
        yield Problem(Kind.SEARCH, layout.search, None, what, "the next `scraper run` brings in the rest")
