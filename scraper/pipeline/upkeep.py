"""Making what is derived again from the WARCs."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

from scraper import archiver
from scraper.errors import IntegrityError, StateDamaged, UsageError
from scraper.pipeline.adopting import adopt_imports
from scraper.pipeline.listening import Listener
from scraper.pipeline.mending import Mender, adopting
from scraper.pipeline.run import Run, Stop
from scraper.pipeline.session import opened, rewrite_pages
from scraper.settings import Settings
from scraper.state import StateFile


def rebuild(root: Path, settings: Settings, listener: Listener, stop: Stop) -> int:
    """Make index, state and text again from the WARCs; gives the number of visits read.

    Documents and citations stay if the state file is sound; a damaged one is set aside, and the documents return with
    the next run. Around damaged records it goes on with what is whole, and tells of them in the end by
    `IntegrityError`. One that is stopped is simply done again.
    """
    _refuse_nothing(root)
    with archiver.Lock(root):
        if absent := [str(problem) for problem in archiver.away(root, archiver.Alone())]:
            raise IntegrityError("; ".join([*absent, "nothing was made again"]))
        _set_aside_if_damaged(root, settings, listener)
    with opened(root, settings, listener, anew=True) as session:
        damages: list[str] = []
        for name in archiver.collections(root):
            archiver.discard(root, name)
        with session.state.all_or_nothing(), adopting(root, session.state, settings) as adoption:
            session.state.forget_visits()
            for name in archiver.collections(root):
                if name == archiver.IMPORTED:
                    continue
                archiver.rebuild_index(root, name, on_damage=damages.append)
                # Damage was told of by the index already.
                for told in archiver.told(root, name, on_damage=lambda _: None):
                    adoption.take(name, told)
                    if stop.requested():
                        session.state.roll_back()
                        return adoption.count
        with session.state.all_or_nothing():
            count = adoption.count + _rebuild_imports(root, session.state, damages)
        session.state.commit()
        asyncio.run(Run(session, listener).only_texts(stop))
        rewrite_pages(root, session.state)
    if damages:
        raise IntegrityError("; ".join([*damages, "all else was read; what is lost is due again"]))
    return count


def _rebuild_imports(root: Path, state: StateFile, damages: list[str]) -> int:
    """Last, for an import counts by what was visited before it."""
    if archiver.IMPORTED not in archiver.collections(root):
        return 0
    archiver.rebuild_index(root, archiver.IMPORTED, on_damage=damages.append)
    return adopt_imports(root, state, archiver.Imports(root).all()).captures


def _set_aside_if_damaged(root: Path, settings: Settings, listener: Listener) -> None:
    try:
        with closing(StateFile.open(root)) as state:
            state.prove_sound()
    except StateDamaged as damage:
        listener.note(f"{damage}; {Mender(root, settings, listener).set_aside()}")


def _refuse_nothing(root: Path) -> None:
    if not root.is_dir():
        raise UsageError(f"{root}: there is no archive here; name one with --archive")
