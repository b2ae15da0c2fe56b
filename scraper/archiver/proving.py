"""Is the archive whole? Stricter than the common readers, which pass over torn and flipped bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from scraper import urls
from scraper.archiver import foreign, foreign_index, records
from scraper.archiver.check_index import check_index
from scraper.archiver.history import Seen, next_visit, uses_of
from scraper.archiver.imports import Imports
from scraper.archiver.index import entry_of
from scraper.archiver.layout import OPEN_SUFFIX, SEAL_SUFFIX, Layout, warc_name
from scraper.archiver.lock import Watch
from scraper.archiver.members import Damaged, Member
from scraper.archiver.names import SEAL as SAYS
from scraper.archiver.names import misnamed
from scraper.archiver.oddities import oddities
from scraper.archiver.problems import RECOVER, RENAME, REPAIR, RESTORE, SEAL, Kind, Problem
from scraper.archiver.records import Record
from scraper.archiver.survey import Survey
from scraper.errors import IntegrityError
from scraper.model import Location


def check(root: Path, name: str, rows: Iterable[Location] = ()) -> Iterator[Problem]:
    """Every fault of a collection by itself; `rows` are records that must be there. See `inspect`."""
    with Survey() as survey:
        for row in rows:
            survey.add_row(row)
        yield from inspect(Layout(root, name), survey, Watch(root))


def inspect(layout: Layout, survey: Survey, watch: Watch) -> Iterator[Problem]:
    """Every fault of a collection, file after file: members, records, digests, seals, index lines, and state rows.

    Each member must be whole with a right CRC and hold exactly one record whose digests are right, and whose id no
    other has; each closed file must be as its seal says; each listed record have one line and each line its record;
    each revisit what it refers to; each row a record, and each visit a row. `survey` has the rows and marks of the
    state, and afterwards all that was read. It takes no lock: what a run that is at work has not finished, or what
    came after the state was read, is no fault.
    """
    for problem in oddities(layout, watch):
        if problem.kind is Kind.WARC_AWAY:
            survey.away.add(warc_name(problem.path))
        yield problem
    names = {} if layout.is_foreign else misnamed(layout, survey.marks or {})
    survey.misnamed = {name: path for path, name in names.items()}
    for path in layout.all_warcs():
        if own := names.get(path):
            # Read as what it is, nothing else is wrong with it; its checksum is looked at when it has its name.
            yield Problem(Kind.WARC_MISNAMED, path, None, f"by its first record it is {own}", RENAME)
            yield from _Reading(path, survey, watch, own).problems()
            continue
        yield from _check_foreign(path, survey) if layout.is_foreign else _Reading(path, survey, watch).problems()
        is_sealed = True
        for problem in _check_seal(layout, path, survey) if not path.name.endswith(OPEN_SUFFIX) else ():
            is_sealed = False
            yield problem
        if not is_sealed and path.name in survey.headless:
            what = "the file does not begin with a warcinfo record"
            yield Problem(Kind.WARCINFO_MISSING, path, 0, what, RESTORE)
        if layout.is_foreign:
            yield from _check_provenance(layout, path)
    survey.settle()
    yield from _check_doubled(layout, survey)
    if not layout.is_foreign:  # of other tools' revisits, some refer to what was never here
        yield from _check_revisits(layout, survey)
    yield from check_index(layout, survey, watch)
    yield from _check_rows(layout, survey, watch)
    yield from _check_lost(layout, survey)


# -------------------------------------------------------------------- records


class _Reading:
    """One WARC of our own, read from its first byte to its last."""

    def __init__(self, path: Path, survey: Survey, watch: Watch, name: str = "") -> None:
        self._path = path
        self._name = name or warc_name(path)
        self._is_open = path.name.endswith(OPEN_SUFFIX)
        self._survey = survey
        self._watch = watch
        self._damages: list[Damaged] = []
        self._pending: list[Seen] = []
        self._sha256 = hashlib.sha256()

    def problems(self) -> Iterator[Problem]:
        try:
            size = self._path.stat().st_size
        except FileNotFoundError:  # closed meanwhile
            self._path = self._path.with_name(self._name)
            size = self._path.stat().st_size
        if size == 0:
            self._survey.number(self._name)
            if not (self._is_open and self._watch.disturbed()):
                yield Problem(Kind.WARC_EMPTY, self._path, 0, "the file is empty", self._advice)
            return
        end = 0
        for member, record in records.read_all(self._path, on_damage=self._damages.append, tap=self._sha256.update):
            yield from self._damage(end, member.offset)
            yield from self._record(record, member)
            end = member.offset + member.length
        yield from self._damage(end, max(size, end + 1))
        if self._pending:
            self._note_end(self._pending[-1].location)
        if not self._is_open:
            self._survey.sha256[self._name] = self._sha256.hexdigest() if not self._survey.spans(self._name) else ""

    @property
    def _advice(self) -> str:
        return RECOVER if self._is_open else RESTORE

    def _damage(self, start: int, stop: int) -> Iterator[Problem]:
        """What was damaged before the record that was read, or before the end."""
        damages = list(self._damages)
        self._damages.clear()
        if not damages or (self._is_open and start >= self._mark and self._watch.disturbed()):
            return
        self._survey.add("spans", self._survey.number(self._name), start, stop)
        for damage in damages:
            yield Problem(Kind.DAMAGED, self._path, damage.offset, damage.what, self._advice)

    @property
    def _mark(self) -> int:
        return (self._survey.marks or {}).get(self._name, 0)

    def _record(self, record: Record, member: Member) -> Iterator[Problem]:
        if member.offset == 0 and record.type != "warcinfo" and not records.is_filler(record):
            self._survey.headless.add(self._name)
        place = Location(self._name, member.offset, member.length)
        number = self._survey.number(self._name)
        if faults := records.digest_faults(record):
            self._survey.add("spans", number, member.offset, member.offset + member.length)
            for fault in faults:
                yield Problem(Kind.DIGEST, self._path, member.offset, fault, self._advice)
        if records.is_filler(record):
            return  # what the state looks for there is lost
        href = hash(record.header("WARC-Target-URI"))
        self._survey.add("records", number, place.offset, place.length, hash(record.id), href)
        self._note_listed(record, place, number)
        is_note = record.type == "metadata"
        seen = Seen(Record(record.headers, record.block if is_note else b""), place)
        for items in next_visit(seen, self._pending):
            if not uses_of(items):
                self._note_end(items[-1].location)

    def _note_end(self, place: Location) -> None:
        self._survey.add("ends", self._survey.number(self._name), place.offset, place.length)

    def _note_listed(self, record: Record, place: Location, number: int) -> None:
        entry = entry_of(record, place)
        if entry is None:
            return
        # A file gets its index when it is closed.
        self._survey.add("listed", number, place.offset, hash(entry.line()), not self._is_open)
        if record.type == "response":
            self._survey.add("originals", hash((entry.url, entry.digest)))
        elif refers_to := record.header("WARC-Refers-To-Target-URI"):
            self._survey.add("revisits", number, place.offset, hash((refers_to, entry.digest)))


def _check_foreign(path: Path, survey: Survey) -> Iterator[Problem]:
    """Of other tools' files only what the standard asks is asked: whole records with right digests."""
    damages: list[Damaged] = []
    number, end = survey.number(path.name), 0
    for item in foreign.scan_on(path, damages, foreign.PROOF):
        yield from _foreign_damage(path, damages, survey, (end, item.offset))
        end = item.end
        for fault in item.faults:
            survey.add("spans", number, item.offset, item.end)
            yield Problem(Kind.DIGEST, path, item.offset, fault, RESTORE)
        survey.add("records", number, item.offset, item.length, hash((path.name, item.offset)), 0)
        if entry := foreign_index.entry_of(item, path.name):
            survey.add("listed", number, item.offset, hash(entry.line()), 1)
    yield from _foreign_damage(path, damages, survey, (end, path.stat().st_size + 1))


