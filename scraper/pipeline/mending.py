"""What a crash or a bad disk left behind, set right at the start of a run: under the lock, before anything else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from scraper import archiver
from scraper.archiver.layout import writing
from scraper.archiver.quarantine import move
from scraper.errors import StateDamaged
from scraper.pipeline.adopting import adopt_unknown, row_of_recorded
from scraper.pipeline.listening import Listener
from scraper.settings import Settings
from scraper.state import FILE_NAME, StateFile, now

_SIDE_FILES = ("", "-wal", "-shm")


@dataclass(frozen=True, slots=True)
class Mender:
    """Brings an archive in order, and tells of it. Not `is_adopting`: all visits are going to be read again.

    Not `after_crash`: the last run ended well.
    """

    root: Path
    settings: Settings
    listener: Listener
    is_adopting: bool = True
    after_crash: bool = True

    def opened_state(self) -> StateFile:
        """The state, with all that the WARCs hold in it; one that is damaged is set aside and made anew."""
        try:
            return self._brought_up()
        except StateDamaged as damage:
            self.listener.trouble(f"{damage}; {self.set_aside()}")
            return self._brought_up()

    def set_aside(self) -> str:
        """Move the state file out of the way; gives a sentence."""
        path = self.root / FILE_NAME
        aside = f"{FILE_NAME}.damaged-{now():%Y%m%d%H%M%S}"
        with writing(path):
            for suffix in reversed(_SIDE_FILES):
                side = path.with_name(FILE_NAME + suffix)
                if side.exists():
                    side.rename(path.with_name(aside + suffix))
        return f"set aside as {aside}"

    def _brought_up(self) -> StateFile:
        is_lost = not (self.root / FILE_NAME).exists()
        state = StateFile.open(self.root)
        try:
            for name in archiver.collections(self.root):
                if name != archiver.IMPORTED:
                    self._adopt_leftovers(name, state, is_lost)
            if self.is_adopting and (count := adopt_unknown(self.root, state)):
                self.listener.note(f"adopted {count} captures of imported files")
        except BaseException:
            state.abandon()
            raise
        return state

    def _adopt_leftovers(self, collection: str, state: StateFile, is_lost: bool) -> None:
        """Take in what lies beyond the commit mark, or what no state tells of; torn bytes are in quarantine."""
        # Where texts wait, a run may have been stopped in the middle of writing them.
        after_crash = self.after_crash or state.may_lack_texts()
        recovery = archiver.recover(self.root, collection, state.marks(collection), after_crash=after_crash)
        # What waited for its text may have one already, of which a crash kept the state from knowing.
        texts = self._stems_due(collection, state) if recovery.reread else set()
        texts |= {text for warc in recovery.reread for text in state.forget_warc(collection, warc)}
        marks = state.marks(collection)
        adopted = self._adopt_beyond(collection, state, marks) if self.is_adopting else 0
        if texts and self.is_adopting:
            self._set_texts_aside(collection, state, texts)
        state.commit()
        if adopted and is_lost:
            again = "documents and citations return as they are read again"
            self.listener.trouble(f"{state.path}: made from the WARCs: {adopted} visits of {collection}; {again}")
        elif adopted:
            self.listener.note(f"adopted {adopted} visits which an interrupted run had archived")
        for sentence in recovery.losses:
            self.listener.trouble(sentence)
        for sentence in recovery.parted:
            self.listener.note(sentence)
        for path in recovery.quarantined:
            self.listener.note(f"{path}: torn bytes of an interrupted run were moved here")

    def _set_texts_aside(self, collection: str, state: StateFile, texts: set[str]) -> None:
        """Move what was made of captures that are lost into quarantine: no text without its record."""
        layout = archiver.Layout(self.root, collection)
        for stem in sorted(texts - self._stems_due(collection, state) - set(state.texts_of(collection))):
            for file in (layout.folder / f"{stem}.md", layout.folder / f"{stem}.json"):
                if file.exists():
                    move(layout, file, str(file.relative_to(layout.folder)))

    def _stems_due(self, collection: str, state: StateFile) -> set[str]:
        """The texts that are still to be made: paths without suffix."""
        texts, jobs = archiver.Texts(self.root, collection), state.text_jobs()
        return {texts.stem(job.final_href, job.captured_at) for job in jobs if job.collection == collection}

    def _adopt_beyond(self, collection: str, state: StateFile, marks: Mapping[str, int]) -> int:
        with adopting(self.root, state, self.settings) as adoption:
            for told in archiver.untold(self.root, collection, marks, self.listener.trouble):
                adoption.take(collection, told)
        for path in archiver.beyond(self.root, collection, marks):
            # The rest of it is damaged, or tells of no visit: it need not be read at each start.
            state.mark(collection, path.name, path.stat().st_size)
        return adoption.count


@contextmanager
def adopting(root: Path, state: StateFile, settings: Settings) -> Iterator[Adoption]:
    """Bring visits from their records into the state; what they tell of hosts is written at the end."""
    adoption = Adoption(root, state, settings)
    yield adoption
    adoption.save()


class Adoption:
    """Visits on their way from their records into the state."""

    def __init__(self, root: Path, state: StateFile, settings: Settings) -> None:
        # Here: it needs the network's libraries, and every worker that makes texts comes by this module.
        from scraper.pipeline.remembering import Remembering

        self._state = state
        self._remembering = Remembering(root, state, settings.fetch)
        self.count = 0

    def take(self, collection: str, told: archiver.Told) -> None:
        """Bring in one visit, or what a page uses."""
        state = self._state
        if isinstance(told, archiver.Uses):
            page = state.visit_number(collection, told.page)
            used = (state.visit_number(collection, place) for place in told.requisites)
            state.use(page, filter(None, used), collection, told.record)
            return
        of_visit = state.visit_number(collection, told.page_visit) if told.page_visit else None
        state.record(replace(row_of_recorded(told, collection), of_visit=of_visit))
        self._remembering.visit(collection, told)
        self.count += 1

    def save(self) -> None:
        """Write what the visits told of hosts."""
        self._remembering.save()
