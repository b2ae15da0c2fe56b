"""Mends what a check finds: what is derived is made again, what is damaged goes to quarantine, nothing is deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from scraper import archiver
from scraper.archiver import Alone, Kind, Layout, Problem, Survey
from scraper.archiver.layout import SEAL_SUFFIX
from scraper.archiver.names import named_back
from scraper.archiver.quarantine import move
from scraper.errors import IntegrityError, StateDamaged, UsageError
from scraper.pipeline.adopting import adopt_imports
from scraper.pipeline.checking import check_collection, note_state, place_of
from scraper.pipeline.listening import Listener
from scraper.pipeline.mending import Mender, adopting
from scraper.pipeline.run import Run, Stop
from scraper.pipeline.session import Session, opened, rewrite_pages
from scraper.settings import Settings
from scraper.state import FILE_NAME, StateFile, StateReader, now

_MOST_PASSES = 5
_INDEX = {
    Kind.INDEX_DAMAGED, Kind.LINE_MISSING, Kind.LINE_DOUBLED, Kind.LINE_DIFFERS, Kind.LINE_UNSORTED,
    Kind.WARC_MISSING,
}  # fmt: skip
_ROWS = {
    Kind.ROW_DIFFERS, Kind.ROW_MISSING, Kind.MARK, Kind.REVISIT, Kind.WARC_MISSING, Kind.COLLECTION_MISSING,
    Kind.DOUBLED,  # the state may know the one or the other
}  # fmt: skip
_TEXTS = {Kind.TEXT_MISSING, Kind.TEXT_DAMAGED, Kind.TEXT_DIFFERS}
_SEALS = {Kind.SEAL_DIFFERS, Kind.SEAL_DAMAGED, Kind.SEAL_MISSING}

Tell = Callable[[str], None]


@dataclass(slots=True)
class Repaired:
    """What a repair came to. `is_loss`: something that was archived is not any more, and is due again."""

    done: int = 0
    is_loss: bool = False
    left: list[Problem] = field(default_factory=list)
    due_again: list[str] = field(default_factory=list)  # the pages of which nothing is held any more

    @property
    def exit_code(self) -> int:
        """5 where something was lost, or cannot be mended here; 0 where all is as it was."""
        return 5 if self.is_loss or self.due_again or self.left else 0


def repair(root: Path, settings: Settings, listener: Listener, stop: Stop, tell: Tell) -> Repaired:
    """Mend the archive, and tell of each thing done in a sentence. Needs the lock, which it takes.

    Each pass reads the whole archive; it ends when a pass finds nothing more to do. What cannot be mended here (bytes
    of other tools' files) is `left`. One that is stopped, or killed, is simply done again.
    """
    if not root.is_dir():
        raise UsageError(f"{root}: there is no archive here; name one with --archive")
    repaired = Repaired()

    def done(sentence: str) -> None:
        repaired.done += 1
        tell(sentence)

    repaired.left = list(archiver.away(root, Alone()))
    if repaired.left:
        return repaired  # what is only not at hand would be written off as lost
    held = _held(root)
    _with_sound_state(root, settings, listener, done)
    _with_own_names(root, done)
    noting = Listener(
        visit=listener.visit, host_down=listener.host_down, progress=listener.progress, note=done, trouble=done
    )
    with opened(root, settings, noting) as session:
        repairer = _Repairer(session, noting, stop, repaired, done)
        for _ in range(_MOST_PASSES):
            repaired.left = repairer.one_pass()
            if not repaired.left or not repairer.has_done or stop.requested():
                break
        repaired.due_again = [href for href in _due_again(session.state) if hash(href) in held]
    return repaired


def _held(root: Path) -> set[int]:
    """The pages that are held, as hashes: there may be millions. None where no state can be read."""
    try:
        with StateReader.open_for_reading(root) as state:
            return {hash(row[0]) for row in state.query("SELECT href FROM targets WHERE good IS NOT NULL")}
    except IntegrityError:
        return set()


def _due_again(state: StateReader) -> Iterator[str]:
    rows = state.query("SELECT href FROM targets WHERE state = 'pending' AND good IS NULL ORDER BY href")
    return (row[0] for row in rows)


def _with_sound_state(root: Path, settings: Settings, listener: Listener, done: Tell) -> None:
    with archiver.Lock(root):
        if not (root / FILE_NAME).exists():
            return
        try:
            with closing(StateFile.open(root)) as state:
                state.prove_sound()
        except StateDamaged as damage:
            done(f"{damage}; {Mender(root, settings, listener).set_aside()}")


def _with_own_names(root: Path, done: Tell) -> None:
    """First of all, for whatever is read under a wrong name looks damaged."""
    with archiver.Lock(root):
        for name in archiver.collections(root):
            if name != archiver.IMPORTED:
                for renamed in named_back(Layout(root, name), _marks(root, name), thoroughly=True):
                    done(str(renamed))


def _marks(root: Path, name: str) -> dict[str, int]:
    """The commit marks of a collection; none where no state can be read."""
    try:
        with StateReader.open_for_reading(root) as state:
            return state.marks(name)
    except IntegrityError:
        return {}


class _Repairer:
    """The open archive of one repair."""

    def __init__(self, session: Session, listener: Listener, stop: Stop, repaired: Repaired, done: Tell) -> None:
        self._session = session
        self._root = session.root
        self._state = session.state
        self._listener = listener
        self._stop = stop
        self._repaired = repaired
        self._done = done
        self._doubtful: set[Path] = set()  # WARCs of which nothing proves that they are as they were closed
        self._strays: set[Path] = set()  # WARCs that were moved and were no loss
        self.has_done = False

    def one_pass(self) -> list[Problem]:
        """Read the archive, mend what is nearest to the evidence; gives what was found."""
        self.has_done = False
        found: list[Problem] = []
        for name, layout, problems in self._inspected():
            found += problems
            self._mend_index(name, layout, {problem.kind for problem in problems})
        lost = self._lost_collections()
        found += lost
        kinds = {problem.kind for problem in found}
        self._repaired.is_loss = self._repaired.is_loss or any(map(self._is_loss, found))
        if kinds & _ROWS:
            self._reread()
        if not self.has_done:
            self._mend_texts(found)
        return found

    def _inspected(self) -> Iterator[tuple[str, Layout, list[Problem]]]:
        for name in archiver.collections(self._root):
            layout = Layout(self._root, name)
            with Survey() as survey:
                note_state(self._state, {name: survey})
                problems = list(check_collection(self._root, name, survey, Alone()))
                doubtful = (problem.path for problem in problems if problem.kind in _SEALS)
                self._doubtful.update(path.with_name(path.name.removesuffix(SEAL_SUFFIX)) for path in doubtful)
                for mended in archiver.mend(layout, survey, problems, now()):
                    self._repaired.is_loss = self._repaired.is_loss or mended.is_loss
                    if not mended.is_loss and not mended.path.exists():
                        self._strays.add(mended.path)
                    if mended.is_restored:
                        self._doubtful.discard(mended.path)
                    self._tell(str(mended))
            yield name, layout, problems

    def _is_loss(self, problem: Problem) -> bool:
        """Of a file that is as it was closed nothing is lost, whatever the state looked for in it."""
        if problem.kind is Kind.ROW_DIFFERS:
            return problem.path in self._doubtful
        is_stray = problem.path in self._strays  # the state had looked into it, and noted so
        return problem.kind in (Kind.WARC_MISSING, Kind.COLLECTION_MISSING) and not is_stray

    def _tell(self, sentence: str) -> None:
        self.has_done = True
        self._done(sentence)

    def _mend_index(self, name: str, layout: Layout, kinds: set[Kind]) -> None:
        if self.has_done or kinds & _INDEX:
            lines = archiver.rebuild_index(self._root, name, on_damage=lambda _: None)
            if kinds & _INDEX:
                self._tell(f"{layout.indexes}: made again from the WARCs, {lines} lines")

    def _lost_collections(self) -> list[Problem]:
        there = archiver.collections(self._root)
        lost = {row["collection"] for row in self._state.places()} - set(there)
        what = "this collection is gone, but the state knows its captures"
        return [
            Problem(Kind.COLLECTION_MISSING, self._root / "collections" / name, None, what, "put it back from a copy")
            for name in sorted(lost)
        ]

    def _reread(self) -> None:
        """Make the rows of all visits again; documents and citations stay, and what lost its record is due again."""
        state = self._state
        with state.all_or_nothing(), adopting(self._root, state, self._session.settings) as adoption:
            state.forget_visits()
            for name in archiver.collections(self._root):
                if name != archiver.IMPORTED:
                    for told in archiver.told(self._root, name, on_damage=lambda _: None):
                        adoption.take(name, told)
        if archiver.IMPORTED in archiver.collections(self._root):
            adopt_imports(self._root, self._state, archiver.Imports(self._root).all())
        self._relink()
        self._state.commit()
        self._tell(f"{self._state.path}: {adoption.count} visits were read again from the WARCs")

    def _relink(self) -> None:
        """Texts that are there already, and of the right record, need not be made again."""
        for job in self._state.text_jobs():
            texts = archiver.Texts(self._root, job.collection)
            stem = texts.stem(job.final_href, job.captured_at)
            try:
                fields = texts.load(stem)
            except IntegrityError:
                continue
            if fields is not None and place_of(fields) == job.page and texts.exists(job.final_href, job.captured_at):
                self._state.set_text(job.visit_id, stem, fields["article"]["title"])

    # -------------------------------------------------------- what is derived

    def _mend_texts(self, problems: list[Problem]) -> None:
        kinds = {problem.kind for problem in problems}
        for problem in problems:
            if problem.kind in _TEXTS:
                self._forget_text(problem)
        self._quarantine_unknown(problems)
        for problem in problems:
            if problem.kind is Kind.SEARCH:
                archiver.discard(self._root, problem.path.parent.name)
                self._tell(f"{problem.path}: the search index is made again")
        if kinds & (_TEXTS | {Kind.SEARCH}):
            self._state.commit()
            asyncio.run(Run(self._session, self._listener).only_texts(self._stop))
        if kinds & (_TEXTS | {Kind.PAGES}):
            rewrite_pages(self._root, self._state)
            self._tell(f"{self._root / 'collections'}: the lists of pages were made again")

    def _forget_text(self, problem: Problem) -> None:
        """What is there of a text goes to quarantine, and it is made again from its capture."""
        layout = _layout_of(self._root, problem.path)
        stem = str(problem.path.relative_to(layout.folder).with_suffix(""))
        for file in (layout.folder / f"{stem}.md", layout.folder / f"{stem}.json"):
            if file.exists():
                move(layout, file, str(file.relative_to(layout.folder)))
        self._state.forget_text(layout.name, stem)
        self._tell(f"{layout.folder / stem}: the text is made again from its capture; what there was is in quarantine")

    def _quarantine_unknown(self, problems: list[Problem]) -> None:
        for problem in problems:
            if problem.kind is Kind.TEXT_UNKNOWN and problem.path.exists():
                layout = _layout_of(self._root, problem.path)
                kept = move(layout, problem.path, str(problem.path.relative_to(layout.folder)))
                self._tell(f"{problem.path}: its capture is gone; it was moved to {kept}")


def _layout_of(root: Path, path: Path) -> Layout:
    return Layout(root, path.relative_to(root / "collections").parts[0])