def _foreign_damage(path: Path, damages: list[Damaged], survey: Survey, span: tuple[int, int]) -> Iterator[Problem]:
    if damages:
        survey.add("spans", survey.number(path.name), *span)
    for damage in damages:
        yield Problem(Kind.DAMAGED, path, damage.offset, damage.what, RESTORE)
    damages.clear()


def _check_provenance(layout: Layout, path: Path) -> Iterator[Problem]:
    try:
        Imports(layout.root).of_warc(path.name)
    except IntegrityError:
        what = f"what says where {path.name} is from is damaged"
        sidecar = Imports(layout.root).sidecar(path.name)
        yield Problem(Kind.PROVENANCE, sidecar, None, what, RESTORE)


def _check_doubled(layout: Layout, survey: Survey) -> Iterator[Problem]:
    for warc, found in groupby(list(survey.doubled()), lambda place: place[0]):
        places = list(found)
        for _, offset, length in places:
            survey.add("spans", survey.number(warc), offset, offset + length)
        path = _place(layout, survey, warc)
        if origin := survey.copy_of(warc, len(places)):
            survey.copies[warc] = origin
            what = f"is a copy of {origin}, which has all its records"
            yield Problem(Kind.DOUBLED, path, None, what, "move it away, or run `scraper check --repair`")
            continue
        for _, offset, _ in places:
            yield Problem(Kind.DOUBLED, path, offset, "an earlier record has the same WARC-Record-ID", RESTORE)


def _check_revisits(layout: Layout, survey: Survey) -> Iterator[Problem]:
    if survey.has_damage():
        return  # which may be the very captures that are referred to
    # Where captures are lost for good, the pages that referred to them are due again, and that is all there is to do.
    is_mended = layout.quarantine.is_dir()
    for warc, offset in survey.unresolved(given_up_too=not is_mended):
        path = _place(layout, survey, warc)
        what = f"the revisit refers to a capture of {_referred(path, offset)} that is not here"
        yield Problem(Kind.REVISIT, path, offset, what, RESTORE)


def _referred(path: Path, offset: int) -> str:
    try:
        for _, record in records.read_all(path, offset):
            return urls.bare(record.header("WARC-Refers-To-Target-URI"))
    except Damaged:
        pass
    return "another URL"


# ---------------------------------------------------------------------- seals


def _check_seal(layout: Layout, path: Path, survey: Survey) -> Iterator[Problem]:
    seal = path.with_name(path.name + SEAL_SUFFIX)
    try:
        said = SAYS.match(seal.read_bytes().decode("ascii", "replace"))
    except IsADirectoryError:
        yield Problem(Kind.SEAL_DAMAGED, seal, None, "a folder has the name of the checksum file", REPAIR)
        return
    except FileNotFoundError:
        yield Problem(Kind.SEAL_MISSING, seal, None, "the checksum file is missing", REPAIR)
        return
    if said is None or said[2] != path.name:
        yield Problem(Kind.SEAL_DAMAGED, seal, None, "the checksum file is damaged", REPAIR)
        return
    if (survey.sha256.get(path.name) or _sha256(path)) != said[1]:
        advice = SEAL if not layout.is_foreign and _has_all(path, survey) else RESTORE
        yield Problem(Kind.SEAL_DIFFERS, path, None, "the file is not what it was when it was closed", advice)


def _has_all(path: Path, survey: Survey) -> bool:
    """Whether all that is known to have been in a file is there, and right: what changed is between the records.

    The time in the head of a gzip member, say, which no checksum of gzip covers.
    """
    mark = (survey.marks or {}).get(path.name)
    is_right = not survey.spans(path.name) and path.name not in survey.headless
    return is_right and mark is not None and mark <= path.stat().st_size


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _place(layout: Layout, survey: Survey, warc: str) -> Path:
    return survey.misnamed.get(warc) or layout.place_of(warc)


# ----------------------------------------------------------------------- rows


def _check_rows(layout: Layout, survey: Survey, watch: Watch) -> Iterator[Problem]:
    for warc, offset, length in survey.wrong_rows():
        path = _place(layout, survey, warc)
        if path.exists() and not survey.is_damaged(warc, offset):
            what = f"the state knows a record of {length} bytes that is not here"
            yield Problem(Kind.ROW_DIFFERS, path, offset, what, RESTORE)
    if survey.marks is None:
        return
    beyond: dict[str, int] = {}
    for warc, offset, end in survey.rowless():
        if warc in survey.copies:
            continue
        if end > survey.marks.get(warc, 0):
            beyond[warc] = beyond.get(warc, 0) + 1
        elif not layout.is_foreign and not survey.spans(warc):  # without their ends, visits are parted otherwise
            yield Problem(
                Kind.ROW_MISSING, _place(layout, survey, warc), offset, "the state does not know this visit", REPAIR
            )
    for warc, count in beyond.items() if not watch.disturbed() else ():
        what = f"holds {count} visits which the state does not know"
        advice = "the next `scraper run` adopts them"
        yield Problem(Kind.ROW_MISSING, _place(layout, survey, warc), None, what, advice)
    yield from _check_marks(layout, survey, survey.marks)


def _check_marks(layout: Layout, survey: Survey, marks: dict[str, int]) -> Iterator[Problem]:
    for warc, mark in sorted(marks.items()):
        path = _place(layout, survey, warc)
        if warc in survey.away:
            continue
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            continue  # that is told of once
        if size < mark and not survey.spans(warc):
            what = f"the state knows {mark} bytes of this file, which has {size}"
            yield Problem(Kind.MARK, path, None, what, RESTORE)
        elif layout.is_foreign and size > mark:
            what = "holds captures which the state does not know"
            yield Problem(Kind.ROW_MISSING, path, None, what, "the next `scraper run` adopts them")


def _check_lost(layout: Layout, survey: Survey) -> Iterator[Problem]:
    """Files of which only others tell, each once."""
    told = {path.name.removesuffix(SEAL_SUFFIX) for path in layout.warcs.glob(f"*{SEAL_SUFFIX}")}
    told.update(survey.named(), survey.marks or ())
    for warc in sorted(told - survey.away):
        if "/" in warc or not _place(layout, survey, warc).exists():
            tellers = ", ".join(_tellers(layout, survey, warc))
            what = f"the file is missing, only {tellers} of it {'is' if tellers == 'the checksum' else 'are'} there"
            yield Problem(Kind.WARC_MISSING, layout.warcs / warc, None, what, RESTORE)


def _tellers(layout: Layout, survey: Survey, warc: str) -> Iterator[str]:
    if (layout.warcs / (warc + SEAL_SUFFIX)).exists():
        yield "the checksum"
    lines, rows = survey.tellers(warc)
    if lines:
        yield f"{lines} lines of the index"
    if rows or warc in (survey.marks or {}):
        yield f"{rows} rows of the state"
